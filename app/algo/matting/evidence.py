"""What an image says about the surroundings of a mask's boundary: which side a pixel's colour belongs to, how sure
that is, and where the boundary is soft.

The colours of either side are a normal distribution around every place, of the mask's own pixels at some distance
from its boundary. A pixel is taken as a mix of the two means, as in Bayesian matting (Chuang et al., "A Bayesian
approach to digital matting", CVPR 2001), but in one step: its place between them in the metric of both covariances
(Fisher's discriminant), whose squared separation says how sure that is. Where pixels at some distance from the
boundary look like the other side, and more so than far from it, there are hairs, fur or blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

REACH = 32
"""Pixels from the boundary beyond which nothing is looked at."""
SURE = 6.0
"""Pixels from the boundary from which on a side's colours are learned."""
SPREAD = 16.0
"""Pixels (sigma) around a place from which its colours are learned; the narrower `SPREAD_SOFT` for softness."""
SPREAD_SOFT = 10.0
SHRINK = 4
"""Distributions change slowly: they are computed at this fraction of the size."""
NOISE = 4e-4
"""Variance of a colour that is nothing but noise."""
SEPARATION = 4.0
"""Squared separation of two sides at which one is half sure."""
NEAR, FAR = (2.5, 8.0), (16.0, 32.0)
"""Rings, in pixels from the boundary: where soft boundaries show, and where pixels are what the mask says."""
SLACK, SOFT = 0.01, 0.08
"""Excess of doubt in the near ring at which softness begins, and by which more it is complete."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """Attributes, all (h, w) float32:

    distance: pixels to the boundary of the mask, on both sides.
    likely: 0..1, alpha by the pixel's colour alone.
    trust: 0..1, how far that can be trusted.
    soft: 0..1, how soft the boundary is around here: 0 an edge, 1 hair.
    """

    distance: Floats
    likely: Floats
    trust: Floats
    soft: Floats


def distances(mask: NDArray[np.bool_]) -> Floats:
    """(h, w) float32: pixels from each pixel to the nearest one of the other side; huge where there is none."""
    inside = mask.view(np.uint8)
    if inside.all() or not inside.any():
        return np.full(mask.shape, np.float32(1e6))
    both = [cv2.distanceTransform(side, cv2.DIST_L2, 5) for side in (inside, 1 - inside)]
    return np.asarray(np.maximum(*both), np.float32)


def look(image: Floats, mask: NDArray[np.bool_]) -> Evidence:
    """What an image says around the boundary of a mask.

    Args:
        image: (h, w, 3) float32, 0..1.
        mask: (h, w) bool.
    """
    distance = distances(mask)
    sides = mask.astype(np.float32)
    learned = (distance > SURE).astype(np.float32)
    fore, back = (_normal(image, side * learned) for side in (sides, 1 - sides))
    shape = mask.shape
    spread = fore.spread + back.spread
    spread[..., range(3), range(3)] += NOISE
    gap = fore.mean - back.mean
    axis = np.linalg.solve(spread, gap[..., None])[..., 0]
    separation = (axis * gap).sum(-1)
    axis /= separation[..., None] + 1e-3
    known = np.minimum(fore.weight, back.weight) > 1e-3
    trust = np.where(known, separation / (separation + SEPARATION), 0).astype(np.float32)
    # axis · (image − mean), without a full-size copy of the means.
    offset = _grown((axis * back.mean).sum(-1), shape)
    likely = np.einsum("ijk,ijk->ij", image, _grown(axis, shape)) - offset
    likely = np.clip(likely, 0, 1)
    trust = _grown(trust, shape)
    doubt = np.abs(likely - sides)
    # Both sides must be soft: colours of one side that look like the other's are spots, not hair.
    inner, outer = (_excess(doubt, trust * side, distance) for side in (sides, 1 - sides))
    soft = np.clip((np.sqrt(inner * outer) - SLACK) / SOFT, 0, 1)
    return Evidence(distance, likely, trust, _grown(soft, shape))


@dataclass(frozen=True)
class _Normal:
    """Colours around places at a fraction of the size: how many there are, their mean and their covariance."""

    weight: Floats
    mean: Floats
    spread: Floats


def _normal(image: Floats, weight: Floats) -> _Normal:
    """The distribution of the colours of weighted pixels around every place."""
    total = _around(weight, SPREAD)
    share = 1 / (total + 1e-6)
    weighted = image * weight[..., None]
    mean = _around(weighted, SPREAD) * share[..., None]
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    spread = np.empty((*total.shape, 3, 3), np.float32)
    for i, j in pairs:
        moment = _around(weighted[..., i] * image[..., j], SPREAD) * share
        spread[..., i, j] = spread[..., j, i] = moment - mean[..., i] * mean[..., j]
    return _Normal(total, mean, spread)


def _excess(doubt: Floats, weight: Floats, distance: Floats) -> Floats:
    """By how much the weighted mean doubt around every place is larger near the boundary than far from it, at a
    fraction of the size.
    """

    def ring(least: float, most: float) -> Floats:
        chosen = weight * ((distance >= least) & (distance < most))
        return _around(doubt * chosen, SPREAD_SOFT) / (_around(chosen, SPREAD_SOFT) + 1e-3)

    return np.maximum(ring(*NEAR) - ring(*FAR), 0)


def _around(plane: Any, sigma: float) -> Any:
    """A plane (h, w[, c]) at a fraction of its size, averaged around every place."""
    height, width = plane.shape[:2]
    size = max(1, round(width / SHRINK)), max(1, round(height / SHRINK))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), sigma / SHRINK, borderType=cv2.BORDER_REPLICATE)


def _grown(plane: Any, shape: tuple[int, ...]) -> Any:
    """Back at full size."""
    return cv2.resize(plane.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
