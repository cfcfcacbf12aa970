"""The outlines of a whole label map together: every shared boundary is spent once.

Regions are painted in their order, the later ones on top. So a lower region's rings need not follow a
boundary that a higher one draws: they may run anywhere beneath it. What is certified is therefore the part of
each region that is seen after painting, and it holds while the regions on top stay as they are. For outlines
that stand alone see `app.algo.outline`.

Every ring is the cheapest polygon for its error (rate against distortion, after Katsaggelos et al. 1998):
for a map v that is positive on a region and negative beside it, the sum of v inside a polygon is a sum over
its edges, so the best choice among candidate vertices is a shortest path round the ring. All regions share
one price of a byte, raised until the mean IoU just meets its target; regions at risk of missing the least one
weigh more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from app.algo.compete import nearest_settled
from app.algo.outline import Ring, ring_area, trace
from app.algo.render import NOTHING, Crop, outlined_by

MEAN = 0.97
LEAST = 0.95
REACH = 48
"""Candidate vertices an edge may leave out."""
STEP = 0.5
"""Candidates are the vertices that Douglas–Peucker keeps at this tolerance, in px …"""
FREE_STEP = 4.0
"""… and at this one beneath other regions, where nothing is seen."""
SMALL_RING = 60
"""Corners of a ring whose every corner is a candidate."""
MARGIN = 8
PRICES = np.geomspace(1e-5, 5e-3, 20)
"""Of a byte, in IoU: the levels that a region can have above the exact one."""
RING_BYTES = 10.0
ROUNDS = 3
OFFSETS = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)], np.float64)


@dataclass(slots=True, eq=False)
class OutlinedRegion:
    """`rings`: (n, 2) whole numbers of the frame; `iou`: of the part seen after painting against the mask."""

    rings: list[Ring]
    iou: float


@dataclass(slots=True, eq=False)
class _Piece:
    """What choosing a region's rings needs. `sums`: running sums of v along the rows, (h, w + 1)."""

    x0: int
    y0: int
    sums: np.ndarray
    rounds: list[tuple[np.ndarray, list[list[int]]]]
    """Each ring's candidates (n, 2) and, for every price, the chosen ones."""
    exact: list[Ring]
    """The boundary itself, corner by corner."""
    done: dict[int, list[Ring]] = field(default_factory=dict)
    crops: dict[int, Crop] = field(default_factory=dict)

    def rings(self, level: int) -> list[Ring]:
        """The rings at a level, in the frame: 0 = exact, else at the price before it."""
        if level == 0:
            return self.exact
        if level not in self.done:
            found = []
            for candidates, paths in self.rounds:
                path = paths[level - 1]
                if len(path) >= 3:
                    ring = _better(candidates[path], self.sums, float(PRICES[level - 1]))
                    if len(ring) >= 3:
                        found.append(ring + np.array([self.x0, self.y0]))
            self.done[level] = found
        return self.done[level]

    def crop(self, level: int, shape: tuple[int, int]) -> Crop:
        if level not in self.crops:
            rings = self.rings(level)
            self.crops[level] = outlined_by(rings, shape) if rings else NOTHING
        return self.crops[level]


