"""Better places for the same number of points: the least useful ones are taken away and put where errors are.

Points are found one batch after another, so early ones may have lost their use to later ones. How much a point
is worth is estimated from a single rendering in which every point competes for itself: without it, its pixels
would go to its neighbours in proportion to the borders they share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from app.algo.compete import RegionSeeds

ROUNDS = 6
SHARE = 0.25
"""Of the points that change places in the first round; less after every round that brought nothing."""
CALMER = 0.6

Render = Callable[[Sequence[RegionSeeds]], np.ndarray]
Spots = Callable[[np.ndarray, set[tuple[int, int]], int], list[tuple[int, float, float, float]]]
"""(winners, pixels that have a point, how many) → (region from 1, x, y, r) for the largest errors."""


def exchange(
    owners: np.ndarray,
    points: Sequence[np.ndarray],
    winners: np.ndarray,
    worth: np.ndarray,
    render: Render,
    spots: Spots,
    *,
    rounds: int = ROUNDS,
) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Move points (one (n, 4) array a region) so that fewer pixels are wrong; never more points, never worse.

    `owners`: (H, W) integers, regions from 1, 0 is not scored; `winners`: what the points render to; `worth`:
    (regions + 1,) what a pixel of each region counts. Returns (points, winners, how often `render` was asked).
    """

    def badness(drawn: np.ndarray) -> float:
        wrong = (drawn != owners) & (owners > 0)
        return float(worth[owners[wrong]].sum())

    best = [np.asarray(rows, np.float64).reshape(-1, 4) for rows in points]
    least, share, asked = badness(winners), SHARE, 0
    budget = sum(map(len, best))
    for _ in range(rounds):
        kept = _without_least_useful(owners, best, worth, render, max(1, int(share * budget)))
        asked += 1
        for part in (2, 1):
            drawn = render([RegionSeeds(rows) for rows in kept])
            asked += 1
            taken = {(int(x), int(y)) for rows in kept for x, y in rows[:, :2].tolist()}
            room = -(-(budget - sum(map(len, kept))) // part)
            for index, x, y, r in spots(drawn, taken, room) if room > 0 else ():
                kept[index - 1] = np.concatenate([kept[index - 1], [[x, y, 1.0, r]]])
        drawn = render([RegionSeeds(rows) for rows in kept])
        asked += 1
        reached = badness(drawn)
        if reached < least:
            best, winners, least = kept, drawn, reached
        else:
            share *= CALMER
    return best, winners, asked


def _without_least_useful(
    owners: np.ndarray, points: Sequence[np.ndarray], worth: np.ndarray, render: Render, count: int
) -> list[np.ndarray]:
    """The points without the `count` least useful ones; every region keeps one."""
    region = np.repeat(np.arange(len(points)), [len(rows) for rows in points])
    basins = render([RegionSeeds(row[None]) for rows in points for row in rows])
    left = np.bincount(region, minlength=len(points))
    dropped = np.zeros(len(region), bool)
    for index in np.argsort(_use(owners, basins, region, worth), kind="stable"):
        if count == 0:
            break
        if left[region[index]] > 1:
            dropped[index] = True
            left[region[index]] -= 1
            count -= 1
    ends = np.cumsum([len(rows) for rows in points])[:-1]
    return [rows[~gone] for rows, gone in zip(points, np.split(dropped, ends), strict=True)]


def _use(owners: np.ndarray, basins: np.ndarray, region: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """(n,): what the pixels of each point's basin are worth now, less what they would be worth without it."""
    count, size = len(region), len(worth)
    flat = basins.astype(np.int64)
    inside = np.bincount((flat * size + owners).ravel(), minlength=(count + 1) * size)
    value = inside.reshape(count + 1, size)[1:] * np.where(np.arange(size) > 0, worth, 0.0)
    borders = np.zeros(count * size)
    for a, b in ((flat[:, 1:], flat[:, :-1]), (flat[1:], flat[:-1])):
        met = (a != b) & (a > 0) & (b > 0)
        for own, other in ((a[met], b[met]), (b[met], a[met])):
            borders += np.bincount((own - 1) * size + region[other - 1] + 1, minlength=count * size)
    borders = borders.reshape(count, size)
    share = borders / np.maximum(borders.sum(axis=1, keepdims=True), 1.0)
    return value[np.arange(count), region + 1] - (share * value).sum(axis=1)
