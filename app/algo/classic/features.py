"""What the clicks say about every superpixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.algo.classic.borders import chi2_groups
from app.algo.classic.prepare import Prepared

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Bools = NDArray[np.bool_]

_SEED_ROWS = 14
_OFFSETS = np.array(
    [0.02, 0.05, 0.02, 0.2, 0.2, 0.02, 0.02, 0.05, 0.05, 0.05, 0.02, 0.05, 0.05, 0.02], np.float32
)
REACH_TO_DEPTH = 1 / 0.7
"""A reach drawn by a person ends short of the object's edge; the depth is about this many times larger."""


@dataclass(frozen=True)
class Click:
    """One click in the working image: position, positive or not, reach, its superpixel and those in its disc.

    `frame` (x1, y1, x2, y2) marks the surroundings of a box: distance is then measured from inside.
    """

    x: float
    y: float
    positive: bool
    reach: float
    seeds: tuple[int, ...]
    frame: tuple[float, float, float, float] | None = None

    @property
    def node(self) -> int:
        """The superpixel under the click."""
        return self.seeds[0]

    def gap(self, centre: Floats) -> Floats:
        """Distance of each (x, y) from the click's position: (n, 2) → (n,)."""
        if self.frame is None:
            return np.hypot(centre[:, 0] - self.x, centre[:, 1] - self.y)
        x1, y1, x2, y2 = self.frame
        sides = np.stack([centre[:, 0] - x1, x2 - centre[:, 0], centre[:, 1] - y1, y2 - centre[:, 1]])
        return np.maximum(sides.min(axis=0), 0)


def disc_seeds(prepared: Prepared, x: float, y: float, reach: float) -> tuple[int, ...]:
    """The superpixel under (x, y), then those whose centre lies within `reach`; working coordinates."""
    row = min(prepared.work_height - 1, max(0, int(y)))
    column = min(prepared.work_width - 1, max(0, int(x)))
    first = int(prepared.labels[row, column])
    if reach <= 0:
        return (first,)
    gap = ((prepared.centre - np.array([x, y], np.float32)) ** 2).sum(axis=1)
    return (first, *(int(i) for i in np.flatnonzero(gap <= reach * reach) if i != first))


def _set_rows(prepared: Prepared, clicks: list[Click]) -> Floats:
    """Dissimilarity of every superpixel to a set of clicks, smallest over the clicks: (_SEED_ROWS, n)."""
    best: Floats | None = None
    for click in clicks:
        rows = np.empty((_SEED_ROWS, prepared.count), np.float32)
        rows[:7] = prepared.from_seeds(click.seeds)
        nodes = list(click.seeds)
        share = prepared.area[nodes] / prepared.area[nodes].sum()
        colour = share @ prepared.colour[nodes]
        rows[7] = np.sqrt(((prepared.colour - colour) ** 2).sum(axis=1)) / 30
        groups = chi2_groups(prepared.histograms, (share @ prepared.histograms[nodes])[None])
        rows[8] = groups.sum(axis=1)
        rows[9] = 3 * groups[:, 3]
        gap = click.gap(prepared.centre)
        rows[10] = np.maximum(gap - click.reach, 0) / prepared.diagonal
        for k, level in enumerate((1, 2)):
            region = prepared.cuts[level][click.node]
            model = prepared.cut_histograms[level][region][None]
            rows[11 + k] = chi2_groups(prepared.histograms, model).sum(axis=1)
        near = prepared.smooth @ groups.sum(axis=1)
        rows[13] = near * (0.2 + rows[10])
        best = rows if best is None else np.minimum(best, rows)
    assert best is not None
    return best


def _without_negative(prepared: Prepared, positive: Floats) -> Floats:
    """Rows that stand in for negative clicks while there are none: the frame's edge."""
    rows = np.repeat(np.median(positive, axis=1)[:, None], prepared.count, axis=1)
    rows[:3] = prepared.frame_distance
    x, y = prepared.centre[:, 0], prepared.centre[:, 1]
    edge = np.minimum(np.minimum(x, prepared.work_width - x), np.minimum(y, prepared.work_height - y))
    rows[10] = edge / prepared.diagonal
    return rows.astype(np.float32)


