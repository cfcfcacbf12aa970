"""Video → frames: exact times, upright pixels, damage counted and survived, the same frames every time.

Times are (pts − pts of the first frame) · time base, never index / rate, so that a variable rate is kept.
Rotation is applied; pixels are taken as square (the sample aspect ratio is only reported). Frames of
another size in mid-stream keep their own size. Pixels become 8-bit RGB by the colour matrix the stream
names; where it names none, BT.709 from 720 lines up and BT.601 below, as players do.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from av.error import BlockingIOError as DecoderFull
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from msgspec import Struct, field

from app.errors import Refused
from app.formats.frames import ArrayPicture, FrameWriter, Image8, fitted
from app.formats.probe import (
    check_size,
    declared_frames,
    open_video,
    stream_duration,
    stream_rate,
    upright_rotation,
)
from app.formats.sniff import sniff
from app.models import Sampling

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

EPSILON = 1e-6
MOST_LOST = 64
"""More packets without a frame than decoder threads can hold back are the codec's way, not a loss."""

_local = threading.local()


class Summary(Struct, kw_only=True):
    """How an extraction went: `frames` were kept of the `decoded` ones."""

    frames: int = 0
    decoded: int = 0
    skipped_packets: int = 0
    damaged_frames: int = 0
    partial: bool = False
    reason: str = ""
    width: int = 0
    height: int = 0
    fps: float | None = None
    duration: float | None = None
    rotation: int = 0
    codec: str = ""
    notes: list[str] = field(default_factory=list)


class Sampler:
    """Decides which frames are kept. Deterministic: it depends on indices and times alone."""

    def __init__(self, sampling: Sampling) -> None:
        if sampling.mode == "fps" and not sampling.fps:
            raise Refused("Say how many frames per second to keep.")
        self.start = sampling.start or 0.0
        self.stop = math.inf if sampling.stop is None else sampling.stop
        if self.stop <= self.start:
            raise Refused("The range is empty: its stop must lie after its start.")
        self.nth = sampling.nth if sampling.mode == "nth" else 1
        self.fps = sampling.fps if sampling.mode == "fps" else None
        self._seen = 0
        self._tick = 0

    def wants(self, time: float) -> bool:
        """Whether the frame at `time` (seconds from the first) is kept. Call once for each, in order."""
        if time < self.start - EPSILON or self.ended(time):
            return False
        position, self._seen = self._seen, self._seen + 1
        if self.fps is None:
            return position % self.nth == 0
        since = (time - self.start) * self.fps
        if since < self._tick - 1e-4:
            return False
        self._tick = math.floor(since + 1e-4) + 1
        return True

    def ended(self, time: float) -> bool:
        return time >= self.stop - EPSILON

    def estimate(self, frames: int | None, rate: float | None, duration: float | None) -> int:
        """About how many frames will be kept, 0 when unknown."""
        if not frames or not rate:
            return 0
        length = duration or frames / rate
        share = max(0.0, min(self.stop, length) - min(self.start, length)) / length if length else 1.0
        if self.fps is not None:
            return max(1, math.ceil(min(frames * share, length * share * self.fps)))
        return max(1, math.ceil(frames * share / self.nth))


class Clock:
    """Times of frames in seconds from the first one; nominal rate where the stream has no times."""

    def __init__(self, time_base: Fraction | None, rate: Fraction | None) -> None:
        self.time_base = time_base or Fraction(1, 90_000)
        self.step = 1 / rate if rate else Fraction(1, 25)
        self.irregular = 0
        self._first: int | None = None
        self._last: Fraction | None = None

    def time_of(self, frame: VideoFrame) -> float:
        if frame.pts is None:
            now = Fraction(0) if self._last is None else self._last + self.step
        else:
            if self._first is None:
                self._first = frame.pts
            now = (frame.pts - self._first) * self.time_base
        if self._last is not None and now <= self._last:
            self.irregular += 1
        self._last = now
        return float(now)

    @property
    def last(self) -> float:
        return float(self._last or 0)


