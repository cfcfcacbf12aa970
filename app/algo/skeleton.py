"""Points along the skeleton of elongated and branched masks."""

from __future__ import annotations

import cv2
import numpy as np

from app.algo.fuse import bounding_box

MAX_SIDE = 960
"""Longest side in px of the crop that is thinned: Lee's thinning takes seconds at 1080p."""
MIN_CLUSTER = 3


def skeleton_points(
    mask: np.ndarray, depths: np.ndarray, limit: int, first: tuple[float, float, float]
) -> list[tuple[float, float, float]]:
    """Up to `limit` (x, y, r) at local maxima of the depth along the skeleton, none inside another's disc.

    `mask`: (H, W) bool; `depths`: its exact distance transform; `first`: the point that is there already.
    The skeleton is Lee's (1994), taken on the padded bounding box scaled to 960 px; near maxima are merged
    by HDBSCAN (Campello 2013).
    """
    from skimage.morphology import skeletonize

    box = bounding_box(mask)
    if box is None or limit < 1:
        return []
    x0, y0, x1, y1 = box
    crop = np.pad(mask[y0:y1, x0:x1].astype(np.uint8), 1)
    scale = min(1.0, MAX_SIDE / max(crop.shape))
    if scale < 1:
        size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    rows, columns = np.nonzero(skeletonize(crop > 0, method="lee"))
    if not rows.size:
        return []
    x = np.clip(np.floor((columns + 0.5) / scale).astype(int) - 1 + x0, x0, x1 - 1)
    y = np.clip(np.floor((rows + 0.5) / scale).astype(int) - 1 + y0, y0, y1 - 1)
    along = np.zeros(mask.shape, np.float32)
    along[y, x] = depths[y, x]
    window = along[y0:y1, x0:x1]
    peaks = (window > 0) & (window >= cv2.dilate(window, np.ones((5, 5), np.uint8)))
    rows, columns = np.nonzero(peaks)
    found = np.stack([columns + x0, rows + y0, window[peaks]], axis=1).astype(np.float64)
    merged = merge_near(found)
    chosen = np.array([first])
    while len(chosen) <= limit and len(merged):
        away = np.hypot(merged[:, None, 0] + 0.5 - chosen[:, 0], merged[:, None, 1] + 0.5 - chosen[:, 1])
        open_ = (away > np.maximum(merged[:, None, 2], chosen[:, 2])).all(axis=1)
        if not open_.any():
            break
        # Deep and far from what is there: equal depths (a comb's teeth) spread out instead of huddling.
        best = int(np.argmax(np.where(open_, away.min(axis=1) * merged[:, 2], -1.0)))
        chosen = np.concatenate([chosen, [[merged[best, 0] + 0.5, merged[best, 1] + 0.5, merged[best, 2]]]])
    return [(float(x), float(y), float(r)) for x, y, r in chosen[1:]]


def merge_near(found: np.ndarray) -> np.ndarray:
    """Of every dense cluster of candidates (n, 3) x, y, r only the deepest stays; lone ones stay."""
    if len(found) < 4 * MIN_CLUSTER:
        # HDBSCAN raises on a single point and finds nothing in a few.
        return found
    from hdbscan import HDBSCAN

    scaled = found[:, :2] / np.maximum(found[:, 2:3], 1.0).mean()
    labels = (
        HDBSCAN(min_cluster_size=MIN_CLUSTER, cluster_selection_epsilon=0.5, core_dist_n_jobs=1)
        .fit(scaled)
        .labels_
    )
    kept = [index for index in range(len(found)) if labels[index] < 0]
    for cluster in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == cluster)
        # A cluster may be a whole limb: one point for each stretch of twice its own depth.
        left = members[np.argsort(-found[members, 2], kind="stable")]
        while left.size:
            best = left[0]
            kept.append(int(best))
            away = np.hypot(*(found[left, :2] - found[best, :2]).T)
            left = left[away > 2 * found[best, 2]]
    return found[sorted(kept)]
