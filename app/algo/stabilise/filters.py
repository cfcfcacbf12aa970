"""The filters: what a frame's labels become, given its neighbours.

Each is made from `Smoothing` and then called with every frame in order, its neighbours within reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.algo.stabilise.seats import Floats, Labels, Seat, winners
from app.smoothing import Smoothing

TRUSTED = 128
"""Trust from which on a neighbour has a vote in the median."""
KEPT = 3
"""Layers that the exponential filter remembers at a pixel."""

Filter = Callable[[Seat], NDArray[Any]]


def average(smoothing: Smoothing) -> Filter:
    """The layer with the largest mean depth over the window (signed distances, not votes: `Seat.depth`)."""

    def smooth(seat: Seat) -> Labels:
        says = seat.all_says(smoothing.window // 2)
        return winners(seat.shot.labels, seat.depth, [(say.labels, say.trust, say.depth) for say in says])

    return smooth


def median(smoothing: Smoothing) -> Filter:
    """The layer that most frames of the window have: of each layer's mask the median."""

    def smooth(seat: Seat) -> Labels:
        says = seat.all_says(smoothing.window // 2)
        votes = [(say.labels, (say.trust >= TRUSTED).astype(np.uint8), None) for say in says]
        return winners(seat.shot.labels, np.ones(seat.shot.labels.shape, np.uint8), votes)

    return smooth


class Exponential:
    """Depths that fade: a pixel remembers `KEPT` layers and how deep in each it was, `alpha` is the new frame's share.

    As what is remembered are depths and not labels, the past has a say at any `alpha`: where the new frame is shallow.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self._alpha = np.float32(smoothing.alpha)
        self._labels: list[Labels] = []
        self._depths: list[Floats] = []

    def __call__(self, seat: Seat) -> Labels:
        own = seat.shot.labels
        depth = seat.depth.astype(np.float32) * np.float32(1 / 255)
        passed = seat.passed([*self._labels, *self._depths])
        if passed is None:
            self._labels, self._depths = [own.copy()], [depth]
            return own
        planes, trust = passed
        labels, depths = planes[: len(self._labels)], planes[len(self._labels) :]
        past = (1 - self._alpha) * trust.astype(np.float32) * np.float32(1 / 255)
        new = (1 - past) * depth
        known = np.zeros(own.shape, bool)
        for layer, mass in zip(labels, depths, strict=True):
            mass *= past
            same = (layer == own) & ~known
            mass += np.where(same, new, np.float32(0))
            known |= same
        if len(labels) < KEPT:
            labels.append(own.copy())
            depths.append(np.where(known, np.float32(-1), new))
        else:
            least = np.argmin(np.stack(depths), axis=0)
            for place, (layer, mass) in enumerate(zip(labels, depths, strict=True)):
                out = ~known & (least == place)
                layer[out], mass[out] = own[out], new[out]
        self._labels, self._depths = labels, [np.maximum(mass, 0) for mass in depths]
        return self._deepest(own)

    def _deepest(self, own: Labels) -> Labels:
        best = np.zeros(own.shape, np.float32)
        for layer, mass in zip(self._labels, self._depths, strict=True):
            best = np.where(layer == own, np.maximum(best, mass), best)
        out = own.copy()
        for layer, mass in zip(self._labels, self._depths, strict=True):
            deeper = mass > best
            out[deeper], best[deeper] = layer[deeper], mass[deeper]
        return out


FILTERS: dict[str, Callable[[Smoothing], Filter]] = {
    "average": average,
    "median": median,
    "exponential": Exponential,
}
