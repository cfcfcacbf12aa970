"""A frame's regions made to show another layer map: which of their masks change, and how they are drawn then.

Only what has to change does. A region keeps its parts that lie under others; where a pixel goes to somebody
beneath it, or to nobody, its mask loses that pixel, so that fusing gives exactly the map that is wanted. Pixels that
a layer gains go to its nearest region; a layer without any on the frame gets one. Masks become a point and an
outline, shared boundaries once (`app.algo.outline_map`).

Regions that are drawn by their points compete, so the points of one decide over its neighbours' masks. What was
composed is therefore drawn again; a neighbour that would change is given an outline, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.algo.certificate import boundary_f, iou
from app.algo.compete import nearest_settled
from app.algo.distil import depth, first_points, reach_of
from app.algo.fuse import Box, bounding_box, fuse_regions, union_box
from app.algo.outline import Ring, simplify_to, trace
from app.algo.outline_map import SharedOutlines
from app.algo.render import NOTHING, Claim, Claims, Crop, outlined_by
from app.algo.what_if import layers_of
from app.models import Geometry, Point, quantise

LEAST_NEW = 8
"""Pixels of a layer that the frame lost before a region is made for it."""
SPARE = 0.4
"""Outlines reach on average this share of the way from the target to 1."""
HIDDEN_SHARE = 0.02
"""More of a mask than this, as far as it is hidden, may not be lost to an outline that is only right where seen."""
HIDDEN_ERROR = 0.1
"""Share of the allowed error that may go into adding hidden parts."""

Draw = Callable[[Sequence[Claims]], Sequence[Crop]]
"""Regions → each one's mask before priorities are looked at, as the frame is rendered."""
Owners = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A region's new geometry. `iou`, `boundary_f`: of what is seen of it against what should be; `area` in px."""

    geometry: Geometry
    iou: float
    boundary_f: float
    area: int


@dataclass(slots=True, eq=False)
class Reshaped:
    """`changed`: position of a region → its shape; `gone`: positions; `added`: (layer, shape) of new regions.

    `layers`: (H, W) uint16, what the frame shows with them.
    """

    changed: dict[int, Shape]
    gone: list[int]
    added: list[tuple[int, Shape]]
    layers: NDArray[np.uint16]


@dataclass(slots=True, eq=False)
class _Frame:
    """`claims`: the frame's regions, then those that are made; `heights`: (n + 1,) place of each in painting
    order, 0 for nobody, by position + 1; `owner`: (H, W) position + 1 of whose pixel it is to be.
    """

    claims: list[Claims]
    crops: list[Crop]
    layers: list[int]
    locked: list[bool]
    heights: NDArray[np.int32]
    before: Owners
    owner: Owners
    known: int
    """How many of the claims there were before."""
    masks: dict[int, Bools] = field(default_factory=dict)
    """Position → its new mask (H, W), of regions whose mask changes."""
    gone: set[int] = field(default_factory=set)

    @property
    def shape(self) -> tuple[int, int]:
        return self.owner.shape[0], self.owner.shape[1]

    def alive(self) -> list[int]:
        return [index for index in range(len(self.claims)) if index not in self.gone]


def reshape(
    claims: Sequence[Claims],
    layers: Sequence[int],
    locked: Sequence[bool],
    target: NDArray[np.uint16],
    made: Callable[[int], tuple[int, int, int]],
    draw: Draw,
    *,
    iou_target: float = 0.98,
) -> Reshaped | None:
    """Change the regions of a frame so that it shows `target`.

    Args:
        claims: the frame's regions, in order of making.
        layers: the number of each one's layer; 0 is nobody's.
        locked: which regions must stay as they are; neither they nor the rest of their layer gain or lose a pixel.
        target: (H, W) layer numbers to show, 0 = unlabelled.
        made: layer → (class id, priority, order) of a region that is made for it.
        draw: how the frame is drawn.
        iou_target: what every changed region reaches of what should be seen of it; 1 = the same pixels.
    Returns None where nothing changes: the frame shows `target` already but for what is locked, or every way to
    show it would change what a locked region looks like. Deterministic.
    """
    frame = _wanted(claims, layers, locked, target, made, list(draw(claims)))
    if frame is None:
        return None
    for fresh in (True, False):
        # With the points as they were competition stays as it was: the way out where a locked region depends on it.
        found = _composed(frame, draw, iou_target, fresh)
        if found is not None:
            return found
    # What is given up to nobody is what a locked neighbour may grow into: then it stays.
    kept = (frame.owner == 0) & (frame.before > 0)
    frame.owner[kept] = frame.before[kept]
    return _composed(frame, draw, iou_target, fresh=False) if kept.any() and _mark(frame) else None


