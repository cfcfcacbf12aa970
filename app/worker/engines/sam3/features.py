"""What is computed once per frame: the vision backbone's maps, in two sizes.

For clicks and tracks the three maps of the interactive head suffice; text needs the detector's three as well.
Position encodings are the same for all frames and kept once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sam3.model.sam3_image_processor import Sam3Processor


@dataclass(frozen=True, eq=False)
class Features:
    """A prepared frame. `shape`: (H, W); `clicks`, `text`: maps (1, C, h, w) from fine to coarse, those for
    text empty in the smaller size.
    """

    shape: tuple[int, int]
    clicks: tuple[torch.Tensor, ...]
    text: tuple[torch.Tensor, ...] = ()

    @property
    def nbytes(self) -> int:
        return sum(one.numel() * one.element_size() for one in (*self.clicks, *self.text))


class Encoder:
    """Runs the vision backbone and keeps of its output what differs between frames."""

    def __init__(self, model: Any, device: str) -> None:
        size = model.inst_interactive_predictor.model.image_size
        self.processor = Sam3Processor(model, resolution=size, device=device)
        self._positions: list[torch.Tensor] = []

    def encode(self, image: np.ndarray, *, text: bool) -> Features:
        """`image`: (H, W, 3) uint8 RGB. One pass of the backbone, whichever size is kept."""
        channels_first = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        found = self.processor.set_image(channels_first)["backbone_out"]
        interactive = found["sam2_backbone_out"]
        if not self._positions:
            self._positions = list(interactive["vision_pos_enc"])
        return Features(
            shape=(image.shape[0], image.shape[1]),
            clicks=tuple(interactive["backbone_fpn"]),
            text=tuple(found["backbone_fpn"]) if text else (),
        )

    def clicks_of(self, features: Features) -> dict[str, Any]:
        """What the package calls `sam2_backbone_out`."""
        return {
            "vision_features": features.clicks[-1],
            "vision_pos_enc": list(self._positions),
            "backbone_fpn": list(features.clicks),
        }

    def state_of(self, features: Features) -> dict[str, Any]:
        """The package's inference state of a frame."""
        backbone = {"sam2_backbone_out": self.clicks_of(features)}
        if features.text:
            # Both heads encode positions alike; the detector reads those of its coarsest map alone.
            backbone |= {
                "vision_features": features.text[-1],
                "vision_pos_enc": [None, None, self._positions[-1]],
                "backbone_fpn": list(features.text),
            }
        height, width = features.shape
        return {"original_height": height, "original_width": width, "backbone_out": backbone}
