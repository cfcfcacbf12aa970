"""A whole label map → points of all its classes at once, with the engine in the loop.

The errors of all classes are sorted together by area; each batch puts one point at the deepest place of the
ground truth inside each of the largest errors. A positive point of one class is what keeps the others out,
so no negative points are needed. Ignored values are neither seeded nor scored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from app.algo.compete import RegionSeeds, prepare_compete, render_points
from app.algo.distil import MIN_ERROR, depth, reach_of
from app.errors import Refused

BATCH = 0.15
"""Share of the current count added at a time: smaller is no better from here on, only slower."""
RARE = 0.15
"""Errors count by area / (area of their class) ** RARE: small classes are worth a little more."""
WORKING_PIXELS = 200_000
COARSE_SHARE = 0.75
"""Share of the budget that is found on the smaller copy."""

RenderRegions = Callable[[Sequence[RegionSeeds]], np.ndarray]
"""All regions' seeds → (H, W) of the position in the list + 1, 0 = background."""


@dataclass(slots=True, eq=False)
class DistilledMap:
    """What a label map became.

    `points`: value of the label map → its points (n, 4) x, y, label, r; `rendered`: (H, W), what they give
    back (an ignored value or 0 where nothing claims); `renders`: how often the engine was asked.
    """

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
    start: dict[int, np.ndarray] | None = None,
    slack: int = 0,
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

    def add(index: int, column: int, row: int) -> None:
        chosen[index - 1].append((column + 0.5, row + 0.5, 1.0, reach_of(float(depths[row, column]))))
        taken.add((column, row))

    for index, value in enumerate(values, start=1):
        for x, y in (start or {}).get(value, np.zeros((0, 4)))[:, :2]:
            spot = _deepest_near(truth, depths, index, int(x), int(y), slack)
            if spot is not None and spot not in taken and len(taken) < budget:
                add(index, *spot)
    for index in sorted(range(1, len(values) + 1), key=lambda i: -areas[i]):
        if len(taken) < budget and not chosen[index - 1]:
            row, column = divmod(int(np.argmax(np.where(truth == index, depths, 0))), labels.shape[1])
            add(index, column, row)
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
            add(index, column, row)
    unclaimed = next(iter(ignore), 0)
    table = np.array([unclaimed, *values], labels.dtype)
    points = {
        value: np.array(rows, np.float64).reshape(-1, 4) for value, rows in zip(values, chosen, strict=True)
    }
    return DistilledMap(
        {value: rows for value, rows in points.items() if len(rows)}, np.take(table, winners), asked
    )


def distil_frame(
    image: np.ndarray, labels: np.ndarray, *, budget: int = 120, ignore: Collection[int] = ()
) -> DistilledMap:
    """Distil a frame's label map with the `classic` engine; `image` (H, W, 3) uint8, `labels` (H, W).

    Large frames find three quarters of their points on a copy of about `WORKING_PIXELS` pixels, and the rest
    at full size. Deterministic.
    """
    if image.shape[:2] != labels.shape:
        raise Refused("The label map and its image differ in size; import the label map of this frame.")
    render = partial(render_points, prepare_compete(image))
    scale = float(np.sqrt(WORKING_PIXELS / labels.size))
    if scale > 0.8:
        return distil_label_map(labels, render, budget=budget, ignore=ignore)
    size = (max(1, round(labels.shape[1] * scale)), max(1, round(labels.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    rows = ((np.arange(size[1]) + 0.5) * labels.shape[0] / size[1]).astype(np.intp)
    columns = ((np.arange(size[0]) + 0.5) * labels.shape[1] / size[0]).astype(np.intp)
    small_labels = labels[rows[:, None], columns]
    if np.isin(small_labels, list(ignore)).all():
        return distil_label_map(labels, render, budget=budget, ignore=ignore)
    coarse = distil_label_map(
        small_labels,
        partial(render_points, prepare_compete(small)),
        budget=max(1, round(COARSE_SHARE * budget)),
        ignore=ignore,
    )
    grown = np.array([labels.shape[1] / size[0], labels.shape[0] / size[1], 1, 1])
    start = {value: points * grown for value, points in coarse.points.items()}
    fine = distil_label_map(
        labels, render, budget=budget, ignore=ignore, start=start, slack=int(np.ceil(1 / scale))
    )
    return DistilledMap(fine.points, fine.rendered, coarse.renders + fine.renders)


def _deepest_near(
    truth: np.ndarray, depths: np.ndarray, index: int, column: int, row: int, slack: int
) -> tuple[int, int] | None:
    x0, y0 = max(0, column - slack), max(0, row - slack)
    window = (slice(y0, row + slack + 1), slice(x0, column + slack + 1))
    own = np.where(truth[window] == index, depths[window], 0)
    if not own.size or not own.any():
        return None
    y, x = divmod(int(np.argmax(own)), own.shape[1])
    return x0 + x, y0 + y


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
    width = truth.shape[1]
    where = np.flatnonzero(winners != truth)
    owner = truth.ravel()[where]
    counts = np.bincount(owner, minlength=len(worth))
    found = []
    for index in np.flatnonzero(counts >= min_error):
        if index == 0:
            continue
        # Errors are few: their coordinates give the crop without another look at the frame.
        rows, columns = np.divmod(where[owner == index], width)
        bx, by = int(columns.min()), int(rows.min())
        crop = np.zeros((int(rows.max()) - by + 1, int(columns.max()) - bx + 1), np.uint8)
        crop[rows - by, columns - bx] = 1
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
