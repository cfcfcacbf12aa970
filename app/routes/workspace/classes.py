"""The class list. What is shown, locked and chosen lives in the browser; the server gives the rows."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from app.models import ClassDef, ClassTemplate
from app.routes.page import Page


class ClassRow(Struct, kw_only=True):
    """`order` is the position in the class template, by which ties of priority are broken."""

    id: int
    name: str
    colour: str
    priority: int
    parent: int | None
    shortcut: str
    order: int


class ClassesPanel(Page):
    template: ClassVar[str] = "workspace/_classes.html"
    classes: list[ClassRow]
    class_template: ClassTemplate


def rows_of(classes: list[ClassDef]) -> list[ClassRow]:
    """The class that wins where regions overlap comes first, as in the fusion."""
    rows = [
        ClassRow(
            id=c.id,
            name=c.name,
            colour=c.colour,
            priority=c.priority,
            parent=c.parent,
            shortcut=c.shortcut,
            order=order,
        )
        for order, c in enumerate(classes)
    ]
    return sorted(rows, key=lambda row: (row.priority, row.order), reverse=True)
