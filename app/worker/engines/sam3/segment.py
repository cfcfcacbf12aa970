"""Points and boxes → masks, by the interactive head.

Points here are positions on the frame with pixel centres at .5; the head adds half a pixel of its own input to
what it gets, which is taken off beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from sam3.model.utils.sam1_utils import SAM2Transforms

from app.worker.engines import Candidate, Prompt
from app.worker.engines.prompting import batches, is_ambiguous

HOLE_AREA = 256
"""Pixels of the head's mask at its published size, as in the package: smaller holes are filled."""
PUBLISHED_SIDE = 288
"""Of the head's mask."""
MEMORY_LIMIT = 32.0
"""The head clamps the logits that it gives and takes back."""


class HolesOnCpu(SAM2Transforms):
    """The package's steps after the head, with OpenCV in place of its loop over components on the CPU."""

    def __init__(self, resolution: int, mask_threshold: float) -> None:
        super().__init__(resolution, mask_threshold)

    def postprocess_masks(self, masks: torch.Tensor, orig_hw: tuple[int, int]) -> torch.Tensor:
        """Logits (B, C, h, w) → logits (B, C, H, W)."""
        filled = masks.float().clone()
        for plane in filled.flatten(0, 1):
            holes = small_holes(plane.numpy() > self.mask_threshold)
            plane[torch.from_numpy(holes)] = self.mask_threshold + 10.0
        return super().postprocess_masks(filled, orig_hw)


def small_holes(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the parts of the background that are too small to be meant."""
    limit = HOLE_AREA * (mask.shape[0] / PUBLISHED_SIDE) ** 2
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] <= limit
    small[0] = False
    return small[labels]


class Segmenter:
    """Asks the interactive head of the model."""

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        predictor = model.inst_interactive_predictor
        self._size: int = predictor.model.image_size
        if device != "cuda":
            predictor._transforms = HolesOnCpu(self._size, predictor.mask_threshold)

    def candidates(self, state: dict[str, Any], prompt: Prompt, memory: Any = None) -> list[Candidate]:
        """Best first. One positive point alone is ambiguous: three answers; else one.

        `memory`: logits of the mask that is corrected. `state`: the package's inference state.
        """
        several = is_ambiguous(prompt) and memory is None
        masks, scores, logits = self._ask(state, [prompt], several, memory)
        order = np.argsort(-scores[0], kind="stable")
        return [
            Candidate(masks[0, k], float(scores[0, k]), logits[0, k][None].astype(np.float16)) for k in order
        ]

    def masks(self, state: dict[str, Any], prompts: Sequence[Prompt], batch: int) -> list[np.ndarray]:
        """(H, W) bool for each prompt, empty where it has neither points nor a box.

        Up to `batch` prompts with equal numbers of points are asked together: padding would change them.
        """
        shape = (state["original_height"], state["original_width"])
        found = [np.zeros(shape, bool)] * len(prompts)
        for several, part in batches(prompts, batch):
            masks, scores, _ = self._ask(state, [prompts[index] for index in part], several)
            for row, index in enumerate(part):
                found[index] = masks[row, int(np.argmax(scores[row]))]
        return found

    def _ask(
        self, state: dict[str, Any], prompts: Sequence[Prompt], several: bool, memory: Any = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks (B, C, H, W) bool, scores (B, C), logits (B, C, h, w) of prompts of one kind."""
        height, width = state["original_height"], state["original_width"]
        half = 0.5 * np.array([width, height]) / self._size
        count = len(prompts)
        given: dict[str, Any] = {}
        if len(prompts[0].points):
            rows = np.stack([prompt.points for prompt in prompts])
            given["point_coords"] = rows[:, :, :2] - half
            given["point_labels"] = (rows[:, :, 2] > 0.5).astype(np.int32)
        if prompts[0].box is not None:
            given["box"] = np.array([prompt.box for prompt in prompts]) - np.tile(half, 2)
        if memory is not None:
            given["mask_input"] = np.asarray(memory, np.float32)
        masks, scores, logits = self._model.predict_inst(state, multimask_output=several, **given)
        return (
            masks.reshape(count, -1, height, width) > 0.5,
            scores.reshape(count, -1),
            logits.reshape(count, -1, *logits.shape[-2:]),
        )
