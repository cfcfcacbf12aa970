"""What a video is, read from its headers and its first frame, before anything is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.logging
from av.error import FFmpegError
from av.stream import Disposition
from msgspec import Struct, field

from app.errors import Refused
from app.formats.sniff import VIDEO, refusal, sniff

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_SIDE = 16_384
MAX_PIXELS = 8192 * 8192
"""The largest frame that is decoded: 8K video with room to spare."""
MAX_FRAMES = 1_000_000
"""The most frames an asset may get, and the most a header may declare."""
SCANNED_PACKETS = 400
"""Packets whose times are looked at to tell a variable frame rate."""

CODECS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,mpeg1video,mpeg2video,mpegvideo,mpeg4,h263,msmpeg4v2,msmpeg4,"
    "mjpeg,prores,dnxhd,ffv1,huffyuv,ffvhuff,utvideo,qtrle,rawvideo,cfhd,gif,apng,png,"
    "aac,mp3,mp3float,ac3,opus,libopus,vorbis,flac,mp2,mp2float,pcm_s16le,pcm_s16be,pcm_s24le"
)
"""Decoders that may run at all: the fewer, the smaller the surface of a hostile file."""

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,gif,apng"

# Any level but None hands messages to Python from the decoder's threads, and that can deadlock with the GIL.
av.logging.set_level(None)


class VideoInfo(Struct, kw_only=True):
    """Facts of a source. Sizes in px, times in seconds.

    `width`, `height` are the size of the extracted frames: rotation is applied, pixels are taken as square.
    `display_width`, `display_height` are what a player shows: the sample aspect ratio `sar` stretches the
    width. `rotation` is the number of degrees (0, 90, 180, 270) by which frames are turned clockwise to be
    upright.
    """

    container: str
    codec: str
    width: int
    height: int
    display_width: int
    display_height: int
    rotation: int = 0
    sar: float = 1.0
    duration: float | None = None
    frame_count: int | None = None
    """Estimate: what the container says, else duration × rate."""
    fps: float | None = None
    vfr: bool = False
    fps_min: float | None = None
    fps_max: float | None = None
    has_audio: bool = False
    bit_depth: int = 8
    alpha: bool = False
    bytes: int = 0
    notes: list[str] = field(default_factory=list)


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video with the one demuxer its first bytes ask for, and choose its first real video stream.

    Only local file access and a short list of decoders are allowed, so that a playlist or an exotic codec
    in an upload reaches nothing. Raises Refused with a sentence for everything that is no video.
    """
    found = sniff(path)
    if not found.is_video:
        raise refusal(found)
    demuxer = VIDEO[found.kind]
    try:
        container = av.open(
            str(path.resolve()),
            format=demuxer,
            timeout=(20.0, 20.0),
            options={
                "protocol_whitelist": "file",
                "format_whitelist": FORMATS,
                "codec_whitelist": CODECS,
                "max_pixels": str(MAX_PIXELS),
                "max_streams": "64",
            },
        )
    except (FFmpegError, ValueError, UnicodeDecodeError) as exc:
        raise Refused("The video cannot be read: the file is damaged or cut off before its index.") from exc
    except OSError as exc:
        raise Refused("The video cannot be read from disk.") from exc
    with container:
        yield container, _choose(container)


