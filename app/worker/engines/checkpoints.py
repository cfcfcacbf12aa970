"""Files of weights: opened without running code from them, and compared with a model before they serve it."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch

NAMED = 3
"""Keys that a sentence names."""


class Unfit(Exception):
    """Weights that cannot be used; the text says why, as the end of a sentence."""


def read(path: Path) -> Any:
    """What a PyTorch checkpoint holds, mapped into memory. Raises Unfit."""
    if not path.is_file():
        raise Unfit("it is no file")
    zipped = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04" and not zipped:
        raise Unfit("it was cut off; fetch it again")
    if not zipped and not start.startswith(b"\x80"):
        raise Unfit("it is no PyTorch checkpoint")
    try:
        # Files from before PyTorch 1.6 are no archives and cannot be mapped into memory.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as exc:
        raise Unfit("it is damaged, or holds other Python objects than tensors") from exc
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, AttributeError, TypeError) as exc:
        raise Unfit("it is damaged or no PyTorch checkpoint; fetch it again") from exc


def compare(
    wanted: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
    *,
    known: Iterable[str] | None = None,
    name: Callable[[str], str] = str,
) -> None:
    """Raise Unfit unless `found` has every key of `wanted`, in its shape and kind of number, and no other.

    `known`: further keys that may be there; None: any. `name`: how the file calls a key.
    """
    missing = [name(key) for key in wanted if key not in found]
    unknown = [key for key in found if key not in wanted]
    if known is not None:
        allowed = set(known)
        unknown = [key for key in unknown if key not in allowed]
    if missing:
        others = f", while {len(unknown)} others are unknown" if unknown else ""
        raise Unfit(f"{len(missing)} of {len(wanted)} weights are missing ({_some(missing)}){others}")
    if unknown and known is not None:
        raise Unfit(
            f"it holds {len(unknown)} weights that are none of this model ({_some(map(name, unknown))})"
        )
    wrong = [
        f"{name(key)} is {_size(found[key])}, not {_size(tensor)}"
        for key, tensor in wanted.items()
        if found[key].shape != tensor.shape or found[key].is_floating_point() != tensor.is_floating_point()
    ]
    if wrong:
        raise Unfit(f"{len(wrong)} weights have another shape or type ({_some(wrong)})")


def _some(names: Iterable[str]) -> str:
    first = list(islice(names, NAMED + 1))
    return ", ".join(first[:NAMED]) + (" …" if len(first) > NAMED else "")


def _size(tensor: torch.Tensor) -> str:
    return f"{'×'.join(map(str, tensor.shape)) or 'a number'} {str(tensor.dtype).removeprefix('torch.')}"
