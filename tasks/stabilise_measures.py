"""How steady a range of frames is before and after the filter: by frame and by layer, with the same optical flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from app.algo.metrics import FRAME, Neighbour, improvement, neighbours, summary
from app.algo.motion import Picture, between, picture
from app.algo.scoring import Cell, confusion
from app.errors import Refused
from tasks import truth_files, truth_maps
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
    truth_before: list[Cell] = field(default_factory=list)
    """Against the hidden ground truth of the frame; empty where it has none."""
    truth_after: list[Cell] = field(default_factory=list)


class Measuring:
    """Measures frames in their order, the one before `start` first where there is one, and keeps their rows."""

    def __init__(self, folder: Path, truths: Path, layers: Layers, start: int, stop: int) -> None:
        """`truths`: the folder of the asset's hidden ground truth."""
        self._folder, self._truths, self._layers = folder, truths, layers
        self._start, self._stop = start, stop
        self._rows = {row.index: row for row in read_lines(folder / MEASURED, Row)}
        self._file = (folder / MEASURED).open("ab")
        self._last: _Frame | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def frame(self, entry: FrameEntry, before: Labels, after: LayerMaps, *, follows: bool) -> None:
        """Measure a frame. `before`: its labels; `after`: where those after the filter lie if they differ.

        `follows`: whether the frame before it was labelled, so that both can be compared.
        """
        index = entry.frame.index
        self._last = self._last if follows else None
        if index in self._rows and index + 1 in self._rows:
            self._last = None
            return
        now = _Frame(entry, before, after)
        if index >= self._start and index not in self._rows:
            row = _row(index, self._last, now)
            self._score(row, entry, now)
            self._rows[index] = row
            self._file.write(msgspec.json.encode(row) + b"\n")
            self._file.flush()
        self._last = now

    def _score(self, row: Row, entry: FrameEntry, now: _Frame) -> None:
        """Compare a frame with its hidden ground truth, where it has some that can be read."""
        if not truth_files.map_path(self._truths, row.index).exists():
            return
        try:
            truth = truth_maps.load(self._truths, row.index, now.before.shape).labels
        except Refused:
            return  # scoring says what is wrong with it
        classes = self._layers.classes()
        row.truth_before = confusion(truth, classes[now.before])
        row.truth_after = confusion(truth, classes[now.after])

    def result(self) -> dict[str, Any]:
        """{changed, cuts, before, after, improvement_percent, layers, truth}; and the curve becomes a file.

        `truth`: {frames, before, after}, the last two [class in the truth, class found, pixels] summed over the frames
        that have hidden ground truth; None where none has.
        """
        layers = self._layers
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
            "truth": _truth(rows),
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


def _truth(rows: Iterable[Row]) -> dict[str, Any] | None:
    scored = [row for row in rows if row.truth_before]
    if not scored:
        return None
    return {
        "frames": len(scored),
        "before": _summed(row.truth_before for row in scored),
        "after": _summed(row.truth_after for row in scored),
    }


def _summed(many: Iterable[list[Cell]]) -> list[Cell]:
    sums: dict[tuple[int, int], int] = {}
    for truth, found, pixels in (cell for cells in many for cell in cells):
        sums[truth, found] = sums.get((truth, found), 0) + pixels
    return [(*pair, pixels) for pair, pixels in sorted(sums.items())]


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
