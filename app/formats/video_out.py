"""Videos as they are exported: every frame at its own time, encoded as it comes, in constant memory.

The clock of a file is chosen so that every pts is a whole number of ticks; no frame is dropped, repeated or
reordered. H.264 is written as 4:2:0 in limited range, tagged BT.709; where a side is odd, its last row or
column is repeated once, because 4:2:0 needs even sides. FFV1 (RFC 9043) is written as 8-bit grey, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import av
import numpy as np
from av.codec import codecs_available
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.errors import Refused
from app.formats.video_out_sound import SoundFile

DEFAULT_FPS = 25.0
"""Frames a second where frames have no times (a folder of images)."""

MAX_TIMESCALE = 10_000_000
"""Clocks finer than this are not used; times are then rounded to microseconds."""

_BT709 = 1
_LIMITED = 1
_LUMA = np.rint(16 + np.arange(256) * (219 / 255)).astype(np.uint8)
"""Grey level → luma in limited range."""

Form = Literal["preview", "standard", "high", "mask", "exact"]
"""How a video is encoded: three qualities of a picture, and grey masks in H.264 or exact in FFV1."""

_X264: dict[str, tuple[str, int]] = {
    "preview": ("veryfast", 28),
    "standard": ("veryfast", 20),
    "high": ("faster", 16),
    "mask": ("veryfast", 8),
}
"""Preset and constant rate factor."""

ENCODERS = ("libx264", "libopenh264", "mpeg4")
"""The first one that this build of FFmpeg has is used."""

_CLOCK_OF_MPEG4 = 60_000
"""MPEG-4 part 2 counts time in 16 bits."""


class Timing(NamedTuple):
    """Pts of the frames in ticks of 1/`scale` s, rising from 0, and how long the last one is shown.

    `exact`: whether they are the times of the source; else they are spaced by a rate.
    """

    scale: int
    ticks: list[int]
    last: int
    exact: bool

    @property
    def seconds(self) -> Fraction:
        """From the first frame to the end of the last."""
        return Fraction(self.ticks[-1] + self.last, self.scale)


def timing(times: Sequence[float | None], fps: float | None, end: float | None = None) -> Timing:
    """The clock for frames at these times (seconds); without times, or where they do not rise, `fps` spaces them.

    `end`: when the last frame's time is over, on the clock of `times`; None: it lasts as long as the one before.
    """
    known = [time for time in times if time is not None]
    exact = bool(known) and len(known) == len(times) and all(b > a for a, b in pairwise(known))
    step = 1 / Fraction(fps or DEFAULT_FPS).limit_denominator(100_000)
    if exact:
        # Floats that were fractions (pts × time base) become these fractions again before they are subtracted.
        first = _fraction(known[0])
        spans = [_fraction(time) - first for time in known]
        last = _fraction(end) - first - spans[-1] if end is not None else Fraction(0)
        if last <= 0:
            last = spans[-1] - spans[-2] if len(spans) > 1 else step
    else:
        spans, last = [index * step for index in range(len(times))], step
    scale = timescale_of([*spans, last])
    ticks: list[int] = []
    for span in spans:
        ticks.append(max(ticks[-1] + 1 if ticks else 0, round(span * scale)))
    return Timing(scale, ticks, max(1, round(last * scale)), exact)


def _fraction(time: float) -> Fraction:
    found = Fraction(time).limit_denominator(1_000_000)
    return found if abs(found - Fraction(time)) <= 1e-9 * max(1.0, abs(time)) else Fraction(time)


def timescale_of(times: Iterable[Fraction | float]) -> int:
    """The smallest clock, in ticks a second, on which every time (seconds) falls on a tick.

    At most MAX_TIMESCALE; finer times are rounded to microseconds.
    """
    scale = 1
    for time in times:
        scale = math.lcm(scale, (time if isinstance(time, Fraction) else _fraction(time)).denominator)
        if scale > MAX_TIMESCALE:
            return 1_000_000
    # Players and muxers dislike a clock coarser than a millisecond.
    return scale * math.ceil(1000 / scale) if scale < 1000 else scale


class TimedOut:
    """One file with one video stream: frames at their times, and sound beside them.

    `notes` say what the user should know. The file is complete only after the context is left normally; write
    aside and rename.
    """

    def __init__(
        self,
        container: OutputContainer,
        codec: str,
        timing: Timing,
        *,
        scale: int,
        sound: SoundFile | None = None,
        threads: int = 0,
    ) -> None:
        """`scale`: ticks a second in the file; `threads` of the encoder, 0 = as many as it likes."""
        self.notes: list[str] = []
        self._timing = timing
        self._scale = scale
        self._count = 0
        self._last = -1
        self._lengths: dict[int, int] = {}
        self._container = container
        stream = container.add_stream(codec, rate=_nominal_rate(timing))
        assert isinstance(stream, VideoStream)
        self._stream = stream
        stream.codec_context.time_base = stream.time_base = Fraction(1, scale)
        stream.codec_context.thread_count = threads
        self._sound = sound
        if sound is not None:
            sound.add_to(container)

    def put(self, frame: VideoFrame) -> None:
        """The next frame, as the encoder takes it."""
        tick = self._tick(self._count)
        frame.pts, frame.time_base = tick, Fraction(1, self._scale)
        self._lengths[tick] = max(1, self._tick(self._count + 1) - tick)
        self._last = tick
        self._count += 1
        self._mux(self._stream.encode(frame))
        if self._sound is not None:
            self._container.mux(self._sound.until(Fraction(tick, self._scale)))

    def _tick(self, index: int) -> int:
        """When frame `index` is due on the clock of this file; behind the last one: when that is over."""
        ticks = self._timing.ticks
        tick = ticks[index] if index < len(ticks) else ticks[-1] + self._timing.last
        if self._scale != self._timing.scale:
            tick = max(self._last + 1, round(Fraction(tick * self._scale, self._timing.scale)))
        return tick

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            # The encoder gives every packet the nominal length, which would stretch or cut the last frame.
            packet.duration = self._lengths.pop(packet.pts or 0, packet.duration)
            self._container.mux(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._count:
                self._mux(self._stream.encode(None))
                if self._sound is not None:
                    self._container.mux(self._sound.until(None))
        finally:
            self._container.close()
            if self._sound is not None:
                self._sound.close()


class VideoOut(TimedOut):
    """Writes the frames of one file as they come: MP4, or Matroska for the form "exact".

    `size` = (width, height) of the pictures; `sound` is muxed along.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        timing: Timing,
        *,
        form: Form = "standard",
        sound: SoundFile | None = None,
        encoders: Sequence[str] = ENCODERS,
        threads: int = 0,
    ) -> None:
        """`threads` of the encoder, 0 = as many as it likes. Raises Refused where no encoder is at hand."""
        self._size = size
        self._exact = form == "exact"
        codec = "ffv1" if self._exact else _encoder(encoders)
        super().__init__(
            av.open(str(path), "w", format="matroska")
            if self._exact
            else av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}),
            codec,
            timing,
            scale=min(timing.scale, _CLOCK_OF_MPEG4) if codec == "mpeg4" else timing.scale,
            sound=sound,
            threads=threads,
        )
        context = self._stream.codec_context
        if self._exact:
            context.width, context.height = size
            context.pix_fmt = "gray"
            context.options = {"level": "3", "slicecrc": "1"}
            if not in_milliseconds(timing):
                self.notes.append(
                    "Matroska counts milliseconds: the times of the frames are rounded to them."
                )
        else:
            self._make_yuv(codec, form)

    def _make_yuv(self, codec: str, form: Form) -> None:
        context = self._stream.codec_context
        width, height = self._size
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt = "yuv420p"
        preset, crf = _X264[form]
        # Without reordered frames decoding time equals presentation time and no edit list is needed.
        if codec == "libx264":
            context.options = {"preset": preset, "crf": str(crf), "bf": "0"}
            if form == "mask":
                # Many masks are written at once: none may hold dozens of frames back.
                context.options |= {"x264-params": "rc-lookahead=0:sync-lookahead=0:mbtree=0"}
        else:
            context.bit_rate = round(width * height * 30 * 2 ** ((20 - crf) / 6) * 0.1)
            name = "H.264 by OpenH264" if codec == "libopenh264" else "MPEG-4 part 2 instead of H.264"
            self.notes.append(f"This FFmpeg has no x264; the video is {name}.")
        tag(context)
        if (context.width, context.height) != self._size:
            lines = [name for name, side in (("column", width), ("row", height)) if side % 2]
            self.notes.append(
                f"The video is {context.width}×{context.height} px: the last {' and '.join(lines)} is repeated "
                "once, because H.264 needs even sides."
            )

    def add(self, image: NDArray[np.uint8]) -> None:
        """The next frame, of the size that was announced: (H, W, 3) uint8 RGB, or (H, W) uint8 grey."""
        self.put(self._frame(image))

    def _frame(self, image: NDArray[np.uint8]) -> VideoFrame:
        if self._exact:
            return VideoFrame.from_ndarray(
                np.ascontiguousarray(image), format="gray" if image.ndim == 2 else "rgb24"
            )
        width, height = self._size
        if width % 2 or height % 2:
            image = np.pad(
                image, ((0, height % 2), (0, width % 2), *[(0, 0)] * (image.ndim - 2)), mode="edge"
            )
        return _grey(image) if image.ndim == 2 else in_bt709(image, "yuv420p")