def click_features(prepared: Prepared, clicks: list[Click], previous: Floats | None) -> Floats:
    """Features of every superpixel under the clicks.

    Args:
        clicks: at least one positive, in order.
        previous: (n,) share of each superpixel inside the previous answer, or None.

    Returns:
        (n, F) float32.
    """
    count = prepared.count
    positives = [c for c in clicks if c.positive]
    negatives = [c for c in clicks if not c.positive]
    p = _set_rows(prepared, positives)
    n = _set_rows(prepared, negatives) if negatives else _without_negative(prepared, p)
    offsets = _OFFSETS[:, None]
    columns: list[Floats] = [
        ((n - p) / (n + p + 0.2 * offsets)).T,
        np.log(p + offsets).T,
        np.log(n + offsets).T,
        np.log(prepared.frame_distance + offsets[:3]).T,
    ]
    size = np.array([prepared.work_width, prepared.work_height], np.float32)
    relative = prepared.centre / size - 0.5
    same = np.zeros((2 * len(prepared.cuts) + len(prepared.cuts), count), np.float32)
    first = positives[0]
    for k, cut in enumerate(prepared.cuts):
        same[3 * k] = np.isin(cut, [cut[c.node] for c in positives])
        if negatives:
            same[3 * k + 1] = np.isin(cut, [cut[c.node] for c in negatives])
        same[3 * k + 2] = np.log(prepared.area[cut == cut[first.node]].sum() / prepared.area.sum())
    depth = np.full(count, 0.0, np.float32)
    reached = [c for c in positives if c.reach > 0]
    if reached:
        ratios = [
            np.hypot(prepared.centre[:, 0] - c.x, prepared.centre[:, 1] - c.y) / (c.reach * REACH_TO_DEPTH)
            for c in reached
        ]
        depth = np.log(np.min(ratios, axis=0) + 0.1)
    scale = np.log(max((c.reach for c in reached), default=0.0) / prepared.diagonal + 0.02)
    last = clicks[-1]
    to_last = prepared.from_seeds(last.seeds)[0]
    sign = 1.0 if last.positive else -1.0
    near_last = np.exp(
        -3 * np.hypot(prepared.centre[:, 0] - last.x, prepared.centre[:, 1] - last.y) / prepared.diagonal
    )
    before = np.full(count, 0.5, np.float32) if previous is None else previous
    constants = (
        float(bool(reached)),
        scale if reached else 0.0,
        float(not negatives),
        np.log(len(positives)),
        np.log1p(len(negatives)),
        float(previous is None),
        float(before @ prepared.area / prepared.area.sum()),
        first.x / prepared.work_width - 0.5,
        first.y / prepared.work_height - 0.5,
        float(prepared.frame_distance[0, first.node]),
        float(prepared.frame_distance[1, first.node]),
    )
    columns += [
        relative,
        np.abs(relative).max(axis=1, keepdims=True),
        np.log(prepared.area[:, None] / prepared.area.mean()),
        np.minimum(prepared.frame_share, 3)[:, None],
        same.T,
        depth[:, None],
        (sign * np.exp(-to_last))[:, None],
        (sign * near_last)[:, None],
        before[:, None],
        (prepared.smooth @ before)[:, None],
        np.repeat(np.array([constants], np.float32), count, axis=0),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def answer_features(prepared: Prepared, logit: Floats, walked: Floats) -> Floats:
    """Features re-estimated from a first answer.

    Args:
        logit: (n,) first score. walked: (n,) probability after the walk.

    Returns:
        (n, G) float32: the answer itself, its averages over neighbours and tree cuts, log-likelihood
        ratios of colour and texture under models of its inside and outside, and its overall shape.
    """
    area = prepared.area
    inside, outside = area * walked, area * (1 - walked)
    fg = (inside @ prepared.histograms) / max(inside.sum(), 1e-3)
    bg = (outside @ prepared.histograms) / max(outside.sum(), 1e-3)
    ratio = prepared.histograms * np.log((fg + 0.01) / (bg + 0.01))
    groups = np.add.reduceat(ratio, np.arange(0, ratio.shape[1], ratio.shape[1] // 4), axis=1)
    total = float(inside.sum()) + 1e-3
    middle = inside @ prepared.centre / total
    offset = prepared.centre - middle
    spread = float(np.sqrt((inside @ (offset**2).sum(axis=1)) / total)) + 1e-3
    near = prepared.smooth @ walked
    columns = [logit, walked, near, prepared.smooth @ near]
    for cut in prepared.cuts:
        columns.append((np.bincount(cut, weights=inside) / np.bincount(cut, weights=area))[cut])
    columns.append(np.hypot(offset[:, 0], offset[:, 1]) / spread)
    ends = prepared.adjacency.ends
    cross = np.abs(walked[ends[:, 0]] - walked[ends[:, 1]]) * prepared.adjacency.length
    constants = (
        np.log(total / area.sum()),
        float((cross * prepared.probability).sum() / (cross.sum() + 1e-3)),
        float((inside * walked).sum() / total),
        float(
            walked
            @ np.minimum(prepared.frame_share, 1)
            / max(np.minimum(prepared.frame_share, 1).sum(), 1e-3)
        ),
    )
    smooth_groups = prepared.smooth @ groups
    return np.concatenate(
        [
            np.stack(columns, axis=1),
            groups,
            smooth_groups,
            np.repeat(np.array([constants], np.float32), prepared.count, axis=0),
        ],
        axis=1,
    ).astype(np.float32)
