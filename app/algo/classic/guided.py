"""Colour guided filter (He, Sun, Tang 2013) with the matrix part computed once per image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers

RADIUS = 6
EPSILON = 1e-3


class GuidedFilter:
    """Filters many maps with one RGB guide.

    Args:
        guide: (h, w, 3) uint8.
    """

    def __init__(self, guide: NDArray[np.uint8]) -> None:
        self._planes = [
            np.ascontiguousarray(guide[..., i]).astype(np.float32) / np.float32(255) for i in range(3)
        ]
        self._means = [self._box(p) for p in self._planes]
        r, g, b = self._planes
        mr, mg, mb = self._means
        rr = self._box(r * r) - mr * mr + EPSILON
        rg = self._box(r * g) - mr * mg
        rb = self._box(r * b) - mr * mb
        gg = self._box(g * g) - mg * mg + EPSILON
        gb = self._box(g * b) - mg * mb
        bb = self._box(b * b) - mb * mb + EPSILON
        i00, i01, i02 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
        i11, i12, i22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
        inverse = 1 / np.maximum(rr * i00 + rg * i01 + rb * i02, 1e-12)
        self._inverse = [x * inverse for x in (i00, i01, i02, i11, i12, i22)]

    @property
    def nbytes(self) -> int:
        """Bytes of the cached planes."""
        return sum(p.nbytes for p in (*self._planes, *self._means, *self._inverse))

    @staticmethod
    def _box(plane: Floats) -> Floats:
        side = 2 * RADIUS + 1
        return cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT)

    def coefficients(self, values: Floats) -> list[Floats]:
        """Smoothed slopes (three) and offset of `values` over the guide: four (h, w) planes."""
        mean = self._box(values)
        c0, c1, c2 = (
            self._box(plane * values) - m * mean for plane, m in zip(self._planes, self._means, strict=True)
        )
        i00, i01, i02, i11, i12, i22 = self._inverse
        slopes = [
            i00 * c0 + i01 * c1 + i02 * c2,
            i01 * c0 + i11 * c1 + i12 * c2,
            i02 * c0 + i12 * c1 + i22 * c2,
        ]
        offset = mean - sum(s * m for s, m in zip(slopes, self._means, strict=True))
        return [self._box(p) for p in (*slopes, offset)]

    def __call__(self, values: Floats) -> Floats:
        """Filter (h, w) float32 values."""
        a, b, c, d = self.coefficients(values)
        r, g, bl = self._planes
        return a * r + b * g + c * bl + d
