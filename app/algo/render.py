"""The regions of a frame become one winner map: outlines exactly, the others by an engine, fused by priority.

Worker and consumer render with this module, so that what is seen and what is exported are the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from scipy.ndimage import find_objects

from app.algo.compete import PreparedFrame, RegionSeeds, prepare_compete, render_points, seeds_of
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


class Crop(NamedTuple):
    """A mask as an engine draws it: bool (h, w) whose top left pixel lies at (x0, y0) of the frame."""

    mask: np.ndarray
    x0: int = 0
    y0: int = 0

    def full(self, shape: tuple[int, int]) -> np.ndarray:
        """The (H, W) bool mask in the frame."""
        if self.mask.shape == shape:
            return self.mask
        out = np.zeros(shape, bool)
        height, width = self.mask.shape
        out[self.y0 : self.y0 + height, self.x0 : self.x0 + width] = self.mask
        return out


C = TypeVar("C", bound=Claims)


@dataclass(frozen=True)
class Claim:
    """A region ready to be rendered."""

    class_id: int
    priority: int
    order: int
    geometry: Geometry


def competing(frame: np.ndarray | PreparedFrame, seeds: Sequence[RegionSeeds]) -> list[Crop]:
    """The masks of regions that compete for the pixels of an image (H, W, 3) uint8, in their order."""
    winners = render_points(frame, seeds)
    boxes = find_objects(winners, len(seeds))
    crops = []
    for index, box in enumerate(boxes, 1):
        if box is None:
            crops.append(Crop(np.zeros((0, 0), bool)))
        else:
            crops.append(Crop(winners[box] == index, box[1].start, box[0].start))
    return crops


def winner_map(frame: np.ndarray | PreparedFrame, regions: Sequence[Claims]) -> np.ndarray:
    """Who won each pixel by the `classic` engine: (H, W) uint16 of the position in `regions` + 1, 0
    unlabelled.

    `frame`: (H, W, 3) uint8 RGB, or what `prepare_compete` made of it. The regions without an outline compete
    for the pixels; outlines are exact; then priority and order decide.
    """
    prepared = frame if isinstance(frame, PreparedFrame) else prepare_compete(frame)

    def draw(drawn: Sequence[Claims]) -> list[Crop]:
        return competing(prepared, [seeds_of(region.geometry) for region in drawn])

    return winner_map_with(draw, prepared.shape, regions)


def winner_map_with(
    draw: Callable[[Sequence[C]], list[Crop]], shape: tuple[int, int], regions: Sequence[C]
) -> np.ndarray:
    """Who won each pixel: (H, W) uint16 of the position in `regions` + 1, 0 unlabelled.

    `draw`: the engine; all regions without an outline → one crop each. It is not called where every region
    has an outline. Raises Refused where it answers another number of masks.
    """
    drawn = [region for region in regions if not region.geometry.outline]
    crops = draw(drawn) if drawn else []
    if len(crops) != len(drawn):
        raise Refused(f"The engine gave {len(crops)} masks for {len(drawn)} regions; report this as a bug.")
    by_engine = iter(crops)
    layers = []
    for region in regions:
        outline = region.geometry.outline
        crop = _outlined(outline, shape) if outline else next(by_engine)
        layers.append(Layer(region.priority, region.order, region.class_id, crop.mask, crop.x0, crop.y0))
    return fuse_regions(layers, shape)


def _outlined(outline: Sequence[Sequence[tuple[float, float]]], shape: tuple[int, int]) -> Crop:
    """An outline as a crop around it: painting many small regions must not cost many frames."""
    points = np.concatenate([np.asarray(ring, np.float64).reshape(-1, 2) for ring in outline])
    if not np.isfinite(points).all():
        raise Refused("A ring of an outline holds a coordinate that is not a number.")
    high = np.array(shape[::-1])
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, high).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0)), 0, high).astype(int).tolist()
    moved = [np.asarray(ring, np.float64).reshape(-1, 2) - (x0, y0) for ring in outline]
    return Crop(rasterise(moved, (max(0, y1 - y0), max(0, x1 - x0))), x0, y0)
