"""Mask → region in the context of a frame: the person's points first, distilled ones, an outline where
needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from app.algo.certificate import boundary_f, iou
from app.algo.outline import rasterise, simplify_to
from app.models import Certificate, Geometry, Point, quantise

Draw = Callable[[np.ndarray], np.ndarray]
"""(N, 4) points (x, y, label, r) → the (H, W) bool mask that they render to among the frame's other
regions.
"""

BUDGET = 24
"""Points a region may have before an outline is the better description."""


def to_region(
    mask: np.ndarray, asked: Geometry, draw: Draw, *, engine: str, weights: str, target: float
) -> tuple[Geometry, Certificate, np.ndarray]:
    """The geometry that gives `mask` (H, W) bool back, its certificate, and the mask as it will be rendered.

    `asked`: what the person placed; these points stay, ahead of those that are added.
    """
    points = np.array([(p.x, p.y, p.label, p.r) for p in asked.points], np.float64).reshape(-1, 4)
    drawn = draw(points)
    geometry = quantise(
        Geometry(
            points=[
                Point(x=x, y=y, label=1 if label > 0.5 else 0, r=r) for x, y, label, r in points.tolist()
            ],
            box=asked.box,
            text=asked.text,
        )
    )
    reached = iou(drawn, mask)
    exact = False
    if reached < target:
        rings, _ = simplify_to(mask, target)
        geometry.outline = [[(x, y) for x, y in ring.tolist()] for ring in rings]
        geometry = quantise(geometry)
        drawn = rasterise(geometry.outline or [], (mask.shape[0], mask.shape[1]))
        reached = iou(drawn, mask)
        exact = True
    certificate = Certificate(
        engine="outline" if exact else engine,
        weights="" if exact else weights,
        iou=reached,
        boundary_f=boundary_f(drawn, mask),
        target=target,
        exact=exact,
    )
    return geometry, certificate, drawn
