"""/library : every project as a card, the import sheet, and the trash."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from app.i18n import _
from app.models import Asset, ClassTemplate, Job
from app.routes.api.common import known_id
from app.routes.page import (
    FullPage,
    Page,
    as_bytes,
    as_count,
    as_number,
    as_seconds,
    language,
    render,
    shell,
)
from app.services import assets, class_templates, jobs, projects
from app.services.context import Context
from app.services.views import Probe, Progress, ProjectCard

Req = Request[Any, Any, Any]
STATUSES = ("pending", "wip", "complete")
SORTS = ("newest", "oldest", "name")


class AssetRow(Struct, kw_only=True):
    """`job` is the newest job of the asset, if any."""

    asset: Asset
    progress: Progress
    job: Job | None = None


class Failed(Struct, kw_only=True):
    """An asset that could not be imported, as a card of its own beside the good ones."""

    asset: Asset
    project: str
    job: Job | None = None


class Cards(Page):
    template: ClassVar[str] = "library/_cards.html"
    cards: list[ProjectCard]
    failed: list[Failed]
    filtered: bool


class Library(FullPage):
    template: ClassVar[str] = "library/index.html"
    cards: list[ProjectCard]
    failed: list[Failed]
    filtered: bool
    search: str
    status: str
    sort: str
    templates: list[ClassTemplate]
    roots: list[str]


class ImportSheet(Page):
    """`fps` and `duration` are 0 where the source does not say."""

    template: ClassVar[str] = "library/_import.html"
    probe: Probe
    upload_id: str
    path: str
    width: int
    height: int
    fps: float
    duration: float
    frames: int
    facts: list[tuple[str, str]]
    notes: list[str]
    projects: list[ProjectCard]
    templates: list[ClassTemplate]
    chosen: str
    suggestion: str


class ProjectSheet(Page):
    template: ClassVar[str] = "library/_project.html"
    card: ProjectCard
    rows: list[AssetRow]
    trashed: list[Asset]
    templates: list[ClassTemplate]


class Trash(Page):
    template: ClassVar[str] = "library/_trash.html"
    cards: list[ProjectCard]


def cards_of(ctx: Context, search: str, status: str, sort: str) -> Cards:
    found = projects.listing(
        ctx,
        search=search.strip()[:200],
        status=status if status in STATUSES else None,
        sort=sort if sort in SORTS else "newest",
    )
    newest = _newest_jobs(ctx)
    failed = [
        Failed(asset=asset, project=card.project.name, job=newest.get(asset.id))
        for card in found
        for asset in card.assets
        if asset.state == "failed"
    ]
    return Cards(cards=found, failed=failed, filtered=bool(search.strip()) or status in STATUSES)


def _newest_jobs(ctx: Context, project_id: str | None = None) -> dict[str, Job]:
    """The newest extraction of each asset."""
    found: dict[str, Job] = {}
    for job in sorted(jobs.listing(ctx, project_id=project_id), key=lambda job: job.created_at):
        if job.asset_id and job.kind == "extract":
            found[job.asset_id] = job
    return found


@get("/library", sync_to_thread=True, include_in_schema=False)
def index(
    request: Req,
    ctx: NamedDependency[Context],
    search: FromQuery[str] = "",
    status: FromQuery[str] = "",
    sort: FromQuery[str] = "newest",
) -> Response[Any]:
    frame = shell(request, ctx, "library")
    found = cards_of(ctx, search, status, sort)
    return render(
        request,
        Library(
            shell=frame,
            cards=found.cards,
            failed=found.failed,
            filtered=found.filtered,
            search=search,
            status=status,
            sort=sort,
            templates=class_templates.listing(ctx),
            roots=[str(root) for root in ctx.settings.allowed_roots],
        ),
    )


@get("/library/_cards", sync_to_thread=True, include_in_schema=False)
def read_cards(
    request: Req,
    ctx: NamedDependency[Context],
    search: FromQuery[str] = "",
    status: FromQuery[str] = "",
    sort: FromQuery[str] = "newest",
) -> Response[Any]:
    language(request, ctx)
    return render(request, cards_of(ctx, search, status, sort))


@get("/library/_import", sync_to_thread=True, include_in_schema=False)
def read_import(
    request: Req,
    ctx: NamedDependency[Context],
    upload_id: FromQuery[str] = "",
    path: FromQuery[str] = "",
    project: FromQuery[str] = "",
) -> Response[Any]:
    """Probe an upload or a path on the server and ask how to import it."""
    language(request, ctx)
    found = assets.probe(ctx, upload_id=known_id(upload_id) if upload_id else None, path=path or None)
    info = found.info
    width, height = int(info.get("width") or 0), int(info.get("height") or 0)
    return render(
        request,
        ImportSheet(
            probe=found,
            upload_id=upload_id,
            path=path,
            width=width,
            height=height,
            fps=float(info.get("fps") or 0),
            duration=float(info.get("duration") or 0),
            frames=int(info.get("frame_count") or 0),
            facts=facts_of(found),
            notes=[*found.notes, *(n for n in info.get("notes", []) if n not in found.notes)],
            projects=projects.listing(ctx),
            templates=class_templates.listing(ctx),
            chosen=project,
            suggestion=found.name.rsplit(".", 1)[0][:200] or found.name,
        ),
    )


def facts_of(found: Probe) -> list[tuple[str, str]]:
    """What the sheet says about a source, as (label, value); what is not known is left out."""
    info = found.info
    rows: list[tuple[str, str]] = []
    if info.get("duration"):
        rows.append((_("Length"), as_seconds(info["duration"], 1)))
    if info.get("frame_count"):
        rows.append((_("Frames"), as_count(info["frame_count"])))
    if info.get("width"):
        size = f"{info['width']} × {info['height']}"
        shown = (info.get("display_width"), info.get("display_height"))
        if all(shown) and shown != (info["width"], info["height"]):
            size = _("%(size)s, shown as %(shown)s") % {"size": size, "shown": f"{shown[0]} × {shown[1]}"}
        rows.append((_("Size"), size))
    if info.get("fps"):
        rate = _("%(fps)s fps") % {"fps": as_number(info["fps"])}
        rows.append((_("Rate"), _("%(rate)s, variable") % {"rate": rate} if info.get("vfr") else rate))
    if info.get("rotation"):
        rows.append((_("Rotation"), _("%(degrees)s°, applied on import") % {"degrees": info["rotation"]}))
    if info.get("codec") and found.kind == "video":
        rows.append(
            (
                _("Codec"),
                _("%(codec)s, %(bits)s bit") % {"codec": info["codec"], "bits": info.get("bit_depth", 8)},
            )
        )
    if info.get("bytes"):
        rows.append((_("File"), as_bytes(info["bytes"])))
    return rows


@get("/library/_project/{project_id:str}", sync_to_thread=True, include_in_schema=False)
def read_project(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Response[Any]:
    language(request, ctx)
    card = projects.card(ctx, known_id(project_id))
    newest, progress = _newest_jobs(ctx, project_id), projects.asset_progress(ctx, project_id)
    return render(
        request,
        ProjectSheet(
            card=card,
            rows=[
                AssetRow(asset=a, progress=progress.get(a.id, Progress()), job=newest.get(a.id))
                for a in card.assets
            ],
            trashed=assets.of_project(ctx, project_id, trashed=True),
            templates=class_templates.listing(ctx),
        ),
    )


@get("/library/_trash", sync_to_thread=True, include_in_schema=False)
def read_trash(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    return render(request, Trash(cards=projects.listing(ctx, trashed=True)))


handlers = [index, read_cards, read_import, read_project, read_trash]
