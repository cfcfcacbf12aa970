"""Hidden ground truth as files: a map of class ids, and where objects are told apart a map of their numbers.

Both are grey PNGs of 16 bits, of the frame's size. In the map of classes 0 = of no class, 65535 = void. The map of
objects has 0 = none; what each number stands for is a JSON text in the same file, under the key "objects".
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from app.errors import Refused
from app.formats.label_png import read_pixels

_KEY = "objects"
MAX_OBJECTS = 1000
"""Objects of a frame that are told apart: their names must fit into the mebibyte of text that is read from a PNG."""
MAX_BYTES = 256 << 20


class NumberedObject(Struct, kw_only=True, array_like=True):
    """`object`: what tells it apart in its asset and is the same on every frame."""

    number: Annotated[int, Meta(ge=1, le=65534)]
    object: Annotated[str, Meta(max_length=230)]
    class_id: Annotated[int, Meta(ge=1, le=65534)]


_rows = msgspec.json.Decoder(list[NumberedObject])


def encode_map(labels: NDArray[np.uint16]) -> bytes:
    """(H, W) uint16 as PNG. Equal maps give equal bytes."""
    return _encode(labels, None)


def encode_objects(numbers: NDArray[np.uint16], rows: Sequence[NumberedObject]) -> bytes:
    """(H, W) uint16 with what its numbers stand for. Raises ValueError for more than `MAX_OBJECTS` rows."""
    if len(rows) > MAX_OBJECTS:
        raise ValueError(f"{len(rows)} objects are more than {MAX_OBJECTS}")
    told = PngInfo()
    told.add_text(_KEY, msgspec.json.encode(list(rows)).decode(), zip=True)
    return _encode(numbers, told)


def _encode(pixels: NDArray[np.uint16], told: PngInfo | None) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint16)).save(out, "PNG", pnginfo=told, compress_level=4)
    return out.getvalue()


def decode_map(data: bytes, shape: tuple[int, int], name: str) -> NDArray[np.uint16]:
    """The (H, W) uint16 map that `encode_map` wrote. Raises Refused, naming it, when it is damaged or of another
    shape.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"{name} is larger than {MAX_BYTES >> 20} MiB.")
    pixels = read_pixels(data, name)
    if pixels.shape != shape:
        size = "×".join(map(str, pixels.shape[1::-1]))
        raise Refused(f"{name} is {size} px instead of {shape[1]}×{shape[0]} px.")
    return pixels.astype(np.uint16)


def decode_objects(
    data: bytes, shape: tuple[int, int], name: str
) -> tuple[NDArray[np.uint16], list[NumberedObject]]:
    """What `encode_objects` wrote; numbers without a row become 0. Raises Refused as `decode_map`."""
    numbers = decode_map(data, shape, name)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            text = image.text.get(_KEY, "") if isinstance(image, PngImageFile) else ""
        rows = _rows.decode(str(text))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise Refused(f"{name} does not say what its numbers stand for.") from exc
    known = np.zeros(1 << 16, bool)
    known[[row.number for row in rows]] = True
    return np.where(known[numbers], numbers, 0).astype(np.uint16), rows
