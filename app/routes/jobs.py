"""/jobs : background work with progress, pause, cancel, retry and the files it made."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from msgspec import Struct

from app.models import Job
from app.routes.page import FullPage, Page, language, render, shell
from app.services import jobs, projects
from app.services.context import Context

Req = Request[Any, Any, Any]
SHOWN = 300
FILTERS: dict[str, tuple[str, ...] | None] = {
    "all": None,
    "active": jobs.UNFINISHED,
    "paused": ("paused",),
    "done": ("done",),
    "failed": ("failed", "cancelled"),
}


class JobFile(Struct, kw_only=True):
    """`gone`: it was deleted because it was old."""

    name: str
    bytes: int = 0
    gone: bool = False


class JobRow(Struct, kw_only=True):
    job: Job
    project: str
    files: list[JobFile]


class JobsPanel(Page):
    template: ClassVar[str] = "jobs/_list.html"
    rows: list[JobRow]
    chosen: str


class JobsPage(FullPage):
    template: ClassVar[str] = "jobs/index.html"
    rows: list[JobRow]
    chosen: str


def files_of(ctx: Context, job: Job) -> list[JobFile]:
    """What the job reports to have made; an unreadable result counts as none."""
    try:
        result = msgspec.json.decode(job.result)
        found = result.get("files", []) if isinstance(result, dict) else []
        files = msgspec.convert(found, list[JobFile])
    except (msgspec.ValidationError, msgspec.DecodeError):
        return []
    for file in files:
        file.gone = not (ctx.paths.export(job.id) / file.name).exists()
    return files


def rows_of(ctx: Context, chosen: str) -> list[JobRow]:
    names = {c.project.id: c.project.name for c in projects.listing(ctx)}
    found = jobs.listing(ctx, states=FILTERS[chosen], limit=SHOWN)
    return [JobRow(job=job, project=names.get(job.project_id, ""), files=files_of(ctx, job)) for job in found]


def known_filter(value: str) -> str:
    return value if value in FILTERS else "all"


@get("/jobs", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context], show: FromQuery[str] = "all") -> Response[Any]:
    frame, chosen = shell(request, ctx, "jobs"), known_filter(show)
    return render(request, JobsPage(shell=frame, rows=rows_of(ctx, chosen), chosen=chosen))


@get("/jobs/_list", sync_to_thread=True, include_in_schema=False)
def read_list(request: Req, ctx: NamedDependency[Context], show: FromQuery[str] = "all") -> Response[Any]:
    language(request, ctx)
    chosen = known_filter(show)
    return render(request, JobsPanel(rows=rows_of(ctx, chosen), chosen=chosen))


handlers = [index, read_list]
