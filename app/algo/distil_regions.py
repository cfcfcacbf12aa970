"""All masks of a frame's ground truth → regions at once: points that compete, outlines where they fail.

The regions' points are found jointly (`app.algo.distil_map`): a point of one keeps its neighbours out. Then
every region is rendered among the others, as the workspace and the exports will render it, and compared with
its own mask; those below the target get an outline. An outline never changes what the points of the others
claim (`app.algo.render.settle`), so the certificates hold for the frame as it is handed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.algo.certificate import boundary_f, iou
from app.algo.compete import PreparedFrame, RegionSeeds, prepare_compete, render_points
from app.algo.distil import TARGET, deepest, depth
from app.algo.distil_map import distil_owners_in
from app.algo.exchange import ROUNDS
from app.algo.fuse import Box, bounding_box, union_box
from app.algo.outline import Ring, simplify_to
from app.algo.outline_map import SharedOutlines, painted
from app.algo.render import NOTHING, Crop, competing, outlined_by, settle
from app.errors import Refused

BUDGET = 300
"""Points of a frame, all regions and the background together."""

MANY = 100
"""From here on outlines are sought on the masks alone, not on smoothed copies too: three times as fast."""

SPARE = 0.4
"""Shared outlines reach on average this share of the way from the target to 1."""

Unlabelled = Literal["open", "background"]


@dataclass(slots=True, eq=False)
class DistilledRegion:
    """A region of a frame's ground truth and its certificate.

    `points`: (n, 4) float64 rows x, y, label, r; `outline`: rings, None where points alone reach the target;
    `iou`, `boundary_f`: of `mask` against the source mask; `exact`: `mask` comes from the outline, without an
    engine; `mask`: what the geometry renders to among the frame's other regions.
    """

    points: np.ndarray
    outline: list[Ring] | None
    iou: float
    boundary_f: float
    exact: bool
    mask: Crop


def distil_regions(
    image: np.ndarray,
    masks: Sequence[Crop],
    *,
    budget: int = BUDGET,
    target: float = TARGET,
    with_outline: bool = True,
    unlabelled: Unlabelled | np.ndarray = "open",
    shared: bool = False,
) -> list[DistilledRegion]:
    """Turn the masks of one frame into regions, in their order. Deterministic.

    `image`: (H, W, 3) uint8; `masks`: bool crops of the frame, the later ones on top of the earlier ones.
    `budget`: points of the frame; every region that can be seen gets one at its deepest place, even beyond
    the budget. With budget 0 no engine is asked: one point and an outline each. `target`: the IoU each region
    must reach by points, else it gets an outline of at least that IoU (1 = the same pixels) and keeps its
    points. A region that lies wholly under others has an outline and no points: they would take pixels from
    those.

    `unlabelled`: what the pixels in no mask are. "background": they must stay free, which costs negative
    points of the regions that would flood them; then a region that has the target gets no more points.
    "open": nothing is known of them; they are not seeded, and not counted where a region is compared by its
    points. A mixture: (H, W) bool, the pixels that must stay free; the others are open.

    `shared`: the masks do not overlap and will be painted in their order, the later ones on top, as the classes
    of a label map are by priority. Then outlines share their boundaries (`app.algo.outline_map`): they leave
    no gaps and take a fraction of the points, and what is certified is the part of a region that is seen.

    Raises `Refused` for an empty mask or one that leaves the frame.
    """
    shape = (image.shape[0], image.shape[1])
    _check(masks, shape)
    if not masks:
        return []
    owners = _owners(masks, shape)
    free = _free(owners, unlabelled)
    outlines: list[Crop | None] = [None] * len(masks)
    rings: list[list[Ring] | None] = [None] * len(masks)

    def add_outline(index: int) -> None:
        mask = masks[index]
        found, _ = simplify_to(mask.mask, target, thorough=len(masks) <= MANY)
        rings[index] = moved = [ring + np.array([mask.x0, mask.y0]) for ring in found]
        outlines[index] = outlined_by(moved, shape)

    if budget < 1 and with_outline:
        seeds = [RegionSeeds(_first_point(owners, mask, index)) for index, mask in enumerate(masks, start=1)]
        drawn = [NOTHING] * len(masks)
        for index in range(len(masks)):
            if not (shared and target < 1):
                add_outline(index)
    else:
        prepared = prepare_compete(image)
        seeds = _points(image, prepared, owners, len(masks), budget, target, free, outlines=with_outline)
        drawn = competing(prepared, seeds)
    void = (owners == 0) & ~free
    if shared and with_outline and target < 1:
        return _shared(drawn, masks, seeds, owners, void, target, loop=budget > 0)
    certificates: dict[int, tuple[Crop, float, float]] = {}
    while True:
        crops = settle(drawn, outlines, shape, seeds)
        failed = []
        for index, crop in enumerate(crops):
            known = certificates.get(index)
            if known is None or known[0] is not crop:
                exact = outlines[index] is not None
                certificates[index] = (crop, *_compared(crop, masks[index], shape, None if exact else void))
            if outlines[index] is None and certificates[index][1] < target:
                failed.append(index)
        if not failed or not with_outline:
            break
        # An outline gives its neighbours pixels, which may be too much for one of them: look again.
        for index in failed:
            add_outline(index)
    return [
        DistilledRegion(
            seeds[index].points,
            rings[index],
            certificates[index][1],
            certificates[index][2],
            rings[index] is not None,
            certificates[index][0],
        )
        for index in range(len(masks))
    ]


def _shared(
    drawn: Sequence[Crop],
    masks: Sequence[Crop],
    seeds: Sequence[RegionSeeds],
    owners: np.ndarray,
    void: np.ndarray,
    target: float,
    *,
    loop: bool,
) -> list[DistilledRegion]:
    """Outlines in context for the regions whose points miss the target, `loop` False = for all."""
    shape = (owners.shape[0], owners.shape[1])
    count = len(masks)
    by_points = set(range(count)) if loop else set()
    rings: list[list[Ring]] = [[] for _ in masks]
    outlines: list[Crop | None] = [None] * count
    stale = not loop
    crops = list(drawn)
    shared = SharedOutlines(masks, shape, void)
    while True:
        if stale:
            given = {index: crops[index] for index in by_points}
            mean = target + (1 - target) * SPARE
            found = shared.find(mean, target, given)
            for index in set(range(count)) - by_points:
                rings[index] = found[index].rings
                outlines[index] = outlined_by(rings[index], shape) if rings[index] else NOTHING
        crops = settle(drawn, outlines, shape, seeds)
        seen = painted(crops, shape)
        pairs = np.bincount((owners * (count + 1) + seen)[~void], minlength=(count + 1) ** 2)
        pairs = pairs.reshape(count + 1, count + 1)
        right = pairs.diagonal()[1:]
        values = right / np.maximum(pairs.sum(axis=1)[1:] + pairs.sum(axis=0)[1:] - right, 1)
        failed = {index for index in by_points if values[index] < target}
        if not failed:
            failed = {_spoiler(pairs, index, by_points) for index in np.flatnonzero(values < target)} - {None}
        if not failed:
            break
        by_points -= failed
        stale = True
    return [
        _seen_region(seeds[index], rings[index], index not in by_points, seen, index, masks[index], void)
        for index in range(count)
    ]


def _spoiler(pairs: np.ndarray, index: int, by_points: set[int]) -> int | None:
    """The region drawn by points that takes most from, or leaves most to, region `index`."""
    harm = pairs[index + 1, 1:] + pairs[1:, index + 1]
    guilty = [other for other in by_points if other != index and harm[other]]
    return max(guilty, key=lambda other: int(harm[other]), default=None)


def _seen_region(
    seeds: RegionSeeds,
    rings: list[Ring],
    by_outline: bool,
    seen: np.ndarray,
    index: int,
    mask: Crop,
    void: np.ndarray,
) -> DistilledRegion:
    shape = (seen.shape[0], seen.shape[1])
    own = seen == index + 1
    box = bounding_box(own)
    crop = NOTHING if box is None else Crop(own[box[1] : box[3], box[0] : box[2]], box[0], box[1])
    value, boundary = _compared(crop, mask, shape, void)
    return DistilledRegion(seeds.points, rings if by_outline else None, value, boundary, by_outline, crop)


def _check(masks: Sequence[Crop], shape: tuple[int, int]) -> None:
    for mask in masks:
        height, width = mask.mask.shape
        if not mask.mask.any():
            raise Refused("A mask is empty, so there is nothing to turn into points; leave it out.")
        if mask.x0 < 0 or mask.y0 < 0 or mask.x0 + width > shape[1] or mask.y0 + height > shape[0]:
            raise Refused("A mask leaves its frame; cut it off at the frame's edge first.")


def _owners(masks: Sequence[Crop], shape: tuple[int, int]) -> np.ndarray:
    owners = np.zeros(shape, np.int32)
    for index, mask in enumerate(masks, start=1):
        height, width = mask.mask.shape
        owners[mask.y0 : mask.y0 + height, mask.x0 : mask.x0 + width][mask.mask] = index
    return owners


def _free(owners: np.ndarray, unlabelled: Unlabelled | np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels in no mask that must stay free."""
    if isinstance(unlabelled, str):
        return owners == 0 if unlabelled == "background" else np.zeros(owners.shape, bool)
    if unlabelled.shape != owners.shape:
        raise Refused("The pixels that must stay free are given for a frame of another size.")
    return unlabelled & (owners == 0)