class _Decoder:
    """Frames of one stream in order, surviving damaged packets."""

    def __init__(self, path: Path, *, parallel: bool) -> None:
        self.path = path
        self.parallel = parallel
        self.packets = 0
        self.frames = 0
        self.errors = 0
        self.damaged = False
        self.trouble = False
        """A parallel decoder met damage and stopped before the first frame that it could have touched."""

    def __iter__(self) -> Iterator[tuple[InputContainer, VideoStream, VideoFrame | None]]:
        """Yields (container, stream, frame); frame is None now and then, as a sign of life."""
        with open_video(self.path) as (container, stream):
            context = stream.codec_context
            stream.thread_type = "AUTO" if self.parallel else "NONE"
            context.thread_count = thread_count(context.width * context.height) if self.parallel else 1
            context.options = {"max_pixels": str(1 << 26)}
            for frame in self._frames(container, stream):
                yield container, stream, frame

    def _frames(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | None]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError:
                self.damaged = True
                return
            if packet.size:
                self.packets += 1
                self.damaged |= packet.is_corrupt
            try:
                frames = packet.decode()
            except (EndOfStream, DecoderFull):
                frames = []
            except FFmpegError:
                self.errors += 1
                frames = []
            if self.parallel and (self.errors or any(frame.is_corrupt for frame in frames)):
                self.trouble = True
                return
            if not frames:
                yield None
            for frame in frames:
                self.frames += 1
                yield frame

    @property
    def lost(self) -> int:
        """Packets that gave neither a frame nor an error."""
        return self.packets - self.frames - self.errors


