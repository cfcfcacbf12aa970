"""The device that torch works on, for engines that need nothing of their own around their calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from app.worker.engines import OutOfMemory

NO_ROOM = ("can't allocate memory", "not enough memory")
"""What torch says where the CPU's allocator fails, in a bare RuntimeError."""


def choose() -> str:
    """cuda where there is one, else cpu; there one core is left free, unless a person chose a number."""
    if torch.cuda.is_available():
        return "cuda"
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(4, (os.cpu_count() or 2) - 1)))
    return "cpu"


@contextlib.contextmanager
def calling(device: str) -> Iterator[None]:
    """Around every call of a model: inference mode, with bfloat16 autocast on CUDA.

    Raises OutOfMemory where the device has too little memory. Not to be held across a `yield`.
    """
    with memory_errors(), torch.inference_mode():
        if device == "cuda":
            with torch.autocast("cuda", dtype=torch.bfloat16):
                yield
        else:
            yield


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """As `calling`, without autocast: for models whose numbers are of the right kind already."""
    with memory_errors(), torch.inference_mode():
        yield


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raises OutOfMemory for what torch raises where memory is short."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise OutOfMemory(str(exc)) from exc
    except RuntimeError as exc:
        if any(words in str(exc) for words in NO_ROOM):
            raise OutOfMemory(str(exc)) from exc
        raise
