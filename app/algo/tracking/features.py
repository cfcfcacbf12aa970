"""What the tracker computes once for a frame, whatever the number of objects.

Cells of a few pixels carry colour (Lab) and four averages of the positive and negative gradient, square-rooted as
in SURF-like and HOG-like descriptors (Bay et al., "SURF", ECCV 2006; Dalal and Triggs, CVPR 2005), scaled so that
one squared distance serves for all.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Bools = NDArray[np.bool_]

WORK_PIXELS = 854 * 480
"""Larger frames are followed at about this many pixels."""
CHANNELS = 7
LIGHTNESS, COLOUR, GRADIENT = 1.0, 1.3, 6.0
"""Weights of L, of a and b, and of the square root of the gradient (L a pixel)."""
COARSE = 16
"""Side in pixels of the cells by which cuts are found."""
CUT_REACH = 2
"""Coarse cells that a picture may move between two frames of one shot."""
CUT = 240.0
"""Mean squared distance of coarse cells from which on two frames belong to different shots."""


def working_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """(h, w) at which frames of a shape (H, W) are followed."""
    scale = min(1.0, (WORK_PIXELS / (shape[0] * shape[1])) ** 0.5)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def grid_of(shape: tuple[int, int], cell: int) -> tuple[int, int]:
    """(rows, columns) of cells of a side in pixels that cover (h, w)."""
    return -(-shape[0] // cell), -(-shape[1] // cell)


def shrunk(plane: Floats, shape: tuple[int, int]) -> Floats:
    """Area averages of (h, w) or (h, w, C) float32 on a grid (rows, columns)."""
    return cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA)


class Frame:
    """A frame's features; what is not asked for is not computed.

    Args:
        image: (H, W, 3) uint8 RGB. It is referred to until `release`.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self.shape: tuple[int, int] = (image.shape[0], image.shape[1])
        self.work = working_shape(self.shape)
        self._cells: dict[int, Floats] = {}

    @cached_property
    def small(self) -> NDArray[Any]:
        """(h, w, 3) uint8 at the working size."""
        if self.work == self.shape:
            return self.image
        return cv2.resize(self.image, self.work[::-1], interpolation=cv2.INTER_AREA)

    @cached_property
    def _planes(self) -> list[Floats]:
        """Lab and the halves of its gradient at the working size, before they are averaged."""
        lab = cv2.cvtColor(self.small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
        lightness = np.ascontiguousarray(lab[..., 0])
        dx = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        dy = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        zero = np.float32(0)
        halves = [np.maximum(dx, zero), np.maximum(-dx, zero), np.maximum(dy, zero), np.maximum(-dy, zero)]
        return [lab, *halves]

    def cells(self, cell: int) -> Floats:
        """(CHANNELS, rows, columns) float32 for cells of `cell` pixels."""
        if cell not in self._cells:
            grid = grid_of(self.work, cell)
            out = np.empty((CHANNELS, *grid), np.float32)
            lab, *halves = self._planes
            weights = np.array([LIGHTNESS, COLOUR, COLOUR], np.float32)
            out[:3] = np.moveaxis(shrunk(lab, grid) * weights, 2, 0)
            for channel, half in enumerate(halves, 3):
                out[channel] = np.sqrt(shrunk(half, grid)) * np.float32(GRADIENT)
            self._cells[cell] = out
        return self._cells[cell]

    @cached_property
    def grey(self) -> NDArray[Any]:
        """(h/2, w/2) uint8 for optical flow."""
        height, width = (max(1, side // 2) for side in self.work)
        grey = cv2.cvtColor(self.small, cv2.COLOR_RGB2GRAY)
        return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)

    @cached_property
    def coarse(self) -> Floats:
        """(CHANNELS, rows, columns) float32 for cells of COARSE pixels."""
        return self.cells(COARSE)

    def release(self) -> None:
        """Keep only what the next frame is compared with: `grey` and `coarse`."""
        _ = self.grey, self.coarse
        self._cells.clear()
        for name in ("small", "_planes"):
            self.__dict__.pop(name, None)
        self.image = np.zeros((0, 0, 3), np.uint8)


def is_cut(frame: Frame, before: Frame) -> bool:
    """Whether a shot ends between two frames: no small shift makes their coarse cells alike."""
    reach = CUT_REACH
    rows, columns = frame.coarse.shape[1:]
    padded = np.pad(before.coarse, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    best = np.full((rows, columns), np.inf, np.float32)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            difference = frame.coarse - padded[:, dy : dy + rows, dx : dx + columns]
            np.minimum(best, np.einsum("crk,crk->rk", difference, difference), out=best)
    return float(best.mean()) > CUT
