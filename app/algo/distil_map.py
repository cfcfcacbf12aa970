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
from scipy.ndimage import find_objects

from app.algo.compete import RegionSeeds, prepare_compete, render_points
from app.algo.distil import MIN_ERROR, depth, reach_of
from app.algo.exchange import ROUNDS, exchange
from app.errors import Refused

BATCH = 0.15
"""Share of the current count added at a time: smaller is no better from here on, only slower."""
RARE = 0.3
"""Errors count by area / (area of their class) ** RARE: small classes are worth a little more."""
WORKING_PIXELS = 200_000
COARSE_SHARE = 0.75
"""Share of the budget that is found on the smaller copy."""

RenderRegions = Callable[[Sequence[RegionSeeds]], np.ndarray]
"""The engine, for all regions of a frame at once: their seeds → (H, W) integers, the position in the list + 1
of the region that has the pixel, 0 = background. Regions without a point get nothing. See `app.algo.distil`."""


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


@dataclass(slots=True, eq=False)
class Owned:
    """`points`: one (n, 4) array x, y, label = 1, r a region; `winners`: (H, W), what they render to."""

    points: list[np.ndarray]
    winners: np.ndarray
    renders: int


def distil_owners(
    owners: np.ndarray,
    count: int,
    render: RenderRegions,
    *,
    budget: int,
    min_error: int = MIN_ERROR,
    enough: float = 1.0,
    start: Sequence[np.ndarray] = (),
    slack: int = 0,
    rounds: int = 0,
) -> Owned:
    """Distil an (H, W) int32 map of regions 1..`count` into at most `budget` points; 0 is not scored.

    Every region in the map gets one point at its deepest place, the largest first, while the budget lasts.
    `enough`: errors between regions that both have this IoU get no more points.
    `start`: points of each region that are tried first, moved to the deepest place within `slack` px.
    `rounds`: how often points change places once the budget is spent (`app.algo.exchange`).
    """
    depths = np.zeros(owners.shape, np.float32)
    areas = np.zeros(count + 1)
    first: dict[int, tuple[int, int]] = {}
    for index, box in enumerate(find_objects(owners, count), start=1):
        if box is not None:
            own = owners[box] == index
            inside = depth(own)
            depths[box][own] = inside[own]
            areas[index] = np.count_nonzero(own)
            row, column = divmod(int(np.argmax(inside)), own.shape[1])
            first[index] = (box[1].start + column, box[0].start + row)
    worth = np.maximum(areas, 1.0) ** -RARE
    chosen: list[list[tuple[float, float, float, float]]] = [[] for _ in range(count)]
    taken: set[tuple[int, int]] = set()

    def add(index: int, column: int, row: int) -> None:
        chosen[index - 1].append((column + 0.5, row + 0.5, 1.0, reach_of(float(depths[row, column]))))
        taken.add((column, row))

    needed = len(first)
    for index, rows in enumerate(start, start=1):
        for number, (x, y) in enumerate(rows[:, :2].tolist()):
            spot = _deepest_near(owners, depths, index, int(x), int(y), slack)
            # What is left of the budget must do for the regions that have no point yet.
            room = len(taken) + needed < budget or (number == 0 and len(taken) < budget)
            if spot is not None and spot not in taken and room:
                needed -= not chosen[index - 1]
                add(index, *spot)
    for index in sorted(first, key=lambda i: -areas[i]):
        if len(taken) < budget and not chosen[index - 1]:
            add(index, *first[index])
    asked = 0
    while True:
        winners = render([RegionSeeds(np.array(rows, np.float64).reshape(-1, 4)) for rows in chosen])
        asked += 1
        room = min(budget - len(taken), max(1, int(np.ceil(BATCH * len(taken)))))
        if room <= 0:
            break
        fine = _fine(owners, winners, areas, enough)
        spots = _largest_errors(owners, winners, depths, worth, fine, min_error, taken, room)
        if not spots:
            break
        for index, column, row in spots:
            add(index, column, row)
    points = [np.array(rows, np.float64).reshape(-1, 4) for rows in chosen]
    if not rounds or len(taken) < budget or len(taken) == len(first):
        return Owned(points, winners, asked)

    def spots_of(
        drawn: np.ndarray, there: set[tuple[int, int]], room: int
    ) -> list[tuple[int, float, float, float]]:
        found = _largest_errors(owners, drawn, depths, worth, None, min_error, there, room)
        return [(i, x + 0.5, y + 0.5, reach_of(float(depths[y, x]))) for i, x, y in found]

    points, winners, more = exchange(owners, points, winners, worth, render, spots_of, rounds=rounds)
    return Owned(points, winners, asked + more)


