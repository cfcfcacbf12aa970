"""The properties of the selected region."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from app.errors import NotFound
from app.routes.api.common import known_frame, known_id
from app.routes.page import Page, language, render
from app.routes.workspace.classes import ClassRow, rows_of
from app.routes.workspace.regions import template_of
from app.services import frames
from app.services.context import Context
from app.services.views import RegionView

Req = Request[Any, Any, Any]


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
    rows = rows_of(template_of(ctx, project_id).classes)
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
        ),
    )


handlers = [read]
