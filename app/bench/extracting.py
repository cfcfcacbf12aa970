"""How fast frames leave a video, against the ffmpeg command line at equal quality in the same run.

The clip is 1080p30 H.264: a panning floor of natural (1/f) texture with the grain of a camera, and a moving
disc. ffmpeg writes JPEGs at the `-q:v` whose luma PSNR comes nearest to ours; it makes no thumbnails and no
hashes, we do. Both run alternately; the ratio is the median of the pairs.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from app.formats.frames import JPEG_QUALITY, FrameWriter
from app.formats.video import extract
from app.models import Sampling

SIZE = (1920, 1080)
FRAMES = 90
PAIRS = 5
JUDGED = 3
"""Frames whose quality is compared."""


def run(frames: int = FRAMES, pairs: int = PAIRS) -> dict[str, Any]:
    """Extract a clip by both ways in turn.

    Returns {extract_ratio, ours_fps, ffmpeg_fps, psnr: {ours, ffmpeg}, ffmpeg_q}; with no ffmpeg on the path
    {skipped: reason, ours_fps}.
    """
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        make_clip(clip, frames)
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            return {"skipped": "there is no ffmpeg on the path", "ours_fps": round(_ours(clip, folder)[0], 1)}
        return _compare(ffmpeg, clip, folder, pairs)


def _compare(ffmpeg: str, clip: Path, folder: Path, pairs: int) -> dict[str, Any]:
    truth = _luma_of_clip(clip)
    _, ours = _ours(clip, folder)
    quality = _psnr(truth, ours)
    choices = {q: _psnr(truth, _ffmpeg(ffmpeg, clip, folder, q)[1]) for q in (2, 3, 4, 5)}
    chosen = min(choices, key=lambda q: abs(choices[q] - quality))
    rates = [(_ours(clip, folder)[0], _ffmpeg(ffmpeg, clip, folder, chosen)[0]) for _ in range(pairs)]
    return {
        "extract_ratio": round(median(a / b for a, b in rates), 2),
        "ours_fps": round(median(a for a, _ in rates), 1),
        "ffmpeg_fps": round(median(b for _, b in rates), 1),
        "jpeg_quality": JPEG_QUALITY,
        "ffmpeg_q": chosen,
        "psnr": {"ours": round(quality, 2), "ffmpeg": round(choices[chosen], 2)},
    }


def make_clip(path: Path, frames: int) -> None:
    """Encode the clip: deterministic, drawn here."""
    rng = np.random.default_rng(7)
    width, height = SIZE
    floor = _texture(rng, height + 2 * frames, width + 3 * frames)
    grain = [rng.normal(0, 2.0, (height, width, 1)).astype(np.float32) for _ in range(4)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "21"}
        # Both sides must use one colour matrix, or PSNR would compare colour handling.
        stream.codec_context.colorspace = 5
        for index in range(frames):
            image = floor[index : index + height, 2 * index : 2 * index + width] + grain[index % 4]
            image = np.clip(image, 0, 255).astype(np.uint8)
            cv2.circle(image, (300 + 8 * index, 540), 150, (30, 200, 60), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """(H, W, 3) of 1/f noise: the amplitudes of natural scenes fall about as one over the frequency."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    layers = []
    for exponent in (1.3, 1.6, 1.6):
        spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency**exponent
        layer = np.fft.irfft2(spectrum, s=(height, width))
        layers.append((layer - layer.mean()) / layer.std())
    base, first, second = layers
    return (128 + 45 * np.stack([base + 0.2 * first, base, base + 0.2 * second], axis=2)).astype(np.float32)


def _ours(clip: Path, folder: Path) -> tuple[float, list[NDArray[np.float64]]]:
    target = folder / "ours"
    started = time.perf_counter()
    writer = FrameWriter(target, emit=lambda record: None)
    try:
        summary = extract(clip, Sampling(), writer)
    finally:
        writer.close()
    rate = summary.frames / (time.perf_counter() - started)
    return rate, _judged(target / "frames")


def _ffmpeg(program: str, clip: Path, folder: Path, quality: int) -> tuple[float, list[NDArray[np.float64]]]:
    target = folder / "ffmpeg"
    target.mkdir()
    started = time.perf_counter()
    subprocess.run(
        [program, "-v", "error", "-i", str(clip), "-q:v", str(quality), str(target / "%06d.jpg")],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    elapsed = time.perf_counter() - started
    return len(list(target.iterdir())) / elapsed, _judged(target)


def _judged(folder: Path) -> list[NDArray[np.float64]]:
    """Luma of the first frames; the folder (and its parent's thumbs) is removed."""
    images = [cv2.imread(str(path)) for path in sorted(folder.iterdir())[:JUDGED]]
    shutil.rmtree(folder.parent if folder.name == "frames" else folder)
    return [_luma(np.asarray(image, np.uint8)) for image in images]


def _luma_of_clip(clip: Path) -> list[NDArray[np.float64]]:
    with av.open(str(clip)) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(JUDGED), strict=False)]
        return [_luma(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)) for frame in frames]


def _luma(bgr: NDArray[np.uint8]) -> NDArray[np.float64]:
    return bgr.astype(np.float64) @ np.array([0.114, 0.587, 0.299])


def _psnr(truth: list[NDArray[np.float64]], found: list[NDArray[np.float64]]) -> float:
    error = np.mean([np.mean((a - b) ** 2) for a, b in zip(truth, found, strict=True)])
    return float(10 * np.log10(255**2 / error))
