"""Mattes: /api/v1/matte-engines, /api/v1/projects/{id}/mattes, /api/v1/frames/{id}/matte-preview"""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from litestar import HttpMethod, Request, Response, Router, get, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.models import Job
from app.routes.api.common import known_frame, known_id
from app.routes.files import serve
from app.services import matte_engines, matte_estimates, matte_previews, mattes
from app.services.context import Context
from app.services.matte_engines import MatteEngine
from app.services.matte_estimates import Estimate
from app.services.matte_previews import NewPreview, Preview
from app.services.mattes import NewMatte

Req = Request[Any, Any, Any]


@get("/matte-engines", sync_to_thread=True)
def engines(ctx: NamedDependency[Context]) -> list[MatteEngine]:
    """What makes mattes, also what cannot run here yet, with the step that would make it."""
    return matte_engines.listing(ctx)


@post("/projects/{project_id:str}/mattes", status_code=202, sync_to_thread=True)
def create(ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewMatte]) -> Job:
    """Cut out tracks, classes or regions; the result names the files, which `/jobs/{id}/files/{name}` serves."""
    return mattes.submit(ctx, known_id(project_id), data)


@post("/projects/{project_id:str}/mattes/estimate", status_code=200, sync_to_thread=True)
def estimate(ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewMatte]) -> Estimate:
    """What it would take, which frames have no mask, and which engine suits best."""
    return matte_estimates.estimate(ctx, known_id(project_id), data)


@post("/frames/{frame_id:str}/matte-preview", status_code=200, sync_to_thread=True)
def preview(ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[NewPreview]) -> Preview:
    """The matte on one frame; its images are there for a while."""
    return matte_previews.make(ctx, known_frame(frame_id), data)


@route("/matte-previews/{preview_id:str}/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def image(
    request: Req, ctx: NamedDependency[Context], preview_id: FromPath[str], name: FromPath[str]
) -> Response[Any]:
    path = await to_thread.run_sync(matte_previews.file_of, ctx, known_id(preview_id), name)
    return await serve(request, path)


router = Router("/", route_handlers=[engines, create, estimate, preview, image], tags=["mattes"])
