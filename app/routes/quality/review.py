"""The review queue, a page of it at a time."""

from __future__ import annotations

from msgspec import Struct

from app.routes.quality.place import Place
from app.services import metrics, overview
from app.services.context import Context
from app.services.review import Entry

PAGE = 25


class Reason(Struct, kw_only=True):
    kind: str
    text: str


class QueueRow(Struct, kw_only=True):
    """A frame to look at; `name` is that of its asset or project, `number` counts from 1."""

    frame_id: str
    asset_id: str
    name: str
    number: int
    gain: float
    reasons: list[Reason]
    href: str


class ReviewSection(Struct, kw_only=True):
    """`offset`: entries before the first of `rows`; `unmeasured`: frames without known flicker; `open`: address."""

    frames: int
    seen: int
    approved: int
    to_review: int
    offset: int
    page: int
    unmeasured: int
    rows: list[QueueRow]
    open: str


def row_of(place: Place, entry: Entry, name: str = "") -> QueueRow:
    region = next((reason.region_id for reason in entry.reasons if reason.region_id), None)
    return QueueRow(
        frame_id=entry.frame_id,
        asset_id=entry.asset_id,
        name=name or entry.asset_name,
        number=entry.index + 1,
        gain=entry.gain,
        reasons=[Reason(kind=reason.kind, text=reason.text) for reason in entry.reasons],
        # There it says why the frame is shown.
        href=f"{place.frame(entry.asset_id, entry.index, region)}&review=1",
    )


def section(ctx: Context, place: Place) -> ReviewSection:
    """An offset behind the end of the queue leads to its last page."""
    asset = place.asset or None
    found = overview.queue(ctx, place.project.id, asset, PAGE, place.number)
    offset = place.number
    if offset >= found.to_review:
        offset = max(0, (found.to_review - 1) // PAGE * PAGE)
        if offset != place.number:
            found = overview.queue(ctx, place.project.id, asset, PAGE, offset)
    rows = [row_of(place, entry) for entry in found.queue]
    figures = metrics.figures(ctx, place.project.id)
    return ReviewSection(
        frames=found.frames,
        seen=found.seen,
        approved=found.approved,
        to_review=found.to_review,
        offset=offset,
        page=PAGE,
        unmeasured=sum(one.stale for one in figures.assets if asset in (None, one.asset_id)),
        rows=rows,
        open=rows[0].href if rows else f"/workspace/{place.project.id}",
    )
