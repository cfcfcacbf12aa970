"""Segment Anything 2.1 by the package `transformers`: clicks, boxes and tracks, with weights that anyone may fetch.

`transformers` rather than the authors' `sam2`: its wheels are plain Python, it runs on a processor as it is, it
takes frames one by one and objects at any time, and its weights are safetensors, which hold no code. One video
model serves both purposes; frames alone go straight to its prompt encoder and mask decoder.

Paper: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from app.algo.render import Crop
from app.errors import Unavailable
from app.worker.engines import Answer, Ask, Engine, Plan, Prompt, Purpose, Walk, devices
from app.worker.engines.prompting import cropped
from app.worker.engines.sam2 import checkpoint, tracking
from app.worker.engines.sam2.features import Encoder, Features
from app.worker.engines.sam2.segment import Segmenter
from app.worker.weights import Found, sha256_of

BATCH = 16
"""Prompts that are drawn together at first."""


class Sam2(Engine):
    reads_frames = True
    competes = False
    tiers: ClassVar[Mapping[Purpose, tuple[str, ...]]] = {
        "segment": ("clicks",),
        "render": ("clicks",),
        "track": ("clicks",),
    }

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        """Raises Unavailable where there are no weights or not those of this model, OutOfMemory."""
        if weights is None:
            place = data / "weights" / "sam2"
            raise Unavailable(
                f"The engine sam2 has no weights. Put config.json and model.safetensors into {place}, "
                "then press Check again."
            )
        self.device = devices.choose()
        self.prepare_s = 2.0 if self.device == "cuda" else 180.0
        self.model: Any = checkpoint.load(weights.path, self.device)
        self.weights = (weights.sha256 or sha256_of(weights.path, data))[:16]
        self.encoder = Encoder(self.model, self.device)
        self._segmenter = Segmenter(self.model, self.encoder, self.device)
        self._batch = BATCH

    def nbytes(self) -> int:
        kept = (*self.model.parameters(), *self.model.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def calling(self) -> AbstractContextManager[None]:
        """Around every use of `model`; never across a `yield`."""
        return devices.calling(self.device)

    def prepare(self, image: np.ndarray, tier: str) -> Features:
        """`image`: (H, W, 3) uint8 RGB. What is made serves clicks and tracks alike."""
        with self.calling():
            return self.encoder.encode(image)

    def segment(self, prepared: Features, ask: Ask) -> Answer:
        memory = None if ask.previous is None else ask.previous.memory
        with self.calling():
            return Answer(self._segmenter.candidates(prepared, ask.prompt, memory))

    def render(self, prepared: Features, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Crop]:
        """Each from its own prompts; one positive point alone gives the best of its three answers."""
        with self.calling():
            return [cropped(mask) for mask in self._segmenter.masks(prepared, prompts, self._batch)]

    def track(self, plan: Plan) -> Walk:
        return tracking.track(self, plan)

    def shrink(self) -> bool:
        """Halve the number of prompts drawn together; False where it is one."""
        self._batch, before = max(1, self._batch // 2), self._batch
        return self._batch < before

    def close(self) -> None:
        del self.model, self.encoder, self._segmenter
