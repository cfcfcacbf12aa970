"""Label maps over images, as the canvas shows them: class colours with an opacity, and smooth borders.

A border is drawn along the edge of a class, half of its width on either side. Its place is found by a blurred
mask: the normal distribution that blurs a straight edge tells from the grey how far the edge is, so that a
border of any width costs one small blur and one table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.algo.labels import hex_colour
from app.models import ClassDef

BORDER = 0.95
"""Opacity of borders."""

USUAL_WIDTH = 1.5
"""Of a border in a picture of 720 lines, in px; larger pictures get wider ones."""

_SLOTS = 255


class Look(Struct, kw_only=True, frozen=True):
    """`opacity` of the fill, 0..1; `width` of the borders in px, None: as suits the picture's height."""

    opacity: float = 0.46
    outlines: bool = True
    width: float | None = None


class Painter:
    """Lays label maps over images. What is on top where two borders meet is the class that wins pixels."""

    def __init__(self, classes: Sequence[ClassDef], look: Look | None = None) -> None:
        self._look = look or Look()
        self._colours = {known.id: hex_colour(known.colour) for known in classes}
        order = sorted(enumerate(classes), key=lambda pair: (pair[1].priority, pair[0]))
        self._ranks = {known.id: rank for rank, (_, known) in enumerate(order)}
        self._tables: dict[float, tuple[float, NDArray[np.float32]]] = {}

    def paint(self, image: NDArray[np.uint8], label_map: NDArray[np.integer] | None) -> NDArray[np.uint8]:
        """A painted copy of `image` (H, W, 3) uint8 RGB; the image itself where there is nothing to paint.

        `label_map` (H, W) class ids; where it is 0 (or None) or an unknown id, the image shows.
        """
        if label_map is None:
            return image
        counts = np.bincount(label_map.ravel())
        present = [int(id) for id in np.flatnonzero(counts) if id and int(id) in self._colours]
        if not present:
            return image
        out = image.copy()
        present.sort(key=self._ranks.__getitem__)
        for batch in _batches(present):
            self._paint(out, _slots(label_map, batch, len(counts)), batch)
        return out

    def _paint(self, out: NDArray[np.uint8], slots: NDArray[np.uint8], ids: list[int]) -> None:
        """Paint the classes whose pixels hold 1, 2, … in `slots`, lowest rank first."""
        opacity = min(1.0, max(0.0, self._look.opacity))
        palette = np.zeros((256, 1, 3), np.uint8)
        palette[1 : len(ids) + 1, 0] = [self._colours[id] for id in ids]
        if opacity > 0:
            colour = cv2.applyColorMap(slots, palette)
            mixed = cv2.addWeighted(out, 1 - opacity, colour, opacity, 0)
            cv2.copyTo(mixed, slots, out)
        if self._look.outlines:
            sigma, table = self._table(width_of(self._look.width, out.shape[0]))
            for slot in range(1, len(ids) + 1):
                _border(out, slots, slot, palette[slot, 0], sigma, table)

    def _table(self, width: float) -> tuple[float, NDArray[np.float32]]:
        """The spread of the blur, and the opacity of a border `width` px wide for each grey of a blurred mask."""
        if width not in self._tables:
            sigma = max(0.7, (width + 1) / 5)
            normal = NormalDist(0, sigma)
            distance = [np.inf, *(abs(normal.inv_cdf(grey / 255)) for grey in range(1, 255)), np.inf]
            alpha = BORDER * np.clip(width / 2 + 0.5 - np.array(distance), 0, min(1, width))
            self._tables[width] = sigma, alpha.astype(np.float32)
        return self._tables[width]


def width_of(width: float | None, lines: int) -> float:
    """The width of borders in a picture of so many lines, in px."""
    return width if width is not None else max(1.25, USUAL_WIDTH * lines / 720)


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _SLOTS):
        yield ids[start : start + _SLOTS]


def _slots(label_map: NDArray[np.integer], ids: list[int], count: int) -> NDArray[np.uint8]:
    """The label map with the positions in `ids` from 1, 0 elsewhere. `count`: more than the largest id."""
    table = np.zeros(count, np.uint8)
    table[ids] = np.arange(1, len(ids) + 1)
    if count <= 256:
        small = np.zeros(256, np.uint8)
        small[:count] = table
        return np.asarray(cv2.LUT(label_map.astype(np.uint8), small), np.uint8)
    return np.take(table, label_map)


def _border(
    out: NDArray[np.uint8],
    slots: NDArray[np.uint8],
    slot: int,
    colour: NDArray[np.uint8],
    sigma: float,
    table: NDArray[np.float32],
) -> None:
    mask = cv2.inRange(slots, float(slot), float(slot))
    x, y, width, height = cv2.boundingRect(mask)
    margin = int(3 * sigma) + 1
    box = np.s_[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    soft = cv2.GaussianBlur(
        mask[box], (2 * margin + 1, 2 * margin + 1), sigma, borderType=cv2.BORDER_REPLICATE
    )
    found = cv2.findNonZero(cv2.inRange(soft, 1.0, 254.0))
    if found is None:
        return
    columns, rows = np.asarray(found, np.intp).reshape(-1, 2).T
    alpha = table[np.asarray(soft, np.uint8)[rows, columns]][:, None]
    part = out[box]
    old = part[rows, columns].astype(np.float32)
    part[rows, columns] = (old + (colour.astype(np.float32) - old) * alpha + 0.5).astype(np.uint8)
