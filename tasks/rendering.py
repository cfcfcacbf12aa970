"""Label maps in the consumer: the same pixels as the worker shows, one frame at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.algo import render
from app.algo.compete import prepare_compete, seeds_of
from app.algo.fuse import fuse_regions, label_map_of
from app.algo.what_if import layers_of
from app.errors import Refused
from app.formats.images import read_image
from tasks.given_masks import GivenMasks
from tasks.snapshot import FrameEntry, Spec


def read_frame(entry: FrameEntry) -> NDArray[np.uint8]:
    """The image of a frame, (H, W, 3) uint8 RGB. Raises Refused, naming the frame, when it cannot be read."""
    name = f"frame {entry.frame.index}"
    image = read_image(Path(entry.image), name)
    if image.shape[:2] != (entry.frame.height, entry.frame.width):
        raise Refused(
            f"The image of {name} is {image.shape[1]}×{image.shape[0]} px instead of "
            f"{entry.frame.width}×{entry.frame.height}; import the asset again."
        )
    return image


def drawn_masks(
    entry: FrameEntry, given: GivenMasks, image: NDArray[np.uint8] | None = None
) -> list[render.Crop]:
    """The masks of `entry.specs` before priorities are looked at.

    `image` where it is at hand already; else it is read, but only if a region competes.
    """

    def draw(specs: Sequence[Spec]) -> list[render.Crop]:
        prepared = prepare_compete(read_frame(entry) if image is None else image)
        return render.competing(prepared, [seeds_of(spec.geometry) for spec in specs])

    shape = (entry.frame.height, entry.frame.width)
    return render.region_masks(draw, shape, entry.specs, given.of(entry.frame.hash, shape, entry.specs))


def winner_map(
    entry: FrameEntry, given: GivenMasks, image: NDArray[np.uint8] | None = None
) -> NDArray[np.uint16]:
    """Which region is seen where: (H, W) uint16 of the position in `entry.specs` + 1, 0 = unlabelled.

    `image` as in `drawn_masks`.
    """
    crops = drawn_masks(entry, given, image)
    return fuse_regions(layers_of(entry.specs, crops), (entry.frame.height, entry.frame.width))


def classes_of(entry: FrameEntry, winners: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The label map, (H, W) uint16 class ids, 0 = unlabelled, that belongs to a winner map of the frame."""
    return label_map_of(winners, [(0, 0, spec.class_id, None) for spec in entry.specs])


def label_map(
    entry: FrameEntry, given: GivenMasks, image: NDArray[np.uint8] | None = None
) -> NDArray[np.uint16]:
    """The label map of a frame, as `winner_map` and `classes_of` make it."""
    return classes_of(entry, winner_map(entry, given, image))