def distil_owners_in(
    image: np.ndarray,
    owners: np.ndarray,
    count: int,
    *,
    budget: int,
    enough: float = 1.0,
    rounds: int = ROUNDS,
) -> Owned:
    """`distil_owners` with the `classic` engine; `image` (H, W, 3) uint8, `owners` (H, W) int32.

    Large frames find three quarters of their points on a copy of about `WORKING_PIXELS` pixels, and the rest
    at full size. Deterministic.
    """
    if image.shape[:2] != owners.shape:
        raise Refused("The label map and its image differ in size; import the label map of this frame.")
    render = partial(render_points, prepare_compete(image))
    scale = float(np.sqrt(WORKING_PIXELS / owners.size))
    # Where a region may have enough points, those that are there are not moved for the sake of the others.
    rounds = rounds if enough >= 1 else 0
    if scale > 0.8:
        return distil_owners(owners, count, render, budget=budget, enough=enough, rounds=rounds)
    height, width = owners.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    rows = ((np.arange(size[1]) + 0.5) * height / size[1]).astype(np.intp)
    columns = ((np.arange(size[0]) + 0.5) * width / size[0]).astype(np.intp)
    small_owners = owners[rows[:, None], columns]
    if not small_owners.any():
        return distil_owners(owners, count, render, budget=budget, enough=enough)
    coarse = distil_owners(
        small_owners,
        count,
        partial(render_points, prepare_compete(small)),
        budget=max(1, round(COARSE_SHARE * budget)),
        enough=enough,
        rounds=rounds,
    )
    grown = np.array([width / size[0], height / size[1], 1, 1])
    fine = distil_owners(
        owners,
        count,
        render,
        budget=budget,
        enough=enough,
        start=[points * grown for points in coarse.points],
        slack=int(np.ceil(1 / scale)),
    )
    return Owned(fine.points, fine.winners, coarse.renders + fine.renders)


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
    values, owners = _owners_of(labels, ignore)
    owned = distil_owners(owners, len(values), render, budget=budget, min_error=min_error)
    return _map_of(owned, values, labels, ignore)


def distil_frame(
    image: np.ndarray, labels: np.ndarray, *, budget: int = 120, ignore: Collection[int] = ()
) -> DistilledMap:
    """Distil a frame's label map with the `classic` engine, as `distil_owners_in` does.

    `image`: (H, W, 3) uint8; `labels`: (H, W). Deterministic.
    """
    values, owners = _owners_of(labels, ignore)
    return _map_of(distil_owners_in(image, owners, len(values), budget=budget), values, labels, ignore)


def _owners_of(labels: np.ndarray, ignore: Collection[int]) -> tuple[list[int], np.ndarray]:
    values = [int(v) for v in np.unique(labels) if int(v) not in ignore]
    if not values:
        raise Refused("The label map holds nothing but ignored values, so there is nothing to distil.")
    owners = np.zeros(labels.shape, np.int32)
    for index, value in enumerate(values, start=1):
        owners[labels == value] = index
    return values, owners


def _map_of(owned: Owned, values: list[int], labels: np.ndarray, ignore: Collection[int]) -> DistilledMap:
    table = np.array([next(iter(ignore), 0), *values], labels.dtype)
    points = {value: rows for value, rows in zip(values, owned.points, strict=True) if len(rows)}
    return DistilledMap(points, np.take(table, owned.winners), owned.renders)


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


def _fine(owners: np.ndarray, winners: np.ndarray, areas: np.ndarray, enough: float) -> np.ndarray | None:
    """(count + 1,) bool: regions whose IoU over the scored pixels is `enough`; None where none can be."""
    if enough >= 1:
        return None
    scored = owners > 0
    drawn = np.bincount(winners[scored], minlength=len(areas))
    right = np.bincount(owners[scored & (owners == winners)], minlength=len(areas))
    return right >= enough * np.maximum(areas + drawn - right, 1)


def _largest_errors(
    truth: np.ndarray,
    winners: np.ndarray,
    depths: np.ndarray,
    worth: np.ndarray,
    fine: np.ndarray | None,
    min_error: int,
    taken: set[tuple[int, int]],
    room: int,
) -> list[tuple[int, int, int]]:
    """(region, column, row) of the deepest true place in each of the `room` most weighty errors."""
    width = truth.shape[1]
    where = np.flatnonzero((winners != truth) & (truth > 0))
    owner = truth.ravel()[where]
    if fine is not None:
        open_ = ~(fine[owner] & fine[winners.ravel()[where]])
        where, owner = where[open_], owner[open_]
    counts = np.bincount(owner, minlength=len(worth))
    found = []
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(counts)
    for index in np.flatnonzero(counts >= min_error):
        if index == 0:
            continue
        # Errors are few: their coordinates give the crop without another look at the frame.
        rows, columns = np.divmod(where[order[ends[index] - counts[index] : ends[index]]], width)
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
