"""Masks that an engine drew for regions that do not compete, read from the data folder; what is missing is counted.

The consumer has no engine but `classic`, which stands in where such a mask is not at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from app import mask_key
from app.algo.render import Crop
from app.formats import mask_file
from app.models import Geometry


class Certified(Protocol):
    """A region as far as its mask depends on it; `engine`, `weights`: as `mask_key.certifier` says them."""

    @property
    def geometry(self) -> Geometry: ...
    @property
    def engine(self) -> str: ...
    @property
    def weights(self) -> str: ...


class GivenMasks:
    """`missing`: engine → how many of its masks were asked for and not there."""

    def __init__(self, data: Path | None) -> None:
        """`data`: the data folder whose cache is read; None where there is none."""
        self._data = data
        self.missing: dict[str, int] = {}

    def of(self, frame_hash: str, shape: tuple[int, int], regions: Sequence[Certified]) -> list[Crop | None]:
        """The masks of a frame's regions as `render.region_masks` takes them: None where a region competes, has
        an outline, or its mask is missing.
        """
        return [self._of(frame_hash, shape, region) for region in regions]

    def _of(self, frame_hash: str, shape: tuple[int, int], region: Certified) -> Crop | None:
        if region.geometry.outline or mask_key.competes(region.engine):
            return None
        key = mask_key.key_of(frame_hash, region.geometry, region.engine, region.weights)
        found = None if self._data is None else mask_file.read(mask_key.path_of(self._data, key), shape)
        if found is None:
            self.missing[region.engine] = self.missing.get(region.engine, 0) + 1
        return found


def taken(masks: GivenMasks) -> dict[str, int]:
    """What is missing since the last call."""
    missing, masks.missing = masks.missing, {}
    return missing


def added(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts up, in `total`."""
    for engine, count in more.items():
        total[engine] = total.get(engine, 0) + count


def notes_of(missing: Mapping[str, int]) -> list[str]:
    """What a job says of regions that `classic` drew in the place of their engines."""
    return [
        f"{count} {'region was' if count == 1 else 'regions were'} drawn by classic because the masks of "
        f"{engine[:40]} were not at hand."
        for engine, count in sorted(missing.items())
    ]
