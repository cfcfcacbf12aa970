"""Segment Anything 3 by the package `sam3`: clicks, boxes, text, exemplars and tracks from one model.

Paper: N. Carion et al., "SAM 3: Segment Anything with Concepts", 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from app.algo.render import Crop
from app.errors import Unavailable
from app.worker.engines import Answer, Ask, Candidate, Engine, Plan, Prompt, Purpose, Walk, devices
from app.worker.engines.prompting import cropped
from app.worker.engines.sam3 import checkpoint, cpu
from app.worker.engines.sam3.build import build
from app.worker.engines.sam3.features import Encoder, Features
from app.worker.engines.sam3.ground import Grounder
from app.worker.engines.sam3.segment import Segmenter
from app.worker.weights import Found, sha256_of

BATCH = 16
"""Prompts that are drawn together at first."""
CONFIDENCE = 0.5
"""The least score of an instance, as in the package."""


class Sam3(Engine):
    reads_frames = True
    competes = False
    tiers: ClassVar[Mapping[Purpose, tuple[str, ...]]] = {
        "segment": ("clicks", "text"),
        "render": ("clicks", "text"),
        "track": ("clicks", "text"),
        "text": ("text",),
    }

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        """Raises Unavailable where there are no weights or not those of this model, OutOfMemory."""
        if weights is None:
            raise Unavailable(
                f"The engine sam3 has no weights. Put sam3.pt into {data / 'weights'}, then press Check again."
            )
        self.device = devices.choose()
        # Two cores that others use as well have taken five minutes for a frame at the published size.
        self.prepare_s = 2.0 if self.device == "cuda" else 900.0
        read = checkpoint.read(weights.path)
        self.model: Any = build(read.architecture, self.device)
        with cpu.building(self.device):
            checkpoint.fill(self.model, read)
        self.tracker: Any = self.model.inst_interactive_predictor.model
        self.weights = (weights.sha256 or sha256_of(weights.path, data))[:16]
        self._encoder = Encoder(self.model, self.device)
        self._segmenter = Segmenter(self.model, self.device)
        self._grounder = Grounder(self.model, self._encoder.processor)
        self._batch = BATCH
        kept = (*self.model.parameters(), *self.model.buffers())
        self._nbytes = sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def nbytes(self) -> int:
        return self._nbytes

    def calling(self) -> AbstractContextManager[None]:
        """Around every use of `model` and `tracker`; never across a `yield`."""
        return cpu.calling(self.device)

    def prepare(self, image: np.ndarray, tier: str) -> Features:
        """`image`: (H, W, 3) uint8 RGB; what is made for `text` serves clicks and tracks too."""
        with self.calling():
            return self._encoder.encode(image, text=tier == "text")

    def clicks_of(self, prepared: Features) -> dict[str, Any]:
        """The package's `sam2_backbone_out` of a frame prepared in either size."""
        return self._encoder.clicks_of(prepared)

    def text_features(self, text: str) -> dict[str, torch.Tensor]:
        with self.calling():
            return self._grounder.text_features(text)

    def ground(self, prepared: Features, text: str, threshold: float = CONFIDENCE) -> list[Candidate]:
        """All instances of `text` with a score above `threshold`, best first."""
        with self.calling():
            return self._grounder.instances(self._encoder.state_of(prepared), text, (), threshold)[0]

    def segment(self, prepared: Features, ask: Ask) -> Answer:
        state = self._encoder.state_of(prepared)
        with self.calling():
            if ask.whole_frame:
                found, presence = self._grounder.instances(state, ask.prompt.text, ask.exemplars, CONFIDENCE)
                return Answer(found, kind="instances", presence=presence)
            memory = None if ask.previous is None else ask.previous.memory
            return Answer(self._segmenter.candidates(state, ask.prompt, memory))

    def render(self, prepared: Features, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Crop]:
        """Each from its own prompts: one positive point the best of its three answers, text alone the union of
        its instances (empty where the frame is prepared for clicks only).
        """
        state = self._encoder.state_of(prepared)
        with self.calling():
            masks = self._segmenter.masks(state, prompts, self._batch)
            for index, prompt in enumerate(prompts):
                if prepared.text and prompt.text and not prompt.spatial:
                    found, _ = self._grounder.instances(state, prompt.text)
                    masks[index] = np.any([masks[index], *(one.mask for one in found)], axis=0)
        return [cropped(mask) for mask in masks]

    def track(self, plan: Plan) -> Walk:
        from app.worker.engines.sam3 import tracking

        return tracking.track(self, plan)

    def find(self, plan: Plan, texts: Sequence[tuple[str, int]], every: int, threshold: float) -> Walk:
        from app.worker.engines.sam3 import finding

        return finding.find(self, plan, texts, every, threshold)

    def shrink(self) -> bool:
        """Halve the number of prompts drawn together; False where it is one."""
        self._batch, before = max(1, self._batch // 2), self._batch
        return self._batch < before

    def close(self) -> None:
        del self.model, self.tracker, self._encoder, self._segmenter, self._grounder
