"""Which frame a frame of ground truth belongs to: by name, by index, or by time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from app.formats.truth.model import TruthFrame
from tasks.import_report import Match, TargetFrame

PTS_TOLERANCE_S = 0.002
"""Times are written with millisecond steps by most tools."""
_NUMBER = re.compile(r"([0-9]+)$")

Key = tuple[str, int | None, float | None]
"""What a frame of ground truth is found by: its name, index and time."""


class Matcher:
    """Finds frames. Holds a few hundred bytes a frame, no pixels."""

    def __init__(self, frames: Iterable[TargetFrame]) -> None:
        self.frames: list[TargetFrame] = list(frames)
        self._by_name: dict[str, list[TargetFrame]] = {}
        self._by_index: dict[int, list[TargetFrame]] = {}
        self._by_pts: dict[int, list[TargetFrame]] = {}
        for frame in self.frames:
            for name in {frame.name.casefold(), f"{frame.stem}_{frame.index:06d}".casefold()} - {""}:
                self._by_name.setdefault(name, []).append(frame)
            self._by_index.setdefault(frame.index, []).append(frame)
            if frame.pts is not None:
                self._by_pts.setdefault(round(frame.pts / PTS_TOLERANCE_S), []).append(frame)

    def __len__(self) -> int:
        return len(self.frames)

    def find(
        self, how: Match, name: str, index: int | None, pts: float | None, offset: int
    ) -> list[TargetFrame]:
        """The frames that are meant: none, one, or several where nothing decides.

        By name: the file name without folders and suffix, as the source of the asset had it, or as exports
        write it (`<stem>_<index>`); where several assets have it, a folder named like the asset decides. By
        index: the source's own number, or the number at the end of the name, plus `offset`. By time: within
        2 ms.
        """
        if how == "name":
            return _narrowed(self._by_name.get(PurePosixPath(name).stem.casefold(), []), name)
        if how == "pts":
            return [] if pts is None else _narrowed(self._near(pts), name)
        number = number_of(name) if index is None else index
        return [] if number is None else _narrowed(self._by_index.get(number + offset, []), name)

    def _near(self, pts: float) -> list[TargetFrame]:
        step = round(pts / PTS_TOLERANCE_S)
        near = [frame for s in (step - 1, step, step + 1) for frame in self._by_pts.get(s, [])]
        return [frame for frame in near if abs((frame.pts or 0.0) - pts) <= PTS_TOLERANCE_S]

    def choose(self, truths: Iterable[Key], offset: int) -> Match:
        """The way that finds the most frames; names before indices before times where they find as many."""
        known = list(truths)
        ways: list[Match] = ["name", "index", "pts"]
        reached = []
        for how in ways:
            found = [self.find(how, name, index, pts, offset) for name, index, pts in known]
            reached.append(len({frames[0].id for frames in found if len(frames) == 1}))
        return ways[reached.index(max(reached))]


def _narrowed(found: list[TargetFrame], name: str) -> list[TargetFrame]:
    if len(found) < 2:
        return found
    folders = {part.casefold() for part in PurePosixPath(name).parts[:-1]}
    return [frame for frame in found if frame.stem.casefold() in folders] or found


def number_of(name: str) -> int | None:
    """The number that a file name ends with, suffix left aside; None without one."""
    found = _NUMBER.search(PurePosixPath(name).stem)
    return int(found[1]) if found and len(found[1]) <= 9 else None


def key_of(truth: TruthFrame) -> Key:
    return truth.name, truth.index, truth.pts
