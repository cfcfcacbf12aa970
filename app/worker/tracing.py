"""What a region looks like on its frame, as a point and an outline: for putting it on another frame."""

from __future__ import annotations

import numpy as np

from app.algo.distil import outline_only
from app.algo.outline import rasterise
from app.algo.render import Crop
from app.models import Certificate, Geometry, Point, quantise
from app.worker.protocol import RegionSpec, Trace, TracedRegion

OUTLINE_TARGET = 0.98
"""IoU of the outline that describes a drawn mask."""


def traced(region: RegionSpec, crop: Crop, request: Trace) -> TracedRegion:
    """The region's shape without the engine that drew it as `crop`; an outline that it has is kept as it is."""
    shape = request.frame.shape
    mask = crop.full(shape)
    if not mask.any():
        return TracedRegion()
    if region.geometry.outline:
        geometry = Geometry(points=region.geometry.points, outline=region.geometry.outline)
        iou = boundary_f = 1.0
    else:
        found = outline_only(mask, target=max(request.target, OUTLINE_TARGET))
        points = [Point(x=x, y=y, label=1, r=r) for x, y, _, r in found.points.tolist()]
        outline = [[(x, y) for x, y in ring.tolist()] for ring in found.outline or []]
        geometry = Geometry(points=points, outline=outline)
        iou, boundary_f = found.iou, found.boundary_f
    geometry = quantise(geometry)
    return TracedRegion(
        geometry=geometry,
        certificate=Certificate(
            engine="outline", iou=iou, boundary_f=boundary_f, target=request.target, exact=True
        ),
        area=int(np.count_nonzero(rasterise(geometry.outline or [], shape))),
    )
