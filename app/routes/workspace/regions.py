"""The regions of the open frame as a tree: class → track → region."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from app.models import ClassTemplate, Frame
from app.routes.api.common import known_frame, known_id
from app.routes.page import Page, language, render
from app.routes.workspace.classes import ClassRow, rows_of
from app.routes.workspace.flags import Doubt, doubt_of
from app.routes.workspace.frame import FramePanel, frame_panel
from app.services import class_templates, frames, projects
from app.services.context import Context
from app.services.views import FrameView, RegionView

Req = Request[Any, Any, Any]


class RegionRow(Struct, kw_only=True):
    region: RegionView
    doubt: Doubt | None


class TrackNode(Struct, kw_only=True):
    """Regions of one track; `id` is None for regions that belong to none."""

    id: str | None
    rows: list[RegionRow]


class ClassNode(Struct, kw_only=True):
    id: int
    name: str
    colour: str
    tracks: list[TrackNode]
    count: int


class RegionsPanel(Page):
    template: ClassVar[str] = "workspace/_regions.html"
    tree: list[ClassNode]
    total: int
    counts: dict[int, int]


class WholePanel(Page):
    """Facts and regions of a frame in one answer, so that stepping through frames asks once."""

    template: ClassVar[str] = "workspace/_panel.html"
    frame: Frame
    below: int
    tree: list[ClassNode]
    total: int
    counts: dict[int, int]


def regions_panel(view: FrameView, classes: list[ClassRow]) -> RegionsPanel:
    tree = []
    for row in classes:
        mine = [r for r in view.regions if r.class_id == row.id]
        if mine:
            tracks: dict[str | None, list[RegionRow]] = {}
            for region in mine:
                tracks.setdefault(region.track_id, []).append(
                    RegionRow(region=region, doubt=doubt_of(region))
                )
            nodes = [TrackNode(id=track, rows=found) for track, found in tracks.items()]
            tree.append(ClassNode(id=row.id, name=row.name, colour=row.colour, tracks=nodes, count=len(mine)))
    return RegionsPanel(tree=tree, total=len(view.regions), counts={node.id: node.count for node in tree})


def template_of(ctx: Context, project_id: str) -> ClassTemplate:
    return class_templates.get(ctx, projects.get(ctx, known_id(project_id)).class_template_id)


@get("/workspace/{project_id:str}/_regions", sync_to_thread=True, include_in_schema=False)
def read(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], frame: FromQuery[str]
) -> Response[Any]:
    language(request, ctx)
    rows = rows_of(template_of(ctx, project_id).classes)
    return render(request, regions_panel(frames.view(ctx, known_frame(frame)), rows))


@get("/workspace/{project_id:str}/_panel", sync_to_thread=True, include_in_schema=False)
def read_all(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], frame: FromQuery[str]
) -> Response[Any]:
    language(request, ctx)
    view = frames.view(ctx, known_frame(frame))
    facts: FramePanel = frame_panel(view)
    found = regions_panel(view, rows_of(template_of(ctx, project_id).classes))
    return render(
        request,
        WholePanel(
            frame=facts.frame, below=facts.below, tree=found.tree, total=found.total, counts=found.counts
        ),
    )


handlers = [read, read_all]
