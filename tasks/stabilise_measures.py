"""How steady a range of frames is before and after the filter: by frame and by layer, with the same optical flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.algo.metrics import FRAME, Neighbour, improvement, neighbours, summary
from app.algo.motion import Picture, between, picture
from tasks.channel import write_aside
from tasks.layers import Layers
from tasks.rendering import read_frame
from tasks.snapshot import FrameEntry
from tasks.stabilise_files import CURVE, MEASURED, Curve, read_lines
from tasks.stabilise_maps import LayerMaps

Labels = Callable[[FrameEntry], NDArray[np.uint16]]
"""A frame → its layer numbers (H, W) before the filter."""

MOST_LAYERS = 300
"""Layers that the result lists: those that were least steady."""


class Row(Struct, kw_only=True):
    """A frame against the one before it, by number of layer. `after` None: as before. `changed`: pixels."""

    index: int
    cut: bool
    changed: int
    before: dict[int, Neighbour]
    after: dict[int, Neighbour] | None = None


class Measuring:
    """Measures frames in their order, the one before `start` first where there is one, and keeps their rows."""

    def __init__(self, folder: Path, start: int, stop: int) -> None:
        self._folder, self._start, self._stop = folder, start, stop
        self._rows = {row.index: row for row in read_lines(folder / MEASURED, Row)}
        self._file = (folder / MEASURED).open("ab")
        self._last: _Frame | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def frame(self, entry: FrameEntry, before: Labels, after: LayerMaps) -> None:
        """Measure a frame. `before`: its labels; `after`: where those after the filter lie if they differ."""
        index = entry.frame.index
        if index in self._rows and index + 1 in self._rows:
            self._last = None
            return
        now = _Frame(entry, before, after)
        if index >= self._start and index not in self._rows:
            row = _row(index, self._last, now)
            self._rows[index] = row
            self._file.write(msgspec.json.encode(row) + b"\n")
            self._file.flush()
        self._last = now

    def result(self, layers: Layers) -> dict[str, Any]:
        """{changed, cuts, before, after, improvement_percent, layers}; and the curve becomes a file."""
        rows = [self._rows[index] for index in range(self._start, self._stop + 1)]
        curve = Curve(
            start=self._start,
            before=[_flicker(row.before) for row in rows],
            after=[_flicker(row.before if row.after is None else row.after) for row in rows],
            changed=[row.changed for row in rows],
        )
        write_aside(self._folder / CURVE, msgspec.json.encode(curve))
        numbers = {number for row in rows for number in (row.before.keys() | (row.after or {}).keys())}
        found = [
            {"class_id": class_id, "track_id": track_id, **_compared(rows, number)}
            for number in sorted(numbers - {FRAME})
            for class_id, track_id in (layers.of(number),)
        ]
        found.sort(key=lambda one: -(one["before"]["warped_instability"] or 0.0))
        return {
            "changed": sum(row.changed > 0 for row in rows),
            "cuts": sum(row.cut for row in rows),
            **_compared(rows, FRAME),
            "layers": found[:MOST_LAYERS],
        }


class _Frame:
    """A frame's maps, and its picture once it is asked for."""

    def __init__(self, entry: FrameEntry, before: Labels, after: LayerMaps) -> None:
        self._entry = entry
        self._picture: Picture | None = None
        self.before = before(entry)
        found = after.read(entry.frame.index)
        self.after = self.before if found is None else found

    @property
    def picture(self) -> Picture:
        if self._picture is None:
            self._picture = picture(read_frame(self._entry))
        return self._picture


def _row(index: int, last: _Frame | None, now: _Frame) -> Row:
    motion = None if last is None else between(last.picture, now.picture)
    changed = int(np.count_nonzero(now.before != now.after))
    before = neighbours(None if last is None else last.before, now.before, motion)
    after = None
    if changed or (last is not None and last.after is not last.before):
        after = neighbours(None if last is None else last.after, now.after, motion)
    return Row(
        index=index, cut=motion is not None and motion.cut, changed=changed, before=before, after=after
    )


def _flicker(found: dict[int, Neighbour]) -> float | None:
    steady = found[FRAME].warped_iou
    return None if steady is None else 1 - steady


def _compared(rows: Iterable[Row], number: int) -> dict[str, Any]:
    rows = list(rows)
    before = summary(row.before[number] for row in rows if number in row.before)
    after = summary(
        side[number] for row in rows if number in (side := row.before if row.after is None else row.after)
    )
    return {
        "before": msgspec.to_builtins(before),
        "after": msgspec.to_builtins(after),
        "improvement_percent": improvement(before, after),
    }
