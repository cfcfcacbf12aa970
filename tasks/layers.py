"""Layers: what a frame shows, told apart by track, and by class where regions belong to no track.

A layer keeps its number all through a job, so that it can be followed from frame to frame.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.errors import Refused
from app.stamps import ranks_of, stamp_of
from tasks.snapshot import FrameEntry

__all__ = ["Layer", "Layers", "layer_map", "ranks_of", "stamp_of"]

Layer = tuple[int, str | None]
"""(class id, track id; None for the regions of the class that belong to no track)."""

MOST = 65535


class Layers:
    """Numbers layers from 1 on, in the order in which they are asked for; 0 is unlabelled."""

    def __init__(self, known: Iterable[Layer] = ()) -> None:
        self._layers: list[Layer] = []
        self._numbers: dict[Layer, int] = {}
        for class_id, track_id in known:
            self.number(class_id, track_id)

    def number(self, class_id: int, track_id: str | None) -> int:
        """The number of a layer. Raises Refused where there are more than a label map can hold."""
        layer = (class_id, track_id)
        if layer not in self._numbers:
            if len(self._layers) >= MOST:
                raise Refused(f"There are more than {MOST} tracks in these frames. Choose fewer frames.")
            self._layers.append(layer)
            self._numbers[layer] = len(self._layers)
        return self._numbers[layer]

    def of(self, number: int) -> Layer:
        """The layer of a number from 1 on."""
        return self._layers[number - 1]

    def all(self) -> list[Layer]:
        """Every layer; number n is at n - 1."""
        return list(self._layers)

    def classes(self) -> NDArray[np.uint16]:
        """(n + 1,) class id by number, 0 for 0: indexing with a layer map gives the label map."""
        return np.array([0, *(class_id for class_id, _ in self._layers)], np.uint16)


def layer_map(entry: FrameEntry, winners: NDArray[np.uint16], layers: Layers) -> NDArray[np.uint16]:
    """(H, W) uint16 layer numbers, 0 = unlabelled. `winners`: as `tasks.rendering.winner_map` makes them."""
    tracks = {region.id: region.track_id for region in entry.regions}
    table = [0, *(layers.number(spec.class_id, tracks.get(spec.id)) for spec in entry.specs)]
    return np.array(table, np.uint16)[winners]
