"""How steady the labels of neighbouring frames are: area, overlap, and overlap once the motion is taken out.

Raw figures compare a frame with the one before it pixel by pixel, so motion counts as instability. Warped ones
carry the earlier labels along the optical flow first and compare only where that flow can be trusted: what is
left is flicker (temporal consistency as in Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018,
with labels in the place of colours). All labels of a pair of frames are counted at once, in a histogram of the
pairs (label before, label after).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.algo.certificate import boundary_f
from app.algo.fuse import Layer
from app.algo.motion import Motion
from app.quality import Summary

Labels = NDArray[np.uint16]
"""(H, W) label numbers, 0 = unlabelled."""

FRAME = 0
"""The number under which a frame as a whole stands beside its labels."""
LEAST_TRUSTED = 0.1
"""A label is warped only where at least this share of its pixels lies where the motion is trusted."""
EVEN = 0.05
"""Share of a frame from which on its labels weigh the same in the frame as a whole."""
BOUNDARY_PIXELS = 140_000
"""Larger frames are thinned to at most about this many pixels before their boundaries are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A label on a frame, against itself one frame earlier. What cannot be compared is None.

    `area` in px on this frame. `change` of it, −1..1: the difference over the larger of both areas, so −0.34 has
    lost 34 %, −1 is gone and 1 is new. `iou`, `dice`: raw, 0..1. `warped_iou`, `warped_dice`: 0..1, the earlier
    label carried along the motion, over trusted pixels. `boundary_f`: 0..1, of the carried label's boundary.
    """

    area: int
    change: float | None = None
    iou: float | None = None
    dice: float | None = None
    warped_iou: float | None = None
    warped_dice: float | None = None
    boundary_f: float | None = None


def neighbours(before: Labels | None, after: Labels, motion: Motion | None) -> dict[int, Neighbour]:
    """Every label of two frames, ascending, behind FRAME: the frame as a whole.

    Args:
        before: the labels one frame earlier; None for a first frame.
        after: the labels of the frame, of the same shape.
        motion: between both; None where it is not known: then there are raw figures only. Across a cut nothing
            is compared.
    A label that only one frame has is listed too. The frame as a whole has the area that is labelled at all, and
    otherwise means over the labels, each weighted by the square root of the pixels compared, up to EVEN of the
    frame: a label of a few pixels cannot dominate, and neither can a road that fills half of the frame hide a car
    that flickers.
    """
    if before is not None and motion is not None and motion.cut:
        before = None
    carried = motion.carry(before) if before is not None and motion is not None else None
    return compare(before, after, carried)


def compare(
    before: Labels | None,
    after: Labels,
    carried: tuple[Labels, NDArray[np.bool_]] | None,
    among: Collection[int] | None = None,
) -> dict[int, Neighbour]:
    """As `neighbours`; `carried`: the earlier labels in the later frame and where they can be trusted.

    `among`: only these labels are listed, and the frame as a whole means over them; None = all.
    """
    if before is None:
        areas = np.bincount(after.ravel())
        numbers = np.flatnonzero(areas).tolist()
        rows = {n: Neighbour(area=int(areas[n])) for n in numbers if n and (among is None or n in among)}
        return {FRAME: Neighbour(area=int(areas[1:].sum())), **rows}
    raw = _Overlap.count(before, after)
    numbers = sorted(raw.numbers() if among is None else raw.numbers() & set(among))
    warped, edges = None, {}
    if carried is not None:
        labels, valid = carried
        warped = _Overlap.count(labels[valid], after[valid])
        edges = _boundaries(labels, after, valid, warped, numbers)
    rows, weights = {}, {}
    for number in numbers:
        was, area, shared = raw.of(number)
        trusted = warped.of(number) if warped is not None else (0, 0, 0)
        if trusted[0] + trusted[1] - trusted[2] < LEAST_TRUSTED * max(was, area):
            trusted = (0, 0, 0)
        rows[number] = Neighbour(
            area=area,
            change=_change(was, area),
            iou=_iou(was, area, shared),
            dice=_dice(was, area, shared),
            warped_iou=_iou(*trusted),
            warped_dice=_dice(*trusted),
            boundary_f=edges.get(number) if any(trusted) else None,
        )
        weights[number] = (was + area - shared, trusted[0] + trusted[1] - trusted[2])
    return {FRAME: _whole(raw, rows, weights), **rows}


def summary(rows: Iterable[Neighbour]) -> Summary:
    """The means of one label, or of the frame as a whole, over frames."""
    known = [row for row in rows if row.iou is not None]
    iou, warped = _mean(row.iou for row in known), _mean(row.warped_iou for row in known)
    return Summary(
        iou=iou,
        dice=_mean(row.dice for row in known),
        warped_iou=warped,
        warped_dice=_mean(row.warped_dice for row in known),
        instability=None if iou is None else 1 - iou,
        warped_instability=None if warped is None else 1 - warped,
        consistency=warped,
        boundary_f=_mean(row.boundary_f for row in known),
        frames=len(known),
    )


def improvement(before: Summary, after: Summary) -> float | None:
    """By how many percent the instability fell, at most 100; negative where it grew.

    The warped one where both have it, else the raw one. None where there is nothing to compare, or where there
    was no instability before and is some now.
    """
    old, new = before.warped_instability, after.warped_instability
    if old is None or new is None:
        old, new = before.instability, after.instability
    if old is None or new is None:
        return None
    if old <= 0:
        return 0.0 if new <= 0 else None
    return 100 * (old - new) / old


def contested(layers: Sequence[Layer], winners: NDArray[np.uint16]) -> int:
    """Pixels that several classes of one priority claim, so that only their order in the template decides.

    Args:
        layers: the masks of a frame before they are fused.
        winners: (H, W), which of them is seen, position + 1, 0 = none, as `fuse_regions` gives.
    What such classes contest beneath a class of higher priority does not count.
    """
    classes: dict[int, set[int]] = {}
    for layer in layers:
        classes.setdefault(layer.priority, set()).add(layer.class_id)
    priorities = np.array([0, *(layer.priority for layer in layers)], np.int64)
    total = 0
    for priority in (priority for priority, known in classes.items() if len(known) > 1):
        first = np.zeros(winners.shape, np.uint16)
        several = np.zeros(winners.shape, bool)
        for layer in layers:
            if layer.priority == priority:
                x0, y0, x1, y1 = layer.box
                here, mask = first[y0:y1, x0:x1], layer.mask.astype(bool, copy=False)
                several[y0:y1, x0:x1] |= mask & (here != 0) & (here != layer.class_id)
                here[mask] = layer.class_id
        if several.any():
            total += int(np.count_nonzero(several & (priorities[winners] == priority) & (winners > 0)))
    return total


class _Overlap:
    """A histogram of pairs (label before, label after) over the pixels compared."""

    def __init__(self, labels: list[NDArray[np.intp]], table: NDArray[np.intp]) -> None:
        self._rows = {number: at for at, number in enumerate(labels[0].tolist())}
        self._columns = {number: at for at, number in enumerate(labels[1].tolist())}
        self._table = table
        self._before, self._after = table.sum(axis=1), table.sum(axis=0)
        self.pixels = int(table.sum())

    @classmethod
    def count(cls, before: NDArray[np.uint16], after: NDArray[np.uint16]) -> _Overlap:
        """Of two arrays of one shape."""
        there, codes = [], []
        for labels in (before, after):
            # Few of 65,536 numbers are there; the table is as small as they are many.
            found = np.flatnonzero(np.bincount(labels.ravel()))
            places = np.zeros(int(found[-1]) + 1 if found.size else 1, np.int32)
            places[found] = np.arange(found.size)
            there.append(found)
            codes.append(places[labels.ravel()])
        shape = there[0].size, there[1].size
        counts = np.bincount(codes[0] * np.int32(shape[1]) + codes[1], minlength=shape[0] * shape[1])
        return cls(there, counts.reshape(shape))

    def numbers(self) -> set[int]:
        """The labels of either side, without the unlabelled."""
        return (self._rows.keys() | self._columns.keys()) - {FRAME}

    def of(self, number: int) -> tuple[int, int, int]:
        """(pixels before, pixels after, pixels that have the label in both)."""
        row, column = self._rows.get(number), self._columns.get(number)
        return (
            0 if row is None else int(self._before[row]),
            0 if column is None else int(self._after[column]),
            0 if row is None or column is None else int(self._table[row, column]),
        )

    def labelled(self) -> tuple[int, int]:
        """Pixels that have any label, before and after."""
        before, after, _ = self.of(FRAME)
        return int(self._before.sum()) - before, int(self._after.sum()) - after


def _whole(raw: _Overlap, rows: dict[int, Neighbour], weights: dict[int, tuple[int, int]]) -> Neighbour:
    was, area = raw.labelled()
    most = EVEN * raw.pixels

    def mean(name: str, which: int) -> float | None:
        values = [(getattr(row, name), weights[number][which]) for number, row in rows.items()]
        known = [
            (value, min(pixels, most) ** 0.5) for value, pixels in values if value is not None and pixels
        ]
        total = sum(weight for _, weight in known)
        return sum(value * weight for value, weight in known) / total if total else None

    return Neighbour(
        area=area,
        change=_change(was, area),
        iou=mean("iou", 0),
        dice=mean("dice", 0),
        warped_iou=mean("warped_iou", 1),
        warped_dice=mean("warped_dice", 1),
        boundary_f=mean("boundary_f", 1),
    )


def _boundaries(
    carried: Labels, after: Labels, valid: NDArray[np.bool_], overlap: _Overlap, numbers: Iterable[int]
) -> dict[int, float]:
    """Boundary F of each label; where the motion is not trusted, both sides count as the present one."""
    step = max(1, int(np.ceil((after.size / BOUNDARY_PIXELS) ** 0.5)))
    after, valid = after[::step, ::step], valid[::step, ::step]
    carried = np.where(valid, carried[::step, ::step], after)
    return {
        number: boundary_f(carried == number, after == number) if all(overlap.of(number)[:2]) else 0.0
        for number in numbers
    }


def _change(was: int, now: int) -> float | None:
    return None if not was and not now else (now - was) / max(was, now)


def _iou(was: int, now: int, shared: int) -> float | None:
    union = was + now - shared
    return shared / union if union else None


def _dice(was: int, now: int, shared: int) -> float | None:
    return 2 * shared / (was + now) if was or now else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
