"""The part of a frame where a matte is made, at the size at which it is made.

Radii and windows are those of a frame of about `SIDE` × `SIDE` pixels. Larger frames are shrunk by a whole factor
first, and only what lies around the boundary of the mask is looked at, so that time and memory follow the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.matting.evidence import FAR, REACH, SPREAD, Evidence, look

SIDE = 700
MARGIN = REACH + SPREAD
"""Pixels of the working size around the boundary of the mask that are looked at."""
_UNIT = np.float32(1 / 255)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Work:
    """Attributes:

    box: the part of the frame, (rows, columns).
    factor: by how much it is shrunk.
    image: (h, w, 3) float32, 0..1, the part at full size.
    mask: (h, w) bool, likewise.
    """

    box: tuple[slice, slice]
    factor: int
    image: Floats
    mask: Bools

    @cached_property
    def small(self) -> Floats:
        """The image at the working size."""
        return self.shrunk(self.image)

    @cached_property
    def share(self) -> Floats:
        """Which share of a pixel of the working size the mask covers: (h, w) float32, 0..1."""
        return self.shrunk(self.mask.astype(np.float32))

    @cached_property
    def evidence(self) -> Evidence:
        """What the image says, at the working size."""
        return look(self.small, self.share >= 0.5)

    def shrunk(self, plane: Any) -> Any:
        """A plane of the part at the working size; float32."""
        if self.factor == 1:
            return plane
        height, width = self.mask.shape
        size = max(1, round(width / self.factor)), max(1, round(height / self.factor))
        return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)

    def grown(self, plane: Any) -> Any:
        """A plane (h, w) float32 of the working size at full size."""
        height, width = self.mask.shape
        if plane.shape == (height, width):
            return plane
        return cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)


def factor_of(shape: tuple[int, int]) -> int:
    """By how much a frame (H, W) is shrunk."""
    return max(1, int((shape[0] * shape[1]) ** 0.5 / SIDE + 0.5))


def work_on(image: NDArray[np.uint8], mask: Bools, *, beyond: float = 0.0) -> Work | None:
    """The part of a frame around the boundary of a mask; None where the mask has none.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool.
        beyond: pixels around the boundary that must be in it, where they are more than usual.
    """
    rows, columns = _boundary(mask)
    if not rows.size:
        return None
    factor = factor_of(mask.shape)
    margin = int(max(MARGIN * factor, beyond + FAR[0] * factor)) + 1
    box = _slice(rows, margin, mask.shape[0]), _slice(columns, margin, mask.shape[1])
    part = np.multiply(image[box], _UNIT, dtype=np.float32)
    return Work(box, factor, part, np.ascontiguousarray(mask[box]))


def _boundary(mask: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first and last rows and columns where a mask has a boundary; empty where it has none."""
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    rows = np.flatnonzero(np.append(across.any(1), down.any(1)))
    columns = np.flatnonzero(np.append(down.any(0), across.any(0)))
    height, width = mask.shape
    return rows % height if rows.size else rows, columns % width if columns.size else columns


def _slice(places: NDArray[np.intp], margin: int, most: int) -> slice:
    return slice(max(0, int(places.min()) - margin), min(most, int(places.max()) + margin + 2))
