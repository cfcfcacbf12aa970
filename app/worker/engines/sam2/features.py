"""What is computed once per frame: the three maps of the image encoder.

The position encodings are the same for all frames and kept once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of the RGB channels in 0..1, those that the model was trained with."""


@dataclass(frozen=True, eq=False)
class Features:
    """A prepared frame. `shape`: (H, W); `maps`: (h·w, 1, C) each, from fine to coarse, bfloat16 on CUDA."""

    shape: tuple[int, int]
    maps: tuple[torch.Tensor, ...]

    @property
    def nbytes(self) -> int:
        return sum(one.numel() * one.element_size() for one in self.maps)


class Encoder:
    """Runs the image encoder and keeps of its output what differs between frames."""

    def __init__(self, model: Any, device: str) -> None:
        self._model, self._device = model, device
        self._mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(STD, device=device).view(1, 3, 1, 1) * 255
        self._positions: list[torch.Tensor] = []

    def pixels(self, image: np.ndarray) -> torch.Tensor:
        """(1, 3, S, S) float32 on the device, as the package's image processor makes it of (H, W, 3) uint8."""
        channels_first = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].contiguous()
        side = self._model.image_size
        # On the CPU and in bytes on every device: a GPU would round otherwise, and more would have to travel.
        small = torch.nn.functional.interpolate(channels_first, (side, side), mode="bilinear", antialias=True)
        return (small.to(self._device).float() - self._mean) / self._std

    def encode(self, image: np.ndarray) -> Features:
        found = self._model.get_image_features(self.pixels(image), return_dict=True)
        if not self._positions:
            self._positions = list(found.fpn_position_encoding)
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        return Features(
            shape=(image.shape[0], image.shape[1]),
            maps=tuple(one.to(dtype) for one in found.fpn_hidden_states),
        )

    def video_features(self, features: Features) -> dict[str, list[torch.Tensor]]:
        """What the package's inference session keeps of a frame."""
        return {"vision_feats": list(features.maps), "vision_pos_embeds": self._positions}

    def image_embeddings(self, features: Features) -> list[torch.Tensor]:
        """(1, C, h, w) each, as the mask decoder wants them for a frame without memory of others."""
        model = self._model
        *fine, coarse = features.maps
        return [
            one.permute(1, 2, 0).reshape(1, -1, *size)
            for one, size in zip(
                (*fine, coarse + model.no_memory_embedding.to(coarse.dtype)),
                model.backbone_feature_sizes,
                strict=True,
            )
        ]
