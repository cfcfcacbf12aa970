"""One Struct per template, rendered in the thread of its handler; scripts get the same fields as JSON."""

from __future__ import annotations

import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.utils.scope.state import ScopeState
from msgspec import Struct, field

from app import i18n
from app.i18n import _
from app.services import health, jobs
from app.services.context import Context

Req = Request[Any, Any, Any]
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
THEMES = ("dark", "light", "system")
THIN = "\u202f"
LOW_DISK = 2_000_000_000


class Problem(Struct, kw_only=True):
    """What happened (one sentence), then what is safe and what to do. `tone`: err, warn or info."""

    what: str
    then: str = ""
    tone: str = "err"


class Shell(Struct, kw_only=True):
    """What the frame around every page shows."""

    section: str
    jobs: int = 0
    problems: list[Problem] = field(default_factory=list)
    theme: str = "dark"
    language: str = "en"
    csrf: str = ""
    version: str = ""


class Page(Struct, kw_only=True):
    """Base of all pages and panels: the fields are exactly the variables of the template."""

    template: ClassVar[str]


class FullPage(Page):
    shell: Shell


class ProblemsPanel(Page):
    template: ClassVar[str] = "_problems.html"
    problems: list[Problem]


class JobCount(Page):
    template: ClassVar[str] = "_job_count.html"
    jobs: int


class ErrorPage(FullPage):
    """A whole page for a request that failed; `status` is the HTTP status."""

    template: ClassVar[str] = "error.html"
    status: int
    title: str
    sentence: str


class ProblemPanel(Page):
    """What a request for a panel gets instead of it; the page keeps the last good panel."""

    template: ClassVar[str] = "_problem.html"
    title: str
    sentence: str


def render(request: Req, page: Page, *, status: int = 200) -> Response[Any]:
    """HTML of the page in the language of the request, or its fields as JSON where only that is accepted."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Cookie"}
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "text/html" not in accepted:
        return Response(
            msgspec.json.encode(page), media_type=MediaType.JSON, status_code=status, headers=headers
        )
    fields = {name: getattr(page, name) for name in page.__struct_fields__}
    html = environment().get_template(page.template).render(fields)
    return Response(html, media_type=MediaType.HTML, status_code=status, headers=headers)


def shell(request: Req, ctx: Context, section: str) -> Shell:
    """The frame of a full page; sets the language of the request as well."""
    chosen = language(request, ctx)
    theme = request.cookies.get("pt_theme", "dark")
    return Shell(
        section=section,
        jobs=len(jobs.listing(ctx, states=jobs.UNFINISHED)),
        problems=problems_of(health.check(ctx)),
        theme=theme if theme in THEMES else "dark",
        language=chosen,
        csrf=csrf_token(request),
        version=version("pointillist"),
    )


def csrf_token(request: Req) -> str:
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else ""


def language(request: Req, ctx: Context) -> str:
    return i18n.use(request.cookies.get("pt_language", ctx.settings.language))


def problems_of(report: health.Health) -> list[Problem]:
    """What is wrong with the processes or the data folder, in the words of the banner."""
    found = []
    if not report.data_writable:
        found.append(
            Problem(
                what=_("The data folder cannot be written."),
                then=_("Nothing can be changed until %(folder)s is writable again; what is there is safe.")
                % {"folder": report.data},
            )
        )
    elif report.free_bytes < LOW_DISK:
        found.append(
            Problem(
                tone="warn",
                what=_("The disk is nearly full."),
                then=_("%(free)s are free. Imports stop before the disk is full; free some space to go on.")
                % {"free": as_bytes(report.free_bytes)},
            )
        )
    sentences = {
        "worker": (
            _("The engine worker is restarting."),
            _("Your regions are safe. Hand tools work on; proposals come back in a few seconds."),
        ),
        "consumer": (
            _("The process that runs the jobs is restarting."),
            _("Jobs keep what they have finished and go on by themselves."),
        ),
    }
    for name, (what, then) in sentences.items():
        process = report.processes.get(name)
        if process is not None and process.state != "running":
            found.append(Problem(tone="warn", what=what, then=then))
    return found


def problem_page(request: Req, status: int, title: str, detail: str) -> Response[Any]:
    """A failed request for a page or a panel, without asking any service: they may be what failed."""
    chosen = i18n.use(request.cookies.get("pt_language", i18n.SOURCE))
    if request.headers.get("hx-request") == "true":
        return render(request, ProblemPanel(title=title, sentence=detail), status=status)
    theme = request.cookies.get("pt_theme", "dark")
    frame = Shell(
        section="",
        theme=theme if theme in THEMES else "dark",
        language=chosen,
        version=version("pointillist"),
    )
    return render(request, ErrorPage(shell=frame, status=status, title=title, sentence=detail), status=status)


@get("/_problems", sync_to_thread=True, include_in_schema=False)
def problems_panel(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    return render(request, ProblemsPanel(problems=problems_of(health.check(ctx))))


@get("/_job-count", sync_to_thread=True, include_in_schema=False)
def job_count(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    return render(request, JobCount(jobs=len(jobs.listing(ctx, states=jobs.UNFINISHED))))


# How numbers are written: a thin space between groups and before units, as the design asks


def as_count(value: int) -> str:
    return f"{value:,}".replace(",", THIN)


def as_percent(part: float, whole: float) -> str:
    """Rounded down, so that 100 % means all of it."""
    return f"{int(100 * part / whole) if whole else 0}{THIN}%"


def share(part: float, whole: float) -> float:
    """`part` of `whole` in percent with one decimal, for the length of a bar."""
    return round(100 * part / whole, 1) if whole else 0.0


def as_bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f}{THIN}{unit}" if value >= 10 or unit == "B" else f"{value:.1f}{THIN}{unit}"


def as_seconds(value: float, decimals: int = 0) -> str:
    """0:04 or 0:04.0, 1:02:03 from an hour on."""
    ticks = round(value * 10**decimals)
    whole, rest = divmod(ticks, 10**decimals)
    tail = f".{rest:0{decimals}d}" if decimals else ""
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return clock + tail


def as_number(value: float, decimals: int = 2) -> str:
    """Without trailing zeros: 29.97, 30."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_time(value: float | None) -> str:
    """Wall time of the server's machine to the minute, for people who sit at it or near it."""
    if not value:
        return ""
    when = datetime.datetime.fromtimestamp(value).astimezone()
    today = datetime.datetime.now().astimezone().date()
    return when.strftime("%H:%M") if when.date() == today else when.strftime("%Y-%m-%d %H:%M")


@cache
def environment() -> Environment:
    """The one Jinja environment: everything is escaped, an unknown variable is an error."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue]
    env.globals["plural_forms"] = i18n.plural_forms
    env.tests["pausable"] = jobs.pausable
    env.filters |= {
        "count": as_count,
        "percent": as_percent,
        "share": share,
        "bytes": as_bytes,
        "seconds": as_seconds,
        "number": as_number,
        "clock": as_time,
    }
    return env


handlers = [problems_panel, job_count]