def _wanted(
    claims: Sequence[Claims],
    layers: Sequence[int],
    locked: Sequence[bool],
    target: NDArray[np.uint16],
    made: Callable[[int], tuple[int, int, int]],
    crops: list[Crop],
) -> _Frame | None:
    shape = (target.shape[0], target.shape[1])
    before = fuse_regions(layers_of(claims, crops), shape).astype(np.int32)
    table = np.array([0, *layers], np.int64)
    now = table[before]
    still = [layer for layer, held in zip(layers, locked, strict=True) if held]
    differs = (target != now) & ~np.isin(target, still) & ~np.isin(now, still)
    owner = before.copy()
    every, numbers = list(claims), list(layers)
    for layer in np.unique(target[differs]).tolist():
        pixels = differs & (target == layer)
        theirs = [index for index, own in enumerate(layers) if own == layer]
        if layer and not theirs:
            if np.count_nonzero(pixels) < LEAST_NEW:
                continue
            every.append(Claim(*made(layer), Geometry()))
            numbers.append(layer)
            owner[pixels] = len(every)
        elif layer:
            owner[pixels] = _nearest(before, theirs, crops)[pixels] if len(theirs) > 1 else theirs[0] + 1
        else:
            owner[pixels] = 0
    count = len(every)
    heights = np.zeros(count + 1, np.int32)
    order = sorted(range(count), key=lambda i: (every[i].priority, every[i].order, i))
    heights[np.array(order, np.intp) + 1] = np.arange(1, count + 1)
    held = [*locked, *[False] * (count - len(locked))]
    every_crop = [*crops, *[NOTHING] * (count - len(crops))]
    for index in (i for i, one in enumerate(held) if one):
        # A locked region that lies hidden here would come to light.
        shown = every_crop[index].full(shape) & (heights[owner] < heights[index + 1])
        owner[shown] = before[shown]
    frame = _Frame(every, every_crop, numbers, held, heights, before, owner, len(claims))
    return frame if _mark(frame) else None


def _mark(frame: _Frame) -> bool:
    """Find the masks that change. Returns whether any does."""
    frame.masks, frame.gone = {}, set()
    differs = frame.before != frame.owner
    if not differs.any():
        return False
    places = frame.heights[frame.owner]
    had = np.bincount(frame.before.ravel(), minlength=len(frame.claims) + 1)
    has = np.bincount(frame.owner.ravel(), minlength=len(frame.claims) + 1)
    involved = {*np.unique(frame.before[differs]).tolist(), *np.unique(frame.owner[differs]).tolist()}
    for index in range(len(frame.claims)):
        old = frame.crops[index].full(frame.shape)
        if index + 1 not in involved and not (old & differs & (places < frame.heights[index + 1])).any():
            continue
        new = (old & (places >= frame.heights[index + 1])) | (frame.owner == index + 1)
        if not new.any() or (had[index + 1] and not has[index + 1]):
            frame.gone.add(index)
        elif not np.array_equal(old, new):
            frame.masks[index] = new
    return True


def _nearest(before: Owners, theirs: Sequence[int], crops: Sequence[Crop]) -> Owners:
    """(H, W) position + 1 of the nearest of some regions; of the largest where none is seen."""
    seen = np.where(np.isin(before, [index + 1 for index in theirs]), before, 0).astype(np.int32)
    if not seen.any():
        seen[:] = max(theirs, key=lambda index: int(np.count_nonzero(crops[index].mask))) + 1
    return nearest_settled(seen)


