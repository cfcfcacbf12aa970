"""How labels move between two frames: dense optical flow both ways, trusted only where both ways agree.

The flow is DIS (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) at a capped size. Where a
pixel's way there and back does not end near where it began, it was hidden, left the frame or was not found (the
check of Sundaram et al., "Dense point trajectories by GPU-accelerated large displacement optical flow", ECCV 2010),
and so it was where it looks different there; nothing is said about such pixels. Across a cut nothing is carried at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import ReferenceType, ref

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.tracking.features import Frame, is_cut

FLOW_PIXELS = 640 * 360
"""Optical flow is computed at about this many pixels: 50 ms a pair, both ways, on one core."""
SLACK_PX2, SLACK_SHARE = 1.5, 0.015
"""A way there and back may end this many squared pixels off, and this share of both ways' squared lengths."""
UNLIKE, UNLIKE_PX = 25.0, 5
"""Grey levels (0–255) by which a pixel's surroundings, so many pixels wide, may differ from where they came from."""
LEAST_PX = 16
"""Smaller sides are too small for the pyramid of the flow; such frames are taken as if nothing moved."""

Labels = NDArray[Any]
Bools = NDArray[np.bool_]
Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
_empty: Any = None
"""The optional arguments of OpenCV, whose stubs know no None."""


