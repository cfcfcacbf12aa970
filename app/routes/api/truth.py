"""/api/v1/projects/{id}/truth, /score and /scores: hidden ground truth, and how labels compare with it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from anyio import to_thread
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from app.models import Job
from app.routes.api.common import actor_of, known_id
from app.services import truth_scores, truth_tables, truths
from app.services.context import Context
from app.services.truth_scores import NewScore, Scores
from app.services.truths import NewTruth, TruthDeleted, TruthView

Req = Request[Any, Any, Any]
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@get("/projects/{project_id:str}/truth", sync_to_thread=True)
def listing(ctx: NamedDependency[Context], project_id: FromPath[str]) -> TruthView:
    """Which frames have hidden ground truth. What it shows stays hidden."""
    return truths.view(ctx, known_id(project_id))


@post("/projects/{project_id:str}/truth", status_code=202, sync_to_thread=True)
def keep(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewTruth]
) -> Job:
    """Keep labels as hidden ground truth; with `hold_out` they are taken away, to be made afresh."""
    return truths.submit(ctx, known_id(project_id), data, actor=actor_of(request))


@delete("/projects/{project_id:str}/truth", status_code=200, sync_to_thread=True)
def forget(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    asset_id: FromQuery[str | None] = None,
    index: FromQuery[int | None] = None,
) -> TruthDeleted:
    """Delete hidden ground truth: of a frame, of an asset, or without either of the whole project."""
    return truths.delete(ctx, known_id(project_id), asset_id=asset_id and known_id(asset_id), index=index)


@post("/projects/{project_id:str}/score", status_code=202, sync_to_thread=True)
def score(ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewScore]) -> Job:
    """Compare the frames whose labels or truth changed since they were scored; all of them with `all`."""
    return truth_scores.submit(ctx, known_id(project_id), data)


@get("/projects/{project_id:str}/scores", sync_to_thread=True)
def scores(
    ctx: NamedDependency[Context], project_id: FromPath[str], asset_id: FromQuery[str | None] = None
) -> Scores:
    return truth_scores.view(ctx, known_id(project_id), asset_id and known_id(asset_id))


@get("/projects/{project_id:str}/scores/file")
async def file(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    format: FromQuery[str] = "csv",
    asset_id: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The scores as a download: `csv`, a row for each frame and class, or `json`."""
    name, body = await to_thread.run_sync(
        truth_tables.file, ctx, known_id(project_id), format, asset_id and known_id(asset_id)
    )
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(body, headers=headers, media_type=MEDIA_TYPES[format])


router = Router(
    "/", route_handlers=[listing, keep, forget, score, scores, file], tags=["hidden ground truth"]
)
