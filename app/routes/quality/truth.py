"""Scores against hidden ground truth."""

from __future__ import annotations

from msgspec import Struct

from app.i18n import _, ngettext
from app.models import Job
from app.routes import charts
from app.routes.page import THIN, as_count
from app.routes.quality.place import AssetChoice, Place, busy, latest_job
from app.services import overview, truths
from app.services.context import Context
from app.services.truth_scores import AnnotatorScore, ClassScore, Scores, TrackScore

WORST = 6
LEAST_SHOWN = 0.005
"""Smaller shares of a row stay blank, so that the confusions stand out."""


class Cell(Struct, kw_only=True):
    """`shade`: how dark it is, as a part of its row; `same`: the class that it ought to be."""

    pixels: int
    share: str
    text: str
    shade: int
    same: bool


class Row(Struct, kw_only=True):
    class_id: int
    pixels: int
    cells: list[Cell]


class WorstFrame(Struct, kw_only=True):
    frame_id: str
    name: str
    number: int
    miou: float
    href: str


class Kept(Struct, kw_only=True):
    """Hidden ground truth of an asset."""

    asset_id: str
    name: str
    frames: int
    source: str
    at: float


class TruthSection(Struct, kw_only=True):
    """`frames`: with hidden ground truth; `suffix`: what narrows a download to the asset; `tiles`: (label, value,
    note); `matrix`: "px" where the matrix shows pixels; `usable`: assets whose labels may be kept.
    """

    frames: int
    scored: int
    stale: int
    suffix: str
    tiles: list[tuple[str, float | None, str]]
    classes: list[ClassScore]
    matrix: str
    class_ids: list[int]
    rows: list[Row]
    annotators: list[AnnotatorScore]
    tracks: list[TrackScore]
    worst: list[WorstFrame]
    kept: list[Kept]
    usable: list[AssetChoice]
    job: Job | None
    busy: bool


def section(ctx: Context, place: Place) -> TruthSection:
    job = latest_job(ctx, place.project.id, "score", "keep_truth")
    hidden = overview.hidden(ctx, place.project.id)
    scores = overview.scores(ctx, place.project.id, place.asset or None) if hidden.frames else None
    pixels = place.asked.get("matrix") == "px"
    return TruthSection(
        frames=hidden.frames,
        scored=scores.scored if scores else 0,
        stale=scores.stale + scores.unscored if scores else 0,
        suffix=f"&asset_id={place.asset}" if place.asset else "",
        tiles=tiles_of(scores) if scores else [],
        classes=scores.classes if scores else [],
        matrix="px" if pixels else "",
        class_ids=scores.confusion.class_ids if scores else [],
        rows=rows_of(scores, pixels) if scores else [],
        annotators=scores.annotators if scores else [],
        tracks=scores.tracks if scores else [],
        worst=worst_of(place, scores) if scores else [],
        kept=[
            Kept(
                asset_id=one.asset_id,
                name=one.name,
                frames=one.truths,
                source=", ".join(sorted({source_of(row.source) for row in one.sources})),
                at=max((row.created_at for row in one.sources), default=0.0),
            )
            for one in hidden.assets
        ],
        usable=place.assets,
        job=job,
        busy=busy(job),
    )


def source_of(name: str) -> str:
    return _("labels of this project") if name == truths.LABELS else name


def tiles_of(scores: Scores) -> list[tuple[str, float | None, str]]:
    of_frames = ngettext(
        "%(scored)s of %(n)s frame scored", "%(scored)s of %(n)s frames scored", scores.frames
    ) % {"scored": as_count(scores.scored), "n": as_count(scores.frames)}
    there = sum(1 for row in scores.classes if row.truth_px)
    tiles = [
        (
            _("mIoU"),
            scores.miou,
            ngettext("mean of %(n)s class", "mean of %(n)s classes", there) % {"n": as_count(there)},
        ),
        (_("Pixel accuracy"), scores.pixel_accuracy, of_frames),
        (_("Boundary F"), scores.boundary_f, _("mean of the classes")),
    ]
    if scores.tracks:
        mean = sum(track.jf for track in scores.tracks) / len(scores.tracks)
        count = len(scores.tracks)
        note = ngettext("of %(n)s object", "of %(n)s objects", count) % {"n": as_count(count)}
        tiles.append((_("J&F"), mean, note))
    return tiles


def rows_of(scores: Scores, pixels: bool) -> list[Row]:
    """The confusion matrix, without rows of what the truth shows nowhere."""
    ids = scores.confusion.class_ids
    found = []
    for class_id, counts in zip(ids, scores.confusion.rows, strict=True):
        whole = sum(counts)
        if whole:
            cells = [
                cell_of(count, whole, pixels, class_id == id) for id, count in zip(ids, counts, strict=True)
            ]
            found.append(Row(class_id=class_id, pixels=whole, cells=cells))
    return found


def cell_of(count: int, whole: int, pixels: bool, same: bool) -> Cell:
    part = count / whole
    share = f"{100 * part:.1f}{THIN}%"
    if not count or (not pixels and part < LEAST_SHOWN):
        text = ""
    else:
        text = as_count(count) if pixels else f"{100 * part:.0f}"
    return Cell(
        pixels=count, share=share, text=text, shade=charts.shade(count, whole) if text else 0, same=same
    )


def worst_of(place: Place, scores: Scores) -> list[WorstFrame]:
    return [
        WorstFrame(
            frame_id=one.frame_id,
            name=one.asset_name,
            number=one.index + 1,
            miou=one.miou,
            href=place.frame(one.asset_id, one.index),
        )
        for one in scores.worst[:WORST]
    ]
