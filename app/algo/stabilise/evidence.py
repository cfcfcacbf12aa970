"""Where labels flicker: both neighbours agree against a frame, thickly, again and again.

Labels that follow what moves differ from their neighbours too, but by slivers that the flow is off by, and then the
neighbours differ from each other as well, twice as much: what drifts is no flicker. So counted are the pixels of which
the frame before and the frame after say the same and the frame says otherwise, in patches of a few pixels' thickness,
less a share of those where the two differ from each other, for every pixel of boundary around. The ratio is near 0 for
labels that are steady or move, and far above for those whose boundaries tremble or whose components come and go.

Of all the boundaries of a frame and of those around it in time much less is needed as evidence than of a few.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from app.algo.stabilise.seats import DEEP, Bools, Floats, Seat, scale_of

CELL_PX = 16
"""Side of the cells in which pixels are counted."""
THICK_PX = 3
"""Side of the squares that a patch must hold."""
FAULT_PX = 11
"""Side of those of which one alone is evidence: a component is lost or spills. In smaller frames than
`seats.REFERENCE` both are as long, in larger ones as much longer as those are."""
AROUND = 9
"""Side in cells of the surroundings that are counted together."""
NEAR = 12
"""Frames before and after that are counted together with a frame, as far as they are known."""
OF_ALL = 0.09
"""Ratio of the frame as a whole from which on its labels flicker,"""
THERE = 0.02
"""then: ratio from which on they do in some surroundings,"""
ALONE = 0.3
"""and the same where the frame as a whole does not flicker."""
DRIFT = 0.15
"""Share of the pixels where both neighbours differ from each other that is taken for as many patched ones."""
UNSEEN = 0.2
"""Weight of boundaries that were not found in both neighbours: where little was found little is known."""
PRIOR_PX = 300.0
"""Pixels of boundary that the frame as a whole counts for in the surroundings, for each frame."""
TRUSTED = 64


@dataclass(frozen=True)
class _Count:
    """Of one frame, per cell: pixels in patches less drift, and pixels of boundary."""

    frame: int
    shot: int
    patched: Floats
    boundary: Floats


class Evidence:
    """Counts as frames arrive: `watch` each as soon as the next one is there, then ask `of` it."""

    def __init__(self) -> None:
        self._counts: deque[_Count] = deque(maxlen=2 * NEAR + 1)
        self._faults: dict[int, Bools] = {}

    def watch(self, seat: Seat) -> None:
        """Count a frame against its two neighbours; at the ends of a shot there is nothing to count."""
        if seat.earlier is None or seat.later is None:
            return
        own, before, after = seat.shot.labels, seat.earlier, seat.later
        scale = scale_of(own.shape)
        side, large = (max(px, 2 * round((px * scale - 1) / 2) + 1) for px in (THICK_PX, FAULT_PX))
        trusted = (before.trust >= TRUSTED) & (after.trust >= TRUSTED)
        agreed = before.labels == after.labels
        near = seat.depth < DEEP
        patches = _thick(trusted & agreed & (before.labels != own), side)
        if (fault := _thick(patches, large)).any():
            # The rest of the component: what is left of the patch at its rim.
            rim = cv2.dilate(fault.view(np.uint8), np.ones((large, large), np.uint8)).view(np.bool_)
            self._faults[seat.serial] = rim & patches
            # One frame that fails says nothing of those around it.
            patches &= ~rim
        # A component that comes or goes would drown what is counted along the boundaries.
        drift = _cells(_thick(trusted & ~agreed, side) & near, scale) - _cells(patches & near, scale)
        edge = seat.inner == 0
        boundary = _cells(edge & trusted, scale) + np.float32(UNSEEN) * _cells(edge, scale)
        patched = _cells(patches, scale) - np.float32(DRIFT) * np.maximum(drift, 0)
        self._counts.append(_Count(seat.serial, seat.shot_serial, patched, boundary))

    def of(self, seat: Seat) -> Bools:
        """(H, W) bool: where there is evidence of flicker around this frame. Asked once of each."""
        fault = self._faults.pop(seat.serial, None)
        found = self._around(seat)
        return found if fault is None else found | fault

    def _around(self, seat: Seat) -> Bools:
        height, width = seat.shot.labels.shape
        counts = [
            one
            for one in self._counts
            if one.shot == seat.shot_serial and abs(one.frame - seat.serial) <= NEAR
        ]
        if not counts:
            return np.zeros((height, width), bool)
        patched = np.sum([count.patched for count in counts], axis=0)
        boundary = np.sum([count.boundary for count in counts], axis=0)
        whole = patched.sum() / max(1.0, float(boundary.sum()))
        prior = PRIOR_PX * scale_of((height, width)) * len(counts)
        box = (AROUND, AROUND)
        near, edge = (
            cv2.boxFilter(cells, cv2.CV_32F, box, normalize=False, borderType=cv2.BORDER_CONSTANT)
            for cells in (patched, boundary)
        )
        ratio = (near + prior * whole) / (edge + prior)
        least = THERE if whole > OF_ALL else ALONE
        return cv2.resize(ratio, (width, height), interpolation=cv2.INTER_LINEAR) > least


def _thick(mask: Bools, side: int) -> Bools:
    """(H, W) bool: the parts of a mask that hold squares of a side in pixels."""
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8)).view(
        np.bool_
    )


def _cells(mask: Bools, scale: float) -> Floats:
    """Pixels of a mask (H, W) bool in each cell."""
    cell = max(4.0, CELL_PX * scale)
    height, width = mask.shape
    grid = (max(1, round(width / cell)), max(1, round(height / cell)))
    share = cv2.resize(mask.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    return share * np.float32(height * width / (grid[0] * grid[1]))
