"""Weights files of SAM 3: read without running code from them, and compared with the model before they serve.

The package itself fills what it finds and only prints what is missing, so a wrong file would serve as noise.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from app.errors import Unavailable
from app.worker.engines.sam3.build import Architecture

PREFIXES = {"detector.": "", "tracker.": "inst_interactive_predictor.model."}
"""Parts of the file → where they belong in the image model."""
NEWER = ("tracker.model.", "interactive_convs", "multiplex")
"""What only the keys of SAM 3.1 contain."""
NAMED = 3
"""Keys that a sentence names."""


@dataclass(frozen=True)
class Checkpoint:
    """A file's tensors by the image model's keys; `architecture` None: the published size."""

    path: Path
    tensors: Mapping[str, torch.Tensor]
    architecture: Architecture | None


def read(path: Path) -> Checkpoint:
    """Map a checkpoint into memory. Raises Unavailable, saying what is wrong with the file."""
    content = _load(path)
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
    if missing := [key for key in wanted if key not in found]:
        unknown = len([key for key in found if key not in wanted])
        renamed = f", while {unknown} others are unknown" if unknown else ""
        raise _refusal(
            checkpoint.path,
            f"{len(missing)} of {len(wanted)} weights are missing ({_some(map(_published, missing))}){renamed}",
        )
    wrong = [
        f"{_published(key)} is {_size(found[key])}, not {_size(tensor)}"
        for key, tensor in wanted.items()
        if found[key].shape != tensor.shape or found[key].is_floating_point() != tensor.is_floating_point()
    ]
    if wrong:
        raise _refusal(checkpoint.path, f"{len(wrong)} weights have another shape or type ({_some(wrong)})")
    model.load_state_dict({key: found[key] for key in wanted}, strict=True)


def _published(key: str) -> str:
    old, new = next((old, new) for old, new in reversed(PREFIXES.items()) if key.startswith(new))
    return old + key.removeprefix(new)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise _refusal(path, "it is no file")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begun = file.read(4) == b"PK\x03\x04"
        raise _refusal(path, "it was cut off; fetch it again" if begun else "it is no PyTorch checkpoint")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as exc:
        raise _refusal(path, "it holds other Python objects than tensors, which are not opened") from exc
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, AttributeError, TypeError) as exc:
        raise _refusal(path, "it is damaged or no PyTorch checkpoint; fetch it again") from exc


def _refusal(path: Path, why: str) -> Unavailable:
    return Unavailable(f"The weights {path} cannot serve the engine sam3: {why}.")


def _some(names: Iterable[str]) -> str:
    first = list(islice(names, NAMED + 1))
    return ", ".join(first[:NAMED]) + (" …" if len(first) > NAMED else "")


def _size(tensor: torch.Tensor) -> str:
    return f"{'×'.join(map(str, tensor.shape)) or 'a number'} {str(tensor.dtype).removeprefix('torch.')}"
