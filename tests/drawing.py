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


def with_sound(
    target: Path,
    times: list[float],
    clicks: list[float],
    *,
    seconds: float,
    codec: str = "aac",
    rate: int = 48_000,
    late: float = 0.0,
) -> None:
    """A mov or mkv, by the suffix of `target`: drawn frames of 64 × 48 at these times, a beep of 5 ms at each of
    `clicks`, and `late` seconds before the sound begins.
    """
    samples = np.zeros((1, round((seconds - late) * rate)), np.float32)
    for click in (click for click in clicks if click >= late):
        begin = round((click - late) * rate)
        samples[0, begin : begin + rate // 200] = np.sin(np.arange(rate // 200) * 0.7)
    with av.open(str(target), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.time_base = pictures.codec_context.time_base = Fraction(1, 90_000)
        sound = container.add_stream(codec, rate=rate, layout="mono")
        packets = []
        for index, time in enumerate(times):
            picture = av.VideoFrame.from_ndarray(scene(index, 64, 48)[0], "rgb24")
            picture.pts, picture.time_base = round(time * 90_000), Fraction(1, 90_000)
            packets += pictures.encode(picture)
        packets += pictures.encode()
        whole = (samples * 32767).astype(np.int16) if codec.startswith("pcm") else samples
        piece = av.AudioFrame.from_ndarray(whole, "s16" if codec.startswith("pcm") else "fltp", "mono")
        piece.sample_rate, piece.time_base, piece.pts = rate, Fraction(1, rate), round(late * rate)
        packets += [*sound.encode(piece), *sound.encode()]
        container.mux(packets)


def heard(path: Path, rate: int = 48_000) -> list[float]:
    """When beeps begin in the sound of a file, in seconds from its first frame; to about a millisecond."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        origin = float(first.pts * first.time_base)
    found: list[float] = []
    with av.open(str(path)) as container:
        for piece in container.decode(audio=0):
            level = np.abs(piece.to_ndarray().astype(np.float64)[0])
            level /= 32767 if piece.format.name.startswith("s16") else 1
            for sample in np.flatnonzero(level > 0.35):
                time = float(piece.pts * piece.time_base) - origin + sample / rate
                if not found or time - found[-1] > 0.05:
                    found.append(time)
    return found
