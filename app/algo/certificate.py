"""How alike two masks are: the figures of a certificate."""

from __future__ import annotations

import cv2
import numpy as np

from app.algo.fuse import bounding_box, union_box


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two (H, W) bool masks, 0..1; two empty masks are equal: 1."""
    union = int(np.count_nonzero(a | b))
    return 1.0 if union == 0 else int(np.count_nonzero(a & b)) / union


def boundary(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose right, lower or lower right neighbour is of the other kind."""
    mask = mask.astype(bool, copy=False)
    edge = np.zeros(mask.shape, bool)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def tolerance_px(shape: tuple[int, int], tolerance: float = 0.008) -> int:
    """The boundary tolerance in pixels: `tolerance` of the frame's diagonal, rounded up."""
    return int(np.ceil(tolerance * float(np.hypot(*shape))))


def boundary_f(
    a: np.ndarray, b: np.ndarray, *, tolerance: float = 0.008, shape: tuple[int, int] | None = None
) -> float:
    """F measure of two masks' boundaries, 0..1 (DAVIS, Perazzi et al. 2016, after Martin et al. 2004).

    A boundary pixel is matched where the other mask's boundary passes within `tolerance` of the frame's
    diagonal (a disc). Two masks without boundary give 1, one without gives 0. The DAVIS measure, computed by
    distance. `shape`: of the frame where the masks are crops of it, one pixel larger than what they show.
    """
    edge_a, edge_b = boundary(a), boundary(b)
    box = union_box(bounding_box(edge_a), bounding_box(edge_b))
    if box is None:
        return 1.0
    count_a, count_b = int(np.count_nonzero(edge_a)), int(np.count_nonzero(edge_b))
    if not count_a or not count_b:
        return 0.0
    reach = tolerance_px(shape or (a.shape[0], a.shape[1]), tolerance)
    x0, y0, x1, y1 = box
    edge_a, edge_b = edge_a[y0:y1, x0:x1], edge_b[y0:y1, x0:x1]
    precision = int(np.count_nonzero(edge_a & _within(edge_b, reach))) / count_a
    recall = int(np.count_nonzero(edge_b & _within(edge_a, reach))) / count_b
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _within(edge: np.ndarray, reach: int) -> np.ndarray:
    away = np.ascontiguousarray(~edge).view(np.uint8)
    # The 5×5 chamfer would be 3 times faster but errs by a pixel at this radius.
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach + 1e-3
