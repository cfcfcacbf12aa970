"""The package of MatAnyone that a person installed: found by name, built without its downloads, filled strictly.

Nothing of it is part of this project: its licence does not allow commercial use.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.errors import Unavailable
from app.worker import weights
from app.worker.engines import checkpoints
from app.worker.engines.devices import memory_errors
from app.worker.registry import TABLE, Guest

CLASSES = {"matanyone2": ("model.matanyone2", "MatAnyone2"), "matanyone": ("model.matanyone", "MatAnyone")}
"""Package → the module and the class of its network."""
CORE = ("inference.inference_core", "InferenceCore")
CONFIG = "eval_matanyone_config.yaml"


@dataclass(frozen=True)
class Package:
    """`name`: of the package; `network`: filled and on its device; `core()`: a memory of its own for one walk."""

    name: str
    network: Any
    core: Callable[[], Any]


def load(path: Path, device: str) -> Package:
    """Raises Unavailable where the package or something it needs is missing, or the weights are not its own;
    OutOfMemory.
    """
    guest = TABLE["matanyone"].guest
    assert guest is not None
    name = _found(guest)
    try:
        config_of = importlib.import_module("omegaconf").OmegaConf
        main = importlib.import_module(name)
        network_of = _class(name, *CLASSES[name])
        core_of = _class(name, *CORE)
    except ImportError as exc:
        command = weights.guest_command(TABLE["matanyone"])
        lacks = f"the Python package {exc.name}" if exc.name else str(exc)
        raise Unavailable(
            f"The package {name} is there, but not all that it needs: {lacks}. Install what it needs: {command}"
        ) from exc
    tensors, changes = _read(path)
    folder = Path(str(main.__file__)).parent / "config"
    try:
        config = config_of.load(folder / CONFIG)
        for part in ("defaults", "hydra"):
            config.pop(part, None)
        config.model = config_of.merge(config_of.load(folder / "model" / "base.yaml"), changes)
        # Else it downloads weights of two backbones that the file replaces anyway.
        config.model.pretrained_resnet = False
        network = network_of(config, single_object=True)
    except Exception as exc:  # whatever another version of the package raises
        raise Unavailable(
            f"The package {name} cannot be used as it is installed ({type(exc).__name__}: {exc})."
        ) from exc
    try:
        checkpoints.compare(network.state_dict(), tensors, known=())
    except checkpoints.Unfit as exc:
        raise _refusal(path, exc) from exc
    with memory_errors():
        network.load_state_dict(tensors, strict=True)
        network.eval().requires_grad_(False).to(device)
    # The first version takes no device: it looks for a GPU by itself when it is imported.
    where = {"device": device} if "device" in inspect.signature(core_of).parameters else {}
    return Package(name, network, lambda: core_of(network, config, **where))


def _found(guest: Guest) -> str:
    name = weights.guest_module(guest)
    if name:
        return name
    command = weights.guest_command(TABLE["matanyone"])
    raise Unavailable(
        f"The Python package {guest.modules[0]} is not installed. {guest.terms}. If the licence suits you, install "
        f"it: {command}"
    )


def _class(package: str, module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"{package}.{module}"), name)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a file by name, and what its network has otherwise than the published one."""
    try:
        content = checkpoints.read(path)
    except checkpoints.Unfit as exc:
        raise _refusal(path, exc) from exc
    tensors = content.get("model", content) if isinstance(content, dict) else None
    changes = content.get("architecture", {}) if isinstance(content, dict) else {}
    if (
        not isinstance(tensors, dict)
        or not isinstance(changes, dict)
        or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in tensors.items())
    ):
        raise _refusal(path, "it holds no tensors by name")
    return tensors, changes


def _refusal(path: Path, why: object) -> Unavailable:
    return Unavailable(f"The weights {path} cannot serve the engine matanyone: {why}.")
