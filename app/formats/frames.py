"""Extracted frames on disk: encode, make the thumbnail, hash, write aside, rename, in the order of their
index.

Layout inside the asset folder: `frames/000000.jpg` (or .png) and `thumbs/000000.jpg`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.errors import Refused

JPEG_QUALITY = 90
THUMB_QUALITY = 80
THUMB_SIZE = (320, 180)
ENCODERS = 2
IN_FLIGHT_BYTES = 256 << 20

Image8 = NDArray[np.uint8]


class FrameRecord(Struct, kw_only=True):
    """One extracted frame. `pts` in seconds from the first frame of the source, None where it has no time.

    `hash` is the `content_hash` of the image file; `file` and `thumb` are relative to the asset folder.
    """

    index: int
    source_index: int
    pts: float | None
    width: int
    height: int
    hash: str
    file: str
    thumb: str
    bytes: int
    name: str = ""


class Picture(Protocol):
    """Pixels on their way to disk. Called in an encoder thread."""

    def __call__(self, fit: tuple[int, int] | None) -> Image8:
        """(H, W, 3) uint8 BGR, upright; shrunk to lie within `fit` = (width, height) when given."""
        ...


def fitted(width: int, height: int, box: tuple[int, int] | None) -> tuple[int, int]:
    """The size (width, height) at which an image lies within `box`, its proportions kept; never enlarged."""
    if box is None or (width <= box[0] and height <= box[1]):
        return width, height
    scale = min(box[0] / width, box[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(image: Image8, box: tuple[int, int] | None) -> Image8:
    """Area-average an (H, W, 3) image so that it lies within `box` = (width, height)."""
    height, width = image.shape[:2]
    size = fitted(width, height, box)
    return (
        image
        if size == (width, height)
        else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    )


def encode(image: Image8, form: Literal["jpeg", "png"], quality: int = JPEG_QUALITY) -> bytes:
    """An (H, W, 3) uint8 BGR image as the bytes of a file."""
    if form == "jpeg":
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    else:
        ok, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not ok:
        raise Refused("A frame of this size cannot be written as an image.")
    return data.tobytes()


def content_hash(data: bytes) -> str:
    """BLAKE2b-256 (RFC 7693) as 64 hex digits: twice as fast here as SHA-256."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def put_file(path: Path, data: bytes) -> None:
    """Write aside, then rename."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


class ArrayPicture:
    """An (H, W, 3) uint8 RGB array as a picture."""

    def __init__(self, rgb: Image8) -> None:
        self.rgb = rgb

    def __call__(self, fit: tuple[int, int] | None) -> Image8:
        return np.ascontiguousarray(shrink(self.rgb, fit)[..., ::-1])


class FrameWriter:
    """Writes frames in a pool of encoder threads and hands their records on in order.

    `emit` gets every record, in the caller's thread, once its files are in place. `kept` are the records of
    an earlier, interrupted execution: frames with those indices are counted and not written again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        form: Literal["jpeg", "png"] = "jpeg",
        quality: int = JPEG_QUALITY,
        max_side: int = 0,
        emit: Callable[[FrameRecord], None],
        kept: int = 0,
        limit: int = 1_000_000,
    ) -> None:
        self.folder = folder
        self.form: Literal["jpeg", "png"] = form
        self.quality = quality
        self.fit = (max_side, max_side) if max_side else None
        self.emit = emit
        self.kept = kept
        self.limit = limit
        self.index = 0
        """The index that the next frame gets."""
        self.emitted = kept
        self._pool = ThreadPoolExecutor(ENCODERS, thread_name_prefix="encode")
        self._waiting: deque[Future[FrameRecord]] = deque()
        self._failed = threading.Event()
        for name in ("frames", "thumbs"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def put(
        self, source_index: int, pts: float | None, picture: Picture, frame_bytes: int, name: str = ""
    ) -> None:
        """Take the next frame. `frame_bytes` (its size decoded) bounds how many wait at once."""
        index, self.index = self.index, self.index + 1
        if index >= self.limit:
            raise Refused(f"The source has more than {self.limit} frames at this sampling; choose fewer.")
        if index < self.kept:
            return
        self._waiting.append(self._pool.submit(self._write, index, source_index, pts, picture, name))
        room = max(ENCODERS + 1, min(12, IN_FLIGHT_BYTES // max(1, 3 * frame_bytes)))
        while len(self._waiting) >= room or (self._waiting and self._waiting[0].done()):
            self._hand_on()

    def drain(self) -> None:
        """Wait for everything that was put; the files of all records handed on exist afterwards."""
        while self._waiting:
            self._hand_on()

    def close(self) -> None:
        """End the threads. Frames not handed on yet leave no record; a resume writes them again."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def _hand_on(self) -> None:
        self.emit(self._waiting.popleft().result())
        self.emitted += 1

    def _write(
        self, index: int, source_index: int, pts: float | None, picture: Picture, source_name: str
    ) -> FrameRecord:
        image = picture(self.fit)
        data = encode(image, self.form, self.quality)
        name = f"{index:06d}"
        file, thumb = f"frames/{name}.{'jpg' if self.form == 'jpeg' else 'png'}", f"thumbs/{name}.jpg"
        put_file(self.folder / file, data)
        put_file(self.folder / thumb, encode(picture(THUMB_SIZE), "jpeg", THUMB_QUALITY))
        height, width = image.shape[:2]
        return FrameRecord(
            index=index,
            source_index=source_index,
            pts=pts,
            width=width,
            height=height,
            hash=content_hash(data),
            file=file,
            thumb=thumb,
            bytes=len(data),
            name=source_name,
        )


def verified(folder: Path, records: list[FrameRecord], beat: Callable[[], None] = lambda: None) -> int:
    """How many records from the start are sound: consecutive indices, files present, hash as written."""
    for position, record in enumerate(records):
        beat()
        try:
            data = (folder / record.file).read_bytes()
            sound = (folder / record.thumb).stat().st_size > 0
        except OSError:
            return position
        if record.index != position or not sound or content_hash(data) != record.hash:
            return position
    return len(records)
