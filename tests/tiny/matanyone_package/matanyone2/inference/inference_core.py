"""The memory of a walk: it checks what it is given, keeps a list of the calls, and answers with its own mask."""

from __future__ import annotations

import weakref
from typing import Any

import torch

calls: list[tuple[Any, ...]] = []
"""("mask", frame, pixels of the mask), ("first", frame) and ("next", frame); a frame is known by its brightness."""
living: weakref.WeakSet[InferenceCore] = weakref.WeakSet()
sizes: set[tuple[int, ...]] = set()


class InferenceCore:
    def __init__(
        self, network: Any, cfg: Any = None, *, image_feature_store: Any = None, device: Any = None
    ) -> None:
        if (
            network.training
            or device is None
            or (torch.is_grad_enabled() and network.layer.weight.requires_grad)
        ):
            raise ValueError("the network must be ready to answer, and on a device")
        self.state, self.mask = "new", torch.zeros(0)
        living.add(self)

    def step(
        self,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        objects: list[int] | None = None,
        *,
        idx_mask: bool = False,
        end: bool = False,
        delete_buffer: bool = True,
        force_permanent: bool = False,
        matting: bool = True,
        first_frame_pred: bool = False,
    ) -> torch.Tensor:
        if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.float32:
            raise ValueError("images are 3×H×W of float32")
        if image.min() < 0 or not 0 < image.max() <= 1:
            raise ValueError("images lie between 0 and 1")
        if not torch.is_inference_mode_enabled() or idx_mask or force_permanent or not matting:
            raise ValueError("called in a way that keeps memory for ever")
        sizes.add(tuple(image.shape[1:]))
        frame = round(float(image.mean()) * 255)
        if mask is not None:
            if self.state != "new" or objects != [1]:
                raise ValueError("a core has one object, which is named, and one mask")
            if mask.shape != image.shape[1:] or not mask.is_floating_point():
                raise ValueError("masks are H×W of floats")
            if set(mask.unique().tolist()) - {0.0, 255.0} or mask.max() != 255:
                raise ValueError("masks are 0 or 255")
            self.state, self.mask = "mask", mask / 255
            calls.append(("mask", frame, int(self.mask.sum())))
        elif first_frame_pred:
            if self.state not in ("mask", "first"):
                raise ValueError("warming up follows a mask")
            self.state = "first"
            calls.append(("first", frame))
        else:
            if self.state not in ("first", "next"):
                raise ValueError("the first frame is asked for before the others")
            self.state = "next"
            calls.append(("next", frame))
        alpha = (self.mask * frame / 255)[None]
        return torch.cat([1 - alpha, alpha])

    def output_prob_to_mask(self, output_prob: torch.Tensor, matting: bool = True) -> torch.Tensor:
        return output_prob[1:].squeeze(0)
