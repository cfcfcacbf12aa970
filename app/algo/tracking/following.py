"""One object on its way through a video: what is remembered of it and where it is expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.tracking import searching
from app.algo.tracking.features import Bools, Floats, Frame, grid_of, shrunk
from app.algo.tracking.matching import SHIFTS, Box, Memory, Vote, residual, vote
from app.algo.tracking.refining import coefficients

CELL = 4
"""Side of a cell in pixels at the working size."""
FINE = 2
"""The same for objects that are not large."""
FINE_CELLS = 16000
"""Fine cells in the box of an object from which on larger ones must do."""
TOO_MANY = 24000
"""Fine cells to look at from which on a growing object goes on with larger ones."""
AROUND = 8
"""Cells around the expected place of an object that are looked at."""
ANCHOR_WEIGHT = 2.0
NEAR_WEIGHT, NEAR = 3.0, 6.0
"""How many times more an anchor counts close to its own frame, and the frames in which that fades e times."""
MISPLACED = 0.5
"""Of the confidence of the best memory: an anchor with less is searched for in the frame."""
APART = 1.5
"""Cells a frame by which an object must move otherwise than what surrounds it to be told apart by that."""
DOUBT, CERTAIN = 20.0, 150.0
"""Difference of squared distances that says nothing of the motion, and the further one that says all."""
FATE = 2.0
"""Weight of the vote of motion, where it is certain."""
CHANCE, PROVEN = 0.7, 0.9
"""Share of the cells whose side is known that motion must tell rightly to count at all, and fully."""
GROWTH = 3
"""Cells by which an object may grow in a frame because of its motion."""
RECENT = 2
"""Memories of earlier answers, besides the previous one."""
EVERY = 5
"""Frames between two of them."""
CONFIDENCE = 60.0
"""Squared distance that lets a memory count e times less."""
TINY = 2
"""Cells; an object that covers fewer is lost."""
VANISHED = 0.04
"""Of its usual area: less means that an object is lost."""
LOST = 0.27
"""Of the usual confidence, times the root of the share of the usual area: less means that an object is lost."""
FOUND, FOUND_FAR = 0.3, 0.6
"""The same from which on a lost object is taken for found: where it can have gone, and far from there."""
LEEWAY, SPEED = 48.0, 16.0
"""Working pixels that a lost object can have gone, at once and more with every frame."""
LIKE = 0.7
"""Distance of a place that may be the object, of that of a typical place; matching then decides."""
TOO_LARGE = 2.5
"""Times the usual area: what was searched for is smaller."""
LEARNING = 0.1
"""Share of the newest answer in the usual confidence."""
FADING = 0.98
"""What is left of the usual area a frame later, where the object is smaller."""


@dataclass(frozen=True, eq=False)
class Guess:
    """Where an object seems to be. `box`: (top, left, bottom, right) in working pixels; `planes`: coefficients of
    its share there over the colours; `score`: 0..1; `share`: (h, w) float32 of the cells of `cells_box`.
    """

    box: Box
    planes: list[Floats]
    score: float


class Followed:
    """The memories of one object.

    Args:
        shape: (h, w) at which it is followed.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self.cell = CELL
        self.anchors: dict[int, Memory] = {}
        self._recent: list[Memory] = []
        self._previous: Memory | None = None
        self._usual = 0.0
        """Area in cells."""
        self._sure = 0.0
        """Mean confidence of the answers so far, the later ones counting more."""
        self._age = 0
        self._last: tuple[float, float] | None = None
        """(y, x) in cells: the middle of the object where it was seen last."""
        self._missed = 0
        """Frames since then."""

    @property
    def lost(self) -> bool:
        return self._previous is None

    @property
    def nbytes(self) -> int:
        """Bytes of the memories."""
        return sum(memory.cells.nbytes + memory.labels.nbytes for memory in self._memories())

    def _memories(self) -> Iterator[Memory]:
        previous = () if self._previous is None else (self._previous,)
        return chain(self.anchors.values(), self._recent, previous)

    def remember(self, position: int, frame: Frame, mask: Bools) -> None:
        """Keep a confirmed mask (H, W) of a frame for good; where it lies relative to now is found out.

        An empty one says only that the object is not there, so nothing is kept of it.
        """
        self.anchors.pop(position, None)
        if not self.anchors and self._previous is None:
            self.cell = _cell_of(self._small(mask))
            self._recent.clear()
            self._usual, self._last = 0.0, None
        labels = self._labels(mask)
        if not labels.any():
            return
        memory = Memory.of(frame.cells(self.cell), labels)
        if self._previous is not None:
            self._align(memory, _centre(self._previous.inner) - self._previous.offset)
        self.anchors[position] = memory
        if self._last is None:
            y, x = _centre(labels)
            self._last = (float(y), float(x))
        self._usual = max(self._usual, float(labels.sum()))

    def place(self, position: int, frame: Frame, mask: Bools) -> None:
        """Say where the object is on the frame at hand: what was thought of late was wrong or is confirmed."""
        self.remember(position, frame, mask)
        self._recent.clear()
        self._age = 0
        self._previous = None
        anchor = self.anchors.get(position)
        if anchor is None:
            return
        self._usual = float(anchor.inner.sum())
        self._previous = Memory(anchor.cells, anchor.labels)
        for other in self.anchors.values():
            self._align(other, _centre(anchor.inner))

    def forget(self, position: int) -> None:
        self.anchors.pop(position, None)

    def lose(self) -> None:
        """Stop following: the object is searched for from now on."""
        if self._previous is not None:
            self._recent = [*self._recent, self._previous][-RECENT:]
            y, x = _centre(self._previous.inner)
            self._last, self._missed = (float(y), float(x)), 0
        self._previous = None

    def look(self, position: int, frame: Frame, flow: Floats | None) -> Iterator[Guess | None]:
        """Yields None after every step of work, in the end what was found, if anything.

        `flow`: (rows, columns, 2) float32, from the frame's cells to the previous frame's, in cells.
        """
        cells = frame.cells(self.cell)
        needed = 0.0
        if self._previous is None:
            place = self._search(cells)
            yield None
            if place is None:
                return
            needed = FOUND + (FOUND_FAR - FOUND) * place.far
        box = self._box(cells.shape[1:])
        if box is not None and self.cell == FINE and (box[2] - box[0]) * (box[3] - box[1]) > TOO_MANY:
            self._coarsen()
            cells = frame.cells(self.cell)
            if flow is not None:
                flow = shrunk(flow, (cells.shape[1], cells.shape[2])) * np.float32(FINE / CELL)
            box = self._box(cells.shape[1:])
        if box is None:
            self.lose()
            return
        top, left, bottom, right = box
        total = np.full((bottom - top, right - left), 1e-9, np.float32)
        share = np.zeros_like(total)
        certain = np.zeros_like(total)
        votes = []
        weights = {
            id(memory): ANCHOR_WEIGHT * (1 + NEAR_WEIGHT * float(np.exp(-abs(position - there) / NEAR)))
            for there, memory in self.anchors.items()
        }
        for memory in self._memories():
            near = flow[top:bottom, left:right] if flow is not None and memory is self._previous else None
            answer = vote(cells, memory, box, near)
            confidence = np.exp(answer.distance * np.float32(-1 / CONFIDENCE))
            weight = np.float32(weights.get(id(memory), 1.0))
            share += weight * confidence * answer.share
            total += weight * confidence
            np.maximum(certain, confidence, out=certain)
            votes.append((memory, answer, confidence))
            yield None
        if flow is not None and self._previous is not None:
            self._common_fate(cells, box, flow, share, total, votes[-1][1])
            yield None
        share /= total
        inside = share > 0.5
        area = int(np.count_nonzero(inside))
        sure = float(certain[inside].mean()) if area else 0.0
        usual = max(self._usual, 1.0)
        likeness = sure * min(1.0, area / usual) ** 0.5
        if self.lost:
            good = TINY <= area <= TOO_LARGE * usual and likeness >= needed * self._sure
        else:
            good = area >= max(TINY, VANISHED * usual) and likeness >= LOST * self._sure
        if not good:
            self.lose()
            return
        self._sure += (sure - self._sure) * (LEARNING if self._sure else 1.0)
        for memory, answer, _ in votes:
            memory.offset = np.rint(memory.offset) + np.median(SHIFTS[answer.shift[inside]], axis=0)
        trust = {id(memory): float(confidence[inside].mean()) for memory, _, confidence in votes}
        self._replace(cells, trust, np.argwhere(inside).mean(0) + np.array([top, left]))
        yield self._refined(frame, box, share, sure)

    def take(self, frame: Frame, mask: Bools | None) -> None:
        """Go on from the answer (H, W) for this frame, None where the object is not there."""
        if mask is None:
            self.lose()
            return
        self._age += 1
        if self._previous is not None and self._age % EVERY == 0:
            self._recent = [*self._recent, self._previous][-RECENT:]
        velocity = np.zeros(2) if self._previous is None else self._previous.offset
        labels = self._labels(mask)
        self._previous = Memory.of(frame.cells(self.cell), labels)
        self._previous.offset = velocity
        self._usual = max(float(labels.sum()), FADING * self._usual)

    def _small(self, mask: Bools) -> Floats:
        """(h, w) float32: a mask (H, W) at the working size."""
        whole = mask.astype(np.float32)
        return whole if mask.shape == self._shape else shrunk(whole, self._shape)

    def _labels(self, mask: Bools) -> Floats:
        """(rows, columns) float32: how much of each cell a mask (H, W) covers."""
        return shrunk(self._small(mask), grid_of(self._shape, self.cell))

    @staticmethod
    def _align(memory: Memory, centre: NDArray[np.float64]) -> None:
        memory.offset = _centre(memory.inner) - centre

    def _box(self, grid: tuple[int, ...]) -> Box | None:
        """The cells to look at: around the object where it was and where it should be."""
        boxes = []
        sources = [self._previous] if self._previous is not None else [*self._memories()]
        for memory in sources:
            x, y, width, height = cv2.boundingRect((memory.inner > 0.5).astype(np.uint8))
            if not width:
                continue
            dy, dx = np.rint(memory.offset).astype(int)
            boxes.append((y - dy, x - dx, y - dy + height, x - dx + width))
            if memory is self._previous:
                boxes.append((y, x, y + height, x + width))
        if not boxes:
            return None
        edges = np.array(boxes)
        top, left = np.maximum(edges[:, :2].min(0) - AROUND, 0).tolist()
        bottom, right = np.minimum(edges[:, 2:].max(0) + AROUND, grid).tolist()
        return (top, left, bottom, right) if bottom > top and right > left else None

    def _coarsen(self) -> None:
        """Go on with larger cells."""
        self.cell = CELL
        grid = grid_of(self._shape, CELL)
        share = FINE / CELL
        for memory in self._memories():
            inner = [shrunk(np.ascontiguousarray(plane), grid) for plane in memory.inner_cells]
            larger = Memory.of(np.stack(inner), shrunk(np.ascontiguousarray(memory.inner), grid))
            memory.cells, memory.labels = larger.cells, larger.labels
            memory.offset = memory.offset * share
        self._usual *= share * share
        if self._last is not None:
            self._last = (self._last[0] * share, self._last[1] * share)

    def _search(self, cells: Floats) -> searching.Place | None:
        """Align the memories with the most similar place of the frame. None where nothing is like the object."""
        if self._last is None:
            return None
        self._missed += 1
        leeway = LEEWAY / self.cell
        best: tuple[searching.Place, Memory] | None = None
        for memory in self._memories():
            place = searching.find(
                cells, memory, self._last, leeway, leeway + SPEED / self.cell * self._missed
            )
            if place is not None and (best is None or place.unlikeness < best[0].unlikeness):
                best = (place, memory)
        if best is None or best[0].unlikeness > LIKE:
            return None
        place, found = best
        centre = _centre(found.inner) - np.array(place.offset)
        for memory in self._memories():
            self._align(memory, centre)
        found.offset = np.array(place.offset)
        return place

    def _common_fate(
        self, cells: Floats, box: Box, flow: Floats, share: Floats, total: Floats, answer: Vote
    ) -> None:
        """Give the object what moves with it and take from it what moves with its surroundings, where the two differ.

        Patches of the previous frame are compared at the place where the one or the other motion puts them.
        """
        assert self._previous is not None
        top, left, bottom, right = box
        inside = share > 0.5 * total
        outside = share < 0.1 * total
        if not inside.any() or not outside.any():
            return
        local = flow[top:bottom, left:right, ::-1]
        around = np.median(local[outside], axis=0)
        own = np.rint(self._previous.offset) + np.median(SHIFTS[answer.shift[inside]], axis=0)
        if np.hypot(*(own - around)) < APART:
            return
        with_it = residual(cells, self._previous, box, own)
        with_floor = residual(cells, self._previous, box, around)
        evidence = cv2.blur(with_floor - with_it, (3, 3), borderType=cv2.BORDER_REPLICATE)
        nearby = cv2.dilate(inside.astype(np.uint8), np.ones((2 * GROWTH + 1,) * 2, np.uint8)) > 0
        gain = np.clip((np.abs(evidence) - DOUBT) / CERTAIN, 0, 1) * np.float32(FATE)
        gain *= np.exp(np.minimum(with_it, with_floor) * np.float32(-1 / CONFIDENCE))
        known = np.abs(evidence) > DOUBT
        right = [
            float(np.mean(evidence[side & known] * sign > 0)) if (side & known).any() else 0.0
            for side, sign in ((inside, 1), (outside, -1))
        ]
        gain *= np.float32(min(1.0, max(0.0, (min(right) - CHANCE) / (PROVEN - CHANCE))))
        grows, shrinks = nearby & (evidence > 0), evidence < 0
        share[grows] += gain[grows]
        total[grows] += gain[grows]
        total[shrinks] += gain[shrinks]

    def _replace(self, cells: Floats, trust: dict[int, float], centre: NDArray[np.float64]) -> None:
        """Search the frame for the anchor that fits worst, if it does not fit at all where it was thought to lie.

        `trust`: id of a memory → mean confidence in it; `centre`: (y, x) in cells of the object now.
        """
        worst = min(self.anchors.values(), key=lambda memory: trust[id(memory)], default=None)
        if worst is None or trust[id(worst)] >= MISPLACED * max(trust.values()):
            return
        leeway = LEEWAY / self.cell
        place = searching.find(cells, worst, (float(centre[0]), float(centre[1])), leeway, leeway)
        if place is not None and not place.far:
            worst.offset = np.array(place.offset)

    def _refined(self, frame: Frame, box: Box, share: Floats, sure: float) -> Guess:
        top, left, bottom, right = (side * self.cell for side in box)
        height, width = self._shape
        whole = cv2.resize(share, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        bottom, right = min(bottom, height), min(right, width)
        whole = np.ascontiguousarray(whole[: bottom - top, : right - left])
        planes = coefficients(frame.small[top:bottom, left:right], whole)
        inside = whole > 0.5
        expected = float(whole[inside].sum()) / max(
            float(np.count_nonzero(inside)) + float(whole[~inside].sum()), 1.0
        )
        return Guess((top, left, bottom, right), planes, min(1.0, expected * sure**0.5))


def _cell_of(small: Floats) -> int:
    """The side of the cells for an object of which (h, w) is covered."""
    _, _, width, height = cv2.boundingRect((small >= 0.5).astype(np.uint8))
    return FINE if 0 < width * height <= FINE_CELLS * FINE * FINE else CELL


def _centre(labels: Floats) -> NDArray[np.float64]:
    """(y, x) of the middle of the labels (rows, columns)."""
    y, x = np.nonzero(labels > 0.5)
    if not len(y):
        y, x = np.nonzero(labels >= labels.max())
    return np.array([y.mean(), x.mean()])
