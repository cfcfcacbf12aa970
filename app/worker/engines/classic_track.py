"""The walk of the embedded engine through a plan: an adapter of app.algo.tracking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from app.algo.tracking import Frame, Tracker
from app.worker.engines import Anchor, Plan, Seen, Walk

REPLAYED = 24
"""Frames from an anchor behind up to which an object is followed again; beyond it is searched for."""
REMEMBERED = 3
"""Anchors of an object that vote at a time, those nearest to the frame."""


class Object:
    """The anchors of an object in the order of the walk."""

    def __init__(self, number: int, class_id: int) -> None:
        self.number, self.class_id = number, class_id
        self.anchors: dict[int, np.ndarray] = {}
        self.begun = False

    def nearest(self, at: int) -> list[int]:
        """Positions of the anchors that should vote on a frame: those that show the object."""
        shown = [position for position, mask in self.anchors.items() if mask.any()]
        return sorted(shown, key=lambda position: abs(position - at))[:REMEMBERED]


def track(plan: Plan) -> Walk:
    """See `Engine.track`."""
    tracker = Tracker(plan.shape)
    objects: dict[int, Object] = {}
    arrived: Iterable[Anchor] = plan.anchors
    for at in plan.positions:
        behind: dict[int, int] = {}
        for anchor in [*arrived, *plan.more()]:
            one = objects.setdefault(anchor.object, Object(anchor.object, anchor.class_id))
            one.anchors[anchor.position] = np.asarray(anchor.mask, bool)
            tracker.forget(one.number, anchor.position)
            if (at - anchor.position) * plan.step > 0:
                known = behind.get(one.number, anchor.position)
                behind[one.number] = max(known, anchor.position, key=lambda position: position * plan.step)
        arrived = ()
        frame = Frame(plan.image(at))
        confirmed = {n: one.anchors[at] for n, one in objects.items() if at in one.anchors}
        for number, position in behind.items():
            objects[number].begun = True
            if number not in confirmed:
                yield from _catch_up(tracker, plan, objects[number], position, at)
        for number in confirmed:
            objects[number].begun = True
        begun = {number: one for number, one in objects.items() if one.begun}
        yield from _remember(tracker, plan, begun, confirmed, at)
        step = tracker.step(at, frame, confirmed)
        while True:
            try:
                yield next(step)
            except StopIteration as end:
                sights = end.value
                break
        yield at, [Seen(n, sights[n].mask, sights[n].score, one.class_id) for n, one in begun.items()]


def _catch_up(tracker: Tracker, plan: Plan, one: Object, position: int, at: int) -> Iterator[None]:
    """Take an anchor behind the walk: follow the object from there to the frame before this one."""
    between = range(position, at, plan.step)
    if len(between) > REPLAYED:
        tracker.lose(one.number)
        return
    alone = Tracker(plan.shape)
    for there in between:
        confirmed = {one.number: one.anchors[there]} if there in one.anchors else {}
        for _ in alone.step(there, Frame(plan.image(there)), confirmed):
            yield None
    tracker.adopt(one.number, alone)


def _remember(
    tracker: Tracker, plan: Plan, objects: Mapping[int, Object], confirmed: Mapping[int, object], at: int
) -> Iterator[None]:
    """Let the tracker know the nearest anchors of every object, and no others."""
    frames: dict[int, Frame] = {}
    for number, one in objects.items():
        nearest = one.nearest(at)
        known = tracker.anchors(number)
        for position in known:
            if position not in nearest:
                tracker.forget(number, position)
        for position in nearest:
            if position not in known and position != at:
                if position not in frames:
                    frames[position] = Frame(plan.image(position))
                tracker.remember(number, position, frames[position], one.anchors[position])
                yield None
