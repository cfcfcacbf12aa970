"""A tiny DeepLabv3 with random weights. What it answers means nothing: it proves plumbing, never accuracy.

The biases of its last layer are set so that several classes win somewhere in a picture.
"""

from __future__ import annotations

from pathlib import Path

import torch
from msgspec.structs import asdict

from app.worker.engines.deeplabv3 import Architecture, build

TINY = Architecture(layers=(1, 1, 1, 1), width=4, head=16, short_side=64)


def save(path: Path, seed: int = 0) -> None:
    """Write a checkpoint as the published one is laid out, auxiliary head included, with its architecture."""
    torch.manual_seed(seed)
    model = build(TINY).eval()
    with torch.inference_mode():
        scores = model(torch.randn(1, 3, 64, 96))["out"][0]
    last: torch.nn.Conv2d = model.classifier[-1]  # pyright: ignore
    spread = scores.flatten(1).std(1)
    with torch.no_grad():
        last.weight /= spread[:, None, None, None]
        last.bias -= scores.flatten(1).mean(1)
        last.bias /= spread
    state = {**model.state_dict(), "aux_classifier.0.weight": torch.zeros(2, 2)}
    torch.save({"model": state, "architecture": asdict(TINY)}, path)
