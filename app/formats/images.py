"""One image, safely: sizes are judged before a pixel is decoded, damage is refused rather than shown as grey.

What becomes of special images: EXIF orientation is applied; 16-bit samples keep their high byte; CMYK is
converted to RGB; transparency is laid over black; palettes are resolved; of an animation the first picture
counts; colour profiles are not applied.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from app.errors import Refused
from app.formats.sniff import HEAD, IMAGE, refusal, sniff_bytes

MAX_PIXELS = 80_000_000
MAX_SIDE = 30_000
MAX_BYTES = 512 << 20

_FORMATS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "apng": "PNG",
    "webp": "WEBP",
    "bmp": "BMP",
    "tiff": "TIFF",
    "gif": "GIF",
}

# Pillow warns before it refuses; for us a suspicious size is an error.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def read_image(source: Path | bytes, name: str = "") -> NDArray[np.uint8]:
    """Read one image as (H, W, 3) uint8 RGB.

    `name` is how the sentences call it (default: "The image"). Raises Refused: not an image, too large,
    damaged.
    """
    label = f"“{name}”" if name else "The image"
    data = _load(source, label)
    found = sniff_bytes(data[:HEAD])
    if found.kind not in _FORMATS:
        reason = refusal(found).sentence
        raise Refused(f"{label} is not an image that can be read. {reason}" if name else reason)
    try:
        with Image.open(io.BytesIO(data), formats=[_FORMATS[found.kind]]) as image:
            _check_size(*image.size, label)
            image.load()
            return _to_rgb(image, label)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise Refused(f"{label} is too large: at most {MAX_PIXELS // 10**6} megapixels are read.") from exc
    except UnidentifiedImageError as exc:
        raise Refused(f"{label} is damaged: its header cannot be read.") from exc
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        zlib.error,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
    ) as exc:
        raise Refused(f"{label} is damaged or cut off; export or copy it again.") from exc


def is_image_kind(head: bytes) -> bool:
    """Whether these first bytes are those of an image that `read_image` takes."""
    return sniff_bytes(head).kind in (IMAGE | {"apng", "gif"})


def _load(source: Path | bytes, label: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        if source.stat().st_size > MAX_BYTES:
            raise Refused(f"{label} is larger than {MAX_BYTES >> 20} MiB.")
        return source.read_bytes()
    except OSError as exc:
        raise Refused(f"{label} cannot be read: {exc.strerror}.") from exc


def _check_size(width: int, height: int, label: str) -> None:
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise Refused(
            f"{label} is {width}×{height} px; at most {MAX_PIXELS // 10**6} megapixels "
            f"and {MAX_SIDE} px a side are read."
        )


def _to_rgb(image: Image.Image, label: str) -> NDArray[np.uint8]:
    upright = ImageOps.exif_transpose(image) or image
    if upright.mode.startswith("I;16"):
        grey = (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if upright.mode in ("I", "F"):
        raise Refused(f"{label} holds 32-bit samples; save it with 8 or 16 bits a channel.")
    if "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        rgba = upright.convert("RGBA")
        flat = Image.new("RGB", rgba.size)
        flat.paste(rgba, mask=rgba.getchannel("A"))
        upright = flat
    return np.array(upright.convert("RGB"), dtype=np.uint8)
