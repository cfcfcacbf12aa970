"""Alpha as a linear function of the colour around every place: smoothed along edges, and carried to a larger image.

He, Sun and Tang, "Guided image filtering", TPAMI 2013, in colour; the fit at a smaller size than its use as in He and
Sun, "Fast guided filter", 2015.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def guided(
    image: Floats, alpha: Floats, *, guide: Floats | None = None, radius: int, regular: float
) -> Floats:
    """Alpha as the colours of an image explain it.

    Args:
        image: (H, W, 3) float32, 0..1.
        alpha: (h, w) float32, 0..1, of the same size or smaller.
        guide: (h, w, 3) float32, the image at the size of alpha; None = it is that size.
        radius: of the squares over which a fit is made, in pixels of alpha.
        regular: variance of colours below which a square is flat.

    Returns:
        (H, W) float32, 0..1.
    """
    guide = image if guide is None else guide
    side = (2 * radius + 1, 2 * radius + 1)

    def box(plane: Any) -> Any:
        return cv2.blur(plane, side, borderType=cv2.BORDER_REFLECT)

    means, level = box(guide), box(alpha)
    red, green, blue = cv2.split(guide)
    mr, mg, mb = cv2.split(means)
    rr, gg, bb = (box(c * c) - m * m + regular for c, m in ((red, mr), (green, mg), (blue, mb)))
    rg, rb, gb = box(red * green) - mr * mg, box(red * blue) - mr * mb, box(green * blue) - mg * mb
    pr, pg, pb = (box(c * alpha) - m * level for c, m in ((red, mr), (green, mg), (blue, mb)))
    # The inverse of a symmetric 3 × 3 matrix by its cofactors: ten times as fast as solving pixel by pixel.
    i_rr, i_rg, i_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    i_gg, i_gb, i_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1 / np.maximum(rr * i_rr + rg * i_rg + rb * i_rb, np.float32(1e-20))
    slope = cv2.merge(
        [
            (i_rr * pr + i_rg * pg + i_rb * pb) * scale,
            (i_rg * pr + i_gg * pg + i_gb * pb) * scale,
            (i_rb * pr + i_gb * pg + i_bb * pb) * scale,
        ]
    )
    rest = level - (slope[..., 0] * mr + slope[..., 1] * mg + slope[..., 2] * mb)
    slope, rest = box(slope), box(rest)
    if slope.shape[:2] != image.shape[:2]:
        size = image.shape[1], image.shape[0]
        slope, rest = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (slope, rest))
    out = np.einsum("ijk,ijk->ij", image, slope) + rest
    return np.clip(out, 0, 1)