def thread_count(pixels: int) -> int:
    """Decoder threads: each holds frames of its own, so large frames get fewer."""
    cores = os.cpu_count() or 1
    return max(1, min(cores + 1, 8, (64 << 20) // max(1, pixels)))


def extract(
    path: Path,
    sampling: Sampling,
    writer: FrameWriter,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Summary:
    """Extract frames of a video through `writer`.

    `on_progress(done, total)` counts kept frames (total 0: unknown); `check` is called between frames and
    may raise. A resume decodes from the start and skips what `writer.kept` says is there, so that indices
    and times stay exactly the same. Raises Refused with a sentence when the source is no video or gives no
    frame.
    """
    found = sniff(path)
    if found.is_image:
        return _extract_still(path, writer)
    state = _Extraction(sampling, writer, on_progress, check)
    decoder = _Decoder(path, parallel=True)
    state.consume(decoder)
    if not state.ended and (decoder.trouble or 0 < decoder.lost <= MOST_LOST):
        # Threads conceal damage differently each time, and lose good frames around damage at the very end.
        # What came before the damage stays; the rest is decoded by one thread.
        decoder = _Decoder(path, parallel=False)
        state.consume(decoder)
    writer.drain()
    summary = state.finish(decoder)
    if not writer.emitted:
        raise Refused(
            "No frame of the video lies in the chosen range."
            if summary.decoded
            else "No frame of the video can be decoded; the file is damaged."
        )
    return summary


class _Extraction:
    """What is known between frames."""

    def __init__(
        self,
        sampling: Sampling,
        writer: FrameWriter,
        on_progress: Callable[[int, int], None],
        check: Callable[[], None],
    ) -> None:
        self.sampler = Sampler(sampling)
        self.writer = writer
        self.on_progress = on_progress
        self.check = check
        self.summary = Summary()
        self.clock: Clock | None = None
        self.sizes: set[tuple[int, int]] = set()
        self.rotations: set[int] = set()
        self.total = 0
        self.declared: int | None = None
        self.ended = False

    def consume(self, decoder: _Decoder) -> None:
        """Take all frames that were not taken yet."""
        position = -1
        for container, stream, frame in decoder:
            self.check()
            if frame is None:
                continue
            position += 1
            if self.clock is None:
                self._begin(container, stream)
            if position < self.summary.decoded:
                continue
            self.summary.decoded += 1
            if not self._take(position, frame):
                self.ended = True
                return

    def _begin(self, container: InputContainer, stream: VideoStream) -> None:
        rate = stream_rate(container, stream)
        self.clock = Clock(stream.time_base, rate)
        self.declared = stream.frames or None
        summary = self.summary
        summary.fps = float(rate) if rate else None
        summary.duration = stream_duration(container, stream)
        summary.codec = stream.codec_context.codec.canonical_name
        self.total = self.sampler.estimate(declared_frames(container, stream), summary.fps, summary.duration)

    def _take(self, position: int, frame: VideoFrame) -> bool:
        """Keep or drop one frame; False when no later frame can be wanted."""
        assert self.clock is not None
        time = self.clock.time_of(frame)
        if self.sampler.ended(time):
            return False
        if not self.sampler.wants(time):
            return True
        check_size(frame.width, frame.height)
        rotation = upright_rotation(frame)
        self.sizes.add((frame.width, frame.height))
        self.rotations.add(rotation)
        self.summary.damaged_frames += bool(frame.is_corrupt)
        self.summary.rotation = self.summary.rotation or rotation
        pixels = frame.width * frame.height
        if not self.summary.width:
            size = (frame.height, frame.width) if rotation % 180 else (frame.width, frame.height)
            self.summary.width, self.summary.height = fitted(*size, self.writer.fit)
        self.writer.put(position, time, _VideoPicture(frame, rotation), 3 * pixels)
        self.on_progress(self.writer.emitted, max(self.total, self.writer.emitted))
        return True

    def finish(self, decoder: _Decoder) -> Summary:
        summary = self.summary
        summary.frames = self.writer.emitted
        summary.skipped_packets = skipped = decoder.errors
        if self.clock is None:
            return summary
        reasons = []
        if not self.ended and self._cut_off(decoder):
            reasons.append("the file ends early")
        if skipped:
            reasons.append(f"{skipped} damaged packets were skipped")
        summary.partial = bool(reasons)
        summary.reason = f"Not every frame could be read: {' and '.join(reasons)}." if reasons else ""
        if summary.damaged_frames:
            summary.notes.append(f"{summary.damaged_frames} frames show decoding errors.")
        if len(self.sizes) > 1:
            summary.notes.append("The size changes in mid-stream; every frame keeps its own size.")
        if len(self.rotations) > 1:
            summary.notes.append(
                "The rotation changes in mid-stream; every frame is turned upright by its own."
            )
        if self.clock.irregular:
            summary.notes.append(
                f"{self.clock.irregular} frames have a repeated or backward time; their order is kept."
            )
        if summary.duration is None:
            summary.duration = self.clock.last + float(self.clock.step)
        return summary

    def _cut_off(self, decoder: _Decoder) -> bool:
        """Whether the file promised more than it held."""
        assert self.clock is not None
        if decoder.damaged:
            return True
        if self.declared is not None:
            return decoder.packets < self.declared
        duration = self.summary.duration
        if duration is None:
            return False
        missing = duration - (self.clock.last + float(self.clock.step))
        # Sound may outlast the pictures a little, and the last frame may be shown long.
        return missing > max(0.25, 3 * float(self.clock.step), 0.02 * duration)


class _VideoPicture:
    """A decoded frame that becomes pixels in the encoder thread."""

    def __init__(self, frame: VideoFrame, rotation: int) -> None:
        self.frame = frame
        self.rotation = rotation

    def __call__(self, fit: tuple[int, int] | None) -> Image8:
        return frame_pixels(self.frame, self.rotation, fit)


def frame_pixels(frame: VideoFrame, rotation: int, fit: tuple[int, int] | None = None) -> Image8:
    """A decoded frame as (H, W, 3) uint8 BGR.

    It is turned clockwise by `rotation` degrees and shrunk to lie within `fit` (width, height).
    """
    if fit is not None and rotation % 180:
        fit = (fit[1], fit[0])
    width, height = fitted(frame.width, frame.height, fit)
    # Swscale's contexts are costly to make: one reformatter a thread and purpose keeps its own.
    store: dict[object, VideoReformatter] = _local.__dict__.setdefault("reformatters", {})
    reformatter = store.get(fit) or store.setdefault(fit, VideoReformatter())
    pixels = reformatter.reformat(
        frame,
        width,
        height,
        "bgr24",
        src_colorspace=_matrix(frame),
        interpolation=Interpolation.AREA if fit else Interpolation.BILINEAR,
        threads=1,
    ).to_ndarray()
    image = np.asarray(pixels, np.uint8)
    return np.ascontiguousarray(np.rot90(image, -(rotation // 90))) if rotation else image


def _matrix(frame: VideoFrame) -> Colorspace | None:
    # 2 is "unspecified" and 0 is RGB in ISO/IEC 23091-2; swscale would take BT.601 for every size.
    if frame.colorspace == 2:
        return Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    return None


def _extract_still(path: Path, writer: FrameWriter) -> Summary:
    from app.formats.images import read_image

    image = read_image(path)
    writer.put(0, 0.0, ArrayPicture(image), image.nbytes)
    writer.drain()
    height, width = image.shape[:2]
    size = fitted(width, height, writer.fit)
    return Summary(
        frames=writer.emitted,
        decoded=1,
        width=size[0],
        height=size[1],
        codec=sniff(path).kind,
        notes=["The file is a still image; the asset has one frame."],
    )
