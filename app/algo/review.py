"""Which frame a person should look at next: signs of trouble as chances, and an order that finds many errors early.

A *place* is a frame as one integer: frames that follow each other in time have places that do, and places of
different assets lie more than `REACH` apart. A *layer* is an integer that stands for a track, or for the regions of
a class that belong to none, in one asset. A *finding* says that a layer looks wrong at a place, and how likely it is
that a person who looks there corrects something.

Flat numpy arrays throughout, so that a hundred thousand frames take a fraction of a second; nothing heavier is
imported, so that the web process may ask too. The constants are those that found most on the development
sequences of `pointillist bench review`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

KINDS = ("flicker", "area", "agreement", "score", "certificate", "lost", "conflict", "neighbour")
FAULTS = np.array([0, 0, 2, 3, 4, 5, 6, 7])
"""By kind, what is wrong: a mask that breaks for a moment both flickers and jumps in area."""

REACH = 8
"""Frames within which the same fault of a layer is taken for one error."""
SHARED, FADES = 0.9, 4.0
"""Share of the chance that a look at the frame beside takes away, and how many frames it takes to fade."""
LEAST = 0.1
"""Smaller chances are no reason to look."""

MIN_PX = 12.0
"""Smaller layers have no area to speak of."""
GAP = 3
"""A layer that is missing on fewer frames than this, between two that have it, broke there."""
GAPS = 0.2
"""Share of a layer's frames that may begin behind a gap before gaps are what is usual for it."""
NEAR = 5
"""Frames on each side of a correction that are worth a look."""
LOST_EVERY = 16
"""In a long loss every so many-th frame is offered."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Flat arrays of one length.

    Attributes:
        layer: int64.
        place: int64.
        kind: int64, index into `KINDS`.
        value: float64, what a sentence about it tells; the makers below say what it is.
        chance: float64, 0..1, that a person who looks there corrects this.
    """

    layer: Ints
    place: Ints
    kind: Ints
    value: Floats
    chance: Floats

    def __len__(self) -> int:
        return len(self.layer)

    def take(self, chosen: Bools | Ints) -> Findings:
        """Those that a mask or an array of indices picks."""
        return Findings(*(getattr(self, name)[chosen] for name in FIELDS))


FIELDS = ("layer", "place", "kind", "value", "chance")


def together(parts: Iterable[Findings]) -> Findings:
    """All of them in one, in no particular order."""
    rows = [*parts, _findings("flicker", np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))]
    return Findings(*(np.concatenate([getattr(one, name) for one in rows]) for name in FIELDS))


def flicker(layer: Ints, place: Ints, area: Floats, warped: Floats, *, limit: float) -> Findings:
    """Masks that do not follow the motion; `value` = warped instability, the worse of both sides of a broken frame.

    Args:
        layer, place: rows sorted by (layer, place), each pair once.
        area: px.
        warped: instability against the frame before with motion taken out, 0..1; NaN where it is not known.
        limit: the instability of a frame from which on it counts as flicker.

    A frame that is wrong for itself differs from the one before and from the one after. Where only the way in is bad
    the trouble begins here, or the picture did change. Both are compared with what is usual for the layer: what is
    small or quick is never quiet.
    """
    if not len(layer):
        return together([])
    into = warped
    out = np.full(len(into), np.nan)
    beside = (layer[1:] == layer[:-1]) & (place[1:] == place[:-1] + 1)
    out[:-1][beside] = into[1:][beside]
    # Behind the last frame of a shot nothing can confirm what came in.
    out = np.where(np.isnan(out), into - 2.0 * limit, out)
    usual, spread = _usual(layer, into)
    scale = 1.4 * limit + 0.15 * usual + 2.0 * spread + 1.2 / np.sqrt(np.maximum(area, 1.0))
    over_in, over_out = (np.maximum(np.nan_to_num(way - usual) / scale, 0.0) for way in (into, out))
    both = np.minimum(over_in, over_out)
    worst = np.fmax(np.nan_to_num(into), np.where(both > 0, np.nan_to_num(out), 0.0))
    # What stays under the limit hardly shows, however unusual it is.
    evidence = np.hypot(both, 0.5 * over_in) * np.clip(worst / limit, 0.0, 1.0)
    return _findings("flicker", layer, place, worst, _saturated(evidence**2))


