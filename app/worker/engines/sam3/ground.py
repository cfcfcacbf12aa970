"""Text and exemplars → all instances in a frame, by the detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sam3.model.data_misc import interpolate
from sam3.model.sam3_image_processor import Sam3Processor

from app.worker.caches import ByteLru
from app.worker.engines import Candidate
from app.worker.engines.sam3.segment import MEMORY_LIMIT

TEXT_BYTES = 32 << 20
AT_ONCE = 8
"""Masks enlarged to the frame's size together; the detector may keep 200."""
NO_TEXT = "visual"
"""What the detector was trained to hear where exemplars alone say what to look for."""

ExemplarRow = tuple[float, float, float, float, bool]


class Grounder:
    """Asks the detector of the model; the features of texts are computed once per text."""

    def __init__(self, model: Any, processor: Sam3Processor) -> None:
        self._model, self._processor = model, processor
        self._texts: ByteLru[str, dict[str, torch.Tensor]] = ByteLru(
            TEXT_BYTES, lambda kept: sum(one.numel() * one.element_size() for one in kept.values())
        )

    def text_features(self, text: str) -> dict[str, torch.Tensor]:
        """`language_features` (32, 1, C), `language_mask` (1, 32) and `language_embeds` of one text."""
        found = self._texts.get(text)
        if found is None:
            found = self._model.backbone.forward_text([text], device=self._processor.device)
            self._texts.put(text, found)
        return found

    def instances(
        self,
        state: dict[str, Any],
        text: str | None,
        exemplars: Sequence[ExemplarRow] = (),
        threshold: float = 0.5,
    ) -> tuple[list[Candidate], float]:
        """Those with a score above `threshold`, best first, and how sure the detector is that there are any.

        `state`: the package's inference state of a frame prepared for text. A score is that of the instance
        times the presence. `memory` of a candidate: the logits that a later click corrects.
        """
        height, width = state["original_height"], state["original_width"]
        backbone = {**state["backbone_out"], **self.text_features((text or "").strip() or NO_TEXT)}
        prompt = self._model._get_dummy_prompt()
        for x1, y1, x2, y2, positive in exemplars:
            box = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
            device = self._processor.device
            prompt.append_boxes(
                torch.tensor(box, device=device, dtype=torch.float32).view(1, 1, 4),
                torch.tensor([positive], device=device, dtype=torch.bool).view(1, 1),
            )
        found = self._model.forward_grounding(
            backbone_out=backbone,
            find_input=self._processor.find_stage,
            geometric_prompt=prompt,
            find_target=None,
        )
        presence = found["presence_logit_dec"].sigmoid().unsqueeze(1)
        scores = (found["pred_logits"].sigmoid() * presence).squeeze(-1)[0]
        order = torch.argsort(scores, descending=True, stable=True)
        order = order[scores[order] > threshold]
        logits = found["pred_masks"][0, order]
        kept = logits.float().clamp(-MEMORY_LIMIT, MEMORY_LIMIT).half().cpu().numpy()
        values = scores[order].float().tolist()
        return [
            Candidate(mask, value, memory[None])
            for mask, value, memory in zip(self._enlarged(logits, (height, width)), values, kept, strict=True)
        ], float(presence.float().max())

    def _enlarged(self, logits: torch.Tensor, shape: tuple[int, int]) -> list[np.ndarray]:
        """(n, h, w) logits → n masks (H, W) bool."""
        masks: list[np.ndarray] = []
        for part in logits.unsqueeze(1).split(AT_ONCE):
            large = interpolate(part, list(shape), mode="bilinear", align_corners=False)
            masks.extend((large.sigmoid() > 0.5)[:, 0].cpu().numpy())
        return masks
