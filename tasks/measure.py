"""The job "measure": how steady the labels of frames are against the frame before.

It works from the same snapshot as an export, of the frames wanted and those before them. Every frame leaves one
partial result, so a job that was interrupted goes on behind the last one, and a cancelled one keeps what it has.
Two frames are held at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from app.algo.fuse import fuse_regions
from app.algo.metrics import FRAME, Neighbour, compare, contested
from app.algo.motion import Picture, between, picture
from app.algo.what_if import layers_of
from app.errors import Refused
from app.models import Run
from app.quality import Measured
from app.smoothing import FLICKER_LIMIT
from app.stamps import ranks_of, stamp_of
from tasks.channel import Channel
from tasks.given_masks import GivenMasks, added, notes_of, taken
from tasks.layers import Layers, layer_map
from tasks.rendering import drawn_masks, read_frame
from tasks.snapshot import FrameEntry, Snapshot

DIGITS = 6


class MeasureArgs(Struct, kw_only=True):
    """`input`: the snapshot; `wanted`: a file of {asset id: `Wanted`}."""

    data_dir: str
    input: str
    wanted: str


class Wanted(Struct, kw_only=True):
    """Frames of an asset: those to measure, and those without a region where there ought to be one."""

    frames: list[Run] = field(default_factory=list)
    lost: list[Run] = field(default_factory=list)


class Row(Struct, kw_only=True, array_like=True):
    """A `Measure` without its frame."""

    class_id: int
    track_id: str
    area: int
    change: float | None
    iou: float | None
    dice: float | None
    warped_iou: float | None
    warped_dice: float | None
    boundary_f: float | None


class Record(Struct, kw_only=True):
    """What one frame gave; `rows`: the frame as a whole first."""

    frame: Measured
    rows: list[Row]


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Measure the frames; what they gave are the partial results, one `Record` a frame.

    Returns {frames, cuts, over_limit, limit, notes}. Raises Refused (an image cannot be read), Cancelled.
    """
    try:
        asked = msgspec.convert(args, MeasureArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The measuring is described wrongly: {exc}.") from exc
    snapshot = Snapshot(Path(asked.input))
    try:
        wanted = msgspec.json.decode(Path(asked.wanted).read_bytes(), type=dict[str, Wanted])
    except (OSError, msgspec.DecodeError) as exc:
        raise Refused("What to measure is no longer known; measure again.") from exc
    measuring = _Measuring(channel, snapshot, GivenMasks(Path(asked.data_dir)), wanted)
    measuring.run()
    return measuring.result()


class _Frames:
    """Runs of frames, ascending, to be asked for single ones."""

    def __init__(self, runs: list[Run]) -> None:
        self._starts = [start for start, _ in runs]
        self._stops = [start + length for start, length in runs]

    def __contains__(self, index: int) -> bool:
        at = bisect_right(self._starts, index) - 1
        return at >= 0 and index < self._stops[at]


class _Shown:
    """A frame's labels and picture, made when they are first asked for."""

    def __init__(self, entry: FrameEntry, layers: Layers, given: GivenMasks, *, lost: bool) -> None:
        self.entry = entry
        self._layers, self._given, self._lost = layers, given, lost
        self.contested = 0

    @property
    def labelled(self) -> bool:
        """Whether it says anything that a frame has no region: else nobody came to label it yet."""
        return bool(self.entry.specs) or self.entry.frame.state != "todo" or self._lost

    @cached_property
    def labels(self) -> NDArray[np.uint16]:
        """(H, W) uint16 layer numbers."""
        entry = self.entry
        shape = (entry.frame.height, entry.frame.width)
        if not entry.specs:
            return np.zeros(shape, np.uint16)
        layers = layers_of(entry.specs, drawn_masks(entry, self._given, self._image))
        winners = fuse_regions(layers, shape)
        self.contested = contested(layers, winners)
        return layer_map(entry, winners, self._layers)

    @cached_property
    def picture(self) -> Picture:
        made = picture(self._image)
        self.__dict__.pop("_image")
        return made

    @cached_property
    def _image(self) -> NDArray[np.uint8]:
        return read_frame(self.entry)


class _Measuring:
    def __init__(
        self, channel: Channel, snapshot: Snapshot, given: GivenMasks, wanted: dict[str, Wanted]
    ) -> None:
        self._channel, self._snapshot, self._given, self._wanted = channel, snapshot, given, wanted
        self._ranks = ranks_of(snapshot.header.class_template)
        self._missing: dict[str, int] = {}
        self._done = self._cuts = self._over = 0

    def run(self) -> None:
        self._resume()
        total = sum(length for wanted in self._wanted.values() for _, length in wanted.frames)
        number = 0
        for section in self._snapshot.sections:
            wanted = self._wanted.get(section.asset.id, Wanted())
            frames, lost, layers = _Frames(wanted.frames), _Frames(wanted.lost), Layers()
            before: _Shown | None = None
            for entry in self._snapshot.frames(section):
                index = entry.frame.index
                shown = _Shown(entry, layers, self._given, lost=index in lost)
                if before is not None and before.entry.frame.index != index - 1:
                    before = None
                if index in frames:
                    number += 1
                    if number > self._done:
                        self._channel.check()
                        record = self._measure(before, shown, layers)
                        self._channel.append(record)
                        self._count(record)
                        self._channel.report(number, total, self._message(section.asset.name))
                before = shown

    def result(self) -> dict[str, Any]:
        return {
            "frames": self._done,
            "cuts": self._cuts,
            "over_limit": self._over,
            "limit": FLICKER_LIMIT,
            "notes": notes_of(self._missing),
        }

    def _resume(self) -> None:
        """Count what earlier executions left behind."""
        try:
            with (self._channel.folder / "partial.jsonl").open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        self._count(msgspec.json.decode(line, type=Record))
        except FileNotFoundError:
            pass

    def _count(self, record: Record) -> None:
        self._done += 1
        self._cuts += record.frame.cut
        warped = record.rows[0].warped_iou
        self._over += warped is not None and 1 - warped > FLICKER_LIMIT
        added(self._missing, taken(self._given))
        self._channel.kept = {"frames": self._done}

    def _message(self, name: str) -> str:
        over = "1 frame flickers" if self._over == 1 else f"{self._over} frames flicker"
        return f"Measuring {name}: {over} so far"

    def _measure(self, before: _Shown | None, after: _Shown, layers: Layers) -> Record:
        earlier = before.entry.regions if before is not None else []
        stamp = stamp_of([*earlier, *after.entry.regions], self._ranks)
        frame = after.entry.frame
        cut = False
        carried = None
        labels = after.labels
        if before is None or not before.labelled or not after.labelled:
            before = None
        elif before.entry.specs or after.entry.specs:
            # Labels first: they may need the image, which a picture lets go of.
            _ = before.labels
            motion = between(before.picture, after.picture)
            cut = motion.cut
            carried = None if cut else motion.carry(before.labels)
        rows = _rows(None if before is None or cut else before.labels, labels, carried, layers)
        return Record(
            frame=Measured(
                asset_id=frame.asset_id,
                frame_index=frame.index,
                regions=stamp.regions,
                revisions=stamp.revisions,
                updated_at=stamp.updated_at,
                ranks=stamp.ranks,
                cut=cut,
                contested=after.contested,
                unlabelled=labels.size - rows[0].area,
            ),
            rows=rows,
        )


def _rows(
    before: NDArray[np.uint16] | None,
    after: NDArray[np.uint16],
    carried: tuple[NDArray[np.uint16], NDArray[np.bool_]] | None,
    layers: Layers,
) -> list[Row]:
    """The frame as a whole, its classes, and its tracks; from maps of layer numbers."""
    table = layers.classes()
    whole = compare(
        None if before is None else table[before],
        table[after],
        None if carried is None else (table[carried[0]], carried[1]),
    )
    rows = [_row(class_id, "", found) for class_id, found in whole.items()]
    shown = {number for labels in (before, after) if labels is not None for number in _numbers(labels)}
    sharing = Counter(layers.of(number)[0] for number in shown)
    tracks: dict[int, str] = {n: track for n in shown if (track := layers.of(n)[1]) is not None}
    # A track that is all of its class is as steady as the class.
    others = [number for number in tracks if sharing[layers.of(number)[0]] > 1]
    found = compare(before, after, carried, others) if others else {}
    for number, track_id in sorted(tracks.items()):
        class_id = layers.of(number)[0]
        row = found.get(number) or whole.get(class_id)
        if row is not None:
            rows.append(_row(class_id, track_id, row))
    return rows


def _numbers(labels: NDArray[np.uint16]) -> list[int]:
    return [number for number in np.flatnonzero(np.bincount(labels.ravel())).tolist() if number != FRAME]


def _row(class_id: int, track_id: str, found: Neighbour) -> Row:
    def short(value: float | None) -> float | None:
        return None if value is None else round(value, DIGITS)

    return Row(
        class_id=class_id,
        track_id=track_id,
        area=found.area,
        change=short(found.change),
        iou=short(found.iou),
        dice=short(found.dice),
        warped_iou=short(found.warped_iou),
        warped_dice=short(found.warped_dice),
        boundary_f=short(found.boundary_f),
    )
