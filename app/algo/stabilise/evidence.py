"""Where labels flicker: both neighbours agree against a frame, thickly, again and again.

Labels that follow what moves differ from their neighbours too, but by slivers that the flow is off by, and the
neighbours then differ from each other as well. So counted are the pixels of which the frame before and the frame after
say the same and the frame says otherwise, in patches of a few pixels' thickness, for every pixel of boundary around:
a ratio near 0 for labels that are steady or move, and far above for labels whose boundaries tremble or whose
components come and go.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from app.algo.stabilise.seats import Bools, Bytes, Floats, Seat, scale_of

CELL_PX = 16
THICK_PX = 3
"""Side of the squares that a patch must hold. Both at the size that lengths are given for (`seats.REFERENCE`)."""
AROUND = 9
"""Side in cells of the surroundings that are counted together."""
NEAR = 4
"""Frames before and after that are counted together with a frame, as far as they are known."""
FLICKER = 0.17
"""Patched pixels for a pixel of boundary from which on there is evidence."""
PRIOR_PX = 300.0
"""Pixels of boundary that the frame as a whole counts for in the surroundings."""
TRUSTED = 128


@dataclass(frozen=True)
class _Count:
    """Of one frame, per cell: pixels in patches, and pixels of boundary."""

    frame: int
    shot: int
    patches: Floats
    boundary: Floats


class Evidence:
    """Counts as frames arrive: `watch` each as soon as the next one is there, then ask `of` it."""

    def __init__(self) -> None:
        self._counts: deque[_Count] = deque(maxlen=2 * NEAR + 1)

    def watch(self, seat: Seat) -> None:
        """Count a frame against its two neighbours; at the ends of a shot there is nothing to count."""
        if seat.earlier is None or seat.later is None:
            return
        own, before, after = seat.shot.labels, seat.earlier, seat.later
        trusted = (before.trust >= TRUSTED) & (after.trust >= TRUSTED)
        alone = (before.labels == after.labels) & (before.labels != own) & trusted
        scale = scale_of(own.shape)
        side = max(3, 2 * round((THICK_PX * scale - 1) / 2) + 1)
        patches = cv2.morphologyEx(alone.view(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
        boundary = trusted & (seat.inner == 0)
        counted = (_cells(mask, scale) for mask in (patches, boundary.view(np.uint8)))
        self._counts.append(_Count(seat.serial, seat.shot_serial, *counted))

    def of(self, seat: Seat) -> Bools:
        """(H, W) bool: where there is evidence of flicker around this frame."""
        height, width = seat.shot.labels.shape
        counts = [
            one
            for one in self._counts
            if one.shot == seat.shot_serial and abs(one.frame - seat.serial) <= NEAR
        ]
        if not counts:
            return np.zeros((height, width), bool)
        patches = np.sum([count.patches for count in counts], axis=0)
        boundary = np.sum([count.boundary for count in counts], axis=0)
        whole = patches.sum() / max(1.0, float(boundary.sum()))
        prior = PRIOR_PX * scale_of((height, width)) * len(counts)
        box = (AROUND, AROUND)
        near, edge = (
            cv2.boxFilter(cells, cv2.CV_32F, box, normalize=False, borderType=cv2.BORDER_CONSTANT)
            for cells in (patches, boundary)
        )
        ratio = (near + prior * whole) / (edge + prior)
        return cv2.resize(ratio, (width, height), interpolation=cv2.INTER_LINEAR) > FLICKER


def _cells(mask: Bytes, scale: float) -> Floats:
    """Pixels of a mask (H, W) uint8 in each cell."""
    cell = max(4.0, CELL_PX * scale)
    height, width = mask.shape
    grid = (max(1, round(width / cell)), max(1, round(height / cell)))
    share = cv2.resize(mask.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    return share * np.float32(height * width / (grid[0] * grid[1]))
