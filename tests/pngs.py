"""PNGs and folders of files drawn for the tests of label maps."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image


def png(pixels: ArrayLike, palette: Sequence[str] | None = None, bits: int | None = None) -> bytes:
    """(H, W) uint8 or uint16, or (H, W, 3|4) uint8, as PNG; `palette` "#rrggbb" by index; `bits` 1, 2, 4, 8."""
    array = np.asarray(pixels)
    if array.dtype not in (np.uint8, np.uint16):
        array = array.astype(np.uint8)
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(b"".join(bytes.fromhex(colour[1:]) for colour in palette))
    out = io.BytesIO()
    if bits == 1:
        image = Image.fromarray(array.astype(bool))
        bits = None
    image.save(out, "PNG", **({} if bits is None else {"bits": bits}))
    return out.getvalue()


def jpeg(width: int = 16, height: int = 12) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(out, "JPEG")
    return out.getvalue()


def tree(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files below a folder; names may hold "/"."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path
