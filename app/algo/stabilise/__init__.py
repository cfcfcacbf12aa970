"""Label maps made steady along time: every layer at once, one layer a pixel, nothing across a cut.

A frame's neighbours have a say at each pixel, carried along the motion first where that is asked for
(`app.algo.motion`). What a neighbour says counts by how deep in its layer it says so: that is the mean of the signed
distances to the boundaries, and steadier than a vote. Where labels do not flicker nothing is changed
(`app.algo.stabilise.evidence`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.algo.stabilise.evidence import Evidence
from app.algo.stabilise.filters import FILTERS, Filter
from app.algo.stabilise.seats import Seat, Shot
from app.smoothing import METHODS, Smoothing, check

__all__ = ["Shot", "stabilise"]

AHEAD = 2
"""Frames that a filter without a window looks ahead, to tell flicker from change."""


def stabilise(shots: Iterable[Shot], smoothing: Smoothing) -> Iterator[NDArray[Any]]:
    """Smoothed label maps, one a frame, in order; a frame that stays as it is comes back as the same array.

    Args:
        shots: consecutive frames, read as they are needed: half a window ahead of what was given out.
        smoothing: the filter and its parameters.
    Memory is that of a window of frames, however many there are.
    Raises Refused for a filter that is unknown or a parameter out of its range.
    """
    check(smoothing)
    return _run(iter(shots), smoothing)


def _run(shots: Iterator[Shot], smoothing: Smoothing) -> Iterator[NDArray[Any]]:
    reach = smoothing.window // 2 if METHODS[smoothing.method].parameter == "window" else AHEAD
    smooth = FILTERS[smoothing.method](smoothing)
    evidence = Evidence() if smoothing.evidence else None
    seats: list[Seat] = []
    at = 0  # place in `seats` of the frame that is next to be given out
    for shot in shots:
        seats.append(Seat(shot, seats[-1] if seats else None, moving=smoothing.motion))
        if evidence is not None and len(seats) > 1:
            evidence.watch(seats[-2])
        if len(seats) > at + reach:
            yield _settled(seats[at], smooth, evidence)
            at += 1
            if at > reach:
                seats.pop(0).leave()
                at -= 1
    if evidence is not None and seats:
        evidence.watch(seats[-1])
    for seat in seats[at:]:
        yield _settled(seat, smooth, evidence)


def _settled(seat: Seat, smooth: Filter, evidence: Evidence | None) -> NDArray[Any]:
    """A frame's labels once they are smoothed, with what may not change as it was."""
    proposed = smooth(seat)
    where = None if evidence is None else evidence.of(seat)
    seat.settle()
    shot = seat.shot
    if shot.locked is None or proposed is shot.labels:
        return shot.labels
    changed = proposed != shot.labels
    if where is not None:
        changed &= where
    if shot.locked:
        fixed = list(shot.locked)
        changed &= ~(np.isin(shot.labels, fixed) | np.isin(proposed, fixed))
    if shot.scope is not None:
        wanted = list(shot.scope)
        changed &= np.isin(shot.labels, wanted) | np.isin(proposed, wanted)
    if not changed.any():
        return shot.labels
    return np.where(changed, proposed, shot.labels)
