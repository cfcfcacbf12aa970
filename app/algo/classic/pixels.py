"""From superpixel probabilities to a mask at full resolution that honours every click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.classic.prepare import Prepared

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

HOLE_SHARE = 5e-4
"""Holes below this share of the image are closed."""


@dataclass(frozen=True)
class Disc:
    """A click at full resolution with its reach."""

    x: float
    y: float
    r: float
    positive: bool

    def pixel(self, width: int, height: int) -> tuple[int, int]:
        """Row and column of the pixel under the click, moved into the image."""
        return min(height - 1, max(0, int(self.y))), min(width - 1, max(0, int(self.x)))


def paint_discs(mask: Bytes, discs: list[Disc]) -> None:
    """Write whole discs (pixel centres within r of the click), later ones over earlier ones."""
    height, width = mask.shape
    for disc in discs:
        r = min(disc.r, 2.0 * (width + height))
        x0, x1 = max(0, int(disc.x - r)), min(width, int(disc.x + r) + 1)
        y0, y1 = max(0, int(disc.y - r)), min(height, int(disc.y + r) + 1)
        if r <= 0 or x0 >= x1 or y0 >= y1:
            continue
        gap_x = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - disc.x)
        gap_y = np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - disc.y)
        within = gap_y[:, None] ** 2 + gap_x[None] ** 2 <= r * r
        mask[y0:y1, x0:x1][within] = 1 if disc.positive else 0


def paint_pixels(mask: Bytes, discs: list[Disc]) -> None:
    """Write every click's own pixel, later ones over earlier ones."""
    height, width = mask.shape
    for disc in discs:
        mask[disc.pixel(width, height)] = 1 if disc.positive else 0


def _close_holes(mask: Bytes, limit: float) -> None:
    """Fill background components of at most `limit` pixels that do not touch the frame."""
    _, marks, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    height, width = mask.shape
    small = stats[:, cv2.CC_STAT_AREA] <= limit
    small &= (stats[:, cv2.CC_STAT_LEFT] > 0) & (stats[:, cv2.CC_STAT_TOP] > 0)
    small &= stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH] < width
    small &= stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] < height
    small[0] = False
    if small.any():
        mask[small[marks]] = 1


def soft_to_mask(prepared: Prepared, probability: Floats) -> Bytes:
    """(n,) probabilities → (H, W) uint8 0/1: guided filter at working size, seeded watershed, enlarged."""
    soft = prepared.guided(probability[prepared.labels])
    if soft.shape == (prepared.height, prepared.width):
        return (soft > 0.5).view(np.uint8)
    big = cv2.resize(soft, (prepared.width, prepared.height), interpolation=cv2.INTER_LINEAR)
    return (big > 0.5).view(np.uint8)


def settle(mask: Bytes, own: list[Disc], others: list[Disc], box: tuple[int, int, int, int] | None) -> Bools:
    """Make a mask honour its clicks: discs, the box, only components under a positive click, no small holes.

    Args:
        mask: (H, W) uint8 0/1, changed in place. own: this region's clicks in order. others: discs of other
            regions, which lose against `own`. box: x0, y0, x1, y1 whole pixels, half open.
    """
    paint_discs(mask, others)
    paint_discs(mask, own)
    paint_pixels(mask, own)
    if box is not None:
        _clear_outside(mask, box)
    height, width = mask.shape
    _close_holes(mask, HOLE_SHARE * mask.size)
    paint_pixels(mask, own)
    if box is not None:
        _clear_outside(mask, box)
    positives = [d.pixel(width, height) for d in own if d.positive]
    if positives:
        marks = cv2.connectedComponents(mask, connectivity=8)[1]
        keep = np.zeros(int(marks.max()) + 1, bool)
        keep[[marks[p] for p in positives]] = True
        keep[0] = False
        return keep[np.asarray(marks, np.int32)]
    return mask.astype(bool)


def _clear_outside(mask: Bytes, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    mask[:y0] = 0
    mask[y1:] = 0
    mask[:, :x0] = 0
    mask[:, x1:] = 0


def refine(prepared: Prepared, probability: Floats, discs: list[Disc]) -> Bools:
    """(n,) probabilities and the region's own clicks → (H, W) bool."""
    return settle(soft_to_mask(prepared, probability), discs, [], None)
