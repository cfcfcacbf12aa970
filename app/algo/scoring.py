"""How a labelled frame compares with its ground truth: counts of pixels that add up over frames, and how well
contours and objects are met.

Measures of classes follow M. Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2015 (a pixel of
class a found as class b, summed over all frames before anything is divided); J and F of objects are those of
DAVIS (app/algo/measures.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.certificate import boundary_f, tolerance_px
from app.algo.fuse import Box

VOID = 65535
"""In a map of truth: nobody knows, or nothing is meant, so the pixel is left out."""

Cell = tuple[int, int, int]
"""(class in truth, class found, pixels); 0 = unlabelled."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """An object of the truth and a track on one frame, at least one pixel apart at most by the tolerance.

    `object`, `track`: their numbers; `shared`: pixels of both; `j`, `f`: 0..1.
    """

    object: int
    track: int
    shared: int
    j: float
    f: float


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects and tracks of one frame. `truth`, `found`: number → pixels, void left out; only those seen."""

    truth: dict[int, int]
    found: dict[int, int]
    meetings: list[Meeting]


def confusion(truth: NDArray[np.uint16], found: NDArray[np.uint16]) -> list[Cell]:
    """The cells of the confusion matrix of one frame that hold a pixel, ascending.

    `truth`: (H, W) uint16 class ids, 0 = no class there, `VOID` = left out; `found`: (H, W) uint16 class ids, 0 =
    unlabelled. Raises ValueError for maps of different shapes.
    """
    return [(row, column, pixels) for _, row, column, pixels in confusion_by(truth, found, None)]


def confusion_by(
    truth: NDArray[np.uint16], found: NDArray[np.uint16], groups: NDArray[np.uint16] | None
) -> list[tuple[int, int, int, int]]:
    """As `confusion`, apart for every value of `groups`, (H, W) uint16: (group, class in truth, found, pixels)."""
    if truth.shape != found.shape or (groups is not None and groups.shape != truth.shape):
        raise ValueError(f"The truth has the shape {truth.shape}, what was found {found.shape}.")
    known = truth != VOID
    parts = [part[known] for part in ((truth, found) if groups is None else (groups, truth, found))]
    if not parts[0].size:
        return []
    names = [np.flatnonzero(np.bincount(part)) for part in parts]
    place = np.zeros(parts[0].shape, np.int64)
    for part, own in zip(parts, names, strict=True):
        table = np.zeros(int(own[-1]) + 1, np.int64)
        table[own] = np.arange(len(own))
        place = place * len(own) + table[part]
    counts = np.bincount(place)
    cells = []
    for at in np.flatnonzero(counts).tolist():
        rest, column = divmod(at, len(names[-1]))
        group, row = divmod(rest, len(names[-2]))
        cells.append(
            (
                0 if groups is None else int(names[0][group]),
                int(names[-2][row]),
                int(names[-1][column]),
                int(counts[at]),
            )
        )
    return cells


def contours(truth: NDArray[np.uint16], found: NDArray[np.uint16]) -> dict[int, float]:
    """Boundary F, 0..1, of every class that the truth of the frame shows; void counts on neither side.

    Shapes and values as for `confusion`. Boundaries match within 0.8 % of the frame's diagonal, rounded up.
    """
    shape = (truth.shape[0], truth.shape[1])
    seen = np.where(truth == VOID, 0, found).astype(np.uint16)
    known = np.where(truth == VOID, 0, truth).astype(np.uint16)
    boxes, others = _boxes(known), _boxes(seen)
    return {
        class_id: _f(known, class_id, seen, class_id, _joined(box, others.get(class_id)), shape)
        for class_id, box in boxes.items()
    }


def objects(
    truth: NDArray[np.uint16], found: NDArray[np.uint16], void: NDArray[np.bool_] | None = None
) -> Objects:
    """Which objects of the truth meet which tracks on one frame, and how well.

    `truth`, `found`: (H, W) uint16 numbers of objects and of tracks, 0 = none. `void`: (H, W) bool, pixels that
    count on neither side. Two that do not come as near as the tolerance of F agree in nothing, so J and F of every
    pair that is not in `meetings` are 0.
    """
    shape = (truth.shape[0], truth.shape[1])
    if void is not None:
        truth, found = np.where(void, 0, truth).astype(np.uint16), np.where(void, 0, found).astype(np.uint16)
    shared = {(row, column): pixels for row, column, pixels in confusion(truth, found) if row and column}
    areas, others = _areas(truth), _areas(found)
    boxes, places = _boxes(truth), _boxes(found)
    reach = tolerance_px(shape) + 1
    meetings = []
    for object, box in boxes.items():
        for track, place in places.items():
            if not _near(box, place, reach):
                continue
            both = shared.get((object, track), 0)
            f = _f(truth, object, found, track, _joined(box, place), shape)
            j = both / (areas[object] + others[track] - both)
            if both or f:
                meetings.append(Meeting(object, track, both, j, f))
    return Objects(areas, others, meetings)


def author_map(
    winners: NDArray[np.uint16], authors: Sequence[int], main: int | None = None
) -> NDArray[np.uint16]:
    """Whose each pixel is, (H, W) uint16: `authors[i]` where region i is seen.

    `winners`: (H, W) uint16, the position of the region seen + 1, 0 = unlabelled. Unlabelled pixels belong to
    `main`, by default whoever has the most pixels of the frame (the lowest number where several have).
    """
    table = np.zeros(len(authors) + 1, np.uint16)
    table[1:] = authors
    if main is None:
        counts = np.bincount(winners.ravel(), minlength=len(table))[1:]
        sums = np.bincount(table[1:], counts) if len(authors) else np.zeros(1)
        main = int(sums.argmax())
    table[0] = main
    return table[winners]


def _areas(numbers: NDArray[np.uint16]) -> dict[int, int]:
    counts = np.bincount(numbers.ravel())
    return {number: int(counts[number]) for number in np.flatnonzero(counts).tolist() if number}


def _boxes(numbers: NDArray[np.uint16]) -> dict[int, Box]:
    """The box (x0, y0, x1, y1) of every number but 0."""
    found = {}
    for number in _areas(numbers):
        x, y, width, height = cv2.boundingRect((numbers == number).view(np.uint8))
        found[number] = (x, y, x + width, y + height)
    return found


def _joined(a: Box, b: Box | None) -> Box:
    return a if b is None else (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))


def _near(a: Box, b: Box, reach: int) -> bool:
    return a[0] < b[2] + reach and b[0] < a[2] + reach and a[1] < b[3] + reach and b[1] < a[3] + reach


def _f(
    truth: NDArray[np.uint16], a: int, found: NDArray[np.uint16], b: int, box: Box, shape: tuple[int, int]
) -> float:
    """Boundary F of value `a` in one map against value `b` in another, looked at in their common box.

    One pixel more on each side where the frame goes on, so that the boundary along the box is one.
    """
    x0, y0 = max(0, box[0] - 1), max(0, box[1] - 1)
    x1, y1 = min(shape[1], box[2] + 1), min(shape[0], box[3] + 1)
    window = slice(y0, y1), slice(x0, x1)
    return boundary_f(truth[window] == a, found[window] == b, shape=shape)
