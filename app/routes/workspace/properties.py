"""The properties of the selected region."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from app.errors import NotFound
from app.models import ClassDef
from app.routes.api.common import known_frame, known_id
from app.routes.page import Page, language, render
from app.routes.workspace.classes import ClassRow, rows_of
from app.routes.workspace.flags import Doubt, doubt_of
from app.routes.workspace.regions import template_of
from app.services import frames
from app.services.context import Context
from app.services.views import RegionView

Req = Request[Any, Any, Any]


class AttributeRow(Struct, kw_only=True):
    """`choices` are those of the class, and the value a region has from before if it is none of them any more."""

    name: str
    kind: str
    choices: list[str]
    value: str


class PropertiesPanel(Page):
    """`reach` = smallest and largest reach of the positive points in px, None where none is known."""

    template: ClassVar[str] = "workspace/_properties.html"
    region: RegionView
    current: ClassRow
    classes: list[ClassRow]
    positive: int
    negative: int
    nodes: int
    reach: tuple[float, float] | None
    attributes: list[AttributeRow]
    doubt: Doubt | None


@get("/workspace/{project_id:str}/_properties", sync_to_thread=True, include_in_schema=False)
def read(
    request: Req,
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    frame: FromQuery[str],
    region: FromQuery[str],
) -> Response[Any]:
    language(request, ctx)
    known_id(region)
    found = next((r for r in frames.view(ctx, known_frame(frame)).regions if r.id == region), None)
    if found is None:
        raise NotFound("The region is no longer on this frame.")
    template = template_of(ctx, project_id)
    rows = rows_of(template.classes)
    current = next((row for row in rows if row.id == found.class_id), None)
    if current is None:
        raise NotFound("The class of this region is no longer in the class template.")
    points = found.geometry.points
    reaches = [p.r for p in points if p.label and p.r]
    return render(
        request,
        PropertiesPanel(
            region=found,
            current=current,
            classes=rows,
            positive=sum(p.label == 1 for p in points),
            negative=sum(p.label == 0 for p in points),
            nodes=sum(len(ring) for ring in found.geometry.outline or []),
            reach=(min(reaches), max(reaches)) if reaches else None,
            attributes=attributes_of(next(c for c in template.classes if c.id == current.id), found),
            doubt=doubt_of(found),
        ),
    )


def attributes_of(cls: ClassDef, region: RegionView) -> list[AttributeRow]:
    """An input for each attribute of the class, and for those of an earlier class that the region still has."""
    rows = []
    for a in cls.attributes:
        value = region.attributes.get(a.name, "")
        own = [value] if a.kind == "choice" and value and value not in a.choices else []
        rows.append(AttributeRow(name=a.name, kind=a.kind, choices=[*a.choices, *own], value=value))
    known = {a.name for a in cls.attributes}
    old = [(name, value) for name, value in region.attributes.items() if name not in known]
    return rows + [AttributeRow(name=n, kind="old", choices=[], value=v) for n, v in sorted(old)]


handlers = [read]
