"""The cheapest polygon for a boundary: bytes against error (after Katsaggelos et al. 1998).

For a map v that is positive on a region and negative beside it, the sum of v inside a polygon is a sum over
its edges, so the best choice among candidate vertices is a shortest path round the ring.
"""

from __future__ import annotations

import cv2
import numpy as np

from app.algo.outline import ring_area
from app.algo.render import outlined_by

REACH = 48
"""Candidate vertices an edge may leave out."""
STEP = 0.5
"""Candidates are the vertices that Douglas–Peucker keeps at this tolerance, in px …"""
FREE_STEP = 4.0
"""… and at this one beneath other regions, where nothing is seen."""
SMALL_RING = 60
"""Corners of a ring whose every corner is a candidate."""
PRICES = np.geomspace(1e-5, 5e-3, 20)
"""Of a byte, in IoU: the levels that a region can have above the exact one."""
RING_BYTES = 10.0
ROUNDS = 3
OFFSETS = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)], np.float64)


def candidates(ring: np.ndarray, near: np.ndarray) -> np.ndarray:
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


def cheapest_rounds(ring: np.ndarray, kept: np.ndarray, sums: np.ndarray) -> list[list[int]]:
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


def better(ring: np.ndarray, sums: np.ndarray, price: float) -> np.ndarray:
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
