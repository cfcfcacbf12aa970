"""Frames and videos drawn for the tests: a disc and a bar that move over a textured floor."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray


def scene(index: int, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Frame `index` as (H, W, 3) uint8 RGB, and its label map: 0 floor, 1 disc, 2 bar."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width] + 0.5
    texture = rng.integers(0, 24, (height, width, 1))
    image = np.broadcast_to(np.array([96, 88, 74]), (height, width, 3)) + texture
    labels = np.zeros((height, width), np.uint8)
    scale = min(width, height)
    cx, cy = width * 0.3 + index * scale * 0.02, height * 0.45
    labels[(x - cx) ** 2 + (y - cy) ** 2 < (scale * 0.2) ** 2] = 1
    labels[(abs(x - width * 0.75) < scale * 0.12) & (abs(y - height * 0.6) < scale * 0.25)] = 2
    image = np.where((labels == 1)[..., None], np.array([208, 60, 44]) + texture, image)
    image = np.where((labels == 2)[..., None], np.array([40, 110, 190]) + texture, image)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def video(
    target: Path | BinaryIO, *, frames: int, width: int, height: int, fps: int = 12, codec: str = "libx264"
) -> None:
    """Encode `frames` drawn frames as mp4."""
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(scene(index, width, height)[0], "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