class Picture:
    """What is kept of a frame to compare it with its neighbours: about 0.3 MB whatever its size.

    Args:
        image: (H, W, 3) uint8 RGB; it is not kept.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.shape: tuple[int, int] = (image.shape[0], image.shape[1])
        scale = min(1.0, (FLOW_PIXELS / (self.shape[0] * self.shape[1])) ** 0.5)
        height, width = (max(1, round(side * scale)) for side in self.shape)
        frame = Frame(image)
        grey = cv2.cvtColor(frame.small, cv2.COLOR_RGB2GRAY)
        self.grey: NDArray[Any] = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        """(h, w) uint8 at the size of the flow."""
        frame.release()
        self.frame = frame
        self.latest: tuple[ReferenceType[Picture], Motion] | None = None
        """The frame it was compared with last, and the motion from there, so that it is computed once."""


def picture(image: NDArray[np.uint8]) -> Picture:
    """What is kept of a frame (H, W, 3) uint8 RGB."""
    return Picture(image)


@dataclass(frozen=True)
class Field:
    """Where the pixels of one frame lie in another.

    Attributes:
        offsets: (h, w, 2) float32, from a pixel of the one to its place in the other: x, y in pixels of (h, w).
        trusted: (h, w) bool, where that is known.
    """

    offsets: Floats
    trusted: Bools

    def places(self, shape: tuple[int, int]) -> tuple[Floats, Bools]:
        """For the pixels of frames of a shape (H, W): (H, W, 2) float32 x, y in the other one, (H, W) bool valid."""
        places = self.offsets
        height, width = places.shape[:2]
        if (height, width) != shape:
            # Pixel centres of both sizes are aligned by the resize, so offsets only need scaling.
            places = cv2.resize(places, shape[::-1], interpolation=cv2.INTER_LINEAR)
            places *= np.array([shape[1] / width, shape[0] / height], np.float32)
        places = places + _grid(shape)
        trusted = self.trusted
        if trusted.shape != shape:
            small = trusted.view(np.uint8)
            trusted = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_NEAREST).view(np.bool_)
        return places, trusted & _inside(places, shape)

    def carry(self, labels: Labels) -> tuple[Labels, Bools]:
        """The other frame's labels (H, W) uint8 or uint16 as they lie in this one, and where that is known."""
        places, valid = self.places((labels.shape[0], labels.shape[1]))
        return sample(labels, places), valid

    def through(self, onward: Field) -> Field:
        """From this frame by the other one to where `onward`, the other one's own field, leads."""
        shape = (self.offsets.shape[0], self.offsets.shape[1])
        places = self.offsets + _grid(shape)
        onward_offsets = cv2.remap(
            onward.offsets, places, _empty, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        trusted = self.trusted & sample(onward.trusted.view(np.uint8), places).view(np.bool_)
        return Field(self.offsets + onward_offsets, trusted)


def sample(plane: Labels, places: Floats) -> Labels:
    """The nearest values of (H, W) at places (h, w, 2) float32 x, y; 0 outside."""
    return cv2.remap(plane, places, _empty, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


class Motion:
    """What moved where between two frames. The flow is computed when it is first asked for, once."""

    def __init__(self, before: Picture, after: Picture) -> None:
        # Not the pictures: those keep motions, and so a whole video would stay.
        self._greys: tuple[Labels, Labels] | None = (before.grey, after.grey)
        self.cut: bool = before.shape != after.shape or is_cut(after.frame, before.frame)
        """Whether the two belong to different shots; then nothing is carried."""

    @cached_property
    def fields(self) -> tuple[Field, Field] | None:
        """(where the later frame's pixels lie in the earlier, where the earlier's lie in the later); None at a cut."""
        if self.cut or self._greys is None:
            return None
        before, after = self._greys
        self._greys = None
        if min(before.shape) < LEAST_PX:
            still = np.zeros((*before.shape, 2), np.float32)
            everywhere = np.ones(before.shape, bool)
            return Field(still, everywhere), Field(still, everywhere)
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back = flow.calc(after, before, _empty)
        ahead = flow.calc(before, after, _empty)
        return (
            Field(back, _returns(back, ahead) & (difference(after, before, back) < UNLIKE)),
            Field(ahead, _returns(ahead, back) & (difference(before, after, ahead) < UNLIKE)),
        )

    def carry(self, labels: Labels) -> tuple[Labels, Bools]:
        """The earlier frame's labels (H, W) uint8 or uint16 as they lie in the later one.

        Returns them (H, W) of the same dtype and (H, W) bool, where they are known: False where the later frame
        shows what was hidden or outside before, everywhere at a cut.
        """
        return self._carried(0, labels)

    def carry_back(self, labels: Labels) -> tuple[Labels, Bools]:
        """The later frame's labels as they lie in the earlier one, like `carry`."""
        return self._carried(1, labels)

    def _carried(self, way: int, labels: Labels) -> tuple[Labels, Bools]:
        if self.fields is None:
            return np.zeros_like(labels), np.zeros(labels.shape, bool)
        return self.fields[way].carry(labels)


def between(before: Picture, after: Picture) -> Motion:
    """The motion from one frame to a later one; the later one remembers it."""
    if after.latest is None or after.latest[0]() is not before:
        after.latest = (ref(before), Motion(before, after))
    return after.latest[1]


def _returns(there: Floats, back: Floats) -> Bools:
    """(h, w) bool: where the way there, inside the frame, and back from there ends near its beginning."""
    shape = (there.shape[0], there.shape[1])
    places = there + _grid(shape)
    home = cv2.remap(back, places, _empty, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = np.square(there + home).sum(-1)
    length = np.square(there).sum(-1) + np.square(home).sum(-1)
    return (off < SLACK_PX2 + SLACK_SHARE * length) & _inside(places, shape)


def difference(grey: Labels, other: Labels, there: Floats) -> Floats:
    """(h, w) float32: by how many grey levels the surroundings of pixels differ from where they lie in another picture.

    Args:
        grey, other: (h, w) uint8 (`Picture.grey`); `there`: (h, w, 2) float32, the way from the one to the other.
    A change of all the light is no difference.
    """
    places = there + _grid((grey.shape[0], grey.shape[1]))
    moved = cv2.remap(other, places, _empty, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = cv2.subtract(grey, moved, dtype=cv2.CV_32F)
    off -= np.median(off[::4, ::4])
    return cv2.blur(np.abs(off), (UNLIKE_PX, UNLIKE_PX))


def _inside(places: Floats, shape: tuple[int, int]) -> Bools:
    """(h, w) bool: which places' nearest pixels exist in a frame of a shape (H, W)."""
    x, y = places[..., 0], places[..., 1]
    return (x > -0.5) & (y > -0.5) & (x < shape[1] - 0.5) & (y < shape[0] - 0.5)


def _grid(shape: tuple[int, int]) -> Floats:
    """(H, W, 2) float32: every pixel's own x, y."""
    out = np.empty((*shape, 2), np.float32)
    out[..., 0] = np.arange(shape[1], dtype=np.float32)
    out[..., 1] = np.arange(shape[0], dtype=np.float32)[:, None]
    return out