def areas(layer: Ints, place: Ints, area: Floats) -> Findings:
    """Masks whose size jumps for a moment; `value`: −0.34 has lost 34 % against the frames around, 1 is twice as big.

    Args:
        layer, place: rows sorted by (layer, place), each pair once.
        area: px, NaN where it is not known.

    The median of a frame and those around it grows and shrinks as a mask does that comes nearer or leaves. Frames
    without the layer, fewer than `GAP` between two with it, count as 0 px.
    """
    if not len(layer):
        return together([])
    layer, place, area = _filled(layer, place, area)
    median = _around(layer, place, area)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(median >= MIN_PX, area / median - 1.0, 0.0)
    change = np.nan_to_num(change)
    # Losing half and growing twofold are as bad.
    size = np.abs(np.log2(np.maximum(1.0 + change, 1 / 16)))
    usual, spread = _usual(layer, size)
    scale = 0.3 + 5.0 * (usual + spread) + 0.8 / np.sqrt(np.maximum(median, 1.0))
    return _findings("area", layer, place, change, _saturated((size / scale) ** 2))


def agreement(layer: Ints, place: Ints, value: Floats) -> Findings:
    """Walks forward and backward that disagree; `value`: IoU of both, 0..1."""
    return _findings("agreement", layer, place, value, _saturated(np.maximum(0.98 - value, 0.0) / 0.17))


def score(layer: Ints, place: Ints, value: Floats) -> Findings:
    """Engines that were not sure; `value`: how sure, 0..1."""
    return _findings("score", layer, place, value, 0.8 * np.clip((0.85 - value) / 0.85, 0.0, 1.0))


def certificate(layer: Ints, place: Ints, value: Floats, target: Floats) -> Findings:
    """Geometry that does not give its mask back; `value`: the IoU reached, `target`: the one asked for."""
    return _findings("certificate", layer, place, value, _saturated(np.maximum(target - value, 0.0) / 0.19))


def conflict(layer: Ints, place: Ints, value: Floats, frame_px: Floats) -> Findings:
    """Pixels claimed by two classes of one priority; `value`: how many, of a frame of `frame_px`."""
    return _findings(
        "conflict", layer, place, value, 0.6 * _saturated(value / (0.006 * np.maximum(frame_px, 1.0)))
    )


