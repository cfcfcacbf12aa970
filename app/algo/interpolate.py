"""The shape of an object between two frames on which it is known, from the two masks alone.

Shape-based interpolation (S. P. Raya & J. K. Udupa, IEEE Transactions on Medical Imaging 9(1), 1990) blends
the signed distances to both boundaries. Where the object moved further than it is wide that blend is empty. So the
pieces of the two masks are paired first, the shift, scale and rotation are found that lay a piece upon its
partner, and the distances are blended along that motion.

The result is the mask itself at either end, and the same whichever mask is called the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from app.algo.fuse import bounding_box

VERSION = "interpolate-1"

GRID = 64
"""Samples along each side of the box on which two shapes are compared."""
TURNING = 0.1
"""IoU that half a turn costs: shapes rather stay upright."""
STEPS = (0.25, 0.25, 0.15, 0.17)
"""The first steps of the search: shift along x and y in radii, the scale's logarithm, radians. Each of
`HALVINGS` rounds halves them."""
HALVINGS = 5
TRIES = 12
"""Steps of one round at most."""
PROMISING = 2
"""Motions from which the search goes uphill."""
ANGLES = np.deg2rad([-60, -40, -20, 20, 40, 60])
"""Turns that the search begins with, beside none."""
PIECES = 16
"""The largest pieces of a mask are paired; smaller ones go with the nearest of them."""
ALIKE = 4.0
"""How many times larger one piece of a pair may be."""
NEAR = 2.0
"""How far apart, in the sum of their radii, two pieces of a pair may lie once the whole masks are aligned."""
SHRINK = 0.5
"""How far below zero, in radii of the shape, the level may be set that keeps the area."""
KEPT = 0.25
"""Share of the expected area below which a blend has failed."""


@dataclass(frozen=True, eq=False)
class _Shape:
    """A mask's distances, positive inside, in px: (h, w) float32 of the window whose corner is (x0, y0) of the
    frame. `centre`: (x, y) in pixel indices; `size`: square root of the area.
    """

    distance: np.ndarray
    x0: int
    y0: int
    centre: np.ndarray
    size: float
    box: tuple[int, int, int, int]

    @property
    def area(self) -> float:
        return self.size**2

    @property
    def radius(self) -> float:
        return self.size / float(np.sqrt(np.pi))

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distances at places of the frame; beyond the window those of its border."""
        return cv2.remap(
            self.distance,
            (x - self.x0).astype(np.float32),
            (y - self.y0).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )


@dataclass(frozen=True)
class _Motion:
    """From the one shape to the other: the centre moves by (dx, dy) px, then exp(`scale`) and `angle` around it."""

    dx: float
    dy: float
    scale: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True, eq=False)
class _Pair:
    """A shape before and after, how it moves, and the IoU of the two once they lie upon each other."""

    before: _Shape
    after: _Shape
    motion: _Motion
    alike: float


class Between:
    """What lies between two (H, W) bool masks of an object, neither of them empty."""

    def __init__(self, first: np.ndarray, last: np.ndarray) -> None:
        # Worked out in one order, so that both orders give the same.
        self._swapped = _rank(first) > _rank(last)
        self._ends = (last, first) if self._swapped else (first, last)

    def at(self, step: int, steps: int) -> np.ndarray:
        """The (H, W) bool mask after `step` of `steps` equal steps from the first to the last.

        At 0 and at `steps` the masks themselves.
        """
        done = steps - step if self._swapped else step
        if done in (0, steps):
            return self._ends[done == steps].astype(bool, copy=True)
        out = np.zeros(self._ends[0].shape, bool)
        for pair in self._pairs:
            _draw(pair, (steps - done) / steps, done / steps, out)
        return out

    def score(self, step: int, steps: int) -> float:
        """How sure the shape is, 0..1: 1 at the masks, half-way their IoU once they lie upon each other."""
        doubt = 1 - abs(2 * step / steps - 1)
        return 1 - doubt * (1 - self.alike)

    @cached_property
    def alike(self) -> float:
        """IoU of the two masks once their pieces lie upon each other, 0..1."""
        weights = [pair.before.area + pair.after.area for pair in self._pairs]
        return float(np.average([pair.alike for pair in self._pairs], weights=weights))

    @cached_property
    def _pairs(self) -> list[_Pair]:
        before, after = self._ends
        return [_paired(_shape(one), _shape(other)) for one, other in _groups(before, after)]


def _rank(mask: np.ndarray) -> tuple[int, bytes]:
    return int(np.count_nonzero(mask)), np.packbits(mask).tobytes()


