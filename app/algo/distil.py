"""Mask → region: the few points from which an engine draws the mask again.

The first point lies where the exact distance transform is largest, never at a centroid (it would fall
outside rings and crescents) and never at random. Elongated and branched shapes start with points along their
skeleton. Then the engine is in the loop: render, compare, put the next point at the deepest spot of the
largest error, until the target IoU or the budget of points; then points that are not needed go. Where points
alone miss the target an outline is added.

Any engine can be in the loop: all that is asked of it is one function, `RenderMask` for a single region
(`distil_mask`) or `app.algo.distil_map.RenderRegions` for all regions of a frame at once. It must be
deterministic, for the certificate says what the same points will render to later. Where it runs is its
caller's business: in the worker for models, in the consumer for `classic`.

Points are rows (x, y, label, r) in frame pixels; x and y are pixel centres (.5), r the distance from there
to the nearest pixel of the other kind, 0.25 px steps rounded down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from app.algo.certificate import boundary_f, iou
from app.algo.fuse import bounding_box
from app.algo.outline import Ring, rasterise, simplify_to
from app.algo.skeleton import skeleton_points
from app.errors import Refused

TARGET = 0.95
BUDGET = 12
"""Points of one region, the person's own included."""
MIN_ERROR = 8
"""Pixels of the smallest error worth a point."""

PROGRESS = 4
"""Points whose gain tells whether more of them are worth a try."""

RenderMask = Callable[[np.ndarray], np.ndarray]
"""The engine, for one region in a context that the function knows: points, (n, 4) float64 rows x, y, label
(1 or 0), r → its mask, (H, W) bool. At least one point is positive; the shape is the source mask's."""


@dataclass(slots=True, eq=False)
class Distilled:
    """A region's geometry and its certificate.

    `points`: (n, 4) float64; `outline`: rings, or None where points alone reach the target; `iou`,
    `boundary_f`: against the source mask, of the outline where there is one; `exact`: the mask comes from
    the outline, without an engine;
    `mask`: (H, W) bool, what the geometry renders to; `renders`: how often the engine was asked; `met`: the
    target is reached.
    """

    points: np.ndarray
    outline: list[Ring] | None
    iou: float
    boundary_f: float
    exact: bool
    mask: np.ndarray
    renders: int
    met: bool


def depth(mask: np.ndarray) -> np.ndarray:
    """Exact Euclidean distance of every pixel of an (H, W) bool mask to the nearest one outside, float32.

    The frame's edge counts as outside. Computed on the padded bounding box.
    """
    out = np.zeros(mask.shape, np.float32)
    box = bounding_box(mask)
    if box is None:
        return out
    x0, y0, x1, y1 = box
    padded = np.pad(mask[y0:y1, x0:x1].astype(np.uint8), 1)
    # The 5×5 mask errs by up to 7.5 px, and without the padding a full mask has no background at all.
    found = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    # Squares of distances between pixels are whole numbers; what OpenCV adds to them in the last bit depends
    # on where the array lies in memory, and would decide between equally deep pixels.
    out[y0:y1, x0:x1] = np.sqrt(np.rint(np.square(found)))
    return out


def deepest(depths: np.ndarray) -> tuple[float, float, float]:
    """(x, y, r) of the deepest pixel, its centre and its depth rounded down to 0.25 px."""
    row, column = divmod(int(np.argmax(depths)), depths.shape[1])
    return column + 0.5, row + 0.5, reach_of(float(depths[row, column]))


def reach_of(value: float) -> float:
    """A depth as it is stored: rounded down to 0.25 px, so that the disc never grows past the mask."""
    return float(np.floor(value * 4) / 4)


def first_points(mask: np.ndarray, limit: int = 4) -> np.ndarray:
    """The points a mask starts with, (n, 4): the deepest pixel, then along the skeleton of long shapes.

    Empty masks give no points.
    """
    depths = depth(mask)
    if not mask.any():
        return np.zeros((0, 4))
    x, y, r = deepest(depths)
    points = [(x, y, 1.0, r)]
    disc = np.pi * max(r, 1.0) ** 2
    if limit > 1 and np.count_nonzero(mask) > 3.0 * disc:
        points += [
            (px, py, 1.0, reach_of(pr)) for px, py, pr in skeleton_points(mask, depths, limit - 1, (x, y, r))
        ]
    return np.array(points, np.float64)


