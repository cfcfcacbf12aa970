"""/templates : the class templates and the editor of one. Changes are a draft in the browser until saved."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.models import ClassTemplate
from app.routes.api.common import actor_of, known_id
from app.routes.page import FullPage, render, shell
from app.services import class_templates, projects
from app.services.context import Context
from app.services.presets import PRESETS

Req = Request[Any, Any, Any]


class TemplatesPage(FullPage):
    """`current` is None where there is no template yet; `draft` holds what the script edits.

    `can_undo`, `can_redo`: the person's own last saved change of this template.
    """

    template: ClassVar[str] = "class_templates/index.html"
    templates: list[ClassTemplate]
    trashed: list[ClassTemplate]
    current: ClassTemplate | None
    users: list[str]
    presets: dict[str, str]
    draft: dict[str, Any]
    can_undo: bool
    can_redo: bool


def page_of(request: Req, ctx: Context, template_id: str | None) -> TemplatesPage:
    frame = shell(request, ctx, "templates")
    listed = class_templates.listing(ctx)
    shown = template_id or (listed[0].id if listed else None)
    edited = class_templates.editing(ctx, shown, actor_of(request)) if shown else None
    current = edited.template if edited else None
    users = [
        c.project.name for c in projects.listing(ctx) if current and c.project.class_template_id == current.id
    ]
    return TemplatesPage(
        shell=frame,
        templates=listed,
        trashed=class_templates.listing(ctx, trashed=True),
        current=current,
        users=users,
        presets={key: preset.title for key, preset in PRESETS.items()},
        draft={
            "template": msgspec.to_builtins(current),
            "usage": {str(key): n for key, n in edited.usage.items()} if edited else {},
            "next_id": edited.next_id if edited else 1,
        },
        can_undo=bool(edited and edited.can_undo),
        can_redo=bool(edited and edited.can_redo),
    )


@get("/templates", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    return render(request, page_of(request, ctx, None))


@get("/templates/{template_id:str}", sync_to_thread=True, include_in_schema=False)
def read(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> Response[Any]:
    return render(request, page_of(request, ctx, known_id(template_id)))


handlers = [index, read]
