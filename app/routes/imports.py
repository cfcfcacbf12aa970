"""/projects/{project}/import : ground truth into a project, in three steps; the script asks the API for the rest."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from app.models import Asset, Project
from app.routes.api.common import known_id
from app.routes.page import FullPage, render, shell
from app.services import class_templates, projects
from app.services.context import Context
from app.services.views import ProjectCard

Req = Request[Any, Any, Any]


class ClassChoice(Struct, kw_only=True):
    """A class that ground truth can be mapped to."""

    id: int
    name: str
    colour: str


class ImportPage(FullPage):
    """`chosen` is the asset to import into, "" for all of them; `island` is what the script starts from."""

    template: ClassVar[str] = "imports/index.html"
    project: Project
    assets: list[Asset]
    chosen: str
    roots: list[str]
    class_template: str
    back: str
    island: dict[str, Any]


class NothingToImportInto(FullPage):
    """A project without frames: ground truth has nothing to belong to yet."""

    template: ClassVar[str] = "imports/empty.html"
    card: ProjectCard


@get("/projects/{project_id:str}/import", sync_to_thread=True, include_in_schema=False)
def index(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], asset: FromQuery[str] = ""
) -> Response[Any]:
    """The job that is shown, if any, is in the address (`job`) and is read by the script."""
    card = projects.card(ctx, known_id(project_id))
    around = shell(request, ctx, "library")
    usable = [a for a in card.assets if a.frame_count]
    if not usable:
        return render(request, NothingToImportInto(shell=around, card=card))
    chosen = asset if any(a.id == asset for a in usable) else ""
    rules = class_templates.get(ctx, card.project.class_template_id)
    workspace = f"/workspace/{card.project.id}"
    island = {
        "project": card.project.id,
        "title": card.project.name,
        "class_template_id": rules.id,
        "assets": [{"id": a.id, "name": a.name, "frames": a.frame_count} for a in usable],
        "classes": [ClassChoice(id=c.id, name=c.name, colour=c.colour) for c in rules.classes],
    }
    return render(
        request,
        ImportPage(
            shell=around,
            project=card.project,
            assets=usable,
            chosen=chosen,
            roots=[str(root) for root in ctx.settings.allowed_roots],
            class_template=rules.name,
            back=f"{workspace}?asset={chosen}" if chosen else workspace,
            island=msgspec.to_builtins(island),
        ),
    )


handlers = [index]
