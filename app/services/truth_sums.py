"""Scores from counted pixels. Plain arithmetic over what `tasks/score.py` counted frame by frame.

IoU of a class = pixels of it in both / pixels of it in either, over all frames together; precision = both / found;
recall = both / truth. mIoU is the mean of IoU over the classes that occur in the ground truth: one that does not
counts through the pixels that the others lose to it. Pixel accuracy counts unlabelled pixels as right where the
truth is of no class either. Void counts nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from app.algo.assignment import assign
from app.quality import TruthCell, TruthObject, TruthScore

Counts = dict[tuple[int, int], int]
"""(class in truth, class found) → pixels; 0 = unlabelled."""


class ClassSum(Struct, kw_only=True):
    """Pixels of a class in the truth, found, and both; fractions 0..1, None where their divisor is 0."""

    class_id: int
    truth_px: int
    found_px: int
    both_px: int
    iou: float | None = None
    precision: float | None = None
    recall: float | None = None


class PixelSums(Struct, kw_only=True):
    """`pixels`: all that count. `classes`: those in truth or found, by class id, without unlabelled."""

    pixels: int
    pixel_accuracy: float | None
    miou: float | None
    classes: list[ClassSum]


class TrackSum(Struct, kw_only=True):
    """An object of the truth and the track that it was assigned, over the frames where either is seen.

    `j`, `f`: means over those frames, 0..1; both 0 without a track. `track_id`: None without one.
    """

    object: str
    class_id: int
    track_id: str | None
    j: float
    f: float
    jf: float
    frames: int


def counts_of(cells: Iterable[TruthCell], into: Counts | None = None) -> Counts:
    """The cells added up over authors, in `into` where it is given."""
    counts: Counts = {} if into is None else into
    for cell in cells:
        pair = (cell.truth, cell.found)
        counts[pair] = counts.get(pair, 0) + cell.pixels
    return counts


def sums_of(counts: Mapping[tuple[int, int], int]) -> PixelSums:
    """The scores that belong to the counts."""
    truth: dict[int, int] = {}
    found: dict[int, int] = {}
    for (row, column), pixels in counts.items():
        truth[row] = truth.get(row, 0) + pixels
        found[column] = found.get(column, 0) + pixels
    classes = []
    for class_id in sorted((truth.keys() | found.keys()) - {0}):
        both = counts.get((class_id, class_id), 0)
        mine, theirs = truth.get(class_id, 0), found.get(class_id, 0)
        classes.append(
            ClassSum(
                class_id=class_id,
                truth_px=mine,
                found_px=theirs,
                both_px=both,
                iou=_share(both, mine + theirs - both),
                precision=_share(both, theirs),
                recall=_share(both, mine),
            )
        )
    there = [row.iou for row in classes if row.truth_px and row.iou is not None]
    pixels = sum(counts.values())
    right = sum(count for (row, column), count in counts.items() if row == column)
    return PixelSums(
        pixels=pixels,
        pixel_accuracy=_share(right, pixels),
        miou=mean(there),
        classes=classes,
    )


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def tracks_of(rows: Sequence[TruthScore]) -> list[TrackSum]:
    """How well the objects of one asset were followed; `rows`: its scored frames.

    Objects and tracks are assigned one to one, so that the overlaps (IoU over all frames together) have the
    largest sum. The order is that of the objects' names.
    """
    truth: dict[str, int] = {}
    found: dict[str, int] = {}
    shared: dict[tuple[str, str], int] = {}
    kinds: dict[str, int] = {}
    for row in rows:
        objects, tracks = _seen(row.objects)
        for name, pixels in objects.items():
            truth[name] = truth.get(name, 0) + pixels
        for track, pixels in tracks.items():
            found[track] = found.get(track, 0) + pixels
        for one in row.objects:
            if one.object:
                kinds.setdefault(one.object, one.class_id)
            if one.both:
                pair = (one.object, one.track_id)
                shared[pair] = shared.get(pair, 0) + one.both
    pairs = assign({(a, b): both / (truth[a] + found[b] - both) for (a, b), both in sorted(shared.items())})
    sums = {
        name: TrackSum(
            object=name, class_id=kinds[name], track_id=pairs.get(name), j=0.0, f=0.0, jf=0.0, frames=0
        )
        for name in sorted(truth)
    }
    for row in rows:
        objects, tracks = _seen(row.objects)
        met = {(one.object, one.track_id): one for one in row.objects}
        for name, own in sums.items():
            track = own.track_id or ""
            if name not in objects and track not in tracks:
                continue
            own.frames += 1
            one = met.get((name, track))
            if track and one is not None:
                own.j += one.both / (one.truth + one.found - one.both)
                own.f += one.boundary_f
    for own in sums.values():
        own.j, own.f = own.j / own.frames, own.f / own.frames
        own.jf = (own.j + own.f) / 2
    return list(sums.values())


def _seen(objects: Sequence[TruthObject]) -> tuple[dict[str, int], dict[str, int]]:
    """Pixels of the objects, and of the tracks, on one frame."""
    return (
        {one.object: one.truth for one in objects if one.object},
        {one.track_id: one.found for one in objects if one.track_id},
    )
