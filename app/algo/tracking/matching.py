"""Votes of remembered frames on a new one: every cell asks the most similar patches nearby what they were.

Matching patches of earlier frames and passing their labels on is the space-time memory of S. W. Oh et al., "Video
object segmentation using space-time memory networks", ICCV 2019, with plain patch distances in place of learned
keys, close to the non-local label propagation of P. Coupé et al., NeuroImage 54(2), 2011, and within a window as
in "Kernelized memory network" (H. Seong et al., ECCV 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.tracking.features import CHANNELS, Floats

REACH = 10
"""Cells around the expected place that are searched."""
DENSE = 3
"""Cells around the expected place where every shift is tried; further out every second."""
MARGIN = 2 * REACH + 4
"""Cells by which memories are continued beyond their edges."""
PATCH = 3
"""Cells along the side of the patches that are compared."""
TEMPERATURE = 4.0
"""Difference of squared distances that lets a vote count e times less."""
DISTANCE_COST = 1.0
"""Squared distance added for a shift by one cell, and quadratically on."""
FLOW_COST = 20.0
"""Cost of a shift that optical flow does not confirm, at most that of its length."""

Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in cells, the last two excluded."""


def _disc(reach: int, dense: int) -> NDArray[np.intp]:
    side = np.arange(-reach, reach + 1)
    dy, dx = (plane.ravel() for plane in np.meshgrid(side, side, indexing="ij"))
    length = dy * dy + dx * dx
    kept = (length <= dense * dense) | ((length <= reach * reach) & (dy % 2 == 0) & (dx % 2 == 0))
    return np.stack([dy[kept], dx[kept]], 1)


SHIFTS = _disc(REACH, DENSE)


@dataclass(eq=False)
class Memory:
    """A frame whose mask is known.

    `cells`: (CHANNELS, rows + 2 MARGIN, columns + 2 MARGIN) float32; `labels`: (rows + 2 MARGIN, columns +
    2 MARGIN) float32, the share of each cell that the object covers; `offset`: (dy, dx) in cells from a place on
    the newest frame to the same thing here.
    """

    cells: Floats
    labels: Floats
    offset: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def of(cls, cells: Floats, labels: Floats) -> Memory:
        """From (CHANNELS, rows, columns) and (rows, columns)."""
        around = (MARGIN, MARGIN)
        return cls(np.pad(cells, ((0, 0), around, around), mode="edge"), np.pad(labels, around, mode="edge"))

    @property
    def inner(self) -> Floats:
        """(rows, columns) float32: the labels within the frame."""
        return self.labels[MARGIN:-MARGIN, MARGIN:-MARGIN]

    @property
    def inner_cells(self) -> Floats:
        return self.cells[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


@dataclass(frozen=True, eq=False)
class Vote:
    """What a memory says of the cells of a box. `share`: (h, w) float32 0..1, of the object; `distance`: (h, w)
    float32, squared distance to the most similar patch; `shift`: (h, w) rows of `SHIFTS`, where it lies.
    """

    share: Floats
    distance: Floats
    shift: NDArray[np.intp]


def vote(cells: Floats, memory: Memory, box: Box, flow: Floats | None = None) -> Vote:
    """What `memory` says of the cells of a frame (CHANNELS, rows, columns) within a box.

    `flow`: (h, w, 2) float32, where the cells of the box lie in the memory by optical flow, as (dx, dy) in cells;
    those places are candidates too, and shifts near them cost nothing.
    """
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    here = np.ascontiguousarray(cells[:, top:bottom, left:right])
    rows, columns = cells.shape[1:]
    base = np.rint(memory.offset).astype(int)
    count = len(SHIFTS) + (flow is not None)
    distances = np.empty((count, height, width), np.float32)
    places: list[tuple[int, int]] = []
    buffer = np.empty_like(here)
    for k, (dy, dx) in enumerate(SHIFTS.tolist()):
        y = min(max(top + dy + base[0], -MARGIN), rows + MARGIN - height) + MARGIN
        x = min(max(left + dx + base[1], -MARGIN), columns + MARGIN - width) + MARGIN
        places.append((y, x))
        np.subtract(here, memory.cells[:, y : y + height, x : x + width], out=buffer)
        np.multiply(buffer, buffer, out=buffer)
        plane = distances[k]
        np.add.reduce(buffer, 0, out=plane)
        cv2.blur(plane, (PATCH, PATCH), dst=plane, borderType=cv2.BORDER_REPLICATE)
        cost = DISTANCE_COST * (dy * dy + dx * dx)
        if flow is None:
            plane += cost
        else:
            apart = (flow[..., 0] - (dx + base[1])) ** 2 + (flow[..., 1] - (dy + base[0])) ** 2
            plane += np.minimum(DISTANCE_COST * apart, cost + FLOW_COST)
    flowed = np.zeros((height, width), np.float32)
    if flow is not None:
        distances[-1], flowed = _carried(here, memory, box, flow)
    shift = distances[: len(SHIFTS)].argmin(0)
    nearest = distances.min(0)
    distances -= nearest
    distances *= -1 / TEMPERATURE
    np.exp(distances, out=distances)
    share = np.zeros((height, width), np.float32)
    for plane, (y, x) in zip(distances, places, strict=False):
        share += plane * memory.labels[y : y + height, x : x + width]
    if flow is not None:
        share += distances[-1] * flowed
    share /= distances.sum(0)
    return Vote(share, nearest, shift)


def _carried(here: Floats, memory: Memory, box: Box, flow: Floats) -> tuple[Floats, Floats]:
    """Squared patch distance of each cell to where flow puts it in the memory, and the label there."""
    top, left, bottom, right = box
    x, y = np.meshgrid(
        np.arange(left, right, dtype=np.float32) + MARGIN, np.arange(top, bottom, dtype=np.float32) + MARGIN
    )
    x, y = x + flow[..., 0], y + flow[..., 1]

    def take(plane: Floats) -> Floats:
        return cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    distance = np.zeros(here.shape[1:], np.float32)
    for channel in range(CHANNELS):
        distance += (here[channel] - take(memory.cells[channel])) ** 2
    return cv2.blur(distance, (PATCH, PATCH), borderType=cv2.BORDER_REPLICATE), take(memory.labels)


def residual(cells: Floats, memory: Memory, box: Box, offset: NDArray[np.float64]) -> Floats:
    """(h, w) float32: squared patch distance of the cells of a box to those that lie `offset` (dy, dx) from them
    in the memory, to a cell."""
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    rows, columns = cells.shape[1:]
    here = cells[:, top:bottom, left:right]
    base_y, base_x = np.rint(offset).astype(int).tolist()
    least = np.full((height, width), np.inf, np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y = min(max(top + dy + base_y, -MARGIN), rows + MARGIN - height) + MARGIN
            x = min(max(left + dx + base_x, -MARGIN), columns + MARGIN - width) + MARGIN
            difference = here - memory.cells[:, y : y + height, x : x + width]
            plane = np.add.reduce(np.multiply(difference, difference, out=difference), 0)
            np.minimum(least, cv2.blur(plane, (PATCH, PATCH), borderType=cv2.BORDER_REPLICATE), out=least)
    return least
