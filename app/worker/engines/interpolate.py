"""Shapes between two anchors of an object, without looking at pixels: an adapter of app.algo.interpolate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.algo.interpolate import VERSION, Between
from app.errors import Refused
from app.worker.engines import Anchor, Engine, Plan, Seen, Walk
from app.worker.weights import Found


class Interpolate(Engine):
    reads_frames = False
    competes = False
    prepare_s = 30.0
    weights = VERSION
    device = "cpu"

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        pass

    def nbytes(self) -> int:
        return 0

    def track(self, plan: Plan) -> Walk:
        """The shape of every object on the frames between two of its anchors. Elsewhere it is not reported:
        nothing is known there. Raises Refused where no object has two anchors on the way.
        """
        anchors = list(plan.anchors)
        objects: dict[int, _Object] | None = None
        for position in plan.positions:
            yield None
            arrived = plan.more()
            if arrived or objects is None:
                anchors += arrived
                objects = _objects(anchors)
                if not any(one.has_between for one in objects.values()):
                    raise Refused(
                        "Interpolation needs two anchors: confirm or correct the region on another frame first."
                    )
            seen = []
            for number, one in objects.items():
                found = one.at(number, position)
                if found is not None:
                    seen.append(found)
                    yield None
            yield position, seen


class _Object:
    """The anchors of an object that cover anything, in the order of their frames, the newest of each."""

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._anchors = {anchor.position: anchor for anchor in anchors if np.any(anchor.mask)}
        self._places = sorted(self._anchors)
        self._between: tuple[tuple[int, int], Between] | None = None
        """That of the two anchors looked at last."""

    @property
    def has_between(self) -> bool:
        return len(self._places) > 1

    def at(self, number: int, position: int) -> Seen | None:
        """None outside its anchors."""
        exact = self._anchors.get(position)
        if exact is not None:
            return Seen(number, exact.mask, 1.0, exact.class_id)
        behind = bisect_right(self._places, position)
        if behind in (0, len(self._places)):
            return None
        first, last = self._places[behind - 1], self._places[behind]
        if self._between is None or self._between[0] != (first, last):
            found = Between(self._anchors[first].mask, self._anchors[last].mask)
            self._between = ((first, last), found)
        between = self._between[1]
        step, steps = position - first, last - first
        return Seen(
            number, between.at(step, steps), between.score(step, steps), self._anchors[first].class_id
        )


def _objects(anchors: Sequence[Anchor]) -> dict[int, _Object]:
    numbers = dict.fromkeys(anchor.object for anchor in anchors)
    return {number: _Object([a for a in anchors if a.object == number]) for number in numbers}
