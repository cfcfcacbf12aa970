"""Looking for a lost object in the whole frame: its picture, compared at every place.

The squared distance of a masked template at every place is a correlation (cv2.matchTemplate), here of the same
descriptors as in matching, on cells twice as large.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from app.algo.tracking.features import Floats, shrunk
from app.algo.tracking.matching import Memory

FAR = 3.0
"""Times the way an object can have gone at least, beyond it, at which a place is as unlikely as places get."""
FAR_COST = 0.3
"""What is added there to the share of a typical distance."""
HALVED_FROM = 12
"""Cells a template must be long and wide before it is searched at half the resolution, and so on."""


@dataclass(frozen=True)
class Place:
    """Where a memory's object may be. `offset`: (dy, dx) in cells from there to the memory; `unlikeness`: squared
    distance of the descriptors there as a share of that of a typical place, more where the place is `far` from
    where the object was, 0 to 1.
    """

    offset: tuple[float, float]
    unlikeness: float
    far: float


def find(
    cells: Floats, memory: Memory, last: tuple[float, float], leeway: float, radius: float
) -> Place | None:
    """The most similar place to a memory's object in a frame (CHANNELS, rows, columns), None where the memory
    shows no object.

    `last`: (y, x) in cells, the middle of the object when it was seen last; `leeway`, `radius`: cells it can have
    gone in no time, and until now.
    """
    labels = memory.inner > 0.5
    if not labels.any():
        return None
    x, y, width, height = cv2.boundingRect(labels.astype(np.uint8))
    template = memory.inner_cells[:, y : y + height, x : x + width]
    mask = labels[y : y + height, x : x + width].astype(np.float32)
    step = 4 if min(width, height) >= 2 * HALVED_FROM else 2 if min(width, height) >= HALVED_FROM else 1
    picture = _interleaved(cells, (cells.shape[1] // step, cells.shape[2] // step))
    size = (height // step, width // step)
    shape, mask = _interleaved(template, size), (shrunk(mask, size) > 0.5).astype(np.float32)
    if not mask.any():
        return None
    # A third of the object may lie outside the picture.
    edge_y, edge_x = mask.shape[0] // 3, mask.shape[1] // 3
    padded = cv2.copyMakeBorder(picture, edge_y, edge_y, edge_x, edge_x, cv2.BORDER_REPLICATE)
    if padded.shape[0] < mask.shape[0] or padded.shape[1] < mask.shape[1]:
        return None
    table = cv2.matchTemplate(padded, shape, cv2.TM_SQDIFF, mask=mask) / mask.sum()
    table *= 1 / max(float(np.median(table)), 1e-6)
    centre_y, centre_x = (edges.mean() for edges in np.nonzero(labels))
    rows = (np.arange(table.shape[0]) - edge_y) * step + centre_y - y
    columns = (np.arange(table.shape[1]) - edge_x) * step + centre_x - x
    gone = np.hypot(rows[:, None] - last[0], columns[None, :] - last[1])
    far = np.clip((gone - radius) / (FAR * leeway), 0, 1).astype(np.float32)
    table += FAR_COST * far
    at_y, at_x = np.unravel_index(int(table.argmin()), table.shape)
    return Place(
        (y - (float(at_y) - edge_y) * step, x - (float(at_x) - edge_x) * step),
        float(table[at_y, at_x]),
        float(far[at_y, at_x]),
    )


def _interleaved(planes: Floats, size: tuple[int, int]) -> Floats:
    """(h, w, C) float32 from (C, rows, columns), as averages on a grid (h, w)."""
    return np.dstack(
        [plane if plane.shape == size else shrunk(np.ascontiguousarray(plane), size) for plane in planes]
    )
