"""Points and boxes → masks, by the prompt encoder and the mask decoder of the video model.

Points here are positions on the frame with pixel centres at .5; the prompt encoder adds half a pixel of the
model's own image to what it gets, which is taken off beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from app.worker.engines import Candidate, Prompt
from app.worker.engines.prompting import batches, is_ambiguous
from app.worker.engines.sam2.features import Encoder, Features

MEMORY_LIMIT = 32.0
"""Logits are clamped to ±this before they are kept, as in the authors' predictor."""


class Segmenter:
    def __init__(self, model: Any, encoder: Encoder, device: str) -> None:
        self._model, self._encoder, self._device = model, encoder, device
        self._grid: torch.Tensor = model.get_image_wide_positional_embeddings()

    def candidates(self, features: Features, prompt: Prompt, memory: Any = None) -> list[Candidate]:
        """Best first. One positive point alone is ambiguous: three answers; else one.

        `memory`: (h, w) logits of the mask that is corrected.
        """
        several = is_ambiguous(prompt) and memory is None
        logits, scores = self._ask(features, [prompt], several, memory)
        order = np.argsort(-scores[0], kind="stable")
        masks = full(logits[0], features.shape)
        kept = logits[0].clamp(-MEMORY_LIMIT, MEMORY_LIMIT).half().cpu().numpy()
        return [Candidate(masks[k], float(scores[0, k]), kept[k]) for k in order]

    def masks(self, features: Features, prompts: Sequence[Prompt], batch: int) -> list[np.ndarray]:
        """(H, W) bool for each prompt, empty where it has neither points nor a box.

        Up to `batch` prompts with equal numbers of points are asked together: padding would change them.
        """
        found = [np.zeros(features.shape, bool)] * len(prompts)
        for several, part in batches(prompts, batch):
            logits, scores = self._ask(features, [prompts[index] for index in part], several)
            best = torch.from_numpy(scores.argmax(axis=1)).to(logits.device)
            planes = logits[torch.arange(len(part), device=logits.device), best]
            for index, mask in zip(part, full(planes, features.shape), strict=True):
                found[index] = mask
        return found

    def _ask(
        self, features: Features, prompts: Sequence[Prompt], several: bool, memory: Any = None
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Logits (B, C, h, w) float32 on the device and scores (B, C) of prompts of one kind."""
        height, width = features.shape
        scale = self._model.image_size / np.array([width, height], np.float64)
        points = labels = box = mask = None
        if len(prompts[0].points):
            rows = np.stack([prompt.points for prompt in prompts])
            points = self._given(rows[:, :, :2] * scale - 0.5)
            labels = self._given(rows[:, :, 2] > 0.5, torch.int32)
        if prompts[0].box is not None:
            corners = np.array([prompt.box for prompt in prompts])
            box = self._given(corners * np.tile(scale, 2) - 0.5)
        if memory is not None:
            mask = self._given(np.asarray(memory, np.float32)[None])
        sparse, dense = self._model.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=box, input_masks=mask
        )
        *fine, coarse = self._encoder.image_embeddings(features)
        logits, scores, _, _ = self._model.mask_decoder(
            image_embeddings=coarse,
            image_positional_embeddings=self._grid,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=fine,
        )
        return logits[0].float(), scores[0].float().cpu().numpy()

    def _given(self, rows: np.ndarray, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """With the axis of images, of which there is one, before the others."""
        return torch.as_tensor(rows, dtype=dtype, device=self._device)[None]


def full(logits: torch.Tensor, shape: tuple[int, int]) -> np.ndarray:
    """(N, h, w) logits → (N, H, W) bool."""
    large = torch.nn.functional.interpolate(
        logits[None].float(), size=shape, mode="bilinear", align_corners=False
    )
    return (large[0] > 0).cpu().numpy()
