"""/api/v1/projects/{id}/metrics and measure, /api/v1/assets/{id}/metrics/curve: how steady labels are."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from app.models import Job
from app.routes.api.common import known_id
from app.services import measuring, metrics, metrics_file
from app.services.context import Context
from app.services.measuring import NewMeasuring
from app.services.metrics import CurveView, Figures

MEDIA = {"csv": "text/csv", "json": "application/json"}


@post("/projects/{project_id:str}/measure", status_code=202, sync_to_thread=True)
def measure(ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewMeasuring]) -> Job:
    """Measure the frames whose labels changed since they were measured; with `all`, all that are labelled."""
    return measuring.submit(ctx, known_id(project_id), data)


@get("/projects/{project_id:str}/metrics", sync_to_thread=True)
def read(
    ctx: NamedDependency[Context], project_id: FromPath[str], asset_id: FromQuery[str | None] = None
) -> Figures:
    return metrics.figures(ctx, known_id(project_id), asset_id and known_id(asset_id))


@get("/assets/{asset_id:str}/metrics/curve", sync_to_thread=True)
def curve(
    ctx: NamedDependency[Context],
    asset_id: FromPath[str],
    class_id: FromQuery[int] = 0,
    track_id: FromQuery[str] = "",
    start: FromQuery[int | None] = None,
    stop: FromQuery[int | None] = None,
    most: FromQuery[int] = metrics.MOST,
) -> CurveView:
    """Instability along the frames start … stop, both included; with `track_id` also give its class."""
    return metrics.curve(
        ctx,
        known_id(asset_id),
        class_id=class_id,
        track_id=track_id and known_id(track_id),
        start=start,
        stop=stop,
        most=most,
    )


@get("/projects/{project_id:str}/metrics/file", sync_to_thread=True)
def download(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    format: FromQuery[Literal["csv", "json"]] = "csv",
    asset_id: FromQuery[str | None] = None,
) -> Stream:
    """A row for each measured frame × class × track; class 0 is the frame as a whole."""
    name, content = metrics_file.stability(ctx, known_id(project_id), asset_id and known_id(asset_id), format)
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "cache-control": "no-store",
    }
    return Stream(content, media_type=MEDIA[format], headers=headers)


router = Router("/", route_handlers=[measure, read, curve, download], tags=["metrics"])
