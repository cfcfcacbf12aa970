"""Fusion: the masks of a frame's regions become one label map, each pixel of exactly one class.

Painter's algorithm on a zero map, priority low to high. The rule that decides every pixel:
the highest `(priority, order, index)` that covers it wins, where `order` is the position of the class in its
template and `index` the position of the layer in the list. Same class is therefore a logical OR (the later
region is named the winner, the class is the same either way), and at equal priorities the class later in the
template wins.

Masks may be numpy arrays or any array with torch's methods (`masked_fill_`, `new_zeros`): the result is of
the same family and the same bytes. This module imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np

from app.errors import Refused

Array = Any
"""A numpy array or a torch tensor of shape (h, w)."""
Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels, half open."""

MAX_REGIONS = 65535


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One region's mask, ready to be painted: a bool crop whose first pixel lies at (x0, y0) of the frame."""

    priority: int
    order: int
    class_id: int
    mask: Array
    x0: int = 0
    y0: int = 0

    @property
    def box(self) -> Box:
        """(x0, y0, x1, y1), half open."""
        height, width = self.mask.shape
        return (self.x0, self.y0, self.x0 + int(width), self.y0 + int(height))

    def cropped(self) -> Layer:
        """The same layer with its mask cut to the bounding box of its pixels (numpy only)."""
        box = bounding_box(self.mask)
        if box is None:
            return replace(self, mask=self.mask[:0, :0])
        x0, y0, x1, y1 = box
        return replace(self, mask=self.mask[y0:y1, x0:x1], x0=self.x0 + x0, y0=self.y0 + y0)


LayerLike = Layer | tuple[int, int, int, Array]


