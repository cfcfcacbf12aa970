"""Masks that are kept small: an engine may be given one of every frame of a video."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np


class PackedMask:
    """A mask (H, W) bool in some kilobytes; `np.asarray` gives it back."""

    def __init__(self, mask: np.ndarray) -> None:
        self.shape: tuple[int, int] = mask.shape
        self._bits = zlib.compress(np.packbits(mask).tobytes(), 1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        height, width = self.shape
        bits = np.frombuffer(zlib.decompress(self._bits), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(self.shape).astype(dtype or np.bool_)
