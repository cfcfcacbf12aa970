"""One mask from two walks through a video: forward from the anchor before, backward from the anchor behind.

Where both see the object, their signed distances are averaged (shape-based interpolation: Raya and Udupa,
"Shape-based interpolation of multidimensional objects", IEEE TMI 9(1), 1990), the nearer and surer walk counting
more. How far they agree is kept: it says where a person should look.
"""

from __future__ import annotations

import cv2
import numpy as np

REACH = 32.0
"""Distances beyond this many pixels count alike, so that a far part of one walk does not outweigh the other."""


def fuse(
    forward: np.ndarray | None,
    backward: np.ndarray | None,
    share: float,
    scores: tuple[float, float] = (1.0, 1.0),
) -> tuple[np.ndarray | None, float]:
    """The mask of an object between two of its anchors, and the agreement of the walks.

    `forward`, `backward`: (H, W) bool, None or empty where the walk did not see the object; `share`: where the
    frame lies between the anchors, 0 at the first to 1 at the second; `scores`: how sure the walks are, 0..1.

    Returns (mask, None where neither saw it; IoU of the two masks, 1 where neither saw it).
    """
    seen = [mask is not None and bool(np.any(mask)) for mask in (forward, backward)]
    if forward is None or backward is None or not all(seen):
        if not any(seen):
            return None, 1.0
        return (forward if seen[0] else backward), 0.0
    both = int(np.count_nonzero(forward & backward))
    either = int(np.count_nonzero(forward | backward))
    if both == either:
        return forward, 1.0
    x, y, w, h = cv2.boundingRect((forward | backward).astype(np.uint8))
    part = np.s_[y : y + h, x : x + w]
    first = max(1.0 - share, 1e-3) * max(scores[0], 1e-3)
    second = max(share, 1e-3) * max(scores[1], 1e-3)
    blend = first * _signed(forward[part]) + second * _signed(backward[part])
    mask = np.zeros(forward.shape, bool)
    mask[part] = blend > 0
    if not mask.any():
        # They lie apart, and between them is nothing: one of them must be wrong.
        mask = forward if first >= second else backward
    return mask, both / either


def _signed(mask: np.ndarray) -> np.ndarray:
    """(h, w) float32: distance to the edge of the mask in pixels, positive inside, at most REACH."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.clip(inside - outside, -REACH, REACH)