def _choose(container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        if container.streams.audio:
            raise Refused("The file holds only sound, no video.")
        raise Refused("The file holds no video.")
    stream = streams[0]
    if stream.codec_context is None:
        raise Refused("The codec of the video is unknown.")
    name = stream.codec_context.name
    if name not in CODECS.split(","):
        raise Refused(f"The codec {name} is not supported; convert the file to H.264 in MP4 first.")
    check_size(stream.codec_context.width, stream.codec_context.height)
    declared = declared_frames(container, stream)
    if declared is not None and declared > MAX_FRAMES:
        raise Refused(f"The file declares {declared} frames; at most {MAX_FRAMES} are accepted.")
    return stream


def check_size(width: int, height: int) -> None:
    """Raises Refused when a frame of this size would not be decoded."""
    if width <= 0 or height <= 0:
        raise Refused("The video does not say how large its frames are, or they are too large to be read.")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise Refused(
            f"Frames of {width}×{height} px are too large; at most {MAX_PIXELS // 10**6} megapixels are read."
        )


def has_times(container: InputContainer) -> bool:
    """Whether the container gives its frames times; a raw stream does not."""
    return container.format.name not in ("h264", "hevc", "mpegvideo")


def stream_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames a second as the file says, None when it does not or says nonsense."""
    rates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    # The demuxer of a raw stream claims 25 whatever the codec's own header says.
    for rate in rates if has_times(container) else [stream.guessed_rate, *rates]:
        if rate and 0 < rate <= 1000:
            return rate
    return None


def stream_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Length of the video stream in seconds as declared; the container's where the stream says nothing."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        pass
    if container.duration:
        return container.duration / 1_000_000
    return None


def declared_frames(container: InputContainer, stream: VideoStream) -> int | None:
    """How many frames the file claims to hold, None when it makes no claim."""
    if stream.frames:
        return stream.frames
    duration, rate = stream_duration(container, stream), stream_rate(container, stream)
    return round(duration * rate) if duration and rate else None


def upright_rotation(frame: VideoFrame) -> int:
    """Degrees clockwise (0, 90, 180, 270) that turn the frame upright. PyAV counts anticlockwise."""
    return round(-frame.rotation / 90) % 4 * 90


def probe(path: Path) -> VideoInfo:
    """Describe a video without importing it. Raises Refused with a sentence when it cannot be one."""
    found = sniff(path)
    if found.is_image:
        return _still_info(path, found.kind)
    with open_video(path) as (container, stream):
        frame = _first_frame(container, stream)
        if frame is None:
            raise Refused("No frame of the video can be decoded; the file is damaged.")
        info = _describe(path, container, stream, frame)
    with open_video(path) as (container, stream):
        _measure_rate(container, stream, info)
    return info


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    for packet in islice(container.demux(stream), SCANNED_PACKETS):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        if frames:
            return frames[0]
    return None


def _describe(path: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    rotation = upright_rotation(frame)
    check_size(frame.width, frame.height)
    ratio = stream.sample_aspect_ratio
    sar = float(ratio) if ratio and Fraction(1, 20) <= ratio <= 20 else 1.0
    shown = (max(1, round(frame.width * sar)), frame.height)
    stored = (frame.width, frame.height)
    if rotation % 180:
        shown, stored = shown[::-1], stored[::-1]
    rate = stream_rate(container, stream)
    info = VideoInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=stored[0],
        height=stored[1],
        display_width=shown[0],
        display_height=shown[1],
        rotation=rotation,
        sar=sar,
        duration=stream_duration(container, stream),
        frame_count=declared_frames(container, stream),
        fps=float(rate) if rate else None,
        has_audio=bool(container.streams.audio),
        bit_depth=max((c.bits for c in frame.format.components), default=8),
        alpha=any(c.is_alpha for c in frame.format.components) or stream.metadata.get("alpha_mode") == "1",
        bytes=os.path.getsize(path),
    )
    info.notes.extend(_notes(container, frame, info))
    return info


def _notes(container: InputContainer, frame: VideoFrame, info: VideoInfo) -> list[str]:
    notes = []
    if info.rotation:
        notes.append(f"Frames are turned by {info.rotation}° so that they are upright.")
    if abs(info.sar - 1) > 0.02:
        notes.append(
            f"Pixels are not square (aspect {info.sar:.3g}); frames keep the stored pixels unstretched."
        )
    if info.bit_depth > 8:
        notes.append(f"{info.bit_depth} bits a channel are reduced to 8.")
    if frame.color_trc in (16, 18):
        notes.append("The video is HDR; its brightness is not tone mapped.")
    if frame.interlaced_frame:
        notes.append("The video is interlaced; both fields stay woven in each frame.")
    if info.alpha:
        notes.append("Transparency is dropped.")
    if len([s for s in container.streams.video if not s.disposition & Disposition.attached_pic]) > 1:
        notes.append("The file holds several video streams; the first is used.")
    if not has_times(container):
        notes.append("The file has no times of its own; frames are counted at its nominal rate.")
    return notes


def _measure_rate(container: InputContainer, stream: VideoStream, info: VideoInfo) -> None:
    """Tell a variable frame rate from the times of the first packets, without decoding them."""
    base = stream.time_base
    if base is None:
        return
    try:
        times = sorted({p.pts for p in islice(container.demux(stream), SCANNED_PACKETS) if p.pts is not None})
    except FFmpegError:
        return
    gaps = [b - a for a, b in pairwise(times)]
    # Reordered packets near the end of the window leave holes in the sorted times.
    gaps = gaps[: max(2, len(gaps) - 16)] if len(times) >= SCANNED_PACKETS - 1 else gaps
    if len(gaps) < 2:
        return
    low, high = min(gaps), max(gaps)
    info.fps_min, info.fps_max = float(1 / (high * base)), float(1 / (low * base))
    # A coarse clock (Matroska counts milliseconds) makes constant gaps jitter by one tick.
    info.vfr = high - low > 2 and high > 1.05 * low
    if info.vfr:
        info.notes.append(
            f"The frame rate varies ({info.fps_min:.3g} to {info.fps_max:.3g} frames/s); "
            "times are kept exactly."
        )


def _still_info(path: Path, kind: str) -> VideoInfo:
    from app.formats.images import read_image

    height, width = read_image(path).shape[:2]
    return VideoInfo(
        container="image",
        codec=kind,
        width=width,
        height=height,
        display_width=width,
        display_height=height,
        frame_count=1,
        bytes=os.path.getsize(path),
        notes=["The file is a still image; the asset gets one frame."],
    )
