"""Masks of regions as small files: the box, then its pixels packed to bits and deflated.

| bytes | what |
|---|---|
| 4 | `PTM1` |
| 4 | CRC-32 of all that follows |
| 12 | frame width and height, then the box's x, y, width and height, each 16 bits |
| … | zlib: rows of the box, padded to bytes, most significant bit first |

Numbers are little-endian. They are a cache: a file that is damaged counts as absent.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np

from app.algo.fuse import bounding_box
from app.algo.render import Crop

MAGIC = b"PTM1"
_BOX = struct.Struct("<6H")


def write(path: Path, crop: Crop, shape: tuple[int, int]) -> Crop:
    """Write a mask of an (H, W) frame aside, then rename it. Returns it cut to its box. Raises OSError."""
    tight = trimmed(crop)
    height, width = tight.mask.shape
    body = _BOX.pack(shape[1], shape[0], tight.x0, tight.y0, width, height)
    body += zlib.compress(np.packbits(tight.mask, axis=1).tobytes(), 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_bytes(MAGIC + zlib.crc32(body).to_bytes(4, "little") + body)
    part.replace(path)
    return tight


def read(path: Path, shape: tuple[int, int]) -> Crop | None:
    """The mask in an (H, W) frame; None where the file is absent, damaged, or of another frame."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body = data[8:]
    if data[:4] != MAGIC or len(body) < _BOX.size or data[4:8] != zlib.crc32(body).to_bytes(4, "little"):
        return None
    frame_width, frame_height, x0, y0, width, height = _BOX.unpack_from(body)
    inside = x0 + width <= frame_width and y0 + height <= frame_height
    if (frame_height, frame_width) != shape or not inside:
        return None
    row = (width + 7) // 8
    unpacker = zlib.decompressobj()
    try:
        bits = unpacker.decompress(body[_BOX.size :], row * height + 1)
    except zlib.error:
        return None
    if len(bits) != row * height:
        return None
    packed = np.frombuffer(bits, np.uint8).reshape(height, row)
    return Crop(np.unpackbits(packed, axis=1, count=width).view(bool), x0, y0)


def trimmed(crop: Crop) -> Crop:
    """The mask cut to the smallest box around its pixels; 0 × 0 where it has none."""
    box = bounding_box(crop.mask)
    if box is None:
        return Crop(np.zeros((0, 0), bool))
    x0, y0, x1, y1 = box
    return Crop(np.ascontiguousarray(crop.mask[y0:y1, x0:x1]), crop.x0 + x0, crop.y0 + y0)
