"""The colours of what is in front, without those that shine through from behind.

Germer et al., "Fast multi-level foreground estimation", ICPR 2020: colours of both sides that mix to the image, and
are smooth where alpha changes, from the smallest size to the working one. The colours of the full size follow from
those by one step of Forte, "Approximate fast foreground colour estimation", ICIP 2021.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MOST = 120_000
"""Pixels of the working size."""
SMOOTH, ALONG = 1e-5, 1.0
"""How smooth colours are: everywhere, and in addition by the change of alpha."""
SMALL, STEPS_SMALL, STEPS = 32, 20, 4
"""Steps at sizes up to SMALL pixels wide or high, and at larger ones."""
MARGIN = 24
"""Pixels around soft ones whose colours are estimated."""
HARD = np.float32(0.5 / 255)
_SIDES = ((0, 1), (2, 1), (1, 0), (1, 2))

Floats = NDArray[np.float32]


def foreground(image: NDArray[np.uint8], alpha: Floats) -> NDArray[np.uint8]:
    """The colours of what is in front.

    Args:
        image: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32, 0..1.

    Returns:
        (H, W, 3) uint8 RGB: the image where alpha is 1, estimates where it is soft and just beside, and black far from
        anything in front, so that nothing of the background leaves with it.
    """
    front = alpha >= 1 - HARD
    out = np.where(front[..., None], image, np.uint8(0))
    soft = (alpha > HARD) & ~front
    rows, columns = np.flatnonzero(soft.any(1)), np.flatnonzero(soft.any(0))
    if not rows.size:
        return out
    box = _slice(rows, alpha.shape[0]), _slice(columns, alpha.shape[1])
    part = np.multiply(image[box], np.float32(1 / 255), dtype=np.float32)
    cover = np.ascontiguousarray(alpha[box], np.float32)
    size = cover.shape[1], cover.shape[0]
    fore, back = (
        cv2.resize(side, size, interpolation=cv2.INTER_LINEAR) for side in _both(*_shrunk(part, cover))
    )
    weight = cover[..., None]
    fore += weight * (part - weight * fore - (1 - weight) * back)
    found = np.rint(np.clip(fore, 0, 1) * 255).astype(np.uint8)
    out[box] = np.where(front[box][..., None], image[box], found)
    return out


def _slice(places: NDArray[np.intp], most: int) -> slice:
    return slice(max(0, int(places[0]) - MARGIN), min(most, int(places[-1]) + MARGIN + 1))


def _shrunk(image: Any, alpha: Any) -> tuple[Any, Any]:
    """Both at the working size."""
    share = (MOST / alpha.size) ** 0.5
    if share >= 1:
        return image, alpha
    size = max(1, round(alpha.shape[1] * share)), max(1, round(alpha.shape[0] * share))
    image, alpha = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (image, alpha))
    return image, alpha


def _both(image: Any, alpha: Any) -> tuple[Any, Any]:
    """The colours of both sides: (h, w, 3) float32 each, 0..1."""
    height, width = alpha.shape
    levels = max(1, int(np.ceil(np.log2(max(height, width)))))
    fore, back = (_mean(image, side)[None, None] for side in (alpha, 1 - alpha))
    for level in range(levels + 1):
        size = round(width ** (level / levels)), round(height ** (level / levels))
        mixed, cover = (
            cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], *plane.shape[2:])
            for plane in (image, alpha)
        )
        fore, back = (
            cv2.resize(side, size, interpolation=cv2.INTER_NEAREST).reshape(size[1], size[0], 3)
            for side in (fore, back)
        )
        steps = STEPS_SMALL if max(size) <= SMALL else STEPS
        fore, back = _refined(mixed, cover, fore, back, steps)
    return fore, back


def _mean(image: Any, weight: Any) -> Any:
    """The weighted mean colour (3,), the plain one where nothing has weight."""
    total = weight.sum(dtype=np.float64)
    mean = (
        np.einsum("ijk,ij->k", image, weight, dtype=np.float64) / total if total > 0 else image.mean((0, 1))
    )
    return mean.astype(np.float32)


def _refined(image: Any, alpha: Any, fore: Any, back: Any, steps: int) -> tuple[Any, Any]:
    """Both sides' colours after some Jacobi steps on what they mix to and on their four neighbours'."""
    height, width = alpha.shape
    padded = np.pad(alpha, 1, "edge")
    weights = [SMOOTH + ALONG * np.abs(alpha - _beside(padded, height, width, *side)) for side in _SIDES]
    total = np.sum(weights, 0)
    rest = 1 - alpha
    # For every pixel two equations in its two colours; their inverse.
    own, mixed, other = alpha * alpha + total, alpha * rest, rest * rest + total
    scale = 1 / (own * other - mixed * mixed)
    to_own, to_mixed, to_other = ((plane * scale)[..., None] for plane in (other, -mixed, own))
    seen_fore, seen_back = alpha[..., None] * image, rest[..., None] * image
    for _ in range(steps):
        pull_fore, pull_back = seen_fore.copy(), seen_back.copy()
        around_fore, around_back = (np.pad(side, ((1, 1), (1, 1), (0, 0)), "edge") for side in (fore, back))
        for side, weight in zip(_SIDES, weights, strict=True):
            pull_fore += weight[..., None] * _beside(around_fore, height, width, *side)
            pull_back += weight[..., None] * _beside(around_back, height, width, *side)
        fore = np.clip(to_own * pull_fore + to_mixed * pull_back, 0, 1)
        back = np.clip(to_mixed * pull_fore + to_other * pull_back, 0, 1)
    return fore, back


def _beside(padded: Any, height: int, width: int, y: int, x: int) -> Any:
    """A padded plane as its neighbours on one side see it."""
    return padded[y : y + height, x : x + width]
