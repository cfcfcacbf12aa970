"""The Dashboard's cards of quality: flicker and certificates of one project, and what to review next in several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from app.models import Project
from app.routes import charts
from app.routes.page import Page, language, render
from app.services import jobs, overview
from app.services.context import Context
from app.services.overview import EDGES
from app.services.review import Entry
from app.services.views import ProjectCard
from app.smoothing import FLICKER_LIMIT

Req = Request[Any, Any, Any]
QUEUE = 6
PROJECTS = 5
"""So many projects in progress are looked through for what to review next."""
POINTS = 180
SPARKS = 44
TARGET = 0.95


class Next(Struct, kw_only=True):
    """A frame to look at; `kind` and `why` are its strongest reason, with the others in `why`."""

    frame_id: str
    name: str
    number: int
    href: str
    kind: str
    why: str
    gain: float


class QualityCards(Struct, kw_only=True):
    """`project`: the one that was open last, None where nothing has frames; `queue` and `to_review` are of several."""

    project: Project | None = None
    limit: float = FLICKER_LIMIT
    flicker: charts.Curve | None = None
    over: int = 0
    compared: int = 0
    measuring: bool = False
    certificates: charts.Histogram | None = None
    regions: int = 0
    certified: int = 0
    without: int = 0
    queue: list[Next] = []
    to_review: int = 0


class QualityPanel(Page):
    template: ClassVar[str] = "dashboard/_quality.html"
    quality: QualityCards


def sparklines(ctx: Context, cards: Sequence[ProjectCard]) -> dict[str, charts.Curve]:
    """The flicker of the projects that were measured, by id."""
    found = overview.flicker(ctx, cards, SPARKS)
    return {
        id: charts.curve([one.values], limit=FLICKER_LIMIT, width=88, height=22)
        for id, one in found.items()
        if one.compared
    }


def worked_on(cards: Sequence[ProjectCard], wanted: str) -> ProjectCard | None:
    """The project of this id, else the newest with regions, else the newest with frames."""
    ready = [card for card in cards if card.progress.frames]
    chosen = next((card for card in ready if card.project.id == wanted), None)
    return chosen or next((card for card in ready if card.progress.regions), ready[0] if ready else None)


def quality(ctx: Context, cards: Sequence[ProjectCard], wanted: str) -> QualityCards:
    """`wanted`: id of the project that was open last."""
    card = worked_on(cards, wanted)
    if card is None:
        return QualityCards()
    project = card.project
    flicker = overview.flicker(ctx, [card], POINTS)[project.id]
    certificates = overview.certificates(ctx, project.id)
    queue, to_review = review_next(ctx, card, cards)
    frames = sum(asset.frame_count for asset in card.assets)
    return QualityCards(
        project=project,
        flicker=charts.curve(
            [flicker.values],
            limit=FLICKER_LIMIT,
            width=560,
            height=72,
            step=-(-frames // POINTS),
            frames=frames,
        )
        if flicker.compared
        else None,
        over=flicker.over,
        compared=flicker.compared,
        measuring=any(job.state in jobs.UNFINISHED for job in overview.jobs_of(ctx, project.id, "measure")),
        certificates=charts.histogram(certificates.counts, EDGES, target=TARGET, width=360, height=86)
        if certificates.regions > certificates.without
        else None,
        regions=certificates.regions,
        certified=certificates.certified,
        without=certificates.without,
        queue=queue,
        to_review=to_review,
    )


def review_next(ctx: Context, first: ProjectCard, cards: Sequence[ProjectCard]) -> tuple[list[Next], int]:
    """The frames of the project worked on and some others in progress, by gain; and how many there are."""
    others = [
        card
        for card in cards
        if card is not first and card.project.status != "complete" and card.progress.regions
    ]
    others.sort(key=lambda card: -card.project.updated_at)
    found: list[Next] = []
    count = 0
    for card in [first, *others[: PROJECTS - 1]]:
        if not card.progress.regions:
            continue
        one = overview.queue(ctx, card.project.id, None, QUEUE)
        count += one.to_review
        found += [next_of(card, entry) for entry in one.queue]
    found.sort(key=lambda row: -row.gain)
    return found[:QUEUE], count


def next_of(card: ProjectCard, entry: Entry) -> Next:
    several = len(card.assets) > 1
    strongest = entry.reasons[0] if entry.reasons else None
    region = f"&region={strongest.region_id}" if strongest is not None and strongest.region_id else ""
    place = f"/workspace/{card.project.id}?asset={entry.asset_id}"
    return Next(
        frame_id=entry.frame_id,
        name=entry.asset_name if several else card.project.name,
        number=entry.index + 1,
        href=f"{place}&frame={entry.index + 1}{region}",
        kind=strongest.kind if strongest is not None else "",
        why=", ".join(reason.text for reason in entry.reasons),
        gain=entry.gain,
    )


@get("/dashboard/_quality", sync_to_thread=True, include_in_schema=False)
def read(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    wanted = request.cookies.get("pt_project", "")
    return render(request, QualityPanel(quality=quality(ctx, overview.cards(ctx), wanted)))


handlers = [read]
