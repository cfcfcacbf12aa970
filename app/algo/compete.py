"""The `classic` engine's rendering of a whole frame: all regions compete for the pixels around their points.

Every positive point is a seed, the disc of 0.95 × its reach; a watershed of the slightly blurred image grows
the seeds until they meet (Meyer 1994, in the form of `cv2.watershed`). The ridge pixels it leaves go to the
neighbour whose colour is nearest. Without any negative point the regions partition the frame; negative
points are seeds of the background. The result is a pure function of the image and the geometry: no state, no
chance, no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from app.algo.fuse import Box
from app.errors import Refused
from app.models import Geometry

REACH = 0.95
"""Share of a point's reach that is taken for granted as its region's."""
VERSION = "compete-4"
"""Changes whenever the same points would render to other pixels: part of the mask cache's key."""

_OUTSIDE = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class RegionSeeds:
    """A region's prompts. `points`: (n, 4) floats x, y, label (1 or 0), r in px; `box` limits it."""

    points: np.ndarray
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFrame:
    """What rendering needs of an image, made once. `smooth`: (H, W, 3) uint8."""

    smooth: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return (self.smooth.shape[0], self.smooth.shape[1])


def prepare_compete(image: np.ndarray) -> PreparedFrame:
    """Prepare an image, (H, W, 3) or (H, W) uint8, any channel order (the same for every call)."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
        raise Refused("An image to segment must be 8-bit grey or colour; convert it first.")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return PreparedFrame(cv2.GaussianBlur(np.ascontiguousarray(image[..., :3]), (0, 0), 1.0))


def seeds_of(geometry: Geometry) -> RegionSeeds:
    """The prompts of a region's geometry."""
    rows = [(p.x, p.y, p.label, p.r) for p in geometry.points]
    return RegionSeeds(np.array(rows, np.float64).reshape(-1, 4), geometry.box)


def render_points(image: np.ndarray | PreparedFrame, regions: Sequence[RegionSeeds]) -> np.ndarray:
    """Let the regions compete: (H, W) uint16 of the position in `regions` + 1, 0 = background.

    Every positive point lies in its region's mask and every negative one outside it; where points of several
    regions share a pixel the last one in the list decides. Where two positive discs overlap the smaller one
    keeps the pixel. A region with a box is cut off at the box; a box without positive points seeds the
    middle of the box. Regions without positive points and without a box get nothing. Without any seed at all
    the map is 0.
    """
    prepared = image if isinstance(image, PreparedFrame) else prepare_compete(image)
    background = len(regions) + 1
    markers = paint_seeds(regions, prepared.shape)
    if not markers.any():
        return np.zeros(prepared.shape, np.uint16)
    grown = flood(prepared, markers)
    grown[grown == background] = 0
    for index, region in enumerate(regions):
        if region.box is not None:
            inside = np.zeros(prepared.shape, bool)
            x0, y0, x1, y1 = pixel_box(region.box, prepared.shape)
            inside[y0:y1, x0:x1] = True
            grown[(grown == index + 1) & ~inside] = 0
    _honour(grown, regions)
    return grown.astype(np.uint16)


def masks_of(image: np.ndarray | PreparedFrame, regions: Sequence[RegionSeeds]) -> list[np.ndarray]:
    """`render_points` as one (H, W) bool mask a region."""
    winners = render_points(image, regions)
    return [winners == index + 1 for index in range(len(regions))]


def paint_seeds(regions: Sequence[RegionSeeds], shape: tuple[int, int]) -> np.ndarray:
    """The seeds as (H, W) int32: position in `regions` + 1, `len(regions) + 1` = background, 0 = open."""
    markers = np.zeros(shape, np.int32)
    positives, negatives = [], []
    for index, region in enumerate(regions):
        rows = region.points.tolist()
        own = [(r, index + 1, x, y) for x, y, label, r in rows if label == 1]
        if not own and region.box is not None:
            x0, y0, x1, y1 = region.box
            own = [(min(x1 - x0, y1 - y0) / 4, index + 1, (x0 + x1) / 2, (y0 + y1) / 2)]
        positives += own
        negatives += [(r, x, y) for x, y, label, r in rows if label == 0]
    # Large first: where discs overlap, the point that was put there for less says more about the pixel.
    for r, value, x, y in sorted(positives, key=lambda seed: -seed[0]):
        paint_disc(markers, x, y, r, value)
    background = len(regions) + 1
    for r, x, y in negatives:
        paint_disc(markers, x, y, r, background, only_open=True)
    for _, value, x, y in positives:
        paint_disc(markers, x, y, 0.0, value)
    return markers


