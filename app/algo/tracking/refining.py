"""From cells to pixels: a colour guided filter pulls a coarse answer to the edges of the image.

K. He, J. Sun, X. Tang, "Guided image filtering", IEEE TPAMI 35(6), 2013; its coefficients are found at the working
size and applied at full size as in K. He, J. Sun, "Fast guided filter", arXiv 1505.00996, 2015.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.tracking.features import Floats

RADIUS = 2
EPSILON = 1e-3


def _box(plane: Floats) -> Floats:
    side = 2 * RADIUS + 1
    return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT)


def coefficients(guide: NDArray[Any], values: Floats) -> list[Floats]:
    """Slopes over red, green, blue (0..1) and the offset of `values` (h, w) over a guide (h, w, 3) uint8."""
    planes = [np.ascontiguousarray(guide[..., i]).astype(np.float32) / np.float32(255) for i in range(3)]
    red, green, blue = planes
    mr, mg, mb = (_box(plane) for plane in planes)
    mean = _box(values)
    c0, c1, c2 = (_box(plane * values) - m * mean for plane, m in zip(planes, (mr, mg, mb), strict=True))
    rr, gg, bb = (
        _box(plane * plane) - m * m + np.float32(EPSILON)
        for plane, m in zip(planes, (mr, mg, mb), strict=True)
    )
    rg, rb, gb = (_box(red * green) - mr * mg, _box(red * blue) - mr * mb, _box(green * blue) - mg * mb)
    i00, i01, i02 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    i11, i12, i22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    inverse = 1 / np.maximum(rr * i00 + rg * i01 + rb * i02, np.float32(1e-12))
    slopes = [
        (i00 * c0 + i01 * c1 + i02 * c2) * inverse,
        (i01 * c0 + i11 * c1 + i12 * c2) * inverse,
        (i02 * c0 + i12 * c1 + i22 * c2) * inverse,
    ]
    offset = mean - slopes[0] * mr - slopes[1] * mg - slopes[2] * mb
    return [_box(plane) for plane in (*slopes, offset)]


def applied(planes: list[Floats], guide: NDArray[Any]) -> Floats:
    """(H, W) float32: coefficients (h, w) at the size of a guide (H, W, 3) uint8."""
    shape = guide.shape[:2]
    if planes[0].shape != shape:
        planes = [cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes]
    out = planes[3].copy()
    for channel in range(3):
        out += planes[channel] * (guide[..., channel] * np.float32(1 / 255))
    return out
