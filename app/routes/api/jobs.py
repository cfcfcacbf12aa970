"""/api/v1/jobs"""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from litestar import HttpMethod, Request, Response, Router, get, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from app.errors import Refused
from app.models import Job
from app.routes.api.common import known_id
from app.routes.files import serve
from app.services import chains, jobs
from app.services.context import Context

Req = Request[Any, Any, Any]
STATES = ("waiting", "running", "paused", "done", "failed", "cancelled")


@get("/", sync_to_thread=True)
def listing(
    ctx: NamedDependency[Context],
    project: FromQuery[str | None] = None,
    wanted: Annotated[str | None, QueryParameter(name="state")] = None,
    limit: FromQuery[int] = 200,
) -> list[Job]:
    """Jobs, the newest first. `state`: waiting, running, paused, done, failed or cancelled."""
    if wanted is not None and wanted not in STATES:
        raise Refused(f"A job is {', '.join(STATES)}; there is no state {wanted!r}.")
    return jobs.listing(
        ctx,
        project_id=project and known_id(project),
        states=None if wanted is None else (wanted,),
        limit=max(1, min(limit, 1000)),
    )


@get("/{job_id:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], job_id: FromPath[str]) -> Job:
    return jobs.get(ctx, known_id(job_id))


@post("/{job_id:str}/cancel", status_code=200, sync_to_thread=True)
def cancel(ctx: NamedDependency[Context], job_id: FromPath[str]) -> Job:
    """Ask a job to stop; what it has done is kept. One that waits or is paused ends at once."""
    return jobs.cancel(ctx, known_id(job_id))


@post("/{job_id:str}/pause", status_code=200, sync_to_thread=True)
def pause(ctx: NamedDependency[Context], job_id: FromPath[str]) -> Job:
    """Ask a job to rest. One that runs is `paused` behind the frame that it is at; an event tells.

    409 for a job that has ended, and for one that does its work in one go.
    """
    return jobs.pause(ctx, known_id(job_id))


@post("/{job_id:str}/resume", status_code=200, sync_to_thread=True)
def resume(ctx: NamedDependency[Context], job_id: FromPath[str]) -> Job:
    """Let a paused job go on where it was, behind those that wait already. 409 for a job that has ended."""
    return jobs.resume(ctx, known_id(job_id))


@post("/{job_id:str}/retry", status_code=200, sync_to_thread=True)
def retry(ctx: NamedDependency[Context], job_id: FromPath[str]) -> Job:
    """Run a failed or cancelled job again; what it had finished is kept."""
    return chains.retry(ctx, known_id(job_id))


@route("/{job_id:str}/files/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def file(
    request: Req, ctx: NamedDependency[Context], job_id: FromPath[str], name: FromPath[str]
) -> Response[Any]:
    path = await to_thread.run_sync(jobs.file_of, ctx, known_id(job_id), name)
    return await serve(request, path, download=name)


router = Router("/jobs", route_handlers=[listing, read, cancel, pause, resume, retry, file], tags=["jobs"])