def paint_disc(
    markers: np.ndarray, x: float, y: float, r: float, value: int, *, only_open: bool = False
) -> None:
    """Set the pixels whose centres lie within 0.95 × `r` of the centre of the pixel that holds (x, y)."""
    height, width = markers.shape
    column, row = int(np.floor(x)), int(np.floor(y))
    disc = _disc(round(min(r, float(height + width)) * 64))
    half = disc.shape[0] // 2
    x0, y0, x1, y1 = column - half, row - half, column + half + 1, row + half + 1
    cx0, cy0, cx1, cy1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if cx0 >= cx1 or cy0 >= cy1:
        return
    window = markers[cy0:cy1, cx0:cx1]
    inside = disc[cy0 - y0 : cy1 - y0, cx0 - x0 : cx1 - x0]
    window[inside & (window == 0) if only_open else inside] = value


def flood(prepared: PreparedFrame, markers: np.ndarray) -> np.ndarray:
    """Grow the markers (H, W) int32 > 0 over the open pixels; returns (H, W) int32 without open pixels."""
    grown = markers.copy()
    if min(markers.shape) < 3:
        # cv2.watershed takes the frame's rim for granted: nothing is left inside a frame this thin.
        return nearest_settled(grown)
    cv2.watershed(prepared.smooth, grown)
    # The rim of the frame is cut off even where a seed lies on it.
    rim = np.zeros(markers.shape, bool)
    rim[0] = rim[-1] = rim[:, 0] = rim[:, -1] = True
    seeded = rim & (markers > 0)
    grown[seeded] = markers[seeded]
    _settle_ridge(grown, prepared.smooth)
    return nearest_settled(grown)


@lru_cache(maxsize=512)
def _disc(reach64: int) -> np.ndarray:
    radius = REACH * reach64 / 64
    half = int(radius)
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    return x * x + y * y <= radius * radius


def nearest_settled(grown: np.ndarray) -> np.ndarray:
    """(H, W) int32 whose open pixels (<= 0) take the value of the nearest settled one."""
    ridge = grown <= 0
    if not ridge.any() or ridge.all():
        return grown
    found = cv2.distanceTransformWithLabels(
        ridge.view(np.uint8), cv2.DIST_L1, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.asarray(found[1]).astype(np.intp, copy=False)
    table = np.zeros(int(nearest.max()) + 1, np.int32)
    settled = ~ridge
    table[nearest[settled]] = grown[settled]
    return table[nearest]


def _settle_ridge(grown: np.ndarray, smooth: np.ndarray) -> None:
    """Ridge pixels (<= 0) join the settled neighbour, of eight, whose colour is nearest (in place)."""
    height, width = grown.shape
    rows, columns = np.nonzero(grown <= 0)
    if not rows.size:
        return
    # One pixel of padding and flat offsets: no bounds to check, one gather a neighbour.
    stride = width + 2
    label = np.zeros((height + 2, stride), np.int32)
    label[1:-1, 1:-1] = grown
    label = label.ravel()
    colour = np.zeros((height + 2, stride, 3), np.int16)
    colour[1:-1, 1:-1] = smooth
    colour = colour.reshape(-1, 3)
    here = (rows + 1) * stride + columns + 1
    own = colour[here]
    best = np.full(rows.size, np.iinfo(np.int16).max, np.int16)
    value = label[here]
    for offset in (-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1):
        other = label[here + offset]
        away = np.abs(colour[here + offset] - own)
        distance = away[:, 0] + away[:, 1] + away[:, 2]
        better = (other > 0) & (distance < best)
        value = np.where(better, other, value)
        best = np.where(better, distance, best)
    grown[rows, columns] = value


def pixel_box(box: tuple[float, float, float, float], shape: tuple[int, int]) -> Box:
    """The pixels of an (H, W) frame that a prompt's box touches, as (x0, y0, x1, y1)."""
    height, width = shape
    x0, y0, x1, y1 = (min(max(v, -_OUTSIDE), _OUTSIDE) for v in box)
    return (
        max(0, int(np.floor(x0))),
        max(0, int(np.floor(y0))),
        min(width, int(np.ceil(x1))),
        min(height, int(np.ceil(y1))),
    )


def _honour(winners: np.ndarray, regions: Sequence[RegionSeeds]) -> None:
    height, width = winners.shape
    for index, region in enumerate(regions):
        for x, y, label, _ in region.points.tolist():
            column, row = int(np.floor(x)), int(np.floor(y))
            if not (0 <= column < width and 0 <= row < height):
                continue
            if label == 1:
                winners[row, column] = index + 1
            elif winners[row, column] == index + 1:
                winners[row, column] = 0
