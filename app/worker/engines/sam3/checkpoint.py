"""Weights files of SAM 3: read without running code from them, and compared with the model before they serve.

The package itself fills what it finds and only prints what is missing, so a wrong file would serve as noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.errors import Unavailable
from app.worker.engines import checkpoints
from app.worker.engines.sam3.build import Architecture

PREFIXES = {"detector.": "", "tracker.": "inst_interactive_predictor.model."}
"""Parts of the file → where they belong in the image model."""
NEWER = ("tracker.model.", "interactive_convs", "multiplex")
"""What only the keys of SAM 3.1 contain."""


@dataclass(frozen=True)
class Checkpoint:
    """A file's tensors by the image model's keys; `architecture` None: the published size."""

    path: Path
    tensors: Mapping[str, torch.Tensor]
    architecture: Architecture | None


def read(path: Path) -> Checkpoint:
    """Map a checkpoint into memory. Raises Unavailable, saying what is wrong with the file."""
    try:
        content = checkpoints.read(path)
    except checkpoints.Unfit as exc:
        raise _refusal(path, exc) from exc
    if not isinstance(content, dict):
        raise _refusal(path, "it holds no tensors by name")
    stated = content.get("architecture")
    tensors = content["model"] if isinstance(content.get("model"), dict) else content
    if any(not isinstance(key, str) for key in tensors):
        raise _refusal(path, "it holds no tensors by name")
    if any(word in key for key in tensors for word in NEWER):
        raise _refusal(
            path, "it is a file of SAM 3.1 (multiplex), which works differently; sam3.pt is needed"
        )
    try:
        architecture = None if stated is None else Architecture.read(stated)
    except ValueError as exc:
        raise _refusal(path, f"the architecture in it cannot be built: {exc}") from exc
    found = {
        new + key.removeprefix(old): tensor
        for key, tensor in tensors.items()
        for old, new in PREFIXES.items()
        if key.startswith(old) and isinstance(tensor, torch.Tensor)
    }
    if not found:
        raise _refusal(path, "none of its keys begins with detector. or tracker., as those of sam3.pt do")
    return Checkpoint(path, found, architecture)


def published(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of an image model by the keys of the published file."""
    return {_published(key): tensor for key, tensor in state.items()}


def fill(model: Any, checkpoint: Checkpoint) -> None:
    """Put the weights into the model, after every key and shape was compared. Raises Unavailable."""
    wanted = model.state_dict()
    found = checkpoint.tensors
    try:
        checkpoints.compare(wanted, found, name=_published)
    except checkpoints.Unfit as exc:
        raise _refusal(checkpoint.path, exc) from exc
    model.load_state_dict({key: found[key] for key in wanted}, strict=True)


def _published(key: str) -> str:
    old, new = next((old, new) for old, new in reversed(PREFIXES.items()) if key.startswith(new))
    return old + key.removeprefix(new)


def _refusal(path: Path, why: object) -> Unavailable:
    return Unavailable(f"The weights {path} cannot serve the engine sam3: {why}.")
