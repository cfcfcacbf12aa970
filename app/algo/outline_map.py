"""The outlines of a whole label map together: every shared boundary is spent once.

Regions are painted in their order, the later ones on top. So a lower region's rings need not follow a
boundary that a higher one draws: they may run anywhere beneath it. What is certified is therefore the part of
each region that is seen after painting, and it holds while the regions on top stay as they are. For outlines
that stand alone see `app.algo.outline`.

Every ring is the cheapest polygon for its error (`app.algo.cheapest_ring`). All regions share one price of a
byte, raised until the mean IoU just meets its target; where a region misses the least one, the ring that
harms it most is drawn better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from app.algo.cheapest_ring import PRICES, better, candidates, cheapest_rounds
from app.algo.compete import nearest_settled
from app.algo.outline import Ring, trace
from app.algo.render import NOTHING, Crop, outlined_by

MEAN = 0.97
LEAST = 0.95
MARGIN = 8


@dataclass(slots=True, eq=False)
class OutlinedRegion:
    """`rings`: (n, 2) whole numbers of the frame; `iou`: of the part seen after painting against the mask."""

    rings: list[Ring]
    iou: float


@dataclass(slots=True, eq=False)
class _Piece:
    """What choosing a region's rings needs. `sums`: running sums of v along the rows, (h, w + 1)."""

    x0: int
    y0: int
    sums: np.ndarray
    rounds: list[tuple[np.ndarray, list[list[int]]]]
    """Each ring's candidates (n, 2) and, for every price, the chosen ones."""
    exact: list[Ring]
    """The boundary itself, corner by corner."""
    done: dict[int, list[Ring]] = field(default_factory=dict)
    crops: dict[int, Crop] = field(default_factory=dict)

    def rings(self, level: int) -> list[Ring]:
        """The rings at a level, in the frame: 0 = exact, else at the price before it."""
        if level == 0:
            return self.exact
        if level not in self.done:
            found = []
            for corners, paths in self.rounds:
                path = paths[level - 1]
                if len(path) >= 3:
                    ring = better(corners[path], self.sums, float(PRICES[level - 1]))
                    if len(ring) >= 3:
                        found.append(ring + np.array([self.x0, self.y0]))
            self.done[level] = found
        return self.done[level]

    def crop(self, level: int, shape: tuple[int, int]) -> Crop:
        if level not in self.crops:
            rings = self.rings(level)
            self.crops[level] = outlined_by(rings, shape) if rings else NOTHING
        return self.crops[level]


def outline_map(
    masks: Sequence[Crop],
    shape: tuple[int, int],
    *,
    void: np.ndarray | None = None,
    mean: float = MEAN,
    least: float = LEAST,
) -> list[OutlinedRegion]:
    """Outlines of the masks of an (H, W) frame, painted in their order, the later ones on top.

    `void`: (H, W) bool, pixels that are not compared. `mean`, `least`: IoU that all masks reach on average,
    and that each one reaches; a mask that no pixel of is seen has no rings and counts as 1. Deterministic.
    """
    return SharedOutlines(masks, shape, void).find(mean, least, {}) if masks else []


