"""One mask from two walks through a video: forward from the anchor before, backward from the anchor behind.

A walk misses what its anchor did not show and what was hidden meanwhile far more often than it invents something.
So the nearer and surer walk decides, and what only the other one saw is added around it, the further the more both
count alike: in the middle their union, at an anchor its own walk. How far they agree is kept: it says where a person
should look.
"""

from __future__ import annotations

import cv2
import numpy as np

REACH = 80.0
"""Pixels around the leading mask in which the other is believed, times its share of the say; of a frame larger
than PIXELS more, in proportion."""
PIXELS = 854 * 480


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
    first = max(1.0 - share, 1e-3) * max(scores[0], 1e-3) ** 2
    second = max(share, 1e-3) * max(scores[1], 1e-3) ** 2
    leading, other = (forward, backward) if first >= second else (backward, forward)
    say = min(first, second) / (first + second)
    x, y, w, h = cv2.boundingRect((forward | backward).astype(np.uint8))
    part = np.s_[y : y + h, x : x + w]
    away = cv2.distanceTransform(1 - leading[part].astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    mask = leading.copy()
    mask[part] |= other[part] & (away < REACH * say * max(1.0, (forward.size / PIXELS) ** 0.5))
    return mask, both / either
