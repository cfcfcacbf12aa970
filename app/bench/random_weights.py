"""Random weights in the layout of the published files: they show speed, memory and plumbing, never accuracy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from app.worker.engines.sam3.build import Architecture, build


def save_sam3(path: Path, architecture: Architecture | None, seed: int = 0) -> None:
    """Write a checkpoint of SAM 3; `architecture` None means the published size (3.4 GB)."""
    torch.manual_seed(seed)
    model = build(architecture, "cpu")
    # The package leaves these without values.
    text = model.backbone.language_backbone.encoder
    torch.nn.init.normal_(text.positional_embedding, std=0.01)
    torch.nn.init.normal_(text.text_projection, std=0.1)
    saved: dict[str, Any] = {"model": _published(model.state_dict())}
    if architecture is not None:
        saved["architecture"] = asdict(architecture)
    torch.save(saved, path)


def _published(state: dict[str, Any]) -> dict[str, Any]:
    """The keys of the image model → those of the published file."""
    tracker = "inst_interactive_predictor.model."
    return {
        "tracker." + key.removeprefix(tracker) if key.startswith(tracker) else "detector." + key: tensor
        for key, tensor in state.items()
    }
