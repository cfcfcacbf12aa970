"""/workspace/{project} : the shell; without a project or frames it says what to do first."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from app.i18n import _
from app.matting import OUTPUTS, PARAMETERS, MatteParameters
from app.models import Asset, ClassTemplate, Project
from app.routes.api.common import actor_of, known_id
from app.routes.page import FullPage, render, shell
from app.routes.workspace.classes import ClassRow, rows_of
from app.routes.workspace.strings import strings
from app.services import class_templates, engines, exports, history, projects
from app.services.context import Context
from app.services.views import ProjectCard

Req = Request[Any, Any, Any]
UNUSABLE = ("waiting",)


class Workspace(FullPage):
    template: ClassVar[str] = "workspace/index.html"
    project: Project
    asset: Asset
    assets: list[Asset]
    frame_index: int
    classes: list[ClassRow]
    class_template: ClassTemplate
    formats: list[exports.Format]
    island: dict[str, Any]


class EmptyWorkspace(FullPage):
    """`card` is None where there is no project at all."""

    template: ClassVar[str] = "workspace/empty.html"
    card: ProjectCard | None


@get("/workspace", sync_to_thread=True, include_in_schema=False)
def latest(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    """The project that was open last, else the newest with frames."""
    cards = projects.listing(ctx)
    wanted = request.cookies.get("pt_project", "")
    ready = [c for c in cards if c.progress.frames]
    chosen = next((c for c in ready if c.project.id == wanted), ready[0] if ready else None)
    if chosen is not None:
        return Redirect(f"/workspace/{chosen.project.id}")
    frame = shell(request, ctx, "workspace")
    return render(request, EmptyWorkspace(shell=frame, card=cards[0] if cards else None))


@get("/workspace/{project_id:str}", sync_to_thread=True, include_in_schema=False)
def index(
    request: Req,
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    asset: FromQuery[str] = "",
    frame: FromQuery[int | None] = None,
) -> Response[Any]:
    """`frame` is the number a person reads, from 1."""
    card = projects.card(ctx, known_id(project_id))
    around = shell(request, ctx, "workspace")
    usable = [a for a in card.assets if a.frame_count and a.state not in UNUSABLE]
    if not usable:
        return render(request, EmptyWorkspace(shell=around, card=card))
    wanted = asset or request.cookies.get("pt_asset", "")
    current = next((a for a in usable if a.id == wanted), usable[0])
    number = min(max((frame or 1) - 1, 0), current.frame_count - 1)
    rules = class_templates.get(ctx, card.project.class_template_id)
    rows = rows_of(rules.classes)
    can_undo, can_redo = history.state(ctx, card.project.id, actor_of(request))
    island = {
        "project": card.project,
        "asset": current,
        "assets": usable,
        "frame_index": number,
        "classes": rows,
        "engines": engines.listing(ctx),
        "strings": strings(),
        "mattes": _mattes(),
        "urls": {"sprite": "/static/icons.svg"},
        "actor": actor_of(request),
        "resume": frame is None,
        "can_undo": can_undo,
        "can_redo": can_redo,
    }
    return render(
        request,
        Workspace(
            shell=around,
            project=card.project,
            asset=current,
            assets=usable,
            frame_index=number,
            classes=rows,
            class_template=rules,
            formats=list(exports.FORMATS.values()),
            island=msgspec.to_builtins(island),
        ),
    )


def _mattes() -> dict[str, Any]:
    """The parameters of mattes with their ranges, and the kinds of files, in the language of the request."""
    usual = msgspec.structs.asdict(MatteParameters())
    parameters = {
        name: msgspec.structs.asdict(one) | {"title": _(one.title), "default": usual[name]}
        for name, one in PARAMETERS.items()
    }
    outputs = [
        {"id": id, "title": _(one.title), "suffix": one.suffix, "note": _(one.note)}
        for id, one in OUTPUTS.items()
    ]
    return {"parameters": parameters, "outputs": outputs}


handlers = [latest, index]