def _composed(frame: _Frame, draw: Draw, iou_target: float, fresh: bool) -> Reshaped | None:
    """The frame with new outlines; None where a locked region would look different."""
    masks, exact = dict(frame.masks), set[int]()
    while len(exact) <= len(masks):
        rings = _outlines(frame, masks, exact, iou_target)
        alone = all(frame.claims[i].geometry.outline for i in frame.alive() if i not in masks)
        geometries = {index: _geometry(frame, index, rings[index], fresh, alone) for index in masks}
        alive = frame.alive()
        drawn = [
            Claim(one.class_id, one.priority, one.order, geometries[index]) if index in geometries else one
            for index, one in ((index, frame.claims[index]) for index in alive)
        ]
        crops = dict(zip(alive, draw(drawn), strict=True))
        winners = fuse_regions(layers_of(drawn, list(crops.values())), frame.shape)
        seen = np.array([0, *(index + 1 for index in alive)], np.int32)[winners]
        wrong = seen != frame.owner
        harmed = _harmed(frame, seen, wrong, masks, iou_target)
        if any(frame.locked[index] for index in harmed):
            held = np.isin(frame.owner, [i + 1 for i in harmed if frame.locked[i]])
            held |= np.isin(seen, [i + 1 for i in harmed if frame.locked[i]])
            involved = {*(frame.owner[wrong & held] - 1).tolist(), *(seen[wrong & held] - 1).tolist()}
            guilty = (involved & masks.keys()) - exact
            if not guilty:
                return None
            exact |= guilty
            continue
        more = {index for index in harmed if index not in masks}
        poor = {index for index in harmed if index in masks} - exact
        if not more and not poor:
            return _result(frame, masks, geometries, crops, seen)
        for index in more:
            masks[index] = frame.crops[index].full(frame.shape)
        if not more:
            exact |= poor
    return None


def _harmed(
    frame: _Frame, seen: Owners, wrong: Bools, masks: Mapping[int, Bools], iou_target: float
) -> list[int]:
    """Regions of which too much is wrong: locked ones by a pixel, others by what the target allows; and those that
    took pixels which were to go to somebody else or to nobody.
    """
    if not wrong.any():
        return []
    size = len(frame.claims) + 1
    lost = np.bincount(frame.owner[wrong], minlength=size)
    won = np.bincount(seen[wrong], minlength=size)
    taken = np.bincount(seen[wrong & (frame.owner != frame.before)], minlength=size)
    has = np.bincount(frame.owner.ravel(), minlength=size)
    found = []
    for index in range(len(frame.claims)):
        one = index + 1
        if frame.locked[index]:
            limit = 0.0
        else:
            limit = (1 - iou_target) * (int(has[one]) + int(won[one]))
        by_points = index not in masks and not frame.claims[index].geometry.outline
        if lost[one] + won[one] > limit or (by_points and taken[one]):
            found.append(index)
    # What has an outline of its own is right; where others spoil it those are mended, not it.
    return [i for i in found if i in masks or frame.locked[i] or not frame.claims[i].geometry.outline]


def _result(
    frame: _Frame,
    masks: Mapping[int, Bools],
    geometries: Mapping[int, Geometry],
    crops: Mapping[int, Crop],
    seen: Owners,
) -> Reshaped:
    shapes = {}
    for index in masks:
        own, wanted = seen == index + 1, frame.owner == index + 1
        box = union_box(bounding_box(own), bounding_box(wanted))
        value, edge = 1.0, 1.0
        if box is not None:
            x0, y0, x1, y1 = _wider(box, frame.shape, 1)
            own, wanted = own[y0:y1, x0:x1], wanted[y0:y1, x0:x1]
            value, edge = iou(own, wanted), boundary_f(own, wanted, shape=frame.shape)
        shapes[index] = Shape(geometries[index], value, edge, int(np.count_nonzero(crops[index].mask)))
    table = np.array([0, *frame.layers], np.uint16)
    return Reshaped(
        changed={index: shape for index, shape in shapes.items() if index < frame.known},
        gone=sorted(index for index in frame.gone if index < frame.known),
        added=[(frame.layers[index], shapes[index]) for index in sorted(shapes) if index >= frame.known],
        layers=table[seen],
    )


