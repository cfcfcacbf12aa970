"""The regions of a frame become one winner map: outlines exactly, the others by an engine, fused by priority.

Worker and consumer render with this module, so that what is seen and what is exported are the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from app.algo.fuse import Layer, fuse_regions
from app.algo.outline import rasterise
from app.errors import Refused
from app.models import Geometry


class Claims(Protocol):
    """What rendering needs of a region. `order`: position of its class in the class template."""

    @property
    def class_id(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def order(self) -> int: ...
    @property
    def geometry(self) -> Geometry: ...


C = TypeVar("C", bound=Claims)


@dataclass(frozen=True)
class Claim:
    """A region ready to be rendered."""

    class_id: int
    priority: int
    order: int
    geometry: Geometry


def winner_map_with(
    masks_of: Callable[[Sequence[C]], list[np.ndarray]], shape: tuple[int, int], regions: Sequence[C]
) -> np.ndarray:
    """Who won each pixel: (H, W) uint16 of the position in `regions` + 1, 0 unlabelled.

    `masks_of`: the engine; all regions without an outline → one (H, W) bool mask each. It is not called where
    every region has an outline. Raises Refused where it answers another number of masks.
    """
    drawn = [region for region in regions if not region.geometry.outline]
    masks = masks_of(drawn) if drawn else []
    if len(masks) != len(drawn):
        raise Refused(f"The engine gave {len(masks)} masks for {len(drawn)} regions; report this as a bug.")
    by_engine = iter(masks)
    layers = []
    for region in regions:
        outline = region.geometry.outline
        mask = rasterise(outline, shape) if outline else next(by_engine)
        layers.append(Layer(region.priority, region.order, region.class_id, mask))
    return fuse_regions(layers, shape)
