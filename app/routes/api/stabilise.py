"""Stabilising: /api/v1/stabilisers, /api/v1/projects/{id}/stabilise, /api/v1/jobs/{id}/stabilised"""

from __future__ import annotations

from typing import Any, Literal

from anyio import to_thread
from litestar import HttpMethod, Request, Response, Router, get, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from app.models import Job
from app.routes.api.common import actor_of, known_id
from app.routes.files import serve
from app.services import stabilising
from app.services.context import Context
from app.services.stabilising import NewStabilise, Stabiliser
from tasks.stabilise_files import Curve

Req = Request[Any, Any, Any]


@get("/stabilisers", sync_to_thread=False)
def listing() -> list[Stabiliser]:
    """The filters that there are, with the range of the parameter of each."""
    return stabilising.stabilisers()


@post("/projects/{project_id:str}/stabilise", status_code=202, sync_to_thread=True)
def create(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewStabilise]
) -> Job:
    """Smooth labels along time; with `preview` no region changes. One edit undoes all of it."""
    return stabilising.submit(ctx, known_id(project_id), data, actor=actor_of(request))


@get("/jobs/{job_id:str}/stabilised/curve", sync_to_thread=True)
def curve(ctx: NamedDependency[Context], job_id: FromPath[str]) -> Curve:
    """Warped instability by frame, before and after."""
    return stabilising.curve(ctx, known_id(job_id))


@route("/jobs/{job_id:str}/stabilised/{index:int}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def layer_map(
    request: Req,
    ctx: NamedDependency[Context],
    job_id: FromPath[str],
    index: FromPath[int],
    side: FromQuery[Literal["before", "after"]] = "after",
) -> Response[Any]:
    """What a frame showed before the job, or shows after it, as its region map but by layer."""
    path = await to_thread.run_sync(stabilising.map_of, ctx, known_id(job_id), index, side)
    return await serve(request, path, encoding="gzip")


router = Router("/", route_handlers=[listing, create, curve, layer_map], tags=["stabilise"])
