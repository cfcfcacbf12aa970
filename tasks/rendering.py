"""Label maps in the consumer: the same pixels as the worker shows, one frame at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.algo import render
from app.algo.fuse import label_map_of
from app.errors import Refused
from app.formats.images import read_image
from tasks.snapshot import FrameEntry


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


def winner_map(entry: FrameEntry, image: NDArray[np.uint8] | None = None) -> NDArray[np.uint16]:
    """Which region is seen where: (H, W) uint16 of the position in `entry.specs` + 1, 0 = unlabelled.

    `image` where it is at hand already; else it is read, but only if a region needs the engine.
    """
    shape = (entry.frame.height, entry.frame.width)
    if not entry.specs:
        return np.zeros(shape, np.uint16)
    if all(spec.geometry.outline for spec in entry.specs):
        return render.winner_map_with(_no_engine, shape, entry.specs)
    return render.winner_map(read_frame(entry) if image is None else image, entry.specs)


def classes_of(entry: FrameEntry, winners: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The label map, (H, W) uint16 class ids, 0 = unlabelled, that belongs to a winner map of the frame."""
    return label_map_of(winners, [(0, 0, spec.class_id, None) for spec in entry.specs])


def label_map(entry: FrameEntry, image: NDArray[np.uint8] | None = None) -> NDArray[np.uint16]:
    """The label map of a frame, as `winner_map` and `classes_of` make it."""
    return classes_of(entry, winner_map(entry, image))


def _no_engine(specs: object) -> list[render.Crop]:
    raise AssertionError("every region has an outline")
