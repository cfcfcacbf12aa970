"""VideoMaMa by the package `diffusers`: masks on every frame into alphas, in chunks of frames and tiles of them.

Its denoiser is called once, from plain noise, beside the latent pictures of the frames and of their masks. What it
would hear of the first frame by CLIP is zero, so that part is not needed. Noise belongs to a place of a frame: two
chunks or tiles that overlap begin from the same there, and a frame has the same alpha wherever a range begins.

Paper: S. Lim et al., "VideoMaMa: Mask-Guided Video Matting via Generative Prior", 2026.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from app.algo.matting.band import reshaped
from app.errors import Refused, Unavailable
from app.matte_memory import CELL, DECODED, ENCODED, Span, chunks, fitted, seam, tiles
from app.worker.engines import Alphas, Engine, Plan, Purpose, devices
from app.worker.engines.videomama import checkpoint
from app.worker.weights import Found, sha256_of

SEED = 42
MOTION = (7, 127, 0.0)
"""What the denoiser is told of a video: frames a second, how much moves, noise on the frames. As in its training."""
NAMED = 5
"""Runs of frames that a sentence names."""

Floats = NDArray[np.float32]
Steps = Generator[None, None, Any]


class VideoMaMa(Engine):
    reads_frames = False
    competes = False
    tiers: ClassVar[Mapping[Purpose, tuple[str, ...]]] = {}

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        """Raises Unavailable where there are no weights or not those of this model, OutOfMemory."""
        if weights is None:
            raise Unavailable(
                f"The engine videomama has no weights. Put its folders unet and vae into "
                f"{data / 'weights' / 'videomama'}, then press Check again."
            )
        self.device = devices.choose()
        gpu = self.device == "cuda"
        self.prepare_s = 120.0 if gpu else 3600.0
        self._dtype = torch.float16 if gpu else torch.float32
        self._unet: Any = checkpoint.unet(weights.path, self.device, self._dtype)
        self._vae: Any = checkpoint.vae(weights.path, self.device, self._dtype)
        self._scale = float(self._vae.config.scaling_factor)
        self._decoded = DECODED if gpu else DECODED // 2
        self.weights = (weights.sha256 or sha256_of(weights.path, data))[:16]

    def nbytes(self) -> int:
        kept = (*self._unet.parameters(), *self._vae.parameters())
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def settings(self, plan: Plan) -> dict[str, str | int]:
        width, height = fitted((plan.shape[1], plan.shape[0]))
        columns, rows = tiles((width, height), plan.parameters.tile)
        return {
            "seed": SEED,
            "decoded_together": self._decoded,
            "precision": str(self._dtype).removeprefix("torch."),
            "working_size": f"{width}×{height}",
            "tiles": f"{len(columns)}×{len(rows)}",
        }

    def matte(self, plan: Plan) -> Alphas:
        """Raises Refused, naming the frames, where a frame has no mask.

        Chunks begin where the run of frames with masks begins that `start` lies in. Where a tile has no pixel of
        any mask in a chunk, its alpha is 0 and it costs nothing.
        """
        masks = {anchor.position: anchor.mask for anchor in plan.anchors}
        wanted = set(plan.positions) - set(plan.done)
        low, high = min(plan.start, plan.stop), max(plan.start, plan.stop)
        missing = [at for at in range(low, high + 1) if at not in masks]
        if missing:
            raise Refused(
                f"VideoMaMa needs a mask on every frame. There is none on {_runs(missing)} of the range: track the "
                "object there first."
            )
        while low - 1 in masks:
            low -= 1
        asked = plan.parameters
        spans = chunks(low, high + 1, asked.chunk, asked.overlap)
        order = [index for index, span in enumerate(spans) if wanted.intersection(range(*span))]
        sums: dict[int, Floats] = {}
        for index in order[:: plan.step]:
            span = spans[index]
            alphas = yield from self._chunk(plan, span, masks)
            for at, alpha in zip(range(*span), alphas, strict=True):
                if at in wanted:
                    sums[at] = sums.get(at, 0) + seam(spans, index, at) * alpha
            after = index + plan.step
            shared = range(*spans[after]) if after in order else ()
            for at in sorted(sums)[:: plan.step]:
                if at not in shared:
                    yield at, np.asarray(sums.pop(at), np.float32)

    def _chunk(self, plan: Plan, span: Span, masks: Mapping[int, Any]) -> Steps:
        """The alphas (H, W) float32 of the frames of a chunk, tile by tile at the working size."""
        height, width = plan.shape
        size = fitted((width, height))
        asked = plan.parameters
        images, shapes = [], []
        for at in range(*span):
            shape = reshaped(np.asarray(masks[at], np.bool_), asked.erode, asked.dilate)
            shapes.append(cv2.resize(shape.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5)
            shrinks = size[0] < width or size[1] < height
            images.append(
                cv2.resize(plan.image(at), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
            )
            yield None
        stack, shape = np.stack(images), np.stack(shapes)
        noise = torch.stack([_noise(at, size) for at in range(*span)])
        total = np.zeros(shape.shape, np.float32)
        weights = np.zeros((size[1], size[0]), np.float32)
        columns, rows = tiles(size, asked.tile)
        for row, (top, bottom) in enumerate(rows):
            for column, (left, right) in enumerate(columns):
                place = np.s_[:, top:bottom, left:right]
                weight = np.outer(_ramp(rows, row), _ramp(columns, column)).astype(np.float32)
                weights[place[1:]] += weight
                if not shape[place].any():
                    continue
                cells = noise[..., top // CELL : bottom // CELL, left // CELL : right // CELL]
                total[place] += weight * (yield from self._tile(stack[place], shape[place], cells))
        total /= weights
        return [cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR) for alpha in total]

    def _tile(self, images: NDArray[np.uint8], masks: NDArray[np.bool_], noise: torch.Tensor) -> Steps:
        """(T, h, w) float32 alphas of a tile.

        Args:
            images: (T, h, w, 3) uint8 RGB, h and w multiples of 64.
            masks: (T, h, w) bool.
            noise: (T, 3, 4, h / 8, w / 8) float32: where the denoiser begins, and that of the two encodings.
        """
        grey = np.where(masks, np.uint8(255), np.uint8(0))
        seen: list[torch.Tensor] = []
        for index, pictures in enumerate((images, np.repeat(grey[..., None], 3, axis=3)), start=1):
            parts = []
            for begin in range(0, len(pictures), ENCODED):
                part = slice(begin, begin + ENCODED)
                with devices.plainly():
                    parts.append(self._encode(pictures[part], noise[part, index]))
                yield None
            seen.append(torch.cat(parts))
        with devices.plainly():
            first = noise[:, 0].to(self.device, self._dtype)
            latent = self._denoise(torch.cat([first, *seen], dim=1)[None])
        yield None
        found = []
        for begin in range(0, len(latent), self._decoded):
            with devices.plainly():
                found.append(self._decode(latent[begin : begin + self._decoded]))
            yield None
        return np.concatenate(found)

    def _encode(self, pictures: NDArray[np.uint8], noise: torch.Tensor) -> torch.Tensor:
        """(n, 4, h / 8, w / 8), without the scale that other models want, of (n, h, w, 3) uint8."""
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device).permute(0, 3, 1, 2)
        found = self._vae.encode(pixels.float() / 127.5 - 1).latent_dist
        return (found.mean + found.std * noise.to(self.device)).to(self._dtype)

    def _denoise(self, latent: torch.Tensor) -> torch.Tensor:
        """(T, 4, h, w) of (1, T, 12, h, w)."""
        silence = torch.zeros(
            1, 1, self._unet.config.cross_attention_dim, device=self.device, dtype=self._dtype
        )
        step = torch.ones(1, dtype=torch.long, device=self.device)
        motion = torch.tensor([MOTION], device=self.device, dtype=self._dtype)
        return self._unet(latent, step, silence, added_time_ids=motion).sample[0] / self._scale

    def _decode(self, latent: torch.Tensor) -> Floats:
        """(n, h, w) float32, 0..1, of (n, 4, h / 8, w / 8)."""
        made = self._vae.decode(latent, num_frames=len(latent)).sample.float()
        return (made / 2 + 0.5).clamp(0, 1).mean(1).cpu().numpy()

    def shrink(self) -> bool:
        """Decode half as many frames together; False where it is one."""
        self._decoded, before = max(1, self._decoded // 2), self._decoded
        return self._decoded < before

    def close(self) -> None:
        del self._unet, self._vae


def _noise(at: int, size: tuple[int, int]) -> torch.Tensor:
    """(3, 4, h / 8, w / 8) float32, standard normal, of the frame at a position; the same on all devices."""
    source = torch.Generator().manual_seed(SEED + at)
    return torch.randn((3, 4, size[1] // CELL, size[0] // CELL), generator=source)


def _ramp(spans: Sequence[Span], index: int) -> Floats:
    """(n,) the weights of a tile along one side."""
    return np.array([seam(spans, index, at) for at in range(*spans[index])], np.float32)


def _runs(positions: Sequence[int]) -> str:
    """Positions in words, counted from 1: "frame 3", "frames 1–4, 7 and 9"."""
    runs = [f"{a}–{b}" if b > a else f"{a}" for a, b in _joined(positions)]
    if len(runs) > NAMED:
        runs = [*runs[:NAMED], "more"]
    words = runs[0] if len(runs) == 1 else f"{', '.join(runs[:-1])} and {runs[-1]}"
    return f"frame {words}" if len(positions) == 1 else f"frames {words}"


def _joined(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each run of neighbours, counted from 1."""
    begin = last = positions[0]
    for at in [*positions[1:], -1]:
        if at != last + 1:
            yield begin + 1, last + 1
            begin = at
        last = at
