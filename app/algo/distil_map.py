"""A whole label map → points of all its classes at once, with the engine in the loop.

The errors of all classes are sorted together by area; each batch puts one point at the deepest place of the
ground truth inside each of the largest errors. A positive point of one class is what keeps the others out,
so no negative points are needed. Ignored values are neither seeded nor scored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from app.algo.compete import RegionSeeds
from app.algo.distil import MIN_ERROR, depth, reach_of
from app.algo.fuse import bounding_box
from app.errors import Refused

BATCH = 0.12
"""Share of the current count added at a time: smaller is no better from here on, only slower."""
RARE = 0.15
"""Errors count by area / (area of their class) ** RARE: small classes are worth a little more."""

RenderRegions = Callable[[Sequence[RegionSeeds]], np.ndarray]
"""All regions' seeds → (H, W) of the position in the list + 1, 0 = background."""


@dataclass(slots=True, eq=False)
class DistilledMap:
    """`points`: value of the label map → its points (n, 4); `rendered`: (H, W), what they give back (ignored value or 0 where nothing claims); `renders`: how often the engine was asked."""

    points: dict[int, np.ndarray]
    rendered: np.ndarray
    renders: int

    @property
    def count(self) -> int:
        return sum(len(rows) for rows in self.points.values())


def distil_label_map(
    labels: np.ndarray,
    render: RenderRegions,
    *,
    budget: int = 120,
    ignore: Collection[int] = (),
    min_error: int = MIN_ERROR,
) -> DistilledMap:
    """Distil an (H, W) integer label map into at most `budget` points, one region a value.

    Every value gets one point, the largest first, while the budget lasts. Raises `Refused` where all is
    ignored.
    """
    values = [int(v) for v in np.unique(labels) if int(v) not in ignore]
    if not values:
        raise Refused("The label map holds nothing but ignored values, so there is nothing to distil.")
    truth = np.zeros(labels.shape, np.int32)
    depths = np.zeros(labels.shape, np.float32)
    areas = np.zeros(len(values) + 1)
    for index, value in enumerate(values, start=1):
        own = labels == value
        truth[own] = index
        depths = np.maximum(depths, depth(own))
        areas[index] = np.count_nonzero(own)
    worth = np.maximum(areas, 1.0) ** -RARE
    chosen: list[list[tuple[float, float, float, float]]] = [[] for _ in values]
    taken: set[tuple[int, int]] = set()
    for index in sorted(range(1, len(values) + 1), key=lambda i: -areas[i])[:budget]:
        row, column = divmod(int(np.argmax(np.where(truth == index, depths, 0))), labels.shape[1])
        chosen[index - 1].append((column + 0.5, row + 0.5, 1.0, reach_of(float(depths[row, column]))))
        taken.add((column, row))
    asked = 0
    while True:
        winners = render([RegionSeeds(np.array(rows, np.float64).reshape(-1, 4)) for rows in chosen])
        asked += 1
        count = len(taken)
        room = min(budget - count, max(1, int(np.ceil(BATCH * count))))
        if room <= 0:
            break
        spots = _largest_errors(truth, winners, depths, worth, min_error, taken, room)
        if not spots:
            break
        for index, column, row in spots:
            chosen[index - 1].append((column + 0.5, row + 0.5, 1.0, reach_of(float(depths[row, column]))))
            taken.add((column, row))
    unclaimed = next(iter(ignore), 0)
    table = np.array([unclaimed, *values], labels.dtype)
    points = {
        value: np.array(rows, np.float64).reshape(-1, 4) for value, rows in zip(values, chosen, strict=True)
    }
    return DistilledMap(
        {value: rows for value, rows in points.items() if len(rows)}, np.take(table, winners), asked
    )


def _largest_errors(
    truth: np.ndarray,
    winners: np.ndarray,
    depths: np.ndarray,
    worth: np.ndarray,
    min_error: int,
    taken: set[tuple[int, int]],
    room: int,
) -> list[tuple[int, int, int]]:
    """(region, column, row) of the deepest true place in each of the `room` most weighty errors."""
    wrong = np.where(winners != truth, truth, 0)
    found = []
    for index in np.flatnonzero(np.bincount(wrong.ravel(), minlength=len(worth)) >= min_error):
        if index == 0:
            continue
        own = wrong == index
        box = bounding_box(own)
        if box is None:
            continue
        bx, by, x1, y1 = box
        crop = np.ascontiguousarray(own[by:y1, bx:x1]).view(np.uint8)
        _, numbered, stats, _ = cv2.connectedComponentsWithStats(crop, connectivity=8, ltype=cv2.CV_32S)
        for number in np.flatnonzero(stats[:, 4] >= min_error):
            if number:
                weight = float(stats[number, 4] * worth[index])
                found.append((-weight, int(index), int(number), numbered, stats[number], bx, by))
    found.sort(key=lambda error: error[:3])
    spots = []
    for _, index, number, numbered, (x, y, w, h, _area), bx, by in found:
        window = (slice(by + y, by + y + h), slice(bx + x, bx + x + w))
        inside = np.where(numbered[y : y + h, x : x + w] == number, depths[window], 0)
        row, column = divmod(int(np.argmax(inside)), int(w))
        spot = (int(bx + x + column), int(by + y + row))
        if spot not in taken:
            spots.append((index, *spot))
        if len(spots) == room:
            break
    return spots
