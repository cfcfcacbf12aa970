"""Overlay MP4: every frame with its label map over it, at its own time, encoded as H.264.

Frames keep their times (variable frame rates too): the clock of the file is chosen so that every pts is a
whole number of ticks, and no frame is dropped, repeated or reordered. Colours are written as BT.709, limited
range, 4:2:0. The picture has the size of the asset; where a side is odd, its last row or column is repeated
once, because 4:2:0 needs even sides. A frame of another size is scaled to fit and centred on black.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from app.algo.labels import hex_colour
from app.models import ClassDef

DEFAULT_FPS = 25.0
"""Frames a second where frames have no times (a folder of images)."""

MAX_TIMESCALE = 10_000_000
"""Clocks finer than this are not used; times are then rounded to microseconds."""

_BT709 = 1
_LIMITED = 1


def timescale_of(times: Iterable[float]) -> int:
    """The smallest clock, in ticks a second, on which every time (seconds) falls on a tick.

    At most MAX_TIMESCALE; finer times are rounded to microseconds.

    Times come as floats that were fractions (pts × time base); the fraction is recovered from each.
    """
    scale = 1
    for time in times:
        exact = Fraction(time).limit_denominator(1_000_000)
        if abs(exact - Fraction(time)) > 1e-9 * max(1.0, abs(time)):
            return 1_000_000
        scale = math.lcm(scale, exact.denominator)
        if scale > MAX_TIMESCALE:
            return 1_000_000
    # Players and muxers dislike a clock coarser than a millisecond.
    return scale * math.ceil(1000 / scale) if scale < 1000 else scale


def frame_times(times: Sequence[float | None], fps: float | None) -> list[float]:
    """A time in seconds for each frame, rising from 0; where times are missing, all are spaced by `fps`."""
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(b > a for a, b in pairwise(known)):
        return [time - known[0] for time in known]
    step = Fraction(fps or DEFAULT_FPS).limit_denominator(100_000)
    return [float(index / step) for index in range(len(times))]


class Painter:
    """Lays a label map over an image: class colours at `opacity` (0..1), borders at full strength."""

    def __init__(self, classes: Sequence[ClassDef], opacity: float = 0.5, *, edges: bool = True) -> None:
        self._colours = np.zeros((max((c.id for c in classes), default=0) + 1, 3), np.uint8)
        for known in classes:
            self._colours[known.id] = hex_colour(known.colour)
        self._opacity = min(1.0, max(0.0, opacity))
        self._edges = edges

    def paint(self, image: NDArray[np.uint8], label_map: NDArray[np.integer] | None) -> NDArray[np.uint8]:
        """A painted copy of `image` (H, W, 3) uint8 RGB.

        `label_map` (H, W) class ids; where it is 0 (or None) or an unknown id, the image shows.
        """
        if label_map is None or not label_map.any():
            return image
        ids = np.where(label_map < len(self._colours), label_map, 0)
        colour = self._colours[ids]
        mixed = cv2.addWeighted(image, 1 - self._opacity, colour, self._opacity, 0)
        out = np.where((ids != 0)[:, :, None], mixed, image)
        if self._edges:
            border = _borders(ids)
            out[border] = colour[border]
        return np.ascontiguousarray(out, np.uint8)


def _borders(ids: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Labelled pixels whose class ends within reach: 1 px at 540 lines, 2 at 1080, and so on."""
    reach = max(1, round(min(ids.shape) / 540))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    wide = ids.astype(np.uint16)
    changes = (cv2.dilate(wide, kernel) != wide) | (cv2.erode(wide, kernel) != wide)
    return changes & (wide != 0)


class OverlayWriter:
    """Writes the frames of one MP4 as they come; memory does not grow with the length.

    `size` = (width, height) of the asset; `times` = every frame's time in seconds, rising (`frame_times`).
    The file is complete only after the context is left normally; write aside and rename.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], times: Sequence[float], *, quality: int = 20
    ) -> None:
        self._times = times
        self._size = size
        self._scale = timescale_of(times)
        self._count = 0
        self._last = -1
        self._lengths: dict[int, int] = {}
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=_nominal_rate(times))
        context = self._stream.codec_context
        context.width, context.height = (side + side % 2 for side in size)
        context.pix_fmt = "yuv420p"
        context.time_base = self._stream.time_base = Fraction(1, self._scale)
        # Without reordered frames decoding time equals presentation time and no edit list is needed.
        context.options = {"preset": "veryfast", "crf": str(quality), "bf": "0"}
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        context.thread_count = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """The next frame, (H, W, 3) uint8 RGB."""
        picture = VideoFrame.from_ndarray(_fitted(image, self._size), format="rgb24")
        frame = picture.reformat(
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        frame.color_primaries = frame.color_trc = _BT709
        tick = max(self._last + 1, round(Fraction(self._times[self._count]) * self._scale))
        frame.pts, frame.time_base = tick, Fraction(1, self._scale)
        self._lengths[tick] = self._duration_at(self._count, tick)
        self._last = tick
        self._count += 1
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            # The encoder gives every packet the nominal length, which would stretch or cut the last frame.
            packet.duration = self._lengths.pop(packet.pts or 0, packet.duration)
            self._container.mux(packet)

    def _duration_at(self, index: int, tick: int) -> int:
        """Ticks until the next frame; the last one lasts as long as the one before it."""
        if index + 1 < len(self._times):
            return max(1, round(Fraction(self._times[index + 1]) * self._scale) - tick)
        if index:
            return max(1, tick - round(Fraction(self._times[index - 1]) * self._scale))
        return max(1, round(self._scale / DEFAULT_FPS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._count:
            self._mux(self._stream.encode(None))
        self._container.close()


def _nominal_rate(times: Sequence[float]) -> Fraction:
    if len(times) < 2 or times[-1] <= times[0]:
        return Fraction(DEFAULT_FPS)
    return Fraction((len(times) - 1) / (times[-1] - times[0])).limit_denominator(1001)


def _fitted(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image on a canvas of `size` with even sides."""
    width, height = size
    if image.shape[:2] != (height, width):
        ratio = min(width / image.shape[1], height / image.shape[0])
        scaled = cv2.resize(
            image,
            (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))),
            interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR,
        )
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
        canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
        image = canvas
    if width % 2 or height % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)
