"""The job "what_if": which pixels of which frames would change class if classes had other priorities.

It works from the same snapshot as an export, one frame at a time. A frame whose classes keep their sequence
cannot change and is not even rendered; every other one is rendered once and fused twice. What is found so far
lies in `tally.json` of the job's folder, so that a job that was interrupted goes on where it stood.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, field

from app.algo.fuse import fuse
from app.algo.what_if import Moves, Rank, balance, can_differ, layers_of, moves
from app.errors import Refused
from tasks.channel import Channel, write_aside
from tasks.given_masks import GivenMasks, added, notes_of, taken
from tasks.rendering import drawn_masks
from tasks.snapshot import FrameEntry, Snapshot

ROWS = 500
"""Frames that the result lists: those with the most changed pixels."""
KEEP_EVERY_S = 2.0


class WhatIfArgs(Struct, kw_only=True):
    """`ranks`: (class id, priority, position in the class template) of every class of the template."""

    data_dir: str
    input: str
    ranks: list[tuple[int, int, int]]


class Row(Struct, kw_only=True):
    """A frame that would change, and by how many pixels."""

    frame_id: str
    asset_id: str
    index: int
    pixels: int


class Tally(Struct, kw_only=True):
    """What the first `done` frames of the snapshot gave."""

    done: int = 0
    rendered: int = 0
    changed: int = 0
    area: int = 0
    """Pixels of all frames looked at, changed or not."""
    moved: list[tuple[int, int, int]] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    """Masks that were not at hand, by engine."""
    rows: list[Row] = field(default_factory=list)


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Compare all frames of the snapshot before and after.

    Returns {frames, rendered, changed, area, pixels, classes: [{class_id, gained, lost}], moves: [[class before,
    class after, pixels]], rows: [{frame_id, asset_id, index, pixels}], class_template: {id, revision}, notes};
    class 0 is unlabelled; `rows` come by falling number of pixels, at most 500 of them. Raises Refused, Cancelled.
    """
    try:
        asked = msgspec.convert(args, WhatIfArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The question is put wrongly: {exc}.") from exc
    snapshot = Snapshot(Path(asked.input))
    after = {class_id: (priority, order) for class_id, priority, order in asked.ranks}
    before = {
        known.id: (known.priority, order)
        for order, known in enumerate(snapshot.header.class_template.classes)
    }
    if before.keys() != after.keys():
        raise Refused("The class template has other classes now; ask again.")
    tally, given = _Running(channel), GivenMasks(Path(asked.data_dir))
    total, skip = snapshot.frame_count, tally.done
    number = 0
    for section in snapshot.sections:
        for entry in snapshot.frames(section):
            number += 1
            if number <= skip:
                continue
            channel.check()
            moved = _changes(entry, given, before, after)
            tally.add(entry, section.asset.id, moved, taken(given))
            channel.report(number, total, f"{tally.changed} frames would change")
    template = snapshot.header.class_template
    return {
        "frames": total,
        "class_template": {"id": template.id, "revision": template.revision},
        **tally.result(),
    }


def _changes(
    entry: FrameEntry, given: GivenMasks, before: dict[int, Rank], after: dict[int, Rank]
) -> Moves | None:
    """What moves on the frame; None where nothing can, and nothing was rendered."""
    if not can_differ({spec.class_id for spec in entry.specs}, before, after):
        return None
    crops = drawn_masks(entry, given)
    shape = (entry.frame.height, entry.frame.width)
    old: np.ndarray = fuse(layers_of(entry.specs, crops), shape)
    return moves(old, fuse(layers_of(entry.specs, crops, after), shape))


class _Running:
    """The tally while it grows; `rows` is a heap with the smallest change on top."""

    def __init__(self, channel: Channel) -> None:
        self._path = channel.folder / "tally.json"
        self._kept_at = time.monotonic()
        kept = self._read()
        self.done, self.rendered, self.changed, self.area = kept.done, kept.rendered, kept.changed, kept.area
        self._missing = kept.missing
        self._moved: Moves = {(source, target): pixels for source, target, pixels in kept.moved}
        self._heap: list[tuple[int, int, Row]] = []
        self._number = 0
        for row in kept.rows:
            self._push(row)

    def add(self, entry: FrameEntry, asset_id: str, moved: Moves | None, missing: Mapping[str, int]) -> None:
        added(self._missing, missing)
        self.done += 1
        self.area += entry.frame.width * entry.frame.height
        self.rendered += moved is not None
        if moved:
            self.changed += 1
            for pair, pixels in moved.items():
                self._moved[pair] = self._moved.get(pair, 0) + pixels
            frame = entry.frame
            self._push(
                Row(frame_id=frame.id, asset_id=asset_id, index=frame.index, pixels=sum(moved.values()))
            )
        if time.monotonic() - self._kept_at >= KEEP_EVERY_S:
            self._kept_at = time.monotonic()
            write_aside(self._path, msgspec.json.encode(self._tally()))

    def result(self) -> dict[str, Any]:
        tally = self._tally()
        classes = balance(self._moved)
        return {
            "rendered": tally.rendered,
            "changed": tally.changed,
            "area": tally.area,
            "pixels": sum(self._moved.values()),
            "classes": [
                {"class_id": class_id, "gained": gained, "lost": lost}
                for class_id, (gained, lost) in sorted(classes.items())
            ],
            "moves": sorted(tally.moved, key=lambda row: -row[2]),
            "rows": msgspec.to_builtins(tally.rows),
            "notes": notes_of(tally.missing),
        }

    def _push(self, row: Row) -> None:
        # The running number settles ties: of equal changes the earlier frame stays.
        self._number -= 1
        entry = (row.pixels, self._number, row)
        if len(self._heap) < ROWS:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def _tally(self) -> Tally:
        return Tally(
            done=self.done,
            rendered=self.rendered,
            changed=self.changed,
            area=self.area,
            moved=[(source, target, pixels) for (source, target), pixels in self._moved.items()],
            missing=self._missing,
            rows=[row for _, _, row in sorted(self._heap, reverse=True)],
        )

    def _read(self) -> Tally:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Tally)
        except (FileNotFoundError, msgspec.DecodeError):
            return Tally()
