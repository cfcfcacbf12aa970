"""Masks as a point and an outline, without distilling: of tracks, and of regions that are put on another frame."""

from __future__ import annotations

import numpy as np

from app.algo.distil import outline_only
from app.algo.outline import rasterise
from app.algo.render import Crop
from app.models import Certificate, Geometry, Point, quantise
from app.worker.protocol import RegionSpec, Trace, TracedRegion

OUTLINE_TARGET = 0.98
"""IoU of the outline that describes a mask."""


def outlined(mask: np.ndarray, target: float, *, thorough: bool) -> tuple[Geometry, Certificate, int]:
    """The geometry of a mask (H, W) bool that is not empty, its certificate for `target`, its area in pixels.

    `thorough`: as in `outline_only`.
    """
    found = outline_only(mask, target=max(target, OUTLINE_TARGET), thorough=thorough)
    points = [Point(x=x, y=y, label=1, r=r) for x, y, _, r in found.points.tolist()]
    outline = [[(x, y) for x, y in ring.tolist()] for ring in found.outline or []]
    certificate = Certificate(
        engine="outline", iou=found.iou, boundary_f=found.boundary_f, target=target, exact=True
    )
    return quantise(Geometry(points=points, outline=outline)), certificate, int(np.count_nonzero(found.mask))


def traced(region: RegionSpec, crop: Crop, request: Trace) -> TracedRegion:
    """The region's shape without the engine that drew it as `crop`; an outline that it has is kept as it is."""
    mask = crop.full(request.frame.shape)
    if not mask.any():
        return TracedRegion()
    if not region.geometry.outline:
        geometry, certificate, area = outlined(mask, request.target, thorough=True)
        return TracedRegion(geometry=geometry, certificate=certificate, area=area)
    geometry = quantise(Geometry(points=region.geometry.points, outline=region.geometry.outline))
    certificate = Certificate(engine="outline", iou=1.0, boundary_f=1.0, target=request.target, exact=True)
    area = int(np.count_nonzero(rasterise(region.geometry.outline, request.frame.shape)))
    return TracedRegion(geometry=geometry, certificate=certificate, area=area)
