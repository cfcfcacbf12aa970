"""A tiny SAM 3 with random weights. What it answers means nothing: it proves plumbing, never accuracy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from app.worker.engines.sam3.build import Architecture, build


def save(path: Path, seed: int = 0) -> None:
    """Write a checkpoint as the published one is laid out, with the architecture that makes it loadable."""
    torch.manual_seed(seed)
    architecture = Architecture()
    model = build(architecture, "cpu")
    # The package leaves these without values.
    text = model.backbone.language_backbone.encoder
    torch.nn.init.normal_(text.positional_embedding, std=0.01)
    torch.nn.init.normal_(text.text_projection, std=0.1)
    torch.save({"model": _published(model.state_dict()), "architecture": asdict(architecture)}, path)


def _published(state: dict[str, Any]) -> dict[str, Any]:
    """The keys of the image model → those of the published file."""
    tracker = "inst_interactive_predictor.model."
    return {
        "tracker." + key.removeprefix(tracker) if key.startswith(tracker) else "detector." + key: tensor
        for key, tensor in state.items()
    }
