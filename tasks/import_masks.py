"""One frame of ground truth, mapped to the classes of the template, as the masks that become regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.algo.labels import bounding_box, components
from app.algo.render import Crop
from app.formats.truth.model import TruthFrame, TruthObject
from tasks.import_report import Dropped, ImportOptions

S = TypeVar("S", bound=np.generic)

OPEN = -1
"""In a map of class ids: the pixel says nothing; 0 = known to have no class."""


@dataclass(slots=True, eq=False)
class Wanted:
    """A mask that becomes a region of `class_id`."""

    class_id: int
    crop: Crop
    track: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class FrameMasks:
    """The masks of a frame in painting order; `free`: (H, W) bool, pixels that no region may take.

    `disjoint`: no two overlap, as the classes of a label map.
    """

    wanted: list[Wanted]
    free: NDArray[np.bool_] | None
    dropped: Dropped
    disjoint: bool = True


def counts_of(values: NDArray[np.integer]) -> dict[int, int]:
    """How often each value of a map occurs."""
    if values.dtype.itemsize <= 2:
        counted = np.bincount(values.ravel())
        return {int(value): int(counted[value]) for value in np.flatnonzero(counted)}
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def masks_of(
    truth: TruthFrame,
    mapping: Mapping[str, int],
    void: set[str],
    shape: tuple[int, int],
    options: ImportOptions,
) -> FrameMasks:
    """What becomes regions on a frame of `shape` (H, W). Classes mapped to 0 or not at all become none.

    `void`: the class keys that mean nothing. Masks of another size are scaled, nearest pixel.
    """
    dropped = Dropped()
    if truth.values is not None:
        ids = _scaled(_class_ids(truth, mapping, void, options), shape)
        wanted = _from_map(ids, options, dropped)
        free = ids == 0
        return FrameMasks(wanted, free if free.any() else None, dropped)
    objects = [(mapping[known.key], known) for known in truth.objects if mapping.get(known.key, 0) > 0]
    if options.regions == "class":
        ids = np.zeros(shape, np.int32)
        for class_id, known in objects:
            crop = _object_crop(known, truth, shape)
            height, width = crop.mask.shape
            window = ids[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width]
            window[crop.mask] = class_id
        wanted = _from_map(ids, options, dropped)
        taken = ids > 0
    else:
        wanted = []
        taken = np.zeros(shape, bool)
        for class_id, known in objects:
            for crop in _pieces(_object_crop(known, truth, shape), options, dropped):
                wanted.append(Wanted(class_id, crop, known.track, known.attributes))
                height, width = crop.mask.shape
                taken[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width] |= crop.mask
    # Objects are what was annotated; what lies around them is free unless the user says otherwise.
    free = None if options.unlabelled == "open" else ~taken
    if free is not None:
        for known in truth.objects:
            if known.key in void:
                crop = _object_crop(known, truth, shape)
                height, width = crop.mask.shape
                free[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width] &= ~crop.mask
    return FrameMasks(
        wanted,
        free if free is not None and free.any() else None,
        dropped,
        disjoint=options.regions == "class",
    )


def _class_ids(
    truth: TruthFrame, mapping: Mapping[str, int], void: set[str], options: ImportOptions
) -> NDArray[np.int32]:
    assert truth.values is not None
    without = {"auto": 0, "background": 0, "open": OPEN}[options.unlabelled]
    table: dict[int, int] = {}
    for value in counts_of(truth.values):
        key = truth.keys.get(value)
        class_id = 0 if key is None else mapping.get(key, 0)
        if class_id > 0:
            table[value] = class_id
        elif options.unlabelled == "auto" and (key is None or key in void):
            table[value] = OPEN
        else:
            table[value] = without
    known = np.array(sorted(table), np.int64)
    ids = np.array([table[int(value)] for value in known], np.int32)
    if truth.values.dtype.itemsize <= 2:
        lookup = np.zeros(int(known[-1]) + 1 if known.size else 1, np.int32)
        lookup[known] = ids
        return lookup[truth.values]
    return ids[np.searchsorted(known, truth.values)]


def _from_map(ids: NDArray[np.int32], options: ImportOptions, dropped: Dropped) -> list[Wanted]:
    wanted = []
    for class_id in (int(v) for v in np.unique(ids) if v > 0):
        own = ids == class_id
        box = bounding_box(own)
        if box is None:
            continue
        x0, y0, x1, y1 = box
        crop = Crop(np.ascontiguousarray(own[y0:y1, x0:x1]), x0, y0)
        pieces = options.regions == "piece"
        if options.min_area > 1 or pieces:
            found = components(crop.mask, min_area=max(1, options.min_area))
            dropped.pieces += len(found.small)
            dropped.pixels += found.small_pixels
            if pieces:
                wanted += [Wanted(class_id, Crop(c.mask, x0 + c.x0, y0 + c.y0)) for c in found.kept]
                continue
            for small in found.small:
                height, width = small.mask.shape
                crop.mask[small.y0 : small.y0 + height, small.x0 : small.x0 + width][small.mask] = False
        if crop.mask.any():
            wanted.append(Wanted(class_id, crop))
    return wanted


def _pieces(crop: Crop, options: ImportOptions, dropped: Dropped) -> list[Crop]:
    if not crop.mask.any():
        return []
    if options.min_area <= 1 and options.regions != "piece":
        return [crop]
    found = components(crop.mask, min_area=max(1, options.min_area))
    dropped.pieces += len(found.small)
    dropped.pixels += found.small_pixels
    if options.regions == "piece":
        return [Crop(c.mask, crop.x0 + c.x0, crop.y0 + c.y0) for c in found.kept]
    mask = crop.mask.copy()
    for small in found.small:
        height, width = small.mask.shape
        mask[small.y0 : small.y0 + height, small.x0 : small.x0 + width][small.mask] = False
    return [Crop(mask, crop.x0, crop.y0)] if mask.any() else []


def _object_crop(known: TruthObject, truth: TruthFrame, shape: tuple[int, int]) -> Crop:
    crop = Crop(known.mask, known.x0, known.y0)
    if (truth.height, truth.width) == shape:
        return crop
    full = _scaled(crop.full((truth.height, truth.width)), shape)
    box = bounding_box(full)
    if box is None:
        return Crop(np.zeros((0, 0), bool))
    x0, y0, x1, y1 = box
    return Crop(full[y0:y1, x0:x1], x0, y0)


def _scaled(pixels: NDArray[S], shape: tuple[int, int]) -> NDArray[S]:
    if pixels.shape == shape:
        return pixels
    rows = ((np.arange(shape[0]) + 0.5) * pixels.shape[0] / shape[0]).astype(np.intp)
    columns = ((np.arange(shape[1]) + 0.5) * pixels.shape[1] / shape[1]).astype(np.intp)
    return pixels[rows[:, None], columns]
