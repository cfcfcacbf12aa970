"""Arithmetic with runs of frames (`Run`)."""

from __future__ import annotations

from collections.abc import Iterable

from app.models import Run


def runs_of(indices: Iterable[int]) -> list[Run]:
    """The frame indices as runs, ascending."""
    return union([[(index, 1) for index in indices]])


def union(many: Iterable[list[Run]]) -> list[Run]:
    """The frames of any of the runs, ascending and as few runs as can be."""
    found: list[Run] = []
    for start, length in sorted(run for runs in many for run in runs):
        if found and start <= sum(found[-1]):
            found[-1] = (found[-1][0], max(sum(found[-1]), start + length) - found[-1][0])
        else:
            found.append((start, length))
    return found


def without(runs: list[Run], taken: list[Run]) -> list[Run]:
    """The frames of `runs` that are in none of `taken`; both ascending."""
    found: list[Run] = []
    next_taken = 0
    for start, length in runs:
        at, stop = start, start + length
        while next_taken < len(taken) and sum(taken[next_taken]) <= at:
            next_taken += 1
        while next_taken < len(taken) and taken[next_taken][0] < stop:
            if taken[next_taken][0] > at:
                found.append((at, taken[next_taken][0] - at))
            at = sum(taken[next_taken])
            if at > stop:
                break
            next_taken += 1
        if at < stop:
            found.append((at, stop - at))
    return found