def in_milliseconds(timing: Timing) -> bool:
    """Whether every frame is due at a whole millisecond."""
    return not any(tick * 1000 % timing.scale for tick in timing.ticks)


def tag(target: VideoCodecContext | VideoFrame) -> None:
    """Say that colours are BT.709 in limited range."""
    target.color_primaries = target.color_trc = target.colorspace = _BT709
    target.color_range = _LIMITED


def in_bt709(image: NDArray[np.uint8], format: str) -> VideoFrame:
    """(H, W, 3) uint8 RGB, or (H, W, 4) with alpha, in a YUV format of limited range; alpha keeps its full range."""
    kind = "rgb24" if image.shape[2] == 3 else "rgba"
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind).reformat(
        format=format,
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
    tag(frame)
    return frame


def _grey(image: NDArray[np.uint8]) -> VideoFrame:
    """(H, W) uint8, sides even, as yuv420p. FFmpeg's own conversion of grey is half a level too dark."""
    height, width = image.shape
    chroma = np.full((height // 2, width), 128, np.uint8)
    frame = VideoFrame.from_ndarray(np.vstack((_LUMA[image], chroma)), format="yuv420p")
    tag(frame)
    return frame


def _encoder(wanted: Sequence[str]) -> str:
    found = next((name for name in wanted if name in codecs_available), None)
    if found is None:
        raise Refused("This FFmpeg cannot write H.264 video. Install the ordinary `av` package.")
    return found


def _nominal_rate(timing: Timing) -> Fraction:
    seconds = timing.seconds
    return Fraction(len(timing.ticks) / seconds).limit_denominator(1001) or Fraction(1)
