"""How much an alpha flickers where the picture stands still, which needs no true alpha.

dtSSD (Erofeev et al., "Perceptually motivated benchmark for video matting", BMVC 2015) over the places whose
surroundings did not change since the frame before: there alpha should not change, either.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SHRINK = 4
"""Changes are looked at at this fraction of the size, so that the noise of a camera is no change."""
STILL = 3.0
"""Levels of a colour by which a place may differ and still be the same."""

Floats = NDArray[np.float32]


class Glance(NamedTuple):
    """A frame and its alpha at a fraction of their size: (h, w, 3) levels and (h, w) 0..1, float32."""

    colours: Floats
    alpha: Floats


def glance(image: NDArray[np.uint8], alpha: Floats) -> Glance:
    """`image`: (H, W, 3) uint8 RGB; `alpha`: (H, W) float32."""
    height, width = alpha.shape
    size = max(1, width // SHRINK), max(1, height // SHRINK)
    colours = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return Glance(np.asarray(colours, np.float32), np.asarray(small, np.float32))


class Flicker:
    """Takes the frames of a target in order."""

    def __init__(self) -> None:
        self._before: Glance | None = None
        self._total, self._pairs = 0.0, 0

    def add(self, seen: Glance) -> None:
        before, self._before = self._before, seen
        if before is None:
            return
        still = np.abs(cv2.blur(seen.colours - before.colours, (3, 3))).max(axis=2) < STILL
        touched = still & ((seen.alpha > 0) | (before.alpha > 0))
        if touched.any():
            step = (seen.alpha - before.alpha)[touched]
            self._total += math.sqrt(float(np.square(step).mean(dtype=np.float64)))
            self._pairs += 1

    @property
    def dtssd(self) -> float | None:
        """The mean over pairs of neighbours, × 100; None where nothing of the target stood still."""
        return 100 * self._total / self._pairs if self._pairs else None
