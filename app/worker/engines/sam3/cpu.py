"""The package sam3 where there is no CUDA: it names "cuda" and bfloat16 in many places, whatever the machine has.

A thread-local mode, entered around building and calling, keeps those tensors on the CPU and in float32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from app.worker.engines import devices

MOVES = (torch.Tensor.cuda, torch.Tensor.pin_memory)


def _cpu(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu") if value.type == "cuda" else value
    return "cpu" if isinstance(value, str) and value.startswith("cuda") else value


class CpuOnly(TorchFunctionMode):
    """Maps the device "cuda" to the CPU and leaves out casts to bfloat16, which convolutions lack there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in MOVES:
            return args[0]
        if "device" in kwargs:
            kwargs["device"] = _cpu(kwargs["device"])
        if func is torch.Tensor.to:
            if any(value is torch.bfloat16 for value in (*args[1:], kwargs.get("dtype"))):
                return args[0]
            args = (args[0], *map(_cpu, args[1:]))
        return func(*args, **kwargs)


@contextlib.contextmanager
def calling(device: str) -> Iterator[None]:
    """Around every call of the model: inference mode, with bfloat16 autocast on CUDA or `CpuOnly` on the CPU.

    Raises OutOfMemory where the device has too little memory. Not to be held across a `yield`.
    """
    with devices.calling(device), _adapted(device):
        yield


@contextlib.contextmanager
def building(device: str) -> Iterator[None]:
    """Around building and filling the model. Raises OutOfMemory."""
    with devices.memory_errors(), _adapted(device):
        yield


def _adapted(device: str) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if device == "cuda" else CpuOnly()