def _first_point(owners: np.ndarray, mask: Crop, index: int) -> np.ndarray:
    height, width = mask.mask.shape
    own = owners[mask.y0 : mask.y0 + height, mask.x0 : mask.x0 + width] == index
    if not own.any():
        return np.zeros((0, 4))
    x, y, r = deepest(depth(own))
    return np.array([[x + mask.x0, y + mask.y0, 1.0, r]])


def _points(
    image: np.ndarray,
    prepared: PreparedFrame,
    owners: np.ndarray,
    count: int,
    budget: int,
    target: float,
    free: np.ndarray,
    *,
    outlines: bool,
) -> list[RegionSeeds]:
    """The points of each region; those of the background become negative ones of the region they hold off."""
    background = bool(free.any())
    if background:
        owners = np.where(free, count + 1, owners).astype(np.int32)
    visible = int(np.count_nonzero(np.bincount(owners.ravel(), minlength=count + 2)[1:]))
    # A map without free area is worth the whole budget: there every point also serves a neighbour.
    enough = target if background else 1.0
    found = distil_owners_in(
        image,
        owners,
        count + background,
        budget=max(budget, visible),
        enough=enough,
        # An outline mends what points miss: moving them to better places would gain nothing then.
        rounds=0 if outlines else ROUNDS,
    ).points
    own, negative = found[:count], found[count] if background else np.zeros((0, 4))
    if len(negative):
        columns, rows = np.floor(negative[:, :2]).astype(int).T
        flooded = render_points(prepared, [RegionSeeds(points) for points in own])[rows, columns]
        negative = negative * np.array([1, 1, 0, 1])
        own = [np.concatenate([points, negative[flooded == i]]) for i, points in enumerate(own, start=1)]
    return [RegionSeeds(points) for points in own]


def _compared(
    drawn: Crop, source: Crop, shape: tuple[int, int], void: np.ndarray | None
) -> tuple[float, float]:
    """IoU and boundary F of two crops of a frame; pixels of `void` (H, W) are left out."""
    box = union_box(_box(drawn), _box(source))
    assert box is not None
    # The boundary runs one pixel round the masks.
    x0, y0, x1, y1 = (
        max(0, box[0] - 1),
        max(0, box[1] - 1),
        min(shape[1], box[2] + 1),
        min(shape[0], box[3] + 1),
    )
    pair = []
    for crop in (drawn, source):
        part = np.zeros((y1 - y0, x1 - x0), bool)
        height, width = crop.mask.shape
        part[crop.y0 - y0 : crop.y0 - y0 + height, crop.x0 - x0 : crop.x0 - x0 + width] = crop.mask
        if void is not None:
            part &= ~void[y0:y1, x0:x1]
        pair.append(part)
    return iou(*pair), boundary_f(*pair, shape=shape)


def _box(crop: Crop) -> Box:
    height, width = crop.mask.shape
    return (crop.x0, crop.y0, crop.x0 + width, crop.y0 + height)
