"""Text over a whole video: the detector on every few frames, the tracker between.

Detections are matched with the objects that are followed; those that match none begin new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.algo.fuse import bounding_box
from app.worker.engines import Anchor, Candidate, Plan, Seen, Walk
from app.worker.engines.sam3.tracking import REACH, Objects, Step, Tracker

if TYPE_CHECKING:
    from app.worker.engines.sam3 import Sam3

SAME = 0.5
"""IoU from which a detection and an object of its class are one."""
DUPLICATE = 0.7
"""IoU above which a detection shows what another one or an object of its class shows already."""
CONFIDENT = 0.8
"""Score from which a detection corrects its object."""
LIMIT = 64
"""Objects followed at the same time; detections beyond are left out, the least sure ones first."""
PATIENCE = 4
"""Keyframes without a detection after which an object is given up."""


@dataclass(frozen=True, eq=False)
class Spot:
    """A mask with the box around it, so that most pairs are told apart without looking at pixels."""

    mask: Any
    box: tuple[int, int, int, int]
    area: int

    @classmethod
    def of(cls, mask: Any) -> Spot | None:
        """None where the mask is None or empty."""
        if mask is None or (box := bounding_box(mask)) is None:
            return None
        return cls(mask, box, int(np.count_nonzero(mask)))

    def iou(self, other: Spot) -> float:
        x0, y0 = max(self.box[0], other.box[0]), max(self.box[1], other.box[1])
        x1, y1 = min(self.box[2], other.box[2]), min(self.box[3], other.box[3])
        if x0 >= x1 or y0 >= y1:
            return 0.0
        both = int(np.count_nonzero(self.mask[y0:y1, x0:x1] & other.mask[y0:y1, x0:x1]))
        return both / (self.area + other.area - both)


@dataclass(frozen=True, eq=False)
class Detection:
    spot: Spot
    score: float
    class_id: int


def find(engine: Sam3, plan: Plan, texts: Sequence[tuple[str, int]], every: int, threshold: float) -> Walk:
    """See `Engine.find`. At most LIMIT objects are followed at a time; one that no detection matched on the last
    PATIENCE keyframes is given up and found anew, under another number, where it comes back.
    """
    search = Search(engine, plan, texts, threshold, patience=max(PATIENCE * every, REACH))
    try:
        for anchor in plan.anchors:
            search.give(anchor)
        for walked, position in enumerate(plan.positions):
            for anchor in plan.more():
                search.give(anchor)
            keyframe = walked % every == 0
            if keyframe:
                # The larger size first: the tracker uses it too.
                plan.prepared(position, "text")
                yield None
            seen = yield from search.objects.walk(position)
            if keyframe:
                yield from search.look(position, seen)
            yield position, list(seen.values())
    finally:
        search.objects.close()


class Search:
    """The objects that are followed, and when each was last detected."""

    def __init__(
        self, engine: Sam3, plan: Plan, texts: Sequence[tuple[str, int]], threshold: float, patience: int
    ) -> None:
        self.objects = Objects(Tracker(engine, plan))
        self._engine, self._plan, self._threshold, self._patience = engine, plan, threshold, patience
        self._texts: dict[int, list[str]] = {}
        for text, class_id in texts:
            self._texts.setdefault(class_id, []).append(text)
        self._detected: dict[int, int] = {}
        """Object → position at which it was last detected or anchored."""
        self._anchored: set[tuple[int, int]] = set()
        """(object, position) of the anchors given, which detections leave alone."""
        self._last = -1

    def give(self, anchor: Anchor) -> None:
        self.objects.give(anchor)
        self._anchored.add((anchor.object, anchor.position))
        before = self._detected.get(anchor.object, anchor.position)
        self._detected[anchor.object] = max(before, anchor.position, key=lambda at: at * self._plan.step)
        self._last = max(self._last, anchor.object)

    def look(self, position: int, seen: dict[int, Seen]) -> Step:
        """Bring the objects and `seen`, what they show on this frame, in line with what is detected on it."""
        for class_id, texts in self._texts.items():
            found: list[Candidate] = []
            for text in texts:
                prepared = self._plan.prepared(position, "text")
                found += self._engine.ground(prepared, text, self._threshold)
                yield None
            yield from self._settle(position, seen, distinct(found, class_id))
        for number in [n for n, at in self._detected.items() if self._passed(at, position) >= self._patience]:
            del self._detected[number]
            self.objects.pop(number).close()
            seen.pop(number, None)

    def _settle(self, position: int, seen: dict[int, Seen], detections: list[Detection]) -> Step:
        """`detections`: of one class, best first."""
        if not detections:
            return
        class_id = detections[0].class_id
        shown = {
            number: spot
            for number, one in seen.items()
            if self.objects[number].class_id == class_id and (spot := Spot.of(one.mask))
        }
        matches = matched(detections, shown)
        for index, detection in enumerate(detections):
            number = matches.get(index)
            if number is not None:
                self._detected[number] = position
                if detection.score < CONFIDENT or (number, position) in self._anchored:
                    continue
            elif len(self.objects) >= LIMIT or any(
                detection.spot.iou(spot) > DUPLICATE for spot in shown.values()
            ):
                continue
            else:
                number = self._new(position)
            yield from self._anchor(number, position, detection)
            seen[number] = Seen(number, detection.spot.mask, detection.score, class_id)

    def _new(self, position: int) -> int:
        self._last += 1
        self._detected[self._last] = position
        return self._last

    def _anchor(self, number: int, position: int, detection: Detection) -> Step:
        anchor = Anchor(position, number, detection.spot.mask, detection.class_id)
        if number not in self.objects:
            self.objects.give(anchor)
        yield from self.objects[number].enter(anchor)

    def _passed(self, at: int, position: int) -> int:
        return (position - at) * self._plan.step


def distinct(found: Iterable[Candidate], class_id: int) -> list[Detection]:
    """Those that show something and not what a surer one shows, best first."""
    kept: list[Detection] = []
    for candidate in sorted(found, key=lambda one: -one.score):
        spot = Spot.of(candidate.mask)
        if spot is not None and all(spot.iou(other.spot) <= DUPLICATE for other in kept):
            kept.append(Detection(spot, candidate.score, class_id))
    return kept


def matched(detections: Sequence[Detection], shown: dict[int, Spot]) -> dict[int, int]:
    """Index of a detection → number of its object: pairs with an IoU of at least SAME, the largest first."""
    pairs = [
        (overlap, index, number)
        for index, detection in enumerate(detections)
        for number, spot in shown.items()
        if (overlap := detection.spot.iou(spot)) >= SAME
    ]
    matches: dict[int, int] = {}
    for _, index, number in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        if index not in matches and number not in matches.values():
            matches[index] = number
    return matches
