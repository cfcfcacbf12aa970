"""The review queue: which frames a person should look at next, and why, in words."""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct, field

from app import store as db
from app.algo import review
from app.errors import NotFound, Refused
from app.models import Asset, frame_id
from app.services import frames, review_words
from app.services.context import Context
from app.services.review_signals import Ground, findings, ground

Kind = Literal["flicker", "area", "agreement", "score", "certificate", "lost", "conflict", "neighbour"]
PAGE_LIMIT = 500
GREEDY = 500
"""Entries that are put in order one by one; those behind them follow by their gain alone."""


class Reason(Struct, kw_only=True, omit_defaults=True):
    """Why a frame should be looked at. `value`: the number in `text`, by kind: warped instability, change of the
    area (−0.34 has lost 34 %), IoU of both walks, score, IoU of the certificate, frames that are still lost, pixels,
    index of the frame that was corrected.
    """

    kind: Kind
    text: str
    value: float
    class_id: int | None = None
    track_id: str | None = None
    region_id: str | None = None


class Entry(Struct, kw_only=True):
    """A frame in the queue. `gain`: chance that a look there corrects something, if the entries before it were
    looked at.
    """

    frame_id: str
    asset_id: str
    asset_name: str
    index: int
    gain: float
    reasons: list[Reason]


class ReviewView(Struct, kw_only=True):
    """`seen`: frames that anybody opened, ever; `to_review`: entries of the whole queue, of which `queue` is a part."""

    frames: int
    seen: int
    share_seen: float
    approved: int
    to_review: int
    queue: list[Entry] = field(default_factory=list)


class Ordered(Struct, kw_only=True):
    """A queue in the order of places."""

    here: Ground
    found: review.Findings
    queue: review.Queue
    counts: tuple[int, int, int]


def queue(
    ctx: Context, project_id: str, *, asset_id: str | None = None, limit: int = 50, offset: int = 0
) -> ReviewView:
    """The frames of a project, or of one of its assets, by expected gain of a look.

    Approved frames and those that were looked at as they are now are left out. Raises NotFound; Refused for a page
    that is too large.
    """
    if offset < 0 or not 0 <= limit <= PAGE_LIMIT:
        raise Refused(f"`offset` must not be negative and `limit` must lie between 0 and {PAGE_LIMIT}.")
    ordered = _ordered(ctx, project_id, asset_id)
    total, approved, seen = ordered.counts
    return ReviewView(
        frames=total,
        seen=seen,
        share_seen=seen / total if total else 0.0,
        approved=approved,
        to_review=len(ordered.queue.place),
        queue=_entries(ctx, ordered, range(offset, offset + limit)),
    )


def upcoming(
    ctx: Context, project_id: str, after: str | None, *, asset_id: str | None = None
) -> Entry | None:
    """The entry to open after the frame `after`: the best of the others. None where nothing is left to look at."""
    ordered = _ordered(ctx, project_id, asset_id)
    entries = _entries(ctx, ordered, range(2))
    return next((entry for entry in entries if entry.frame_id != after), None)


def of_frame(ctx: Context, frame_id: str) -> Entry | None:
    """The entry of a frame. None where it is not in the queue. Raises NotFound."""
    frame, asset = ctx.store.read(lambda cur: frames.locate(cur, frame_id))
    ordered = _ordered(ctx, asset.project_id, None)
    places = ordered.here.places
    if asset.id not in places.assets:
        return None
    place = places.bases[places.assets.index(asset.id)] + frame.index
    at = np.flatnonzero(ordered.queue.place == place)
    return _entries(ctx, ordered, range(int(at[0]), int(at[0]) + 1))[0] if len(at) else None


def look(ctx: Context, frame_id: str, *, actor: str) -> None:
    """Keep that a person opened a frame. Nothing is written where they saw it as it is now. Raises NotFound."""

    def query(cur: db.Cursor) -> tuple[Asset, bool]:
        return frames.locate(cur, frame_id)[1], db.seen.still_so(cur, frame_id, actor)

    asset, known = ctx.store.read(query)
    if known:
        return
    ctx.store.write(lambda cur: db.seen.look(cur, frame_id, actor))
    ctx.events.publish("seen", {"frame_id": frame_id, "asset_id": asset.id, "actor": actor}, asset.project_id)


def _ordered(ctx: Context, project_id: str, asset_id: str | None) -> Ordered:
    return ctx.lasting.ask(
        ("review", project_id, asset_id), lambda cur: _order(ctx, cur, project_id, asset_id)
    )


def _order(ctx: Context, cur: db.Cursor, project_id: str, asset_id: str | None) -> Ordered:
    here = ground(cur, project_id, asset_id)
    if asset_id is not None and not here.assets:
        raise NotFound("The project has no such asset.")
    found = findings(ctx, cur, here)
    marked = db.review.marked(cur, here.places)
    looked = db.review.looked(cur, here.places, project_id)
    approved = marked["approved"]
    opened = np.concatenate([marked["place"][approved], looked["place"][looked["still"]]])
    order = review.queue(found, opened=opened, halved=marked["place"][~approved], most=GREEDY)
    counts = db.review.counts(cur, here.places.assets)
    return Ordered(here=here, found=found, queue=order, counts=(*counts, len(looked["place"])))


def _entries(ctx: Context, ordered: Ordered, positions: range) -> list[Entry]:
    here = ordered.here
    places = ordered.queue.place[positions.start : positions.stop].tolist()
    gains = ordered.queue.gain[positions.start : positions.stop].tolist()
    if not places:
        return []
    of = ordered.found.take(np.isin(ordered.found.place, places))
    of = of.take(np.argsort(-of.chance, kind="stable"))
    located = [here.frame(place) for place in places]
    ids = [frame_id(asset.id, index) for asset, index in located]
    words = ctx.store.read(lambda cur: review_words.words(cur, here, ids))
    reasons: dict[int, list[Reason]] = {place: [] for place in places}
    for layer, place, kind, value in zip(
        *(column.tolist() for column in (of.layer, of.place, of.kind, of.value)), strict=True
    ):
        if len(reasons[place]) < review_words.MOST:
            reasons[place].append(Reason(**words.reason(layer, place, review.KINDS[kind], value)))
    return [
        Entry(
            frame_id=id,
            asset_id=asset.id,
            asset_name=asset.name,
            index=index,
            gain=round(gain, 4),
            reasons=reasons[place],
        )
        for id, (asset, index), place, gain in zip(ids, located, places, gains, strict=True)
    ]
