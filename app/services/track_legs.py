"""The walks that a track job needs: which frames, from which anchors.

Where an object lies between two of its anchors it is followed both ways: the first walk leaves its masks on
disk, a second one back fuses its own with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from app import store as db
from app.errors import Refused
from app.models import Region
from app.services.track_records import TrackArgs

BACK = 2
"""What the walk back is numbered above the walk whose masks it fuses with its own."""


@dataclass(frozen=True)
class Leg:
    """A walk from frame index `start` to `stop`, both included.

    `anchors`: (object, region), in walking order; `begin`, `end`: by object, the frame indices between which
    it is looked for, where that is not the whole walk.
    """

    number: int
    start: int
    stop: int
    anchors: list[tuple[int, Region]] = field(default_factory=list)
    begin: dict[int, int] = field(default_factory=dict)
    end: dict[int, int] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return 1 if self.stop >= self.start else -1

    @property
    def length(self) -> int:
        return abs(self.stop - self.start) + 1

    @property
    def fuses(self) -> bool:
        return self.number >= BACK

    def covers(self, thing: int, index: int) -> bool:
        """Whether the object is looked for on this frame."""
        begin, end = self.begin.get(thing, self.start), self.end.get(thing, self.stop)
        return (index - begin) * self.step >= 0 and (end - index) * self.step >= 0


def index_of(region: Region) -> int:
    return int(region.frame_id[25:])


def first_legs(cur: db.Cursor, args: TrackArgs) -> list[Leg]:
    """The walks without those back. Raises Refused where the regions to track from were deleted."""
    chosen = db.regions.find_many(cur, [id for thing in args.objects for id in thing.region_ids])
    starts = {
        number: [chosen[id] for id in thing.region_ids if id in chosen]
        for number, thing in enumerate(args.objects)
    }
    starts = {number: found for number, found in starts.items() if found}
    if not starts:
        raise Refused("The regions to track from were deleted meanwhile. Choose others.")
    if args.direction == "between":
        return [leg for leg in [_between(cur, args, starts)] if leg.length > 1]
    anchors = {number: _anchors(cur, args, number, found) for number, found in starts.items()}
    indices = {number: [index_of(region) for region in found] for number, found in starts.items()}
    legs = []
    # Of the frames between two chosen regions of an object, the walk forward takes care.
    if args.direction != "backward":
        begin = {number: min(found) for number, found in indices.items()}
        legs.append(_leg(0, min(begin.values()), args.stop, anchors, begin))
    if args.direction != "forward":
        pick = max if args.direction == "backward" else min
        begin = {number: pick(found) for number, found in indices.items()}
        legs.append(_leg(1, max(begin.values()), args.start, anchors, begin))
    return [leg for leg in legs if leg.length > 1]


def leg_back(cur: db.Cursor, args: TrackArgs, leg: Leg) -> Leg | None:
    """The walk back over a leg, for the objects that have two anchors on it; None where none has."""
    anchors: dict[int, list[Region]] = {}
    spans: dict[int, list[int]] = {}
    for number in leg.begin:
        chosen = [region for thing, region in leg.anchors if thing == number]
        known = [r for r in _anchors(cur, args, number, chosen) if leg.covers(number, index_of(r))]
        span = sorted({index_of(region) for region in known}, reverse=leg.step > 0)
        if any(abs(b - a) > 1 for a, b in pairwise(span)):
            anchors[number], spans[number] = known, span
    if not spans:
        return None
    begin = {number: span[0] for number, span in spans.items()}
    end = {number: span[-1] for number, span in spans.items()}
    pick, other = (max, min) if leg.step > 0 else (min, max)
    return _leg(leg.number + BACK, pick(begin.values()), other(end.values()), anchors, begin, end)


def around(anchors: Sequence[Region], region: Region) -> tuple[int, int] | None:
    """The frame indices of the anchors before and behind a region, which counts where it is one itself.

    None where there are not two.
    """
    at = index_of(region)
    indices = sorted({index_of(anchor) for anchor in anchors} - {at})
    before = max((index for index in indices if index < at), default=at if region.anchor else None)
    behind = min((index for index in indices if index > at), default=at if region.anchor else None)
    return None if before is None or behind is None or before == behind else (before, behind)


def _between(cur: db.Cursor, args: TrackArgs, starts: dict[int, list[Region]]) -> Leg:
    """Raises Refused where no object has two anchors."""
    begin, end, anchors = {}, {}, {}
    for number, regions in starts.items():
        known = _anchors(cur, args, number, [region for region in regions if region.anchor])
        spans = [span for region in regions if (span := around(known, region)) is not None]
        if spans:
            begin[number], end[number] = min(a for a, _ in spans), max(b for _, b in spans)
            anchors[number] = known
    if not begin:
        raise Refused("There is no other anchor of this track in the range. Correct another frame first.")
    return _leg(0, min(begin.values()), max(end.values()), anchors, begin, end)


def _anchors(cur: db.Cursor, args: TrackArgs, number: int, chosen: Sequence[Region]) -> list[Region]:
    """What is known of an object: the chosen regions, and those of its track that a person confirmed."""
    track = args.objects[number].track_id
    confirmed = db.regions.anchors(cur, args.asset_id, [track], args.start, args.stop)
    return list({region.id: region for region in [*confirmed, *chosen]}.values())


def _leg(
    number: int,
    start: int,
    stop: int,
    anchors: dict[int, list[Region]],
    begin: dict[int, int],
    end: dict[int, int] | None = None,
) -> Leg:
    leg = Leg(number, start, stop, [], begin, end or {})
    for thing, regions in anchors.items():
        leg.anchors.extend((thing, r) for r in regions if thing in begin and leg.covers(thing, index_of(r)))
    leg.anchors.sort(key=lambda pair: index_of(pair[1]) * leg.step)
    return leg
