"""The regions of a frame become one winner map: points compete in an engine, outlines and masks that are given
are exact, priority fuses.

Worker and consumer render with this module, so that what is seen and what is exported are the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, cast

import cv2
import numpy as np
from scipy.ndimage import find_objects

from app.algo.compete import (
    PreparedFrame,
    RegionSeeds,
    nearest_settled,
    pixel_box,
    prepare_compete,
    render_points,
    seeds_of,
)
from app.algo.fuse import Box, Layer, fuse_regions, union_box
from app.algo.outline import RingLike, rasterise
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


class Prompts(Protocol):
    """The box and the points, (n, 4) rows (x, y, label, r), that an engine was asked with."""

    @property
    def points(self) -> np.ndarray: ...
    @property
    def box(self) -> tuple[float, float, float, float] | None: ...


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


def winner_map(
    frame: np.ndarray | PreparedFrame, regions: Sequence[Claims], fixed: Sequence[Crop | None] = ()
) -> np.ndarray:
    """Who won each pixel by the `classic` engine: (H, W) uint16 of the position in `regions` + 1, 0
    unlabelled.

    `frame`: (H, W, 3) uint8 RGB, or what `prepare_compete` made of it. `fixed`: as in `region_masks`. The points
    of all regions compete for the pixels; outlines are exact; then priority and order decide.
    """
    prepared = frame if isinstance(frame, PreparedFrame) else prepare_compete(frame)

    def draw(drawn: Sequence[Claims]) -> list[Crop]:
        return competing(prepared, [seeds_of(region.geometry) for region in drawn])

    return winner_map_with(draw, prepared.shape, regions, fixed)


def winner_map_with(
    draw: Callable[[Sequence[C]], list[Crop]],
    shape: tuple[int, int],
    regions: Sequence[C],
    fixed: Sequence[Crop | None] = (),
) -> np.ndarray:
    """Who won each pixel: (H, W) uint16 of the position in `regions` + 1, 0 unlabelled.

    `draw`, `fixed`: as in `region_masks`, whose masks are fused by priority and order here.
    """
    crops = region_masks(draw, shape, regions, fixed)
    layers = [
        Layer(region.priority, region.order, region.class_id, crop.mask, crop.x0, crop.y0)
        for region, crop in zip(regions, crops, strict=True)
    ]
    return fuse_regions(layers, shape)


def region_masks(
    draw: Callable[[Sequence[C]], list[Crop]],
    shape: tuple[int, int],
    regions: Sequence[C],
    fixed: Sequence[Crop | None] = (),
) -> list[Crop]:
    """The mask of every region of an (H, W) frame in its context, before priorities are looked at.

    `draw`: an engine that lets regions compete for pixels; regions → one crop each. `fixed`: for each region
    the mask that is known without it, or None; empty where none is known. Outlines and fixed masks are exact.
    The engine draws all regions that have prompts, so the points of an exact one hold its neighbours off; then
    the exact mask replaces what that region got. Pixels it got outside every exact mask go to the nearest
    region that competes if they touch one, or stay unlabelled. `draw` is not called where every mask is exact.
    Raises Refused where it answers another number of masks.
    """
    exact = exact_masks(shape, regions, fixed)
    drawn = [
        index
        for index, (region, known) in enumerate(zip(regions, exact, strict=True))
        if known is None or _has_prompts(region.geometry)
    ]
    if all(exact[index] is not None for index in drawn):
        drawn = []
    crops = draw([regions[index] for index in drawn]) if drawn else []
    if len(crops) != len(drawn):
        raise Refused(f"The engine gave {len(crops)} masks for {len(drawn)} regions; report this as a bug.")
    given = [NOTHING] * len(regions)
    for index, crop in zip(drawn, crops, strict=True):
        given[index] = crop
    if len(drawn) == len(regions) and all(known is None for known in exact):
        return given
    return settle(given, exact, shape, [seeds_of(region.geometry) for region in regions])


def exact_masks(
    shape: tuple[int, int], regions: Sequence[Claims], fixed: Sequence[Crop | None] = ()
) -> list[Crop | None]:
    """The masks that need no competition: each region's outline, else its fixed mask, else None."""
    outlines = [outlined(region.geometry, shape) for region in regions]
    if not fixed:
        return outlines
    return [known if outline is None else outline for outline, known in zip(outlines, fixed, strict=True)]


