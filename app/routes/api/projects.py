"""/api/v1/projects"""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from app.errors import Refused
from app.models import Job, Project
from app.routes.api.common import actor_of, known_id, operation_of, revision_of
from app.services import exports, frames, history, projects
from app.services.context import Context
from app.services.views import FramePage, NewExport, ProjectCard, SoundView

Req = Request[Any, Any, Any]


class NewProject(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    class_template_id: str | None = None
    id: str | None = None


@post("/", sync_to_thread=True)
def create(request: Req, ctx: NamedDependency[Context], data: JSONBody[NewProject]) -> Project:
    return projects.create(
        ctx,
        name=data.name,
        class_template_id=data.class_template_id and known_id(data.class_template_id),
        id=data.id and known_id(data.id),
        actor=actor_of(request),
    )


@get("/", sync_to_thread=True)
def listing(
    ctx: NamedDependency[Context],
    search: FromQuery[str] = "",
    status: FromQuery[str | None] = None,
    sort: FromQuery[str] = "newest",
    trashed: FromQuery[bool] = False,
) -> list[ProjectCard]:
    return projects.listing(ctx, search=search, status=status, sort=sort, trashed=trashed)


@get("/{project_id:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], project_id: FromPath[str]) -> ProjectCard:
    return projects.card(ctx, known_id(project_id))


@patch("/{project_id:str}", sync_to_thread=True)
def change(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[dict[str, Any]]
) -> Project:
    return projects.change(
        ctx,
        known_id(project_id),
        data,
        expected_revision=revision_of(request),
        actor=actor_of(request),
        op_id=operation_of(request),
    )


@delete("/{project_id:str}", status_code=200, sync_to_thread=True)
def trash(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Project:
    return projects.trash(ctx, known_id(project_id), actor_of(request))


@post("/{project_id:str}/restore", status_code=200, sync_to_thread=True)
def restore(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Project:
    return projects.restore(ctx, known_id(project_id), actor_of(request))


@get("/{project_id:str}/frames", sync_to_thread=True)
def frame_page(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    asset: FromQuery[str | None] = None,
    start: FromQuery[int] = 0,
    limit: FromQuery[int] = 100,
) -> FramePage:
    card = projects.card(ctx, known_id(project_id))
    if asset is None:
        if not card.assets:
            raise Refused("The project has no asset yet. Import a video first.")
        asset = card.assets[0].id
    return frames.page(ctx, known_id(asset), start, limit)


@post("/{project_id:str}/undo", status_code=200, sync_to_thread=True)
def undo(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> history.UndoResult:
    return history.undo(ctx, known_id(project_id), actor_of(request), operation_of(request))


@post("/{project_id:str}/redo", status_code=200, sync_to_thread=True)
def redo(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> history.UndoResult:
    return history.redo(ctx, known_id(project_id), actor_of(request), operation_of(request))


@get("/{project_id:str}/history", sync_to_thread=True)
def edits(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    before: FromQuery[int | None] = None,
    limit: FromQuery[int] = 50,
) -> list[history.EditView]:
    return history.listing(ctx, known_id(project_id), before=before, limit=max(1, min(limit, 500)))


@post("/{project_id:str}/exports", status_code=202, sync_to_thread=True)
def export(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewExport]
) -> Job:
    """Write the project, or one asset, in one of the formats of `GET /projects/export-formats`."""
    return exports.submit(ctx, known_id(project_id), data, actor=actor_of(request))


@get("/{project_id:str}/export-sound", sync_to_thread=True)
def export_sound(
    ctx: NamedDependency[Context], project_id: FromPath[str], asset_id: FromQuery[str]
) -> SoundView:
    return exports.sound(ctx, known_id(project_id), known_id(asset_id))


@get("/export-formats", sync_to_thread=False)
def export_formats() -> dict[str, exports.Format]:
    return exports.FORMATS


router = Router(
    "/projects",
    route_handlers=[
        create, listing, read, change, trash, restore, frame_page, undo, redo, edits, export, export_formats,
        export_sound,
    ],
    tags=["projects"],
)  # fmt: skip