class SharedOutlines:
    """The outlines of a frame's masks, found for all of them or for some; see `outline_map`."""

    def __init__(self, masks: Sequence[Crop], shape: tuple[int, int], void: np.ndarray | None = None) -> None:
        self._masks, self._shape = masks, shape
        truth = np.zeros(shape, np.int32)
        for index, mask in enumerate(masks, start=1):
            height, width = mask.mask.shape
            truth[mask.y0 : mask.y0 + height, mask.x0 : mask.x0 + width][mask.mask] = index
        if void is not None:
            truth[void] = -1
        self._truth = truth
        self._areas = np.bincount(truth[truth >= 0], minlength=len(masks) + 1)
        self._weights = 1.0 / np.maximum(self._areas, 1)
        self._weights[0] = 0.0
        self._pieces: dict[int, _Piece] = {}
        size = len(masks) + 1
        upper = np.maximum.outer(np.arange(size), np.arange(size)).ravel()
        self._blamed = (
            upper + size * np.arange(size).repeat(size),
            upper + size * np.tile(np.arange(size), size),
        )

    def find(self, mean: float, least: float, drawn: Mapping[int, Crop]) -> list[OutlinedRegion]:
        """The outlines, one a mask.

        `drawn`: position → how a region that needs no outline is drawn; it gets no rings and does not count for
        `mean`. Where such a region spoils another one, that one may miss `least`.
        """
        count = len(self._masks)
        own = np.array([index not in drawn for index in range(count)])
        pieces = [_given(drawn[index]) if index in drawn else self._piece(index) for index in range(count)]
        size = count + 1

        def certified(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            crops = [
                piece.crop(level, self._shape) for piece, level in zip(pieces, levels.tolist(), strict=True)
            ]
            pairs = _confused(self._truth, painted(crops, self._shape), size)
            missed, spilled = pairs.sum(axis=1), pairs.sum(axis=0)
            union = self._areas + spilled
            values = np.where(union > 0, (self._areas - missed) / np.maximum(union, 1), 1.0)
            # Where two meet, the ring of the upper one is to blame.
            blame = sum(np.bincount(blamed, pairs.ravel(), size * size) for blamed in self._blamed)
            return values[1:], np.asarray(blame).reshape(size, size)[1:, 1:]

        order = sorted(np.flatnonzero(own), key=lambda index: -sum(map(len, pieces[index].exact)))
        levels = _levels(certified, order, own, mean, least)
        return [
            OutlinedRegion(piece.rings(level), float(value))
            for piece, level, value in zip(pieces, levels.tolist(), certified(levels)[0], strict=True)
        ]

    def _piece(self, index: int) -> _Piece:
        if index not in self._pieces:
            self._pieces[index] = _piece(self._truth, index + 1, self._masks[index], self._weights)
        return self._pieces[index]


def _levels(
    certified: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    order: Sequence[int],
    own: np.ndarray,
    mean: float,
    least: float,
) -> np.ndarray:
    """The level of every region: one for all, lower where a region misses the least IoU.

    `own`: (n,) bool, the regions that have levels at all; `order`: their positions.
    """
    if not len(order):
        return np.zeros(len(own), np.int64)

    def with_floor(shared: int) -> tuple[np.ndarray, np.ndarray]:
        levels = np.where(own, shared, 0)
        while True:
            values, blame = certified(levels)
            # The region whose ring did most of the harm is drawn better: often one on top of the poor one.
            poor = blame[values < least]
            # What a region that is drawn as given spoils cannot be mended by drawing another one better.
            poor = poor[own[poor.argmax(axis=1)]] if len(poor) else poor
            harm = np.where(levels > 0, poor, 0)
            worst = np.unique(harm.argmax(axis=1)[harm.any(axis=1)])
            if not worst.size:
                return levels, values
            levels[worst] -= 1

    low, high = 0, len(PRICES) + 1
    best = np.zeros(len(own), np.int64)
    while high - low > 1:
        middle = (low + high) // 2
        levels, values = with_floor(middle)
        if values[own].mean() >= mean:
            low, best = middle, levels
        else:
            high = middle
    # Regions were lowered together, often more than each needed: raise them one by one.
    floor = float(certified(best)[0][own].min())
    for index in order:
        while best[index] < len(PRICES):
            tried = best.copy()
            tried[index] += 1
            values, _ = certified(tried)
            if values[own].mean() < mean or values[own].min() < min(least, floor):
                break
            best = tried
    return best


def _given(crop: Crop) -> _Piece:
    """A region that is drawn as it is at every level."""
    return _Piece(
        0, 0, np.zeros((1, 1), np.complex128), [], [], crops=dict.fromkeys(range(len(PRICES) + 1), crop)
    )


def _piece(truth: np.ndarray, index: int, mask: Crop, weights: np.ndarray) -> _Piece:
    height, width = mask.mask.shape
    x0, y0 = max(0, mask.x0 - MARGIN), max(0, mask.y0 - MARGIN)
    x1, y1 = min(truth.shape[1], mask.x0 + width + MARGIN), min(truth.shape[0], mask.y0 + height + MARGIN)
    part = truth[y0:y1, x0:x1]
    own = part == index
    free = (part > index) | (part < 0)
    if not own.any():
        return _Piece(x0, y0, np.zeros((1, 1), np.complex128), [], [])
    # Beneath others the boundary runs half way to what is seen.
    relaxed = nearest_settled(np.where(free, 0, np.where(own, 1, 2)).astype(np.int32)) == 1
    rival = nearest_settled(np.where(own, 0, np.maximum(part, 0) + 1).astype(np.int32)) - 1
    rival = np.maximum(rival, 0)
    value = np.where(own, weights[index] + weights[rival], 0).astype(np.complex128)
    value -= 1j * np.where(free | own, 0.0, weights[index] + weights[np.maximum(part, 0)])
    sums = np.zeros((value.shape[0], value.shape[1] + 1), np.complex128)
    np.cumsum(value, axis=1, out=sums[:, 1:])
    near = cv2.dilate((~free).view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rounds = []
    exact = trace(relaxed)
    for ring in exact:
        kept = candidates(ring, near)
        if len(kept) >= 3:
            rounds.append((ring[kept], cheapest_rounds(ring, kept, sums)))
    return _Piece(x0, y0, sums, rounds, [ring + np.array([x0, y0]) for ring in exact])


def painted(drawn: Sequence[Crop], shape: tuple[int, int]) -> np.ndarray:
    """(H, W) int32: position + 1 of the last crop that covers a pixel, 0 = none."""
    painted = np.zeros(shape, np.int32)
    for index, crop in enumerate(drawn, start=1):
        height, width = crop.mask.shape
        window = painted[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width]
        cv2.copyTo(np.full(crop.mask.shape, index, np.int32), crop.mask.view(np.uint8), window)
    return painted


def _confused(truth: np.ndarray, painted: np.ndarray, size: int) -> np.ndarray:
    """(size, size) pixels by truth and what was painted; pixels below 0 are not compared."""
    wrong = (truth != painted) & (truth >= 0)
    pairs = np.bincount(truth[wrong] * size + painted[wrong], minlength=size * size)
    return pairs.reshape(size, size)
