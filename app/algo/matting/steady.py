"""Alpha averaged along time, only where nothing moves.

Averaging at moving edges smears them, with optical flow or without. But where the picture stands still, an alpha that
changes from frame to frame does so for noise alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.motion import Motion, Picture, between, picture

AROUND = 2
"""Frames before and after that have a say."""
STILL_PX = 0.3
"""Pixels, at the size of the flow, that a place may move from frame to frame and still count as still."""
CLEAR_PX = 9
"""Pixels, at the size of the flow, by which what moves must be away."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Held:
    picture: Picture
    alpha: Floats
    still: Floats | None
    """(H, W) 0..1, where nothing moved since the frame before; None = everything did."""


class Steady:
    """Frames in, alphas out in the same order, `AROUND` frames later; five frames' alphas are kept."""

    def __init__(self) -> None:
        self._held: deque[_Held] = deque(maxlen=2 * AROUND + 1)
        self._waiting = 0

    def push(self, image: NDArray[np.uint8], alpha: Floats) -> list[Floats]:
        """The next frame: (H, W, 3) uint8 RGB and its alpha (H, W) float32. Returns the alphas that are ready."""
        seen = picture(image)
        before = self._held[-1] if self._held else None
        still = None if before is None else _still(between(before.picture, seen), alpha.shape)
        self._held.append(_Held(seen, alpha, still))
        self._waiting += 1
        return [self._next()] if self._waiting > AROUND else []

    def finish(self) -> list[Floats]:
        """The alphas of the frames that still wait."""
        return [self._next() for _ in range(self._waiting)]

    def _next(self) -> Floats:
        at = len(self._held) - self._waiting
        self._waiting -= 1
        own = self._held[at].alpha
        total, weight = own.copy(), np.ones_like(own)
        for way in (-1, 1):
            passed: Any = np.float32(1)
            for step in range(1, AROUND + 1):
                other = at + way * step
                if not 0 <= other < len(self._held):
                    break
                still = self._held[max(other, other - way)].still
                if still is None:
                    break
                passed = passed * still
                total += passed * self._held[other].alpha
                weight += passed
        return total / weight


def _still(motion: Motion, shape: tuple[int, ...]) -> Floats | None:
    """(H, W) float32, 0..1: where nothing moved; None where all did, and at a cut."""
    if motion.fields is None:
        return None
    field = motion.fields[0]
    rests = field.trusted & (np.square(field.offsets).sum(-1) < STILL_PX**2)
    if not rests.any():
        return None
    apart = cv2.distanceTransform(rests.astype(np.uint8), cv2.DIST_L2, 5) / CLEAR_PX
    clear = np.clip(apart * 2 - 1, 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(clear, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)
