"""Which frames are labelled: a frame without regions may be one that nobody came to yet, and then it says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.models import Run, Track
from app.smoothing import METHODS, Smoothing
from tasks.snapshot import FrameEntry

AHEAD = 2
"""Frames that an exponential filter looks ahead (`app.algo.stabilise.AHEAD`)."""


def lost_on(tracks: Iterable[Track], asset_id: str) -> list[Run]:
    """Where objects were looked for and not seen."""
    return [run for track in tracks for run in track.lost.get(asset_id, [])]


def is_labelled(entry: FrameEntry, lost: Sequence[Run]) -> bool:
    """Whether it says anything that a frame has no region."""
    index = entry.frame.index
    return (
        bool(entry.specs)
        or entry.frame.state != "todo"
        or any(start <= index < start + length for start, length in lost)
    )


def reach_of(smoothing: Smoothing) -> int:
    """How many frames on either side decide over a frame."""
    return smoothing.window // 2 if METHODS[smoothing.method].parameter == "window" else AHEAD


def spans(frames: Iterable[tuple[int, bool]], reach: int) -> list[tuple[int, int]]:
    """Runs (first, last) of frames that belong together; `frames`: consecutive indices, and whether each is labelled.

    A gap of up to `reach` frames without labels is flicker; a longer one parts two runs. Runs begin and end with
    labels.
    """
    found: list[tuple[int, int]] = []
    for index, labelled in frames:
        if not labelled:
            continue
        if found and index - found[-1][1] <= reach + 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found
