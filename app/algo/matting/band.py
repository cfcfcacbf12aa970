"""The band in which alpha is unknown: between what is surely foreground and what is surely background.

A band of one width is too narrow for hair or wastes its work on edges. Here its width follows the softness of the
boundary (`evidence`) and the doubt about the mask.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.matting.evidence import distances
from app.algo.matting.work import Work, factor_of

EDGE, HAIR = 8.0, 24.0
"""Pixels of the working size on either side of an edge, and of hair."""
DOUBTFUL = 2.0
"""How many times wider the band is, beyond once, where the mask is not sure at all."""
WIDTH = 10.0
"""Pixels of the working size on either side, where nobody looks at the image."""
UNKNOWN = 128

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def reshaped(mask: Bools, erode: int, dilate: int) -> Bools:
    """A mask (H, W) bool that shrank by `erode` pixels and then grew by `dilate`; the border of a frame is no edge."""
    out = np.ascontiguousarray(mask)
    if erode and not out.all():
        out = cv2.distanceTransform(out.view(np.uint8), cv2.DIST_L2, 5) > erode
    if dilate and out.any():
        out = cv2.distanceTransform(1 - out.view(np.uint8), cv2.DIST_L2, 5) <= dilate
    return np.asarray(out, np.bool_)


def trimap(
    mask: Bools, *, width: float | None = None, uncertainty: Floats | None = None, work: Work | None = None
) -> NDArray[np.uint8]:
    """The trimap of a mask.

    Args:
        mask: (H, W) bool.
        width: pixels of the band on either side of the boundary; None = as the softness of the boundary asks for
            where there is `work`, else by the size of the frame.
        uncertainty: (H, W) float32, 0..1, on the pixels of the mask, how unsure its boundary is around there.
        work: the part of the frame around the boundary, of the same mask.

    Returns:
        (H, W) uint8: 0 background, 128 unknown, 255 foreground.
    """
    out = np.where(mask, np.uint8(255), np.uint8(0))
    if work is None:
        reach = factor_of(mask.shape) * WIDTH if width is None else width
        out[distances(mask) <= reach * _wider(uncertainty, mask.shape)] = UNKNOWN
        return out
    seen = work.evidence
    reach = EDGE + (HAIR - EDGE) * seen.soft if width is None else width / work.factor
    part = None if uncertainty is None else work.shrunk(np.ascontiguousarray(uncertainty[work.box]))
    near = seen.distance <= reach * _wider(part, seen.distance.shape)
    out[work.box][work.grown(near.astype(np.float32)) > 0] = UNKNOWN
    return out


def _wider(uncertainty: Floats | None, shape: tuple[int, ...]) -> Any:
    """How many times wider than usual the band is, 1..1 + DOUBTFUL: what is said of a mask holds beside it too."""
    if uncertainty is None or not uncertainty.any():
        return 1.0
    side = max(3, round(min(max(shape), HAIR * (1 + DOUBTFUL))) | 1)
    most = cv2.dilate(uncertainty.astype(np.float32), np.ones((side, side), np.uint8))
    return 1 + DOUBTFUL * np.clip(most, 0, 1)