def _shape(mask: np.ndarray) -> _Shape:
    box = bounding_box(mask)
    assert box is not None
    x0, y0, x1, y1 = box
    margin = max(x1 - x0, y1 - y0) // 2 + 16
    height, width = mask.shape
    left, top = max(0, x0 - margin), max(0, y0 - margin)
    window = mask[top : min(height, y1 + margin), left : min(width, x1 + margin)]
    rows, columns = np.nonzero(window)
    return _Shape(
        _signed(window),
        left,
        top,
        np.array([columns.mean() + left, rows.mean() + top]),
        float(np.sqrt(len(rows))),
        box,
    )


def _signed(mask: np.ndarray) -> np.ndarray:
    """Distance to the boundary in px, positive inside, at least a half. The frame's edge is no boundary: what
    is cut there goes on behind it.
    """
    inside = mask.astype(np.uint8)
    most = float(np.hypot(*mask.shape))
    distance = [
        # Without a pixel of the other kind OpenCV gives enormous numbers.
        np.minimum(cv2.distanceTransform(one, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), most)
        for one in (inside, 1 - inside)
    ]
    return (np.where(mask, distance[0] - 0.5, 0.5 - distance[1])).astype(np.float32)


def _groups(before: np.ndarray, after: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Masks of the pieces that belong together; both masks whole where they cannot be told apart."""
    ones, others = _labelled(before), _labelled(after)
    if len(ones[1]) == 1 and len(others[1]) == 1:
        return [(before, after)]
    places = [_aligned(found) for found in (ones[1], others[1])]
    radii = [np.sqrt(found[:, 2] / np.pi) for found in (ones[1], others[1])]
    # Both masks are looked at as if they had the same size and place.
    units = [np.sqrt(found[:, 2].sum()) for found in (ones[1], others[1])]
    apart = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    reach = radii[0][:, None] / units[0] + radii[1][None] / units[1]
    ratio = np.abs(np.log(ones[1][:, None, 2] / others[1][None, :, 2]))
    fits = (apart <= NEAR * reach) & (ratio <= np.log(ALIKE))
    fits[PIECES:] = False
    fits[:, PIECES:] = False
    chosen = [
        (row, column)
        for row, column in zip(
            *linear_sum_assignment(np.where(fits, apart / reach - 2 * NEAR, 0.0)), strict=True
        )
        if fits[row, column]
    ]
    if not chosen:
        return [(before, after)]
    rows = _nearest(places[0], [row for row, _ in chosen])
    columns = _nearest(places[1], [column for _, column in chosen])
    return [
        (np.append(False, rows == n)[ones[0]], np.append(False, columns == n)[others[0]])
        for n in range(len(chosen))
    ]


def _labelled(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pieces of a mask numbered from 1 on, the largest first: (H, W) int32, and their rows (x, y, area)."""
    count, numbered, stats, centres = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    order = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1
    table = np.zeros(count, np.int32)
    table[order] = np.arange(1, count)
    facts = np.column_stack([centres[order], stats[order, cv2.CC_STAT_AREA]])
    return table[np.asarray(numbered, np.int32)], facts


def _aligned(pieces: np.ndarray) -> np.ndarray:
    """The centres of pieces in square roots of the whole area, from the centre of the whole."""
    areas = pieces[:, 2]
    return (pieces[:, :2] - np.average(pieces[:, :2], axis=0, weights=areas)) / np.sqrt(areas.sum())


def _nearest(places: np.ndarray, chosen: list[int]) -> np.ndarray:
    """For each piece the number of the chosen one that lies nearest; a chosen one's own."""
    found = np.linalg.norm(places[:, None] - places[None, chosen], axis=2).argmin(axis=1)
    found[chosen] = np.arange(len(chosen))
    return found


def _paired(before: _Shape, after: _Shape) -> _Pair:
    """The motion that lays the shapes upon each other best.

    What appears at one side, or is covered there, shifts the centre of a thing that stands still: standing
    still is tried, too.
    """
    overlap = _Overlap(before, after)
    dx, dy = (after.centre - before.centre).tolist()
    scale = float(np.log(after.size / before.size))
    turned = max((_Motion(dx, dy, scale, angle) for angle in ANGLES.tolist()), key=overlap.worth)
    begin = [_Motion(0.0, 0.0), _Motion(dx, dy), _Motion(dx, dy, scale), turned]
    begin = sorted(begin, key=overlap.worth, reverse=True)[:PROMISING]
    motion = max((_improved(overlap, one, before.radius) for one in begin), key=overlap.worth)
    return _Pair(before, after, motion, overlap.iou(motion))


class _Overlap:
    """How well motions lay one shape upon another, on a grid of samples."""

    def __init__(self, before: _Shape, after: _Shape) -> None:
        self._before, self._after = before, after
        x0, y0, x1, y1 = before.box
        columns = x0 - 0.5 + (np.arange(GRID) + 0.5) * (x1 - x0) / GRID
        rows = y0 - 0.5 + (np.arange(GRID) + 0.5) * (y1 - y0) / GRID
        self._x, self._y = np.meshgrid(columns - before.centre[0], rows - before.centre[1])
        self._inside = before.at(*np.meshgrid(columns, rows)) > 0
        self._sample = before.area / max(1, np.count_nonzero(self._inside))
        self._known: dict[_Motion, float] = {}

    def iou(self, motion: _Motion) -> float:
        if motion not in self._known:
            x, y = _turned(self._x, self._y, motion.angle)
            factor = np.exp(motion.scale)
            cx, cy = self._before.centre + np.array([motion.dx, motion.dy])
            there = self._after.at(cx + x * factor, cy + y * factor) > 0
            both = np.count_nonzero(there & self._inside) * self._sample
            either = self._before.area + self._after.area / factor**2 - both
            self._known[motion] = float(np.clip(both / either, 0.0, 1.0))
        return self._known[motion]

    def worth(self, motion: _Motion) -> float:
        return self.iou(motion) - TURNING * abs(motion.angle) / np.pi


def _improved(overlap: _Overlap, motion: _Motion, radius: float) -> _Motion:
    """Uphill in ever smaller steps."""
    sizes = np.array(STEPS) * (radius, radius, 1.0, 1.0)
    for halving in range(HALVINGS):
        for _ in range(TRIES):
            near = [
                replace(motion, **{name: getattr(motion, name) + sign * float(size) / 2**halving})
                for name, size in zip(("dx", "dy", "scale", "angle"), sizes, strict=True)
                for sign in (1, -1)
            ]
            best = max(near, key=overlap.worth)
            if overlap.worth(best) <= overlap.worth(motion):
                break
            motion = best
    return motion


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    c, s = np.cos(angle), np.sin(angle)
    return c * x - s * y, s * x + c * y


def _draw(pair: _Pair, before: float, after: float, out: np.ndarray) -> None:
    """Set the pixels of the pair's shape with these weights of its ends, which add up to 1."""
    motion, start = pair.motion, pair.before.centre
    end = start + np.array([motion.dx, motion.dy])
    centre = before * start + after * end
    # Scale of either shape beside the one that is drawn, and how far it is turned back.
    ends = (
        (pair.before, start, np.exp(-after * motion.scale), -after * motion.angle),
        (pair.after, end, np.exp(before * motion.scale), before * motion.angle),
    )
    window = _window(centre, [(shape.box, place, scale) for shape, place, scale, _ in ends], out.shape)
    if window is None:
        return
    x0, y0, x1, y1 = window
    x, y = np.meshgrid(np.arange(x0, x1) - centre[0], np.arange(y0, y1) - centre[1])
    distances = []
    for shape, place, scale, angle in ends:
        dx, dy = _turned(x, y, angle)
        distances.append(shape.at(place[0] + dx * scale, place[1] + dy * scale) / scale)
    blend = before * distances[0] + after * distances[1]
    # Either area at the size of this moment.
    area = sum(
        weight * shape.area / scale**2
        for weight, (shape, _, scale, _) in zip((before, after), ends, strict=True)
    )
    drawn = blend >= _level(blend, area)
    if np.count_nonzero(drawn) < KEPT * min(area, drawn.size):
        # Shapes without anything in common: the nearer one alone.
        drawn = distances[0 if before >= after else 1] > 0
    out[y0:y1, x0:x1] |= drawn


def _level(blend: np.ndarray, area: float) -> float:
    """The level that encloses `area` px: a blend of shapes that differ is thinner than both of them."""
    most = max(1, min(round(area), blend.size))
    highest = np.partition(blend, blend.size - most, axis=None)[blend.size - most]
    return float(np.clip(highest, -SHRINK * np.sqrt(area / np.pi), 0.0))


def _window(
    centre: np.ndarray,
    ends: list[tuple[tuple[int, int, int, int], np.ndarray, float]],
    shape: tuple[int, ...],
) -> tuple[int, int, int, int] | None:
    """Where in the frame the shape can be, from the boxes of its ends, where their centres lie and how much
    larger they are; None where that is outside.
    """
    reach = 0.0
    for (x0, y0, x1, y1), place, scale in ends:
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) - place
        reach = max(reach, float(np.linalg.norm(corners, axis=1).max()) / scale)
    low = np.floor(centre - reach - 2).astype(int)
    high = np.ceil(centre + reach + 3).astype(int)
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    x1, y1 = min(shape[1], int(high[0])), min(shape[0], int(high[1]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