def outline_map(
    masks: Sequence[Crop],
    shape: tuple[int, int],
    *,
    void: np.ndarray | None = None,
    mean: float = MEAN,
    least: float = LEAST,
) -> list[OutlinedRegion]:
    """Outlines of the masks of an (H, W) frame, painted in their order, the later ones on top.

    `void`: (H, W) bool, pixels that are not compared. `mean`, `least`: IoU that all masks reach on average,
    and that each one reaches; a mask that no pixel of is seen has no rings and counts as 1. Deterministic.
    """
    if not masks:
        return []
    truth = np.zeros(shape, np.int32)
    for index, mask in enumerate(masks, start=1):
        height, width = mask.mask.shape
        truth[mask.y0 : mask.y0 + height, mask.x0 : mask.x0 + width][mask.mask] = index
    if void is not None:
        truth[void] = -1
    areas = np.bincount(truth[truth >= 0], minlength=len(masks) + 1)
    weights = 1.0 / np.maximum(areas, 1)
    weights[0] = 0.0
    pieces = [_piece(truth, index, mask, weights) for index, mask in enumerate(masks, start=1)]

    size = len(pieces) + 1
    top = np.maximum.outer(np.arange(size), np.arange(size)).ravel() + size * np.arange(size).repeat(size)
    top2 = np.maximum.outer(np.arange(size), np.arange(size)).ravel() + size * np.tile(np.arange(size), size)

    def certified(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = [piece.crop(level, shape) for piece, level in zip(pieces, levels.tolist(), strict=True)]
        pairs = _confused(truth, _painted(drawn, shape), size)
        missed, spilled = pairs.sum(axis=1), pairs.sum(axis=0)
        union = areas + spilled
        values = np.where(union > 0, (areas - missed) / np.maximum(union, 1), 1.0)
        # Where two meet, the ring of the upper one is to blame.
        blame = np.bincount(top, pairs.ravel(), size * size) + np.bincount(top2, pairs.ravel(), size * size)
        return values[1:], blame.reshape(size, size)[1:, 1:]

    order = sorted(range(len(pieces)), key=lambda index: -sum(map(len, pieces[index].exact)))
    levels = _levels(certified, order, mean, least)
    return [
        OutlinedRegion(piece.rings(level), float(value))
        for piece, level, value in zip(pieces, levels.tolist(), certified(levels)[0], strict=True)
    ]


def _levels(
    certified: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    order: Sequence[int],
    mean: float,
    least: float,
) -> np.ndarray:
    """The level of every region: one for all, lower where a region misses the least IoU."""

    def with_floor(shared: int) -> tuple[np.ndarray, np.ndarray]:
        levels = np.full(len(order), shared)
        while True:
            values, blame = certified(levels)
            # The region whose ring did most of the harm is drawn better: often one on top of the poor one.
            harm = np.where(levels > 0, blame[values < least], 0)
            worst = np.unique(harm.argmax(axis=1)[harm.any(axis=1)])
            if not worst.size:
                return levels, values
            levels[worst] -= 1

    low, high = 0, len(PRICES) + 1
    best = np.zeros(len(order), np.int64)
    while high - low > 1:
        middle = (low + high) // 2
        levels, values = with_floor(middle)
        if values.mean() >= mean:
            low, best = middle, levels
        else:
            high = middle
    # Regions were lowered together, often more than each needed: raise them one by one.
    for index in order:
        while best[index] < len(PRICES):
            tried = best.copy()
            tried[index] += 1
            values, _ = certified(tried)
            if values.mean() < mean or values.min() < least:
                break
            best = tried
    return best


def _piece(truth: np.ndarray, index: int, mask: Crop, weights: np.ndarray) -> _Piece:
    height, width = mask.mask.shape
    x0, y0 = max(0, mask.x0 - MARGIN), max(0, mask.y0 - MARGIN)
    x1, y1 = min(truth.shape[1], mask.x0 + width + MARGIN), min(truth.shape[0], mask.y0 + height + MARGIN)
    part = truth[y0:y1, x0:x1]
    own = part == index
    free = (part > index) | (part < 0)
    if not own.any():
        return _Piece(x0, y0, np.zeros((1, 1), np.complex128), [], [])
    # Beneath others the boundary runs half way to what is seen.
    relaxed = nearest_settled(np.where(free, 0, np.where(own, 1, 2)).astype(np.int32)) == 1
    rival = nearest_settled(np.where(own, 0, np.maximum(part, 0) + 1).astype(np.int32)) - 1
    rival = np.maximum(rival, 0)
    value = np.where(own, weights[index] + weights[rival], 0).astype(np.complex128)
    value -= 1j * np.where(free | own, 0.0, weights[index] + weights[np.maximum(part, 0)])
    sums = np.zeros((value.shape[0], value.shape[1] + 1), np.complex128)
    np.cumsum(value, axis=1, out=sums[:, 1:])
    near = cv2.dilate((~free).view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rounds = []
    exact = trace(relaxed)
    for ring in exact:
        kept = _candidates(ring, near)
        if len(kept) >= 3:
            rounds.append((ring[kept], _cheapest_rounds(ring, kept, sums)))
    return _Piece(x0, y0, sums, rounds, [ring + np.array([x0, y0]) for ring in exact])


def _candidates(ring: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Positions in a ring of corners where an edge may end: sparse where nothing is seen (`near` False)."""
    if len(ring) <= SMALL_RING:
        return np.arange(len(ring))
    fine, coarse = _kept(ring, STEP), _kept(ring, FREE_STEP)
    columns, rows = np.minimum(ring[fine].astype(int), np.array(near.shape)[::-1] - 1).T
    return np.union1d(fine[near[rows, columns]], coarse)


def _kept(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """Positions of the points of a ring that Douglas–Peucker keeps, rising."""
    points = cv2.approxPolyDP(ring.astype(np.float32).reshape(-1, 1, 2), tolerance, True).reshape(-1, 2)
    # A corner that the ring passes twice may be found at either place: both are kept.
    keys = ring[:, 0] * (1 << 20) + ring[:, 1]
    return np.flatnonzero(np.isin(keys, points[:, 0].astype(np.float64) * (1 << 20) + points[:, 1]))


def _sum_along(a: np.ndarray, b: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """For edges a → b, (m, 2) each: their share of the sum of v inside a clockwise ring, (m,) complex."""
    height, width = sums.shape
    down = b[:, 1] > a[:, 1]
    low, high = np.where(down[:, None], a, b), np.where(down[:, None], b, a)
    first = np.clip(np.ceil(low[:, 1] - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high[:, 1] - 0.5), 0, height).astype(np.int64)
    count = np.maximum(last - first, 0)
    out = np.zeros(len(a), np.complex128)
    real = np.flatnonzero(count)
    if not real.size:
        return out
    count, first, low, high = count[real], first[real], low[real], high[real]
    ends = np.cumsum(count)
    rows = np.arange(int(ends[-1])) - np.repeat(ends - count - first, count)
    slope = (high[:, 0] - low[:, 0]) / (high[:, 1] - low[:, 1])
    columns = np.repeat(low[:, 0] - (low[:, 1] - 0.5) * slope - 0.5, count) + rows * np.repeat(slope, count)
    columns = np.clip(np.ceil(columns - 1e-9), 0, width - 1).astype(np.int64)
    total = np.add.reduceat(sums.ravel()[rows * width + columns], ends - count)
    out[real] = np.where(down[real], total, -total)
    return out


def _digits(values: np.ndarray) -> np.ndarray:
    size = np.abs(values)
    return 1 + (size >= 10) + (size >= 100) + (size >= 1000) + (values < 0)


def _bytes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What the steps a → b, (..., 2), take as text."""
    return _digits(b[..., 0] - a[..., 0]) + _digits(b[..., 1] - a[..., 1]) + 2.0


def _cheapest_rounds(ring: np.ndarray, kept: np.ndarray, sums: np.ndarray) -> list[list[int]]:
    """For every price the positions in `kept` of the best polygon; none where the ring is not worth its bytes.

    An edge costs what lies between it and the part of the ring that it stands for. Own and other pixels are
    summed apart: where an edge crosses a thin shape the sums of one kind would pay for those of the other.
    """
    n = len(kept)
    reach = min(REACH, n - 1)
    here = np.repeat(np.arange(n), reach)
    there = here + np.tile(np.arange(1, reach + 1), n)
    along = np.concatenate([[0], np.cumsum(_sum_along(ring, np.roll(ring, -1, axis=0), sums))])
    whole = along[-1]
    a, b = ring[kept[here]], ring[kept[there % n]]
    away = (
        along[kept[there % n]] + np.where(there >= n, whole, 0) - along[kept[here]] - _sum_along(a, b, sums)
    )
    loss = (np.abs(np.real(away)) + np.abs(np.imag(away))).reshape(n, reach)
    size = _bytes(a, b).reshape(n, reach)
    middle = len(PRICES) // 2
    # The round starts at a vertex that a first round from anywhere has chosen.
    first, _ = _shortest(loss, size, PRICES[middle : middle + 1], 0)
    paths, totals = _shortest(loss, size, PRICES, first[0][len(first[0]) // 2])
    worth = abs(whole.real) + abs(whole.imag)
    return [
        path if total + price * RING_BYTES < worth else []
        for path, total, price in zip(paths, totals, PRICES, strict=True)
    ]


def _shortest(
    loss: np.ndarray, size: np.ndarray, prices: np.ndarray, start: int
) -> tuple[list[list[int]], np.ndarray]:
    """For each price the cheapest way round from `start`, and its cost."""
    n, reach = loss.shape
    # into[j, k]: the edge that arrives at j + 1 having left out k candidates.
    j, k = np.arange(n)[:, None], np.arange(reach)[None]
    leaves = (start + j - k) % n
    into_loss, into_size = loss[leaves, k], size[leaves, k]
    total = np.full((n + 1, len(prices)), np.inf)
    came = np.zeros((n + 1, len(prices)), np.int64)
    total[0] = 0.0
    column = np.arange(len(prices))
    for at in range(1, n + 1):
        span = min(reach, at)
        options = into_size[at - 1, :span, None] * prices + into_loss[at - 1, :span, None]
        options += total[at - span : at][::-1]
        best = options.argmin(axis=0)
        total[at], came[at] = options[best, column], at - 1 - best
    paths = []
    for price in range(len(prices)):
        path, at = [], n
        while at:
            at = int(came[at, price])
            path.append((at + start) % n)
        paths.append(path[::-1])
    return paths, total[n]


def _better(ring: np.ndarray, sums: np.ndarray, price: float) -> np.ndarray:
    """The ring with its vertices moved, unless that only looked better by crossing itself."""
    moved = _moved(ring, sums, price)
    if len(moved) < 3:
        return ring

    def cost(tried: np.ndarray) -> float:
        inside = outlined_by([tried], (sums.shape[0], sums.shape[1] - 1))
        height, width = inside.mask.shape
        rows = sums[inside.y0 : inside.y0 + height, inside.x0 : inside.x0 + width + 1]
        total = np.diff(rows, axis=1)[inside.mask].sum()
        ahead = np.roll(tried, -1, axis=0)
        return price * float(_bytes(tried, ahead).sum()) - np.sign(ring_area(ring)) * (
            total.real + total.imag
        )

    return moved if cost(moved) < cost(ring) else ring


def _moved(ring: np.ndarray, sums: np.ndarray, price: float) -> np.ndarray:
    """Vertices moved by a pixel, or left out, where that is better; neighbours take turns."""
    high = np.array([sums.shape[1] - 1, sums.shape[0]])
    for _ in range(ROUNDS):
        changed = False
        for odd in (0, 1):
            n = len(ring)
            own = np.arange(odd, n - (n % 2 and not odd), 2)
            tried = np.clip(ring[own][:, None] + OFFSETS, 0, high)
            before = np.broadcast_to(ring[own - 1][:, None], tried.shape)
            after = np.broadcast_to(ring[(own + 1) % n][:, None], tried.shape)
            ahead, behind = (before, tried), (tried, after)
            without = (before[:, 0], after[:, 0])
            a = np.concatenate([ahead[0].reshape(-1, 2), behind[0].reshape(-1, 2), without[0]])
            b = np.concatenate([ahead[1].reshape(-1, 2), behind[1].reshape(-1, 2), without[1]])
            sum_ = _sum_along(a, b, sums)
            cost = price * _bytes(a, b) - np.real(sum_) - np.imag(sum_)
            edges = tried.shape[0] * tried.shape[1]
            cost, left_out = (
                (cost[:edges] + cost[edges : 2 * edges]).reshape(tried.shape[:2]),
                cost[2 * edges :],
            )
            best = cost.argmin(axis=1)
            ring = ring.copy()
            ring[own] = tried[np.arange(len(own)), best]
            gone = own[left_out <= cost.min(axis=1)][: max(0, n - 4)]
            ring = np.delete(ring, gone, axis=0)
            changed |= bool(best.any()) or bool(len(gone))
        if not changed:
            break
    return ring[(ring != np.roll(ring, -1, axis=0)).any(axis=1)]


def _painted(drawn: Sequence[Crop], shape: tuple[int, int]) -> np.ndarray:
    """(H, W) int32: position + 1 of the last crop that covers a pixel, 0 = none."""
    painted = np.zeros(shape, np.int32)
    for index, crop in enumerate(drawn, start=1):
        height, width = crop.mask.shape
        window = painted[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width]
        cv2.copyTo(np.full(crop.mask.shape, index, np.int32), crop.mask.view(np.uint8), window)
    return painted


def _confused(truth: np.ndarray, painted: np.ndarray, size: int) -> np.ndarray:
    """(size, size) pixels by truth and what was painted; pixels below 0 are not compared."""
    wrong = (truth != painted) & (truth >= 0)
    pairs = np.bincount(truth[wrong] * size + painted[wrong], minlength=size * size)
    return pairs.reshape(size, size)
