"""/api/v1/class-templates: the rule books, changes of classes in use, their history and older revisions."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from app.errors import NotFound
from app.models import ClassDef, ClassTemplate, MappingRule
from app.routes.api.common import actor_of, known_id, operation_of, revision_of
from app.routes.problems import on_http_exception
from app.services import class_changes, class_revisions, class_templates, history
from app.services.class_changes import ChangeResult, ClassUsage, NewChange
from app.services.class_revisions import RevisionDetail, RevisionView
from app.services.context import Context
from app.services.presets import PRESETS

Req = Request[Any, Any, Any]


class NewTemplate(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    classes: list[ClassDef] | None = None
    rules: list[MappingRule] | None = None
    preset: str | None = None
    id: str | None = None


class TemplatePatch(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str | None = None
    classes: list[ClassDef] | None = None
    rules: list[MappingRule] | None = None


@get("/", sync_to_thread=True)
def listing(ctx: NamedDependency[Context], trashed: FromQuery[bool] = False) -> list[ClassTemplate]:
    return class_templates.listing(ctx, trashed=trashed)


@get("/presets", sync_to_thread=False)
def presets() -> dict[str, str]:
    return {key: preset.title for key, preset in PRESETS.items()}


@post("/", sync_to_thread=True)
def create(request: Req, ctx: NamedDependency[Context], data: JSONBody[NewTemplate]) -> ClassTemplate:
    return class_templates.create(
        ctx,
        name=data.name,
        classes=data.classes,
        rules=data.rules,
        preset=data.preset,
        id=data.id and known_id(data.id),
        actor=actor_of(request),
    )


@get("/{template_id:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.get(ctx, known_id(template_id))


@patch("/{template_id:str}", sync_to_thread=True)
def update(
    request: Req, ctx: NamedDependency[Context], template_id: FromPath[str], data: JSONBody[TemplatePatch]
) -> ClassTemplate:
    return class_templates.update(
        ctx,
        known_id(template_id),
        name=data.name,
        classes=data.classes,
        rules=data.rules,
        expected_revision=revision_of(request),
        actor=actor_of(request),
        op_id=operation_of(request),
    )


@post("/{template_id:str}/duplicate", sync_to_thread=True)
def duplicate(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.duplicate(ctx, known_id(template_id), actor=actor_of(request))


@delete("/{template_id:str}", status_code=200, sync_to_thread=True)
def trash(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.trash(ctx, known_id(template_id), actor_of(request))


@post("/{template_id:str}/restore", status_code=200, sync_to_thread=True)
def restore(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.restore(ctx, known_id(template_id), actor_of(request))


@get("/{template_id:str}/classes/{class_id:int}/usage", sync_to_thread=True)
def usage(ctx: NamedDependency[Context], template_id: FromPath[str], class_id: FromPath[int]) -> ClassUsage:
    return class_changes.usage(ctx, known_id(template_id), class_id)


@post("/{template_id:str}/changes", status_code=200, sync_to_thread=True)
def change(
    request: Req, ctx: NamedDependency[Context], template_id: FromPath[str], data: JSONBody[NewChange]
) -> ChangeResult:
    return class_changes.apply(
        ctx,
        known_id(template_id),
        data,
        expected_revision=revision_of(request),
        actor=actor_of(request),
        op_id=operation_of(request),
    )


@post("/{template_id:str}/undo", status_code=200, sync_to_thread=True)
def undo(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> history.UndoResult:
    return class_templates.undo(ctx, known_id(template_id), actor_of(request), operation_of(request))


@post("/{template_id:str}/redo", status_code=200, sync_to_thread=True)
def redo(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> history.UndoResult:
    return class_templates.redo(ctx, known_id(template_id), actor_of(request), operation_of(request))


@get("/{template_id:str}/history", sync_to_thread=True)
def edits(
    ctx: NamedDependency[Context],
    template_id: FromPath[str],
    before: FromQuery[int | None] = None,
    limit: FromQuery[int] = 50,
) -> list[history.EditView]:
    class_templates.get(ctx, known_id(template_id))
    return history.listing(ctx, template_id, before=before, limit=max(1, min(limit, 500)))


@get("/{template_id:str}/revisions", sync_to_thread=True)
def revisions(ctx: NamedDependency[Context], template_id: FromPath[str]) -> list[RevisionView]:
    return class_revisions.listing(ctx, known_id(template_id))


@get("/{template_id:str}/revisions/{revision:int}", sync_to_thread=True)
def revision(
    ctx: NamedDependency[Context], template_id: FromPath[str], revision: FromPath[int]
) -> RevisionDetail:
    return class_revisions.detail(ctx, known_id(template_id), _known_revision(revision))


@post("/{template_id:str}/revisions/{revision:int}/restore", status_code=200, sync_to_thread=True)
def restore_revision(
    request: Req, ctx: NamedDependency[Context], template_id: FromPath[str], revision: FromPath[int]
) -> ClassTemplate:
    return class_revisions.restore(
        ctx,
        known_id(template_id),
        _known_revision(revision),
        expected_revision=revision_of(request),
        actor=actor_of(request),
    )


def _known_revision(revision: int) -> int:
    if not 1 <= revision < 2**31:
        raise NotFound("There is no such revision.")
    return revision


def _on_misfit(request: Req, exc: ValidationException) -> Response[Any]:
    """JSON that can be read but holds no rule book (a colour that is none, a name too long) is refused as such."""
    answer = on_http_exception(request, exc)
    if answer.status_code == 400:
        answer.status_code = 422
        answer.content = answer.content.replace(b'"status":400', b'"status":422', 1)
    return answer


router = Router(
    "/class-templates",
    route_handlers=[
        listing, presets, create, read, update, duplicate, trash, restore, usage, change, undo, redo, edits,
        revisions, revision, restore_revision,
    ],
    exception_handlers={ValidationException: _on_misfit},
    tags=["class templates"],
)  # fmt: skip
