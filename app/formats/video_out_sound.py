"""The sound that belongs to frames of a video: cut out of the source to the packet or sample, and muxed again.

`cut` reads the source, which may be hostile, and writes a small MP4 of its own; `SoundFile` muxes that beside
pictures. AAC and MP3 are copied as they are; anything else becomes AAC. Copied packets that begin before the
first frame stay, because a decoder needs them: an edit list of the MP4 keeps them silent. For WebM, everything
becomes Opus.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.codec.codec import Codec as FFmpegCodec
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.packet import Packet
from msgspec import Struct

from app.errors import Refused
from app.formats.probe import CODECS, open_video

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

COPIED = {"aac": 2, "mp3": 10}
"""Codecs that MP4 takes as they are, and how many packets their decoders need before the first that counts."""

Codec = Literal["aac", "opus"]
"""What sound becomes where it is not copied."""

ENCODERS: dict[Codec, str] = {"aac": "aac", "opus": "libopus"}
_NAMES: dict[Codec, str] = {"aac": "AAC", "opus": "Opus"}
_BITS: dict[Codec, int] = {"aac": 96_000, "opus": 80_000}
"""Bits a second of a channel."""

_OPUS_RATE = 48000
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_SLACK_S = 0.02
"""Decoded samples further than this from where they are expected are moved there, with silence before them."""


class Sound(Struct, kw_only=True):
    """The sound of a video: its codec, samples a second, and whether it is copied as it is."""

    codec: str
    rate: int
    channels: int
    copied: bool


class Cut(Struct, kw_only=True):
    """A piece of sound in a file of its own. `offset`: what its clock is behind that of the frames, in seconds as
    a fraction "n/d".
    """

    sound: Sound
    offset: str

    @property
    def behind(self) -> Fraction:
        return Fraction(self.offset)


def can_encode(name: str) -> bool:
    """Whether this FFmpeg has an encoder of that name."""
    try:
        FFmpegCodec(name, "w")
    except UnknownCodecError:
        return False
    return True


def look(path: Path) -> Sound | None:
    """What sound a video has; None where it has none that can be read. Raises Refused where it is no video."""
    with open_video(path) as (container, _):
        stream = _choose(container)
        return None if stream is None else _described(stream)


def cut(
    path: Path,
    target: Path,
    begin: Fraction,
    end: Fraction,
    *,
    codec: Codec = "aac",
    check: Callable[[], None] = lambda: None,
) -> Cut | None:
    """Write the sound from `begin` to `end` (seconds from the first frame of the video) as an MP4.

    None where the video has no sound there. `codec` "opus": nothing is copied. `check` is called between packets
    and may raise. Raises Refused where the file is no video, its sound has no times, or FFmpeg lacks the encoder.
    """
    if not can_encode(ENCODERS[codec]):
        raise Refused(f"This FFmpeg cannot write {_NAMES[codec]} sound.")
    origin = _first_time(path)
    with open_video(path) as (container, _):
        stream = _choose(container)
        if stream is None or stream.time_base is None:
            return None
        sound = _described(stream)
        sound.copied = sound.copied and codec == "aac"
        keep = _copy if sound.copied else partial(_transcode, codec=codec)
        try:
            offset = keep(container, stream, target, origin + begin, origin + end, check)
        except FFmpegError as exc:
            raise Refused(f"Its sound cannot be written as {_NAMES[codec]}.") from exc
    return None if offset is None else Cut(sound=sound, offset=str(offset))


def _choose(container: InputContainer) -> AudioStream | None:
    for stream in container.streams.audio:
        context = stream.codec_context
        if context is not None and context.name in CODECS.split(",") and context.sample_rate:
            return stream
    return None


def _described(stream: AudioStream) -> Sound:
    context = stream.codec_context
    codec = context.codec.canonical_name
    return Sound(
        codec=codec, rate=context.sample_rate, channels=context.channels or 1, copied=codec in COPIED
    )


def _first_time(path: Path) -> Fraction:
    """The time of the first frame that can be decoded, on the clock of the container."""
    with open_video(path) as (container, stream):
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                if frame.pts is None or stream.time_base is None:
                    raise Refused("The frames of the video have no times.")
                return frame.pts * stream.time_base
    raise Refused("No frame of the video can be decoded.")


def _copy(
    container: InputContainer,
    stream: AudioStream,
    target: Path,
    begin: Fraction,
    end: Fraction,
    check: Callable[[], None],
) -> Fraction | None:
    base = stream.time_base
    assert base is not None
    before: deque[Packet] = deque(maxlen=COPIED[stream.codec_context.codec.canonical_name])
    first: int | None = None
    with av.open(str(target), "w", format="mp4") as out:
        copied = out.add_stream_from_template(stream)
        for packet in _timed(container, stream):
            check()
            assert packet.pts is not None
            if packet.pts * base >= end:
                break
            if (packet.pts + (packet.duration or 0)) * base <= begin:
                before.append(packet)
                continue
            for kept in (*before, packet):
                assert kept.pts is not None
                first = kept.pts if first is None else first
                kept.pts = kept.dts = kept.pts - first
                kept.stream = copied
                out.mux(kept)
            before.clear()
    return None if first is None else first * base - begin


def _timed(container: InputContainer, stream: AudioStream) -> Iterator[Packet]:
    """The packets of a stream with rising times. Raises Refused where they have none."""
    last = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return  # the file is cut off here
        if packet is None or not packet.size:
            return
        if packet.pts is None:
            raise Refused("The sound of the video has no times.")
        if last is None or packet.pts > last:
            last = packet.pts
            yield packet


def _transcode(
    container: InputContainer,
    stream: AudioStream,
    target: Path,
    begin: Fraction,
    end: Fraction,
    check: Callable[[], None],
    *,
    codec: Codec,
) -> Fraction | None:
    context = stream.codec_context
    rate = context.sample_rate if codec == "aac" and context.sample_rate in _RATES else _OPUS_RATE
    # Some files say how many channels they have but not which.
    layout = {1: "mono", 6: "5.1"}.get(context.channels, "stereo")
    resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
    length = int((end - begin) * rate)
    written, start = 0, None
    with av.open(str(target), "w", format="mp4") as out:
        encoder = out.add_stream(ENCODERS[codec], rate=rate, layout=layout)
        assert isinstance(encoder, AudioStream)
        encoder.bit_rate = _BITS[codec] * max(1, min(6, context.channels))
        for frame in _decoded(container, stream, resampler, check):
            if frame.pts is None or frame.time_base is None:
                raise Refused("The sound of the video has no times.")
            samples = frame.to_ndarray()
            place = round((frame.pts * frame.time_base - begin) * rate)
            if start is None:
                if place + samples.shape[1] <= 0:
                    continue
                start = max(0, place)
            expected = start + written
            if abs(place - expected) <= _SLACK_S * rate and written:
                place = expected
            if place > expected:
                samples = np.pad(samples, ((0, 0), (min(place, length) - expected, 0)))
            elif place < expected:
                samples = samples[:, expected - place :]
            samples = samples[:, : max(0, length - expected)]
            if samples.shape[1]:
                out.mux(encoder.encode(_frame(samples, layout, rate, written)))
                written += samples.shape[1]
            if start + written >= length:
                break
        if written:
            out.mux(encoder.encode(None))
    return Fraction(start or 0, rate) if written else None


def _decoded(
    container: InputContainer, stream: AudioStream, resampler: AudioResampler, check: Callable[[], None]
) -> Iterator[AudioFrame]:
    for packet in _timed(container, stream):
        check()
        try:
            frames = packet.decode()
        except FFmpegError:
            continue  # what is missing becomes silence
        for frame in frames:
            assert isinstance(frame, AudioFrame)
            yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _frame(samples: np.ndarray[Any, Any], layout: str, rate: int, pts: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame


class SoundFile:
    """A file that `cut` wrote, muxed beside pictures: `offset` in seconds is added to its times."""

    def __init__(self, path: Path, offset: Fraction) -> None:
        self._input = av.open(str(path), format="mov")
        self._offset = offset
        self._packets = self._input.demux(self._input.streams.audio[0])
        self._next: Packet | None = None
        self._stream: AudioStream | None = None

    @property
    def codec(self) -> str:
        """As FFmpeg calls it: "aac", "mp3", "opus"."""
        return self._input.streams.audio[0].codec_context.codec.canonical_name

    def add_to(self, container: OutputContainer) -> None:
        """Call before the first packet of `container` is muxed."""
        self._stream = container.add_stream_from_template(self._input.streams.audio[0])

    def until(self, seconds: Fraction | None) -> list[Packet]:
        """The packets up to that time that were not handed out yet; all that are left for None."""
        assert self._stream is not None
        found = []
        while True:
            packet = self._next or next(self._packets, None)
            self._next = None
            if packet is None or packet.pts is None or packet.time_base is None:
                return found
            if packet.stream is not self._stream:
                packet.pts += round(self._offset / packet.time_base)
                packet.dts = packet.pts
                packet.stream = self._stream
            if seconds is not None and packet.pts * packet.time_base > seconds:
                self._next = packet
                return found
            found.append(packet)

    def close(self) -> None:
        self._input.close()
