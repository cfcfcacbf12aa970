"""Layer maps in a job's folder, as the browser reads them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.formats import map_file
from tasks.channel import write_aside
from tasks.layers import Layer, Layers

Side = Literal["before", "smooth", "after"]


class LayerMaps:
    """Layer maps in a folder, one file a frame."""

    def __init__(self, folder: Path, side: Side) -> None:
        self.folder = folder / side
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.gz"

    def write(self, index: int, frame_id: str, labels: NDArray[np.uint16], layers: Layers) -> None:
        """Keep (H, W) uint16 layer numbers."""
        areas = np.bincount(labels.ravel())
        numbers = [number for number in np.flatnonzero(areas).tolist() if number]
        kind = np.dtype("<u1" if len(numbers) < 256 else "<u2")
        table = np.zeros(len(areas), kind)
        table[numbers] = np.arange(1, len(numbers) + 1)
        facts = {
            "frame": frame_id,
            "width": labels.shape[1],
            "height": labels.shape[0],
            "dtype": kind.str[1:],
            "regions": [_entry(number, layers.of(number), int(areas[number])) for number in numbers],
        }
        write_aside(self.path(index), map_file.encode(facts, table[labels].tobytes()))

    def read(self, index: int) -> NDArray[np.uint16] | None:
        """The layer numbers (H, W) uint16 of a frame; None where there is no file, or a damaged one."""
        try:
            facts, body = map_file.decode(self.path(index).read_bytes())
            ids = np.frombuffer(body, np.dtype(f"<{facts['dtype']}"))
            numbers = np.array([0, *(int(entry["id"]) for entry in facts["regions"])], np.uint16)
            return numbers[ids].reshape(facts["height"], facts["width"])
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def take(self, other: LayerMaps, index: int) -> None:
        """The same file as another folder has, if it has it."""
        source, target = other.path(index), self.path(index)
        if source.exists() and not target.exists():
            part = target.with_suffix(".part")
            part.unlink(missing_ok=True)
            try:
                os.link(source, part)
            except OSError:  # a file system without hard links
                shutil.copyfile(source, part)
            part.replace(target)


def _entry(number: int, layer: Layer, area: int) -> dict[str, Any]:
    class_id, track_id = layer
    return {"id": str(number), "class_id": class_id, "track_id": track_id, "area": area}
