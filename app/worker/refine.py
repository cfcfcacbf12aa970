"""Mask → region in the context of a frame: the person's points first, distilled ones, an outline where
needed.
"""

from __future__ import annotations

import numpy as np

from app.algo.distil import RenderMask, distil_mask
from app.algo.outline import rasterise
from app.models import Certificate, Geometry, Point, quantise

BUDGET = 12
"""Points a region may have before an outline is the better description."""
PIXELS = 16_000_000
"""Pixels that may be rendered for one region: the time a person waits, whatever the frame's size."""


def to_region(
    mask: np.ndarray, asked: Geometry, draw: RenderMask, *, engine: str, weights: str, target: float
) -> tuple[Geometry, Certificate, np.ndarray]:
    """The geometry that gives `mask` (H, W) bool back, its certificate, and the mask as it will be rendered.

    `asked`: what the person placed; these points stay, ahead of those that are added. `draw`: points (n, 4)
    of this region → its (H, W) bool mask among the frame's other regions.
    """
    own = np.array([(p.x, p.y, p.label, p.r) for p in quantise(asked).points], np.float64).reshape(-1, 4)
    renders = max(6, min(40, PIXELS // mask.size))
    found = distil_mask(
        mask,
        draw,
        start_points=own,
        target=target,
        budget=max(BUDGET, len(own)),
        max_renders=renders,
    )
    outline = None
    drawn = found.mask
    if found.outline is not None:
        outline = [[(x, y) for x, y in ring.tolist()] for ring in found.outline]
    geometry = quantise(
        Geometry(
            points=[
                Point(x=x, y=y, label=1 if label > 0.5 else 0, r=r)
                for x, y, label, r in found.points.tolist()
            ],
            box=asked.box,
            text=asked.text,
            outline=outline,
        )
    )
    if geometry.outline:
        drawn = rasterise(geometry.outline, (mask.shape[0], mask.shape[1]))
    certificate = Certificate(
        engine="outline" if found.exact else engine,
        weights="" if found.exact else weights,
        iou=found.iou,
        boundary_f=found.boundary_f,
        target=target,
        exact=found.exact,
    )
    return geometry, certificate, drawn
