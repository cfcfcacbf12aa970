"""/ : projects, jobs and engines at a glance. The panels refresh by themselves when something happens."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from app.models import Job
from app.routes import charts, dashboard_quality
from app.routes.dashboard_quality import QualityCards, quality, sparklines
from app.routes.engines import Engine, engines_of
from app.routes.page import FullPage, Page, language, render, shell
from app.services import jobs, overview
from app.services.context import Context
from app.services.views import Progress, ProjectCard
from app.smoothing import FLICKER_LIMIT

Req = Request[Any, Any, Any]
SHOWN_JOBS = 8
SHOWN_PROJECTS = 50


class Totals(Struct, kw_only=True):
    """Sums over the projects that are not in the trash; `done` counts approved frames too."""

    projects: int = 0
    pending: int = 0
    wip: int = 0
    complete: int = 0
    progress: Progress
    waiting: int = 0
    running: int = 0
    next_job: str = ""


class Overview(Page):
    template: ClassVar[str] = "dashboard/_overview.html"
    totals: Totals
    cards: list[ProjectCard]
    sparks: dict[str, charts.Curve]
    limit: float
    more: int


class JobsPanel(Page):
    template: ClassVar[str] = "dashboard/_jobs.html"
    jobs: list[Job]
    names: dict[str, str]
    running: int
    waiting: int
    paused: int


class Dashboard(FullPage):
    template: ClassVar[str] = "dashboard/index.html"
    totals: Totals
    cards: list[ProjectCard]
    sparks: dict[str, charts.Curve]
    limit: float
    more: int
    quality: QualityCards
    jobs: list[Job]
    names: dict[str, str]
    running: int
    waiting: int
    paused: int
    engines: list[Engine]
    last: ProjectCard | None


def overview_panel(ctx: Context, cards: list[ProjectCard]) -> Overview:
    active = jobs.listing(ctx, states=jobs.ACTIVE)
    waiting = [job for job in active if job.state == "waiting"]
    totals = Totals(
        projects=len(cards),
        pending=sum(c.project.status == "pending" for c in cards),
        wip=sum(c.project.status == "wip" for c in cards),
        complete=sum(c.project.status == "complete" for c in cards),
        progress=Progress(
            frames=sum(c.progress.frames for c in cards),
            done=sum(c.progress.done for c in cards),
            approved=sum(c.progress.approved for c in cards),
            regions=sum(c.progress.regions for c in cards),
            certified=sum(c.progress.certified for c in cards),
        ),
        waiting=len(waiting),
        running=len(active) - len(waiting),
        next_job=min(waiting, key=lambda job: job.created_at).title if waiting else "",
    )
    shown = cards[:SHOWN_PROJECTS]
    return Overview(
        totals=totals,
        cards=shown,
        sparks=sparklines(ctx, shown),
        limit=FLICKER_LIMIT,
        more=len(cards) - len(shown),
    )


def jobs_panel(ctx: Context) -> JobsPanel:
    newest = jobs.listing(ctx, limit=200)
    rank = {"running": 0, "waiting": 1, "paused": 2}
    ordered = sorted(newest, key=lambda job: (rank.get(job.state, 3), -job.created_at))
    return JobsPanel(
        jobs=ordered[:SHOWN_JOBS],
        names={c.project.id: c.project.name for c in overview.cards(ctx)},
        running=sum(job.state == "running" for job in newest),
        waiting=sum(job.state == "waiting" for job in newest),
        paused=sum(job.state == "paused" for job in newest),
    )


@get("/", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    frame = shell(request, ctx, "dashboard")
    cards = overview.cards(ctx)
    seen, work = overview_panel(ctx, cards), jobs_panel(ctx)
    wanted = request.cookies.get("pt_project", "")
    last = next((c for c in cards if c.project.id == wanted and c.progress.frames), None)
    return render(
        request,
        Dashboard(
            shell=frame,
            totals=seen.totals,
            cards=seen.cards,
            sparks=seen.sparks,
            limit=seen.limit,
            more=seen.more,
            quality=quality(ctx, cards, wanted),
            jobs=work.jobs,
            names=work.names,
            running=work.running,
            waiting=work.waiting,
            paused=work.paused,
            engines=engines_of(ctx),
            last=last,
        ),
    )


@get("/dashboard/_overview", sync_to_thread=True, include_in_schema=False)
def read_overview(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    return render(request, overview_panel(ctx, overview.cards(ctx)))


@get("/dashboard/_jobs", sync_to_thread=True, include_in_schema=False)
def read_jobs(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    return render(request, jobs_panel(ctx))


handlers = [index, read_overview, read_jobs, *dashboard_quality.handlers]
