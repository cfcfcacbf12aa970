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
from app.formats.frames import Image8, encode, fitted, put_file, shrink
from app.formats.images import read_image
from app.formats.probe import VideoInfo, open_video, probe, upright_rotation
from app.formats.sniff import sniff
from app.formats.video import frame_pixels
from tasks.channel import Channel

PREVIEW = (640, 360)
STRIP_FRAMES = 8
STRIP_CELL = (160, 90)
STRIP_SECONDS = 2.0


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Describe `args["path"]` (a video, an image, a zip or a folder of images).

    Returns {info: VideoInfo as a dict, source: "video" | "images" | "zip", preview: "preview.jpg" | None,
    strip: "strip.jpg" | None}; the two pictures lie in the job folder. Raises Refused.
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
    preview = _save(channel.folder / "preview.jpg", pictures[0], PREVIEW) if pictures else None
    strip = _save(channel.folder / "strip.jpg", _strip(pictures), None) if len(pictures) > 1 else None
    return {
        "info": msgspec.to_builtins(info),
        "source": source or "video",
        "preview": preview,
        "strip": strip,
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
        stream.thread_type = "AUTO"
        for step in range(STRIP_FRAMES):
            if step and info.duration and stream.time_base:
                target = (stream.start_time or 0) + int(
                    info.duration * step / STRIP_FRAMES / stream.time_base
                )
                container.seek(target, stream=stream)
            frame = next(container.decode(stream), None)
            if frame is None:
                break
            pictures.append(frame_pixels(frame, upright_rotation(frame), PREVIEW))
            if time.monotonic() > until or not info.duration:
                break
    if not pictures:
        raise Refused("No frame of the video can be decoded; the file is damaged.")
    return pictures


def _strip(pictures: list[Image8]) -> Image8:
    """The pictures side by side, each shrunk to one cell."""
    height, width = pictures[0].shape[:2]
    cell = fitted(width, height, STRIP_CELL)
    cells = [shrink(p, cell) for p in pictures]
    out = np.zeros((cell[1], cell[0] * len(cells), 3), np.uint8)
    for position, image in enumerate(cells):
        rows, columns = min(image.shape[0], cell[1]), min(image.shape[1], cell[0])
        out[:rows, position * cell[0] : position * cell[0] + columns] = image[:rows, :columns]
    return out


def _save(path: Path, image: Image8, box: tuple[int, int] | None) -> str:
    put_file(path, encode(shrink(image, box), "jpeg", 85))
    return path.name
