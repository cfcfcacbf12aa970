"""Small sources of ground truth, written for a test, and their frames painted as label maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from app.formats.truth import open_files, open_truth
from app.formats.truth.model import Reader, TruthFrame, TruthObject


def write(folder: Path, files: dict[str, Any]) -> Path:
    """Write `files` (name → bytes, text, or what becomes JSON) below a new folder."""
    root = folder / f"source{len(list(folder.iterdir()))}"
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        path.write_bytes(content)
    return root


def read(folder: Path, files: dict[str, Any], format: str | None = None) -> tuple[Reader, list[TruthFrame]]:
    reader = open_truth(open_files(write(folder, files)), format)
    return reader, list(reader.frames())


def full(made: TruthObject, frame: TruthFrame) -> np.ndarray:
    """An object's mask in its whole frame, (H, W) bool."""
    out = np.zeros((frame.height, frame.width), bool)
    high, wide = made.mask.shape
    out[made.y0 : made.y0 + high, made.x0 : made.x0 + wide] = made.mask
    return out


def rows(made: TruthObject, frame: TruthFrame) -> list[str]:
    """An object's mask as lines of "#" and "."."""
    return ["".join("#" if bit else "." for bit in line) for line in full(made, frame)]


def painted(reader: Reader, frame: TruthFrame, values: dict[str, int], empty: int = 0) -> np.ndarray:
    """The frame's objects painted in their order, (H, W) int32; `values`: class name → value."""
    out = np.full((frame.height, frame.width), empty, np.int32)
    for made in frame.objects:
        out[full(made, frame)] = values[reader.found(made.key).name]
    return out
