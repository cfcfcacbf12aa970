"""DeepLabv3 with a ResNet-101 by torchvision: labels whole frames with the classes of PASCAL VOC.

Paper: L.-C. Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import torch
from msgspec import Meta, Struct
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import interpolate
from torchvision.models import ResNet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck
from torchvision.models.segmentation import DeepLabV3 as Network
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.transforms.functional import InterpolationMode, normalize, resize

from app.errors import Unavailable
from app.worker.engines import Engine, Purpose, checkpoints, devices
from app.worker.label_classes import VOC
from app.worker.weights import Found, sha256_of

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of ImageNet, which the backbone was trained with."""
LONGEST = 8
"""A frame is not made longer than so many times its short side."""
RATES = (12, 24, 36)
AUXILIARY = "aux_classifier."
"""The second head of the published file serves training only."""
COUNTER = "num_batches_tracked"
"""Serves training only; files of early releases lack it."""

Count = Annotated[int, Meta(ge=1, le=4096)]


class Architecture(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Sizes of the model; the defaults are those of the published file. `short_side` in pixels."""

    layers: tuple[Count, Count, Count, Count] = (3, 4, 23, 3)
    width: Count = 64
    head: Count = 256
    short_side: Annotated[int, Meta(ge=16, le=4096)] = 520


def build(architecture: Architecture) -> nn.Module:
    """The model without weights, by the names of torchvision's `deeplabv3_resnet101`."""
    backbone = ResNet(
        Bottleneck,
        list(architecture.layers),
        width_per_group=architecture.width,
        replace_stride_with_dilation=[False, True, True],
    )
    head = architecture.head
    classifier = nn.Sequential(
        ASPP(512 * Bottleneck.expansion, RATES, head),
        nn.Conv2d(head, head, 3, padding=1, bias=False),
        nn.BatchNorm2d(head),
        nn.ReLU(),
        nn.Conv2d(head, len(VOC), 1),
    )
    return Network(IntermediateLayerGetter(backbone, {"layer4": "out"}), classifier)


class DeepLabV3(Engine):
    reads_frames = False
    competes = False
    tiers: ClassVar[Mapping[Purpose, tuple[str, ...]]] = {}
    classes: Sequence[str] = VOC

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        """Raises Unavailable where there are no weights or not those of this model, OutOfMemory."""
        if weights is None:
            raise Unavailable(
                f"The engine deeplabv3 has no weights. Put deeplabv3_resnet101_coco-586e9e4e.pth into "
                f"{data / 'weights'}, then press Check again."
            )
        self.device = devices.choose()
        self.prepare_s = 60.0 if self.device == "cuda" else 180.0
        architecture, tensors = _read(weights.path)
        self._short_side = architecture.short_side
        with devices.memory_errors():
            model = build(architecture)
            _fill(model, tensors, weights.path)
            self._model: Any = model.eval().requires_grad_(False).to(self.device)
        self.weights = (weights.sha256 or sha256_of(weights.path, data))[:16]

    def nbytes(self) -> int:
        kept = (*self._model.parameters(), *self._model.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def label(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W) uint8, indices of `classes`, of an image (H, W, 3) uint8 RGB.

        As torchvision prepares images for it: the short side scaled to 520 px. The scores of the classes are
        scaled back to (H, W), then the best one wins; of equal ones the first.
        """
        with devices.calling(self.device):
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).permute(2, 0, 1)
            size = _scaled(image.shape[0], image.shape[1], self._short_side)
            small = resize(pixels, list(size), InterpolationMode.BILINEAR, antialias=True)
            colours = normalize(small.float() / 255, list(MEAN), list(SPREAD))
            scores = self._model(colours[None])["out"]
            return _best(scores.float(), image.shape[:2]).cpu().numpy()

    def shrink(self) -> bool:
        """It labels one frame at a time already."""
        return False

    def close(self) -> None:
        del self._model


def _scaled(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(h, w) with the short side of that many pixels, the long one cut at `LONGEST` times it."""
    long_side = min(int(short_side * max(height, width) / min(height, width)), LONGEST * short_side)
    return (short_side, long_side) if height <= width else (long_side, short_side)


def _best(scores: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """(H, W) uint8: the class with the best of scores (1, C, h, w) scaled to `shape` (H, W).

    One class after the other: all at once would take gigabytes for a large frame.
    """
    best = torch.full(tuple(shape), -torch.inf, device=scores.device)
    winner = torch.zeros(tuple(shape), dtype=torch.uint8, device=scores.device)
    for index in range(scores.shape[1]):
        own = interpolate(scores[:, index : index + 1], tuple(shape), mode="bilinear", align_corners=False)[
            0, 0
        ]
        better = own > best
        winner[better] = index
        best = torch.maximum(best, own)
    return winner


# Weights


def _read(path: Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """The sizes and the tensors of a file. Raises Unavailable, saying what is wrong with it."""
    try:
        content = checkpoints.read(path)
    except checkpoints.Unfit as exc:
        raise _refusal(path, exc) from exc
    if not isinstance(content, dict):
        raise _refusal(path, "it holds no tensors by name")
    try:
        architecture = msgspec.convert(content.get("architecture", {}), Architecture)
    except msgspec.ValidationError as exc:
        raise _refusal(path, f"the architecture in it cannot be built: {exc}") from exc
    tensors = content["model"] if isinstance(content.get("model"), dict) else content
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in tensors.items()):
        raise _refusal(path, "it holds no tensors by name")
    return architecture, {key: value for key, value in tensors.items() if not key.startswith(AUXILIARY)}


def _fill(model: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put the weights into the model, after every key and shape was compared. Raises Unavailable."""
    own = model.state_dict()
    wanted = {key: tensor for key, tensor in own.items() if not key.endswith(COUNTER)}
    try:
        checkpoints.compare(wanted, tensors, known=own)
    except checkpoints.Unfit as exc:
        raise _refusal(path, exc) from exc
    model.load_state_dict(own | {key: tensors[key] for key in wanted}, strict=True)


def _refusal(path: Path, why: object) -> Unavailable:
    return Unavailable(f"The weights {path} cannot serve the engine deeplabv3: {why}.")
