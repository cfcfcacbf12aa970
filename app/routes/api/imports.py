"""/api/v1/projects/{id}/imports and /api/v1/imports: ground truth in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec.structs import replace

from app.models import Job
from app.routes.api.common import actor_of, known_id
from app.services import imports
from app.services.context import Context
from app.services.imports import CertificatePage, FormatView, ImportView, NewImport

Req = Request[Any, Any, Any]


@post("/projects/{project_id:str}/imports", status_code=202, sync_to_thread=True)
def create(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewImport]
) -> Job:
    """A dry run, or with `dry_run: false` the import itself. The job's report is at /imports/{job id}."""
    wanted = replace(
        data,
        id=data.id and known_id(data.id),
        upload_id=data.upload_id and known_id(data.upload_id),
        from_job=data.from_job and known_id(data.from_job),
        asset_id=data.asset_id and known_id(data.asset_id),
    )
    return imports.submit(ctx, known_id(project_id), wanted, actor=actor_of(request))


@get("/imports/formats")
async def formats() -> list[FormatView]:
    return imports.formats()


@get("/imports/{job_id:str}", sync_to_thread=True)
def read(request: Req, ctx: NamedDependency[Context], job_id: FromPath[str]) -> ImportView:
    return imports.view(ctx, known_id(job_id), actor_of(request))


@get("/imports/{job_id:str}/regions", sync_to_thread=True)
def regions(
    ctx: NamedDependency[Context],
    job_id: FromPath[str],
    start: FromQuery[int] = 0,
    limit: FromQuery[int] = 100,
) -> CertificatePage:
    """The regions that the import made, the worst certificate first."""
    return imports.certificates(ctx, known_id(job_id), max(0, start), max(1, min(limit, 1000)))


@get("/imports/{job_id:str}/regions/{region_id:str}/source", sync_to_thread=True)
def source(ctx: NamedDependency[Context], job_id: FromPath[str], region_id: FromPath[str]) -> dict[str, Any]:
    """The mask that the region was made from, as COCO run lengths."""
    return imports.source_mask(ctx, known_id(job_id), known_id(region_id))


router = Router("/", route_handlers=[create, formats, read, regions, source], tags=["imports"])