def settle(
    crops: Sequence[Crop],
    exact: Sequence[Crop | None],
    shape: tuple[int, int],
    prompts: Sequence[Prompts],
) -> list[Crop]:
    """Exact masks in the place of what the engine gave their regions, without leaving gaps.

    `crops`: each region's mask by the engine; `exact`: its outline or fixed mask, or None; `prompts`: its box and
    negative points hold for the pixels it gains, too.
    """
    out = [crop if known is None else known for crop, known in zip(crops, exact, strict=True)]
    replaced = [index for index, known in enumerate(exact) if known is not None]
    box = union_box(*(_box(crops[index]) for index in replaced))
    if box is None:
        return out
    # The pixel nearest to an open one touches an open one: one pixel around them is all that can matter.
    window = (max(0, box[0] - 1), max(0, box[1] - 1), min(shape[1], box[2] + 1), min(shape[0], box[3] + 1))
    x0, y0, x1, y1 = window
    # 0 = open, 1 = background, position + 2 = a region that competes.
    owner = np.ones((y1 - y0, x1 - x0), np.int32)
    for index, crop in enumerate(crops):
        _paint(owner, crop, window, index + 2 if exact[index] is None else 0)
    gap = owner == 0
    if gap.all():
        return out
    for index in replaced:
        _paint(gap, cast(Crop, exact[index]), window, False)
    if not gap.any():
        return out
    gap &= _beside(gap, owner > 1)
    if not gap.any():
        return out
    gains = np.where(gap, nearest_settled(owner) - 1, 0)
    for index, slices in enumerate(find_objects(gains)):
        if slices is not None:
            gained = Crop(gains[slices] == index + 1, x0 + slices[1].start, y0 + slices[0].start)
            out[index] = _joined(out[index], _allowed(gained, prompts[index], shape))
    return out


def _beside(gap: np.ndarray, settled: np.ndarray) -> np.ndarray:
    """The connected parts of `gap` that touch `settled`: a hole between two outlines belongs to nobody else."""
    count, found = cv2.connectedComponents(gap.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    parts = np.asarray(found, np.int32)
    near = cv2.dilate(settled.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touched = np.isin(np.arange(count), parts[near])
    touched[0] = False
    return touched[parts]


NOTHING = Crop(np.zeros((0, 0), bool))


def _has_prompts(geometry: Geometry) -> bool:
    return bool(geometry.points) or geometry.box is not None or geometry.text is not None


def _box(crop: Crop) -> Box:
    height, width = crop.mask.shape
    return (crop.x0, crop.y0, crop.x0 + width, crop.y0 + height)


def _paint(out: np.ndarray, crop: Crop, window: Box, value: int) -> None:
    """Set `value` where the crop is true, in an array that shows the window (x0, y0, x1, y1)."""
    cx0, cy0, cx1, cy1 = _box(crop)
    x0, y0, x1, y1 = max(cx0, window[0]), max(cy0, window[1]), min(cx1, window[2]), min(cy1, window[3])
    if x0 < x1 and y0 < y1:
        part = crop.mask[y0 - cy0 : y1 - cy0, x0 - cx0 : x1 - cx0]
        out[y0 - window[1] : y1 - window[1], x0 - window[0] : x1 - window[0]][part] = value


def _allowed(gained: Crop, prompts: Prompts, shape: tuple[int, int]) -> Crop:
    """What a region may gain: nothing outside its box, none of its negative points."""
    mask = gained.mask
    if prompts.box is not None:
        x0, y0, x1, y1 = pixel_box(prompts.box, shape)
        inside = np.zeros_like(mask)
        inside[
            max(0, y0 - gained.y0) : max(0, y1 - gained.y0), max(0, x0 - gained.x0) : max(0, x1 - gained.x0)
        ] = True
        mask &= inside
    for x, y, label, _ in prompts.points.tolist():
        column, row = int(np.floor(x)) - gained.x0, int(np.floor(y)) - gained.y0
        if label == 0 and 0 <= column < mask.shape[1] and 0 <= row < mask.shape[0]:
            mask[row, column] = False
    return Crop(mask, gained.x0, gained.y0)


def _joined(a: Crop, b: Crop) -> Crop:
    box = union_box(_box(a), _box(b))
    if box is None:
        return a
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    _paint(mask, a, box, True)
    _paint(mask, b, box, True)
    return Crop(mask, box[0], box[1])


def outlined(geometry: Geometry, shape: tuple[int, int]) -> Crop | None:
    """The outline of a geometry as a crop around it, None without one.

    Painting many small regions must not cost many frames. Raises Refused for coordinates that are no numbers.
    """
    return outlined_by(geometry.outline, shape) if geometry.outline else None


def outlined_by(rings: Sequence[RingLike], shape: tuple[int, int]) -> Crop:
    """Rings as a crop around them. Raises Refused for coordinates that are no numbers."""
    points = np.concatenate([np.asarray(ring, np.float64).reshape(-1, 2) for ring in rings])
    if not np.isfinite(points).all():
        raise Refused("A ring of an outline holds a coordinate that is not a number.")
    high = np.array(shape[::-1])
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, high).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0)), 0, high).astype(int).tolist()
    moved = [np.asarray(ring, np.float64).reshape(-1, 2) - (x0, y0) for ring in rings]
    return Crop(rasterise(moved, (max(0, y1 - y0), max(0, x1 - x0))), x0, y0)
