"""What would change if classes had other priorities: the same masks, fused twice.

Regions are rendered before priorities are looked at (`render.region_masks`), so a change of priorities never
asks an engine: only the painting order of masks that are there already differs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from app.algo.fuse import Layer
from app.algo.render import Claims, Crop

Rank = tuple[int, int]
"""(priority, position in the class template): the class with the larger one is seen where two overlap."""
Moves = dict[tuple[int, int], int]
"""(class before, class after) → pixels; 0 = unlabelled."""


def layers_of(
    regions: Sequence[Claims], crops: Sequence[Crop], ranks: Mapping[int, Rank] | None = None
) -> list[Layer]:
    """The masks of `regions`, ready to be fused; with `ranks` (class id → rank) in the place of their own."""
    out = []
    for region, crop in zip(regions, crops, strict=True):
        own = (region.priority, region.order)
        priority, order = own if ranks is None else ranks.get(region.class_id, own)
        out.append(Layer(priority, order, region.class_id, crop.mask, crop.x0, crop.y0))
    return out


def can_differ(classes: Collection[int], before: Mapping[int, Rank], after: Mapping[int, Rank]) -> bool:
    """Whether a frame that holds only these classes may change at all: exactly when their sequence does.

    Every class must have a rank in both. A frame with one class, or whose classes keep their sequence, need
    not be rendered.
    """
    return sorted(classes, key=before.__getitem__) != sorted(classes, key=after.__getitem__)


def moves(before: np.ndarray, after: np.ndarray) -> Moves:
    """How many pixels go from which class to which, of two label maps (H, W) of class ids."""
    differs = before != after
    codes = before[differs].astype(np.uint32) << 16 | after[differs]
    pairs, counts = np.unique(codes, return_counts=True)
    return {
        (code >> 16, code & 0xFFFF): count
        for code, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    }


def balance(moved: Mapping[tuple[int, int], int]) -> dict[int, tuple[int, int]]:
    """(pixels gained, pixels lost) of every class that takes part; 0 = unlabelled."""
    out: dict[int, tuple[int, int]] = {}
    for (source, target), pixels in moved.items():
        gained, lost = out.get(source, (0, 0))
        out[source] = (gained, lost + pixels)
        gained, lost = out.get(target, (0, 0))
        out[target] = (gained + pixels, lost)
    return out
