"""Alphas averaged along time where nothing moves, as a pass of its own over those that a job made.

Averages need the alphas of the frames around as they were made, so they go into files of their own. After a kill the
pass goes on where it was, from a few frames before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.algo.matting.steady import AROUND, Steady
from tasks.channel import Channel
from tasks.matte_alphas import Alpha, read_alpha, write_alpha
from tasks.matte_files import STEADY, alpha_path
from tasks.rendering import read_frame
from tasks.snapshot import Section, Snapshot

BEFORE = AROUND + 1
"""Frames before the first that is missing which have to be looked at again."""


def steadied(
    channel: Channel,
    snapshot: Snapshot,
    section: Section,
    alphas: Path,
    targets: int,
    done: Callable[[str, int], None],
) -> Path:
    """Average the alphas of all targets, the job's folder being `alphas`. Returns the folder that takes its place.

    A frame without an alpha counts as one of zeros, and gets none. Raises Refused, Cancelled.
    """
    folder = channel.folder / STEADY
    known = _known(snapshot, section, alphas, folder, targets)
    first = max(0, known - BEFORE)
    filters = [Steady() for _ in range(targets)]
    waiting: deque[tuple[int, int]] = deque()
    written = first

    def write(ready: list[list[Alpha]]) -> int:
        for layers in zip(*ready, strict=True):
            number, index = waiting.popleft()
            for target, alpha in enumerate(layers):
                # What had no mask stays without one.
                if number >= known and alpha_path(alphas, target, index).exists():
                    write_alpha(alpha_path(folder, target, index), alpha)
        return len(ready[0])

    for number, entry in enumerate(snapshot.frames(section)):
        if number < first:
            continue
        image, shape = read_frame(entry), (entry.frame.height, entry.frame.width)
        waiting.append((number, entry.frame.index))
        found = [read_alpha(alpha_path(alphas, n, entry.frame.index), shape) for n in range(targets)]
        pushed = [
            steady.push(image, np.zeros(shape, np.float32) if alpha is None else alpha)
            for steady, alpha in zip(filters, found, strict=True)
        ]
        written += write(pushed)
        done("Steadying", written)
        channel.check()
    written += write([steady.finish() for steady in filters])
    done("Steadying", written)
    return folder


def _known(snapshot: Snapshot, section: Section, alphas: Path, folder: Path, targets: int) -> int:
    """How many frames, from the first on, an earlier execution averaged."""
    for number, entry in enumerate(snapshot.frames(section)):
        for target in range(targets):
            made = alpha_path(alphas, target, entry.frame.index).exists()
            if made and not alpha_path(folder, target, entry.frame.index).exists():
                return number
    return section.frames
