"""MatAnyone by its own package, where a person installed one: masks of some frames into alphas of a video.

From each mask the video is walked forward and backward, half way to the next. The package sees one frame at a time,
so memory does not grow with the video. Its own way to do a whole video is not used: that loads all frames at once.

Papers: P. Yang et al., "MatAnyone: Stable Video Matting with Consistent Memory Propagation", 2025; "MatAnyone 2",
2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from app.algo.matting.band import reshaped
from app.errors import Refused, Unavailable
from app.matte_memory import capped
from app.worker.engines import Alphas, Anchor, Engine, Plan, Purpose, devices
from app.worker.engines.matanyone import package
from app.worker.weights import Found, sha256_of

OBJECTS = [1]
"""One object to a core: several in one raise."""


class MatAnyone(Engine):
    reads_frames = False
    competes = False
    tiers: ClassVar[Mapping[Purpose, tuple[str, ...]]] = {}

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        """Raises Unavailable where package or weights are missing or are not those of this model, OutOfMemory."""
        if weights is None:
            raise Unavailable(
                f"The engine matanyone has no weights. Put matanyone2.pth into {data / 'weights'}, then press "
                "Check again."
            )
        self.device = devices.choose()
        self.prepare_s = 30.0 if self.device == "cuda" else 300.0
        self._package = package.load(weights.path, self.device)
        self.weights = (weights.sha256 or sha256_of(weights.path, data))[:16]

    def nbytes(self) -> int:
        network = self._package.network
        kept = (*network.parameters(), *network.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def settings(self, plan: Plan) -> dict[str, str | int]:
        width, height = capped((plan.shape[1], plan.shape[0]))
        return {"package": self._package.name, "working_size": f"{width}×{height}"}

    def matte(self, plan: Plan) -> Alphas:
        """Raises Refused where all masks are empty. An empty one among others says nothing.

        A walk of which no frame is wanted is left out; one that is wanted begins at its mask again.
        """
        anchors = sorted((a for a in plan.anchors if np.any(a.mask)), key=lambda anchor: anchor.position)
        if not anchors:
            raise Refused("The masks that the matte starts from are empty.")
        wanted = set(plan.positions) - set(plan.done)
        for anchor, positions in _walks(anchors, plan.count):
            there = [index for index, at in enumerate(positions) if at in wanted]
            if there:
                yield from self._walk(plan, anchor, positions[: there[-1] + 1], wanted)

    def _walk(self, plan: Plan, anchor: Anchor, positions: Sequence[int], wanted: set[int]) -> Alphas:
        """The alphas of the wanted ones of `positions`, in the order of the walk, which begins at the anchor."""
        asked = plan.parameters
        size = capped((plan.shape[1], plan.shape[0]))
        mask = reshaped(np.asarray(anchor.mask, np.bool_), asked.erode, asked.dilate)
        core = self._package.core()
        first = self._image(plan, anchor.position, size)
        with devices.plainly():
            seen = core.step(first, self._mask(mask, size), objects=OBJECTS)
        # The last of these is the anchor's own alpha: the mask alone has hard edges.
        for _ in range(asked.warm_up + 1):
            yield None
            with devices.plainly():
                seen = core.step(first, first_frame_pred=True)
        for at in positions:
            if at != anchor.position:
                yield None
                image = self._image(plan, at, size)
                with devices.plainly():
                    seen = core.step(image)
            if at in wanted:
                with devices.plainly():
                    alpha = core.output_prob_to_mask(seen).float().cpu().numpy()
                yield at, _restored(alpha, plan.shape)

    def _image(self, plan: Plan, at: int, size: tuple[int, int]) -> torch.Tensor:
        """(3, h, w) float32, 0..1, on the device."""
        image = plan.image(at)
        if size != (image.shape[1], image.shape[0]):
            shrinks = size[0] < image.shape[1]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        return pixels.permute(2, 0, 1).float() / 255

    def _mask(self, mask: NDArray[np.bool_], size: tuple[int, int]) -> torch.Tensor:
        """(h, w) float32, 0 or 255: the package divides by 255, and a mask of 0 and 1 would all but vanish."""
        grey = np.where(mask, np.float32(255), np.float32(0))
        if size != (mask.shape[1], mask.shape[0]):
            grey = np.where(cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR) > 127, 255, 0)
        return torch.from_numpy(grey.astype(np.float32)).to(self.device)

    def shrink(self) -> bool:
        """It works on one frame at a time already."""
        return False

    def close(self) -> None:
        del self._package


def _walks(anchors: Sequence[Anchor], count: int) -> list[tuple[Anchor, range]]:
    """Each anchor, sorted by position, with the positions of its walks forward and backward, itself first.

    They share no position but that of the anchor, which only the walk forward reports.
    """
    found = []
    for index, anchor in enumerate(anchors):
        at = anchor.position
        last = count - 1 if index + 1 == len(anchors) else (at + anchors[index + 1].position) // 2
        first = 0 if index == 0 else (anchors[index - 1].position + at) // 2 + 1
        found += [(anchor, range(at, last + 1)), (anchor, range(at - 1, first - 1, -1))]
    return found


def _restored(alpha: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) float32, 0..1."""
    alpha = np.clip(alpha, 0, 1)
    if alpha.shape == tuple(shape):
        return alpha
    restored = cv2.resize(alpha, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(restored, np.float32)
