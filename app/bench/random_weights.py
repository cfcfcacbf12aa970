"""Random weights in the layout of the published files: they show speed, memory and plumbing, never accuracy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from app.worker.engines.sam3.build import Architecture, build
from app.worker.engines.sam3.checkpoint import published


def save_sam3(path: Path, architecture: Architecture | None, seed: int = 0) -> None:
    """Write a checkpoint of SAM 3; `architecture` None means the published size (3.4 GB)."""
    torch.manual_seed(seed)
    saved: dict[str, Any] = {"model": published(build(architecture, "cpu").state_dict())}
    if architecture is not None:
        saved["architecture"] = asdict(architecture)
    torch.save(saved, path)
