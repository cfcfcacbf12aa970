"""The job "probe": what a source is, and a few pictures of it, before anything is imported."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from av.error import FFmpegError

from app.errors import PointillistError, Refused
from app.formats import archive
from app.formats.frames import Image8, encode, put_file, shrink
from app.formats.images import read_image
from app.formats.probe import VideoInfo, open_video, probe, upright_rotation
from app.formats.sniff import sniff
from app.formats.video import frame_pixels
from tasks.channel import Channel

PREVIEW = (640, 360)
STRIP_FRAMES = 8
STRIP_CELL = (320, 180)
STRIP_SECONDS = 2.0


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Describe `args["path"]` (a video, an image, a zip or a folder of images).

    Returns {kind: "video" | "images" | "zip", info: VideoInfo as a dict, notes: sentences,
    preview: file name, strip: file names}; the pictures lie in the job folder. Raises Refused.
    """
    path = Path(str(args["path"]))
    source = archive.is_sequence(path) if path.exists() else None
    if source is not None:
        info, pictures = _sequence(path)
    else:
        info = probe(path)
        channel.check()
        pictures = _pictures(path, info)
    channel.report(1, 1, now=True)
    folder = channel.folder
    return {
        "kind": source or "video",
        "info": msgspec.to_builtins(info),
        "notes": info.notes,
        "preview": _save(folder / "preview.jpg", pictures[0], PREVIEW),
        "strip": [_save(folder / f"strip_{i}.jpg", p, STRIP_CELL) for i, p in enumerate(pictures)],
    }


def _sequence(path: Path) -> tuple[VideoInfo, list[Image8]]:
    name, data, count = archive.first_image(path)
    image = np.ascontiguousarray(read_image(data, name)[..., ::-1])
    height, width = image.shape[:2]
    info = VideoInfo(
        container="folder" if path.is_dir() else "zip",
        codec="images",
        width=width,
        height=height,
        display_width=width,
        display_height=height,
        frame_count=count,
        bytes=0 if path.is_dir() else path.stat().st_size,
    )
    return info, [image]


def _pictures(path: Path, info: VideoInfo) -> list[Image8]:
    """Frames at even distances, as many as the time allows; fewer or none when the file does not seek."""
    if sniff(path).is_image:
        return [np.ascontiguousarray(read_image(path)[..., ::-1])]
    pictures: list[Image8] = []
    until = time.monotonic() + STRIP_SECONDS
    with contextlib.suppress(FFmpegError, PointillistError), open_video(path) as (container, stream):
        # No frame threads: a decoder that is closed in the middle of a stream can wait for them for ever.
        stream.thread_type = "NONE"
        for step in range(STRIP_FRAMES if info.duration and stream.time_base else 1):
            target = 0
            if step and info.duration and stream.time_base:
                target = (stream.start_time or 0) + int(
                    info.duration * step / STRIP_FRAMES / stream.time_base
                )
                container.seek(target, stream=stream)
            frame = None
            for frame in container.decode(stream):  # a seek lands on the key frame before the target
                if not step or (frame.pts or 0) >= target or time.monotonic() > until:
                    break
            if frame is None:
                break
            pictures.append(frame_pixels(frame, upright_rotation(frame), PREVIEW))
            if time.monotonic() > until:
                break
    if not pictures:
        raise Refused("No frame of the video can be decoded; the file is damaged.")
    return pictures


def _save(path: Path, image: Image8, box: tuple[int, int]) -> str:
    put_file(path, encode(shrink(image, box), "jpeg", 85))
    return path.name