def bounding_box(mask: np.ndarray) -> Box | None:
    """The smallest (x0, y0, x1, y1), half open, that holds every true pixel of `mask`; None where empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    return (int(columns[0]), y0, int(columns[-1]) + 1, y1)


def union_box(*boxes: Box | None) -> Box | None:
    """The smallest box that holds all of `boxes`; empty boxes and None do not count."""
    real = [box for box in boxes if box is not None and box[2] > box[0] and box[3] > box[1]]
    if not real:
        return None
    x0, y0, x1, y1 = zip(*real, strict=True)
    return (min(x0), min(y0), max(x1), max(y1))


def fuse(layers: Sequence[LayerLike], shape: tuple[int, int]) -> Array:
    """Paint the layers into a label map.

    `layers`: `Layer`s, or tuples (priority, order, class_id, full-frame mask); masks bool (or 0/1 bytes),
    [y, x].
    `shape`: (H, W) of the frame. Returns (H, W) uint16 class ids, 0 = unlabelled; a torch tensor where masks
    are torch.
    Raises `Refused` for a class id outside 1..65535, a mask of another shape, or a mix of numpy and torch
    masks.
    """
    real = _checked(layers, shape)
    out = _zeros(real, shape)
    _paint(out, real, [layer.class_id for layer in real], (0, 0, shape[1], shape[0]))
    return _finished(out)


def fuse_regions(layers: Sequence[LayerLike], shape: tuple[int, int]) -> Array:
    """Who won each pixel: (H, W) uint16 of list position + 1, 0 where no region claims the pixel.

    `label_map_of(winners, layers)` is exactly `fuse(layers, shape)`.
    """
    real = _checked(layers, shape)
    out = _zeros(real, shape)
    _paint(out, real, range(1, len(real) + 1), (0, 0, shape[1], shape[0]))
    return _finished(out)


def refuse(
    previous: Array, layers: Sequence[LayerLike], changed: Box | None, *, winners: bool = False
) -> Array:
    """Fuse again after one region changed: only the pixels of `changed` are painted anew.

    `previous`: the (H, W) map of the layers before the change (left as it is); `layers`: all layers after it;
    `changed`: union of the old and the new mask's boxes (`union_box`), clipped to the frame; None = nothing
    changed.
    `winners`: the map holds list positions + 1 (`fuse_regions`); then the list's other positions must not
    have moved.
    Returns a new map equal to the full fusion of `layers`.
    """
    shape = (int(previous.shape[0]), int(previous.shape[1]))
    real = _checked(layers, shape)
    if isinstance(previous, np.ndarray):
        out = previous.copy()
    else:
        out = previous.clone()
    if changed is None:
        return out
    x0, y0 = max(0, changed[0]), max(0, changed[1])
    x1, y1 = min(shape[1], changed[2]), min(shape[0], changed[3])
    if x0 >= x1 or y0 >= y1:
        return out
    values = range(1, len(real) + 1) if winners else [layer.class_id for layer in real]
    if isinstance(out, np.ndarray):
        out[y0:y1, x0:x1] = 0
        _paint(out, real, values, (x0, y0, x1, y1))
        return out
    window = out.new_zeros((y1 - y0, x1 - x0), dtype=_torch().int32)
    moved = [replace(layer, x0=layer.x0 - x0, y0=layer.y0 - y0) for layer in real]
    _paint(window, moved, values, (0, 0, x1 - x0, y1 - y0))
    out[y0:y1, x0:x1] = _finished(window)
    return out


def label_map_of(winners: np.ndarray, layers: Sequence[LayerLike]) -> np.ndarray:
    """The label map (H, W) uint16 that belongs to a winner map of the same layers."""
    table = np.zeros(len(layers) + 1, np.uint16)
    table[1:] = [layer.class_id if isinstance(layer, Layer) else layer[2] for layer in layers]
    return np.take(table, winners)


def layers_at(layers: Sequence[LayerLike], x: int, y: int) -> list[int]:
    """List positions of the layers that cover pixel (x, y), winner first: what the fusion inspector shows."""
    real = [layer if isinstance(layer, Layer) else Layer(*layer) for layer in layers]
    hits = []
    for index, layer in enumerate(real):
        x0, y0, x1, y1 = layer.box
        if x0 <= x < x1 and y0 <= y < y1 and bool(layer.mask[y - y0, x - x0]):
            hits.append(index)
    return sorted(hits, key=lambda index: (real[index].priority, real[index].order, index), reverse=True)


def _checked(layers: Sequence[LayerLike], shape: tuple[int, int]) -> list[Layer]:
    height, width = shape
    if len(layers) > MAX_REGIONS:
        raise Refused(
            f"A frame holds at most {MAX_REGIONS} regions; this one has {len(layers)}. Merge or delete some."
        )
    out = []
    for layer in layers:
        if not isinstance(layer, Layer):
            layer = Layer(*layer)
            if tuple(layer.mask.shape) != (height, width):
                raise Refused(
                    f"A mask is {layer.mask.shape[1]}×{layer.mask.shape[0]}, the frame {width}×{height} px; "
                    "render the region again on this frame."
                )
        if not 1 <= layer.class_id <= 65535:
            raise Refused(
                f"Class id {layer.class_id} cannot be written to a label map; use ids from 1 to 65535."
            )
        out.append(layer)
    if len({isinstance(layer.mask, np.ndarray) for layer in out}) > 1:
        raise Refused(
            "Some masks are numpy arrays and some are torch tensors; convert them to one kind before fusing."
        )
    return out


def _paint(out: Array, layers: Sequence[Layer], values: Sequence[int], window: Box) -> None:
    """Paint `values` low to high into `out`, touching only the pixels of `window`."""
    wx0, wy0, wx1, wy1 = window
    for index in sorted(range(len(layers)), key=lambda i: (layers[i].priority, layers[i].order, i)):
        layer = layers[index]
        lx0, ly0, lx1, ly1 = layer.box
        x0, y0, x1, y1 = max(lx0, wx0), max(ly0, wy0), min(lx1, wx1), min(ly1, wy1)
        if x0 >= x1 or y0 >= y1:
            continue
        mask = layer.mask[y0 - ly0 : y1 - ly0, x0 - lx0 : x1 - lx0]
        target = out[y0:y1, x0:x1]
        if isinstance(out, np.ndarray):
            # A masked copy in cv2 is vectorised; numpy's boolean assignment is 5 to 30 times slower here.
            mask = np.ascontiguousarray(mask)
            mask = mask.view(np.uint8) if mask.dtype == np.bool_ else (mask != 0).view(np.uint8)
            painted = cv2.copyTo(np.full(mask.shape, values[index], np.uint16), mask, target)
            if not np.shares_memory(painted, target):
                target[...] = painted
        else:
            # A view in torch too: filling it fills `out`.
            cast(Any, target).masked_fill_(mask.bool(), values[index])


def _torch() -> Any:
    # Whoever hands in a tensor has imported torch already; this module never does.
    return sys.modules["torch"]


def _zeros(layers: Sequence[Layer], shape: tuple[int, int]) -> Array:
    if layers and not isinstance(layers[0].mask, np.ndarray):
        # torch has no masked fill for uint16 on every device: paint in int32, convert at the end.
        return layers[0].mask.new_zeros(shape, dtype=_torch().int32)
    return np.zeros(shape, np.uint16)


def _finished(out: Array) -> Array:
    return out if isinstance(out, np.ndarray) else out.to(_torch().uint16)