def _outlines(
    frame: _Frame, masks: Mapping[int, Bools], exact: set[int], iou_target: float
) -> dict[int, list[Ring]]:
    """Rings of every changed mask, of the same pixels where it is in `exact`."""
    if iou_target >= 1:
        return {index: trace(mask) for index, mask in masks.items()}
    found = {index: trace(masks[index]) for index in exact & masks.keys()}
    free = [index for index in masks if index not in found]
    window = union_box(*(bounding_box(masks[index]) for index in free))
    if window is None:
        return found
    x0, y0, x1, y1 = _wider(window, frame.shape, 2)
    shape = (y1 - y0, x1 - x0)
    order = sorted(frame.alive(), key=lambda index: int(frame.heights[index + 1]))
    parts = {
        index: (masks[index] if index in masks else frame.crops[index].full(frame.shape))[y0:y1, x0:x1]
        for index in order
    }
    shown = [index for index in order if parts[index].any()]
    crops = [_cut(parts[index]) for index in shown]
    given = {place: crops[place] for place, index in enumerate(shown) if index not in free}
    mean, least = (iou_target + (1 - iou_target) * share for share in (SPARE, HIDDEN_ERROR))
    mean = least if len(free) == 1 else mean
    corner = np.array([x0, y0])
    for index, outlined in zip(shown, SharedOutlines(crops, shape).find(mean, least, given), strict=True):
        if index not in free:
            continue
        found[index] = _with_hidden(
            frame, index, masks[index], [ring + corner for ring in outlined.rings], iou_target
        )
    return found


def _with_hidden(frame: _Frame, index: int, mask: Bools, rings: list[Ring], iou_target: float) -> list[Ring]:
    """Rings that are right where a mask is seen, and keep what it has under others where that is more than a little."""
    if not rings:
        return simplify_to(mask, iou_target)[0]
    hidden = mask & (frame.owner != index + 1)
    least = HIDDEN_SHARE * np.count_nonzero(mask)
    if np.count_nonzero(hidden) <= least:
        return rings
    drawn = outlined_by(rings, frame.shape).full(frame.shape)
    if np.count_nonzero(hidden & ~drawn) <= least:
        return rings
    # What is seen is simplified already: most of the error that is allowed is spent.
    return simplify_to(drawn | hidden, 1 - HIDDEN_ERROR * (1 - iou_target))[0]


def _geometry(frame: _Frame, index: int, rings: list[Ring], fresh: bool, alone: bool) -> Geometry:
    """`rings` and points: with `fresh` those that still say the truth, or a new one; else those there were.

    `alone`: nobody is left whose mask the points could decide over.
    """
    old = frame.claims[index].geometry
    outline = [[(float(x), float(y)) for x, y in ring.tolist()] for ring in rings]
    if not fresh:
        return quantise(Geometry(points=old.points, box=old.box, text=old.text, outline=outline))
    own = frame.owner == index + 1
    box = bounding_box(own)
    if box is None:
        return quantise(Geometry(outline=outline))
    x0, y0, x1, y1 = box
    inside = own[y0:y1, x0:x1]
    points = [] if alone or old.outline else _true_points(old.points, own, depth(inside), (x0, y0))
    if not any(point.label for point in points):
        rows = first_points(inside, 1) + np.array([x0, y0, 0, 0])
        points = [Point(x=x, y=y, label=1, r=r) for x, y, _, r in rows.tolist()]
    return quantise(Geometry(points=points, outline=outline))


def _true_points(
    points: Sequence[Point], own: Bools, depths: np.ndarray, corner: tuple[int, int]
) -> list[Point]:
    """The points that lie where they say they do, their reach no longer than it is now."""
    kept = []
    height, width = own.shape
    for point in points:
        column, row = int(np.floor(point.x)), int(np.floor(point.y))
        inside = 0 <= column < width and 0 <= row < height and bool(own[row, column])
        if inside and point.label:
            far = reach_of(float(depths[row - corner[1], column - corner[0]]))
            kept.append(Point(x=point.x, y=point.y, label=1, r=min(point.r, far)))
        elif not inside and not point.label:
            kept.append(point)
    return kept


def _cut(mask: Bools) -> Crop:
    box = bounding_box(mask)
    assert box is not None
    x0, y0, x1, y1 = box
    return Crop(np.ascontiguousarray(mask[y0:y1, x0:x1]), x0, y0)


def _wider(box: Box, shape: tuple[int, int], by: int) -> Box:
    return (
        max(0, box[0] - by),
        max(0, box[1] - by),
        min(shape[1], box[2] + by),
        min(shape[0], box[3] + by),
    )