def distil_mask(
    mask: np.ndarray,
    render: RenderMask,
    *,
    start_points: np.ndarray | None = None,
    target: float = TARGET,
    budget: int = BUDGET,
    with_outline: bool = True,
    max_renders: int = 40,
    good: Callable[[np.ndarray], bool] | None = None,
) -> Distilled:
    """Turn one (H, W) bool mask into points that `render` draws again, in the context that `render` knows.

    `start_points`: (n, 4) rows kept first and never pruned (a person's own clicks); without a positive one
    the mask's own first points start. `budget`: points in all; the loop ends before it where the progress of
    the last points will not reach the target. `max_renders` bounds the time. `good`: asked of drawn masks
    that have the target; one that is not good counts as missing it. Raises `Refused` for an empty mask or a
    mask and rendering of different shapes.
    """
    if not mask.any():
        raise Refused(
            "The mask is empty, so there is nothing to turn into points; draw or accept a mask first."
        )
    mask = mask.astype(bool, copy=False)
    own = np.zeros((0, 4)) if start_points is None else np.asarray(start_points, np.float64).reshape(-1, 4)
    fixed = len(own)
    points = own if (own[:, 2] == 1).any() else np.concatenate([own, first_points(mask, max(1, budget // 3))])
    depths: tuple[np.ndarray, np.ndarray] | None = None
    asked = 0

    def rendered(candidate: np.ndarray) -> tuple[np.ndarray, float]:
        nonlocal asked
        asked += 1
        drawn = render(candidate)
        if drawn.shape != mask.shape:
            raise Refused("The engine drew a mask of another size than the frame; report this as a bug.")
        return drawn, iou(drawn, mask)

    drawn, value = rendered(points)
    best = (value, points, drawn)
    reached = [value]
    while value < target and len(points) < budget and asked < max_renders:
        if _hopeless(reached, budget - len(points), target):
            break
        depths = depths or (depth(mask), depth(~mask))
        added = _next_point(mask, drawn, *depths, points)
        if added is None:
            break
        points = np.concatenate([points, [added]])
        drawn, value = rendered(points)
        if value > best[0]:
            best = (value, points, drawn)
        reached.append(best[0])
    value, points, drawn = best
    if value < target or (good is not None and not good(drawn)):
        if with_outline:
            return _with_outline(mask, points, target, asked)
        return Distilled(points, None, value, boundary_f(drawn, mask), False, drawn, asked, False)
    for index in range(len(points) - 1, max(fixed, 1) - 1, -1):
        if asked >= max_renders:
            break
        fewer = np.delete(points, index, axis=0)
        if not (fewer[:, 2] == 1).any():
            continue
        less_drawn, less = rendered(fewer)
        if less >= target and (good is None or good(less_drawn)):
            points, drawn, value = fewer, less_drawn, less
    return Distilled(points, None, value, boundary_f(drawn, mask), False, drawn, asked, True)


def _hopeless(reached: Sequence[float], left: int, target: float) -> bool:
    """Whether `left` more points will miss the target: each brings half of what the last few brought."""
    if len(reached) < 2 * PROGRESS:
        return False
    return reached[-1] + 0.5 * left * (reached[-1] - reached[-1 - PROGRESS]) / PROGRESS < target


def outline_only(
    mask: np.ndarray, *, target: float = TARGET, points: np.ndarray | None = None, thorough: bool = True
) -> Distilled:
    """Straight to an outline, without an engine: for batches too large for the loop.

    `points`: (n, 4) rows to keep beside it; without any the deepest pixel of the mask. `thorough` False: in
    half the time, with a few more points. Raises `Refused` for an empty mask.
    """
    if not mask.any():
        raise Refused(
            "The mask is empty, so there is nothing to turn into points; draw or accept a mask first."
        )
    mask = mask.astype(bool, copy=False)
    kept = first_points(mask, 1) if points is None or not len(points) else points
    return _with_outline(mask, kept, target, 0, thorough)


def _with_outline(
    mask: np.ndarray, points: np.ndarray, target: float, asked: int, thorough: bool = True
) -> Distilled:
    rings, value = simplify_to(mask, target, thorough=thorough)
    drawn = rasterise(rings, (mask.shape[0], mask.shape[1]))
    return Distilled(points, rings, value, boundary_f(drawn, mask), True, drawn, asked, True)


def _next_point(
    mask: np.ndarray, drawn: np.ndarray, inside: np.ndarray, outside: np.ndarray, points: np.ndarray
) -> tuple[float, float, float, float] | None:
    """The deepest spot of the largest error: (x, y, label, r), or None where no error is worth a point."""
    taken = {(int(x), int(y)) for x, y in points[:, :2]}
    candidates = []
    for label, error, depths in ((1.0, mask & ~drawn, inside), (0.0, drawn & ~mask, outside)):
        box = bounding_box(error)
        if box is None:
            continue
        bx, by, x1, y1 = box
        crop = np.ascontiguousarray(error[by:y1, bx:x1]).view(np.uint8)
        _, numbered, stats, _ = cv2.connectedComponentsWithStats(crop, connectivity=8, ltype=cv2.CV_32S)
        for index in np.argsort(-stats[1:, 4])[:4] + 1:
            x, y, w, h, area = (int(v) for v in stats[index])
            if area >= MIN_ERROR:
                window = (slice(by + y, by + y + h), slice(bx + x, bx + x + w))
                own = np.where(numbered[y : y + h, x : x + w] == index, depths[window], 0)
                px, py, r = deepest(own)
                candidates.append((area, px + bx + x, py + by + y, label, r))
    for _, x, y, label, r in sorted(candidates, reverse=True):
        if (int(x), int(y)) not in taken:
            return x, y, label, r
    return None