def lost(layer: Ints, start: Ints, length: Ints) -> Findings:
    """Runs of places where a track was looked for and not seen; `value`: how many frames of the run are left.

    A run is offered at its first frame, where the track can be taken up again, and now and then further on.
    """
    count = -(-length // LOST_EVERY)
    run = np.repeat(np.arange(len(start)), count)
    nth = np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    chance = np.where(nth == 0, 0.7, 0.3)
    ahead = nth * LOST_EVERY
    return _findings("lost", layer[run], start[run] + ahead, length[run] - ahead, chance)


def neighbour(layer: Ints, place: Ints, anchor: Bools, updated_at: Floats) -> Findings:
    """What was made before a person corrected the same track nearby; `value`: the place of the correction.

    Args:
        layer, place: rows of tracks, sorted by (layer, place), each pair once.
        anchor: whether a person drew or confirmed the row.
        updated_at: seconds; a row that is younger than the correction has taken it into account.
    """
    best = np.zeros(len(layer))
    of = np.zeros(len(layer))
    for step in range(1, NEAR + 1):
        apart = place[step:] - place[:-step]
        near = (layer[step:] == layer[:-step]) & (apart <= NEAR)
        chance = 0.5 * (1.0 - (apart - 1) / (NEAR + 1))
        for here, other in ((slice(step, None), slice(None, -step)), (slice(None, -step), slice(step, None))):
            stale = near & anchor[other] & ~anchor[here] & (updated_at[here] < updated_at[other])
            better = stale & (chance > best[here])
            best[here] = np.where(better, chance, best[here])
            of[here] = np.where(better, place[other], of[here])
    return _findings("neighbour", layer, place, of, best)


def lowered(found: Findings, layer: Ints, place: Ints, share: float) -> Findings:
    """The findings, with that share of their chance where they are at one of the rows (layer, place)."""
    if not len(found) or not len(layer):
        return found
    _, codes = np.unique(np.concatenate([found.layer, layer]), return_inverse=True)
    places = np.concatenate([found.place, place])
    keys = codes * (int(places.max()) + 1) + places
    chance = np.where(np.isin(keys[: len(found)], keys[len(found) :]), share, 1.0) * found.chance
    return Findings(found.layer, found.place, found.kind, found.value, chance)


@dataclass(frozen=True, slots=True)
class Queue:
    """Places, best first. `gain`: 0..1, the chance that a look there corrects something nobody corrected before,
    given that those before it in the queue were looked at."""

    place: Ints
    gain: Floats


def queue(
    found: Findings, *, opened: Ints | None = None, halved: Ints | None = None, most: int = 1000
) -> Queue:
    """The order in which to look.

    A frame's gain is the chance that at least one of its findings is right. Whenever a frame is taken, the same
    fault of the same layer counts for less on the frames around, since who corrects one corrects the others too or
    has seen that nothing is wrong (greedy choice of what is new, as in maximal marginal relevance, Carbonell and
    Goldstein, SIGIR 1998). Behind the first `most` the rest follow by the gain they then have.

    Args:
        opened: places that a person has seen as they are; they are not in the queue.
        halved: places that somebody has called done; their gain counts half.
    """
    order = np.lexsort((found.place, FAULTS[found.kind], found.layer))
    ranked = found.take(order)
    places, frame = np.unique(ranked.place, return_inverse=True)
    weight = np.ones(len(places))
    if halved is not None and len(halved):
        weight[np.isin(places, halved)] = 0.5
    chance = np.minimum(ranked.chance, 0.99)
    taken = np.zeros(len(places), bool)
    if opened is not None and len(opened):
        taken = np.isin(places, opened)
        chance = chance * _remains(ranked, taken[frame])
    total = np.bincount(frame, np.log1p(-chance), minlength=len(places)).astype(np.float64)
    greedy = _Greedy(ranked, places, frame, chance, total, weight, taken)
    first, gains = greedy.run(most)
    rest = np.flatnonzero(~greedy.taken)
    gain = -np.expm1(total[rest]) * weight[rest]
    by_gain = np.argsort(-gain, kind="stable")
    chosen = np.concatenate([first, rest[by_gain]])
    gain = np.concatenate([gains, gain[by_gain]])
    kept = gain >= LEAST
    return Queue(places[chosen[kept]], gain[kept])


def _remains(ranked: Findings, seen: Bools) -> Floats:
    """The share of the chance of each row that is left after looks at the rows `seen`; rows as `queue` sorts them."""
    fault = FAULTS[ranked.kind]
    remains = np.ones(len(ranked))
    for step in range(1, min(REACH, len(ranked) - 1) + 1):
        apart = ranked.place[step:] - ranked.place[:-step]
        same = (ranked.layer[step:] == ranked.layer[:-step]) & (fault[step:] == fault[:-step])
        near = same & (apart <= REACH)
        for here, other in ((slice(step, None), slice(None, -step)), (slice(None, -step), slice(step, None))):
            hit = near & seen[other] & ~seen[here]
            remains[here] = np.where(hit, np.minimum(remains[here], 1 - _shared(apart)), remains[here])
    return remains


def _shared(apart: Ints) -> Floats:
    return SHARED * np.exp(-np.maximum(apart - 1, 0) / FADES)


class _Greedy:
    """Takes the best frame, lowers its neighbours, and again. Gains only fall, so an old one is an upper bound."""

    def __init__(
        self,
        ranked: Findings,
        places: Ints,
        frame: Ints,
        chance: Floats,
        total: Floats,
        weight: Floats,
        taken: Bools,
    ) -> None:
        self.taken = taken
        self._places, self._frame = places, frame
        self._layer, self._fault = ranked.layer, FAULTS[ranked.kind]
        self._chance, self._total, self._weight = chance, total, weight
        by_frame = np.argsort(frame, kind="stable")
        self._rows = by_frame
        self._starts = np.searchsorted(frame[by_frame], np.arange(len(places) + 1))
        self._shares = [float(_shared(np.array(apart))) for apart in range(REACH + 1)]

    def run(self, most: int) -> tuple[Ints, Floats]:
        """At most so many frames (indices into places) with their gains, best first."""
        gains = -np.expm1(self._total) * self._weight
        sorted_ = np.argsort(-gains, kind="stable")
        initial = iter(sorted_[~self.taken[sorted_]].tolist())
        heap: list[tuple[float, int]] = []
        lowered: set[int] = set()
        out: list[int] = []
        out_gain: list[float] = []
        upcoming = next(initial, None)
        while len(out) < most:
            while upcoming is not None and (upcoming in lowered or self.taken[upcoming]):
                upcoming = next(initial, None)
            while heap and (self.taken[heap[0][1]] or -heap[0][0] > self._gain(heap[0][1]) + 1e-12):
                heapq.heappop(heap)
            waiting = -heap[0][0] if heap else -1.0
            fresh = self._gain(upcoming) if upcoming is not None else -1.0
            best = upcoming if fresh >= waiting else heap[0][1] if heap else None
            if best is None or max(fresh, waiting) < LEAST:
                break
            self.taken[best] = True
            out.append(best)
            out_gain.append(max(fresh, waiting))
            for changed in self._look(best):
                lowered.add(changed)
                heapq.heappush(heap, (-self._gain(changed), changed))
        return np.array(out, np.int64), np.array(out_gain, np.float64)

    def _gain(self, frame: int) -> float:
        return float(-np.expm1(self._total[frame]) * self._weight[frame])

    def _look(self, frame: int) -> set[int]:
        """The frames that count less now."""
        changed: set[int] = set()
        for row in self._rows[self._starts[frame] : self._starts[frame + 1]].tolist():
            for way in (-1, 1):
                at = row + way
                while 0 <= at < len(self._chance) and self._same(row, at):
                    other = int(self._frame[at])
                    if not self.taken[other]:
                        apart = abs(int(self._places[other] - self._places[frame]))
                        less = self._chance[at] * (1 - self._shares[apart])
                        self._total[other] += np.log1p(-less) - np.log1p(-self._chance[at])
                        self._chance[at] = less
                        changed.add(other)
                    at += way
        return changed

    def _same(self, row: int, at: int) -> bool:
        apart = abs(int(self._places[self._frame[at]] - self._places[self._frame[row]]))
        return bool(
            self._layer[at] == self._layer[row] and self._fault[at] == self._fault[row] and apart <= REACH
        )


def _findings(kind: str, layer: NDArray, place: NDArray, value: NDArray, chance: NDArray) -> Findings:
    chosen = chance >= LEAST
    return Findings(
        np.asarray(layer, np.int64)[chosen],
        np.asarray(place, np.int64)[chosen],
        np.full(int(np.count_nonzero(chosen)), KINDS.index(kind), np.int64),
        np.asarray(value, np.float64)[chosen],
        np.asarray(chance, np.float64)[chosen],
    )


def _saturated(evidence: Floats) -> Floats:
    """0 → 0, 1 → 0.63, more → towards 1."""
    return -np.expm1(-evidence)


def _usual(layer: Ints, value: Floats) -> tuple[Floats, Floats]:
    """For every row the median of its layer's values and the median deviation from it; 0 where none is known.

    Rows sorted by layer. Lower medians, in place of a sort of all rows.
    """
    middle, spread = np.zeros(len(value)), np.zeros(len(value))
    bounds = [0, *(np.flatnonzero(layer[1:] != layer[:-1]) + 1).tolist(), len(layer)]
    for start, stop in pairwise(bounds):
        known = value[start:stop]
        known = known[~np.isnan(known)]
        if len(known):
            half = (len(known) - 1) // 2
            middle[start:stop] = usual = np.partition(known, half)[half]
            spread[start:stop] = np.partition(np.abs(known - usual), half)[half]
    return middle, spread


def _filled(layer: Ints, place: Ints, area: Floats) -> tuple[Ints, Ints, Floats]:
    """The rows and, with 0 px, those missing in short gaps.

    Where gaps are usual for the layer, only some of the frames were labelled: nothing is missing there.
    """
    apart = np.where(layer[1:] == layer[:-1], place[1:] - place[:-1], 1)
    hole = np.flatnonzero(apart > 1)
    if not len(hole):
        return layer, place, area
    known, of = np.unique(layer[hole], return_inverse=True)
    rows = np.searchsorted(layer, known, side="right") - np.searchsorted(layer, known, side="left")
    hole = hole[(np.bincount(of) <= GAPS * rows)[of] & (apart[hole] <= GAP)]
    added = [(layer, place, area)]
    for step in range(1, GAP):
        wide = hole[apart[hole] > step]
        added.append((layer[wide], place[wide] + step, np.zeros(len(wide))))
    layer, place, area = (np.concatenate(column) for column in zip(*added, strict=True))
    order = np.lexsort((place, layer))
    return layer[order], place[order], area[order]


def _around(layer: Ints, place: Ints, area: Floats) -> Floats:
    """What each row's area would be by those around: the median of up to two on either side, as many on both, and
    itself; where there are none on one side, on the way that the other side shows. NaN where that is not known."""
    window = np.full((5, len(area)), np.nan)
    window[2] = area
    for step in (1, 2):
        near = (layer[step:] == layer[:-step]) & (place[step:] - place[:-step] <= step + 1)
        window[2 - step, step:][near] = area[:-step][near]
        window[2 + step, :-step][near] = area[step:][near]
    ends = [_onward(window[1], window[0], area), _onward(window[3], window[4], area)]
    one_sided = np.isnan(window[1]) | np.isnan(window[3])
    for step in (1, 2):
        single = np.isnan(window[2 - step]) | np.isnan(window[2 + step]) | one_sided
        window[2 - step, single] = window[2 + step, single] = np.nan
    window.sort(axis=0)  # what is not known goes last
    middle = (4 - np.count_nonzero(np.isnan(window), axis=0)) // 2
    median = window[np.maximum(middle, 0), np.arange(len(area))]
    return np.where(one_sided, np.where(np.isnan(ends[0]), ends[1], ends[0]), median)


def _onward(near: Floats, far: Floats, here: Floats) -> Floats:
    """`here`, or the end next to it of the range from the nearer neighbour to where a line through both leads."""
    straight = 2 * near - far
    return np.clip(here, np.minimum(near, straight), np.maximum(near, straight))
