"""Data sets as folders: `images/*.jpg`, `masks/*.png` of the same stems, `classes.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from app.errors import Refused

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class DataSet:
    """One folder. A frame's position is its place among the sorted images."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def images(self) -> list[Path]:
        found = (self.folder / "images").iterdir()
        return sorted(path for path in found if path.suffix.lower() in SUFFIXES)

    @cached_property
    def masks(self) -> dict[int, Path]:
        """Position → mask, ascending."""
        files = {path.stem: path for path in (self.folder / "masks").glob("*.png")}
        return {at: files[path.stem] for at, path in enumerate(self.images) if path.stem in files}

    @cached_property
    def ignore(self) -> list[int]:
        """Values of pixels whose truth nobody knows."""
        return self._values("ignore")

    @cached_property
    def background(self) -> list[int]:
        """Values that are no object."""
        return self._values("background")

    def image(self, at: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        with Image.open(self.images[at]) as opened:
            return np.asarray(opened.convert("RGB"))

    def labels(self, at: int) -> np.ndarray:
        """(H, W) of the values as they are stored. Raises Refused for a mask of colours."""
        with Image.open(self.masks[at]) as opened:
            values = np.asarray(opened)
        if values.ndim != 2:
            raise Refused(f"{self.masks[at]} is not a mask of numbers.")
        return values

    def objects(self, at: int) -> list[int]:
        """The values of a mask that are neither background nor ignored, ascending."""
        return [
            int(value)
            for value in np.unique(self.labels(at))
            if value not in {*self.background, *self.ignore}
        ]

    def _values(self, key: str) -> list[int]:
        path = self.folder / "classes.json"
        value = json.loads(path.read_text("utf-8")).get(key) if path.is_file() else None
        if isinstance(value, list):
            return [int(one) for one in value]
        return [] if value is None else [int(value)]
