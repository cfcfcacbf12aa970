"""The job "stabilise": labels smoothed along time, measured before and after, and stored as regions.

It works from a snapshot of the frames and some around them. Four stages, each of which goes on where a kill left it:
frames are drawn by layer; the filter runs over them; unless it is a preview what changed becomes regions; and both
are measured. Nothing is in the database before the end.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.algo.motion import picture
from app.algo.stabilise import Shot, stabilise
from app.errors import Refused
from app.models import Frame
from app.smoothing import METHODS
from tasks import truth_files
from tasks.channel import Channel, write_aside
from tasks.given_masks import GivenMasks, notes_of
from tasks.layers import Layers, layer_map, ranks_of
from tasks.rendering import read_frame, winner_map
from tasks.snapshot import FrameEntry, Snapshot
from tasks.stabilise_files import CHANGES, FILTERED, FILTERING, FrameChange, StabiliseArgs, read_lines
from tasks.stabilise_maps import LayerMaps
from tasks.stabilise_measures import Measuring
from tasks.stabilise_regions import Reshaping
from tasks.stabilise_spans import is_labelled, lost_on, reach_of, spans


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Stabilise a range of frames.

    Returns {asset_id, start, stop, preview, smoothing, frames, changed, regions, skipped, cuts, before, after,
    improvement_percent, layers, truth, notes, changes}: `changed` counts frames, `regions` those that change, come
    or go, `before` and `after` are `app.algo.metrics.Summary`, `truth` is as `Measuring.result` says, `changes` is
    the path of the lines for the database ("" for a preview). Raises Refused, StorageFull, Cancelled.
    """
    try:
        asked = msgspec.convert(args, StabiliseArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The job is described wrongly: {exc}.") from exc
    return _Job(channel, asked).run()


LAST = (1 << 31) - 1
WARM = 24
"""Frames that a windowed filter runs over again before it goes on: what it knows of flicker around (evidence.NEAR) and
the window. What an exponential filter remembers has no end, so that one begins anew."""


class _Job:
    def __init__(self, channel: Channel, args: StabiliseArgs) -> None:
        self._channel, self._args = channel, args
        self._snapshot = Snapshot(Path(args.input))
        self._section = self._snapshot.sections[0]
        self._given = GivenMasks(Path(args.data_dir))
        self._before = LayerMaps(channel.folder, "before")
        self._smooth = LayerMaps(channel.folder, "smooth")
        self._after = LayerMaps(channel.folder, "after")
        self._layers = Layers()
        self._anchors = self._regions = 0
        self._key = self._number_layers()
        self._notes: list[str] = []
        frames = args.stop - args.start + 1
        self._total = 2 * self._section.frames + frames * (1 if args.preview else 2)
        self._done = 0

    def run(self) -> dict[str, Any]:
        args = self._args
        filtered = self._channel.folder / FILTERED
        if not _is(filtered, self._key):
            self._adopt()
        if _is(filtered, self._key):
            self._done = 2 * self._section.frames
        else:
            self._draw()
            self._filter()
            write_aside(filtered, msgspec.json.encode(self._key))
        if not args.preview:
            self._reshape()
        measured = self._measure()
        changes = self._channel.folder / CHANGES
        count = 0
        if not args.preview:
            for line in read_lines(changes, FrameChange):
                count += len(line.changed) + len(line.gone) + len(line.added)
        if self._anchors:
            self._notes.append(
                f"{self._anchors} of {self._regions} regions stayed as they are: anchors, or on approved frames."
            )
        return {
            "asset_id": args.asset_id,
            "start": args.start,
            "stop": args.stop,
            "preview": args.preview,
            "smoothing": msgspec.to_builtins(args.smoothing),
            "frames": args.stop - args.start + 1,
            "regions": count,
            "skipped": 0,
            **measured,
            "notes": [*self._notes, *notes_of(self._given.missing)],
            "changes": "" if args.preview else str(changes),
        }

    def _number_layers(self) -> str:
        """Number the layers in the order of the snapshot. Returns a digest of all that decides the filter's result."""
        args = self._args
        digest = hashlib.blake2b(digest_size=16)
        asked = (
            args.start,
            args.stop,
            args.smoothing,
            args.class_ids,
            args.track_ids,
            args.overwrite_anchors,
        )
        digest.update(msgspec.json.encode((asked, ranks_of(self._snapshot.header.class_template))))
        lost = lost_on(self._snapshot.header.tracks, args.asset_id)
        said: list[tuple[int, bool]] = []
        for entry in self._entries():
            frame = entry.frame
            said.append((frame.index, is_labelled(entry, lost)))
            tracks = {region.id: region.track_id for region in entry.regions}
            for spec in entry.specs:
                self._layers.number(spec.class_id, tracks.get(spec.id))
            held = [region.id for region in entry.regions if region.anchor]
            digest.update(
                msgspec.json.encode((frame.index, frame.hash, frame.state, entry.specs, tracks, held))
            )
            if args.start <= frame.index <= args.stop:
                self._regions += len(entry.specs)
                locked = held if not args.overwrite_anchors else []
                self._anchors += len(entry.specs) if frame.state == "approved" else len(locked)
        self._first = said[0][0]
        self._spans = spans(said, reach_of(args.smoothing))
        digest.update(msgspec.json.encode(self._spans))
        return digest.hexdigest()

    def _entries(self, first: int = 0, last: int = LAST) -> Iterator[FrameEntry]:
        """The frames of the snapshot, those around the range, too; with `first` and `last` from one to the other."""
        for entry in self._snapshot.frames(self._section):
            if entry.frame.index > last:
                return
            if entry.frame.index >= first:
                yield entry

    def _within(self) -> Iterator[FrameEntry]:
        return self._entries(self._args.start, self._args.stop)

    def _adopt(self) -> None:
        """Take over what a preview found, where it looked at the same."""
        if not self._args.from_folder:
            return
        other = Path(self._args.from_folder)
        if not _is(other / FILTERED, self._key):
            self._notes.append("The labels or the filter changed since the preview, so it was made anew.")
            return
        before, smooth = LayerMaps(other, "before"), LayerMaps(other, "smooth")
        for entry in self._entries():
            self._before.take(before, entry.frame.index)
            self._smooth.take(smooth, entry.frame.index)
        # Still there: it is the first to go when a preview is let go of.
        whole = all(self._before.path(entry.frame.index).exists() for entry in self._entries())
        if whole and _is(other / FILTERED, self._key):
            write_aside(self._channel.folder / FILTERED, msgspec.json.encode(self._key))

    def _step(self, what: str, number: int, of: int) -> None:
        self._done += 1
        self._channel.report(self._done, self._total, f"{what}: frame {number} of {of}")
        self._channel.check()

    def _draw(self) -> None:
        for number, entry in enumerate(self._entries(), 1):
            if not self._before.path(entry.frame.index).exists():
                self._drawn(entry)
            self._step("Drawing labels", number, self._section.frames)

    def _drawn(self, entry: FrameEntry) -> NDArray[np.uint16]:
        labels = layer_map(entry, winner_map(entry, self._given), self._layers)
        self._before.write(entry.frame.index, entry.frame.id, labels, self._layers)
        return labels

    def _labels(self, entry: FrameEntry) -> NDArray[np.uint16]:
        """What a frame shows, (H, W) layer numbers; drawn again where the file was damaged."""
        known = self._before.read(entry.frame.index)
        return self._drawn(entry) if known is None else known

    def _filter(self) -> None:
        known = self._filtered()
        windowed = METHODS[self._args.smoothing.method].parameter == "window"
        spans = [(max(first, known - WARM), last) for first, last in self._spans if last >= known]
        if not windowed:
            known, spans = 0, [span for span in self._spans if span[1] >= known]
        read: deque[tuple[Frame, NDArray[np.uint16]]] = deque()

        def shots(entries: Iterator[FrameEntry]) -> Iterator[Shot]:
            for entry in entries:
                labels = self._labels(entry)
                read.append((entry.frame, labels))
                yield Shot(labels, picture(read_frame(entry)), self._locked(entry), self._scope())

        count = self._section.frames
        for within, entries in groupby(self._entries(), lambda entry: _span_of(entry.frame.index, spans)):
            if not within:
                continue
            for labels in stabilise(shots(entries), self._args.smoothing):
                frame, before = read.popleft()
                if frame.index >= known:
                    self._keep_smooth(frame, before, labels)
                number = frame.index - self._first + 1
                self._done = count + number - 1
                self._step("Smoothing", number, count)
        self._done = 2 * count

    def _keep_smooth(self, frame: Frame, before: NDArray[np.uint16], labels: NDArray[np.uint16]) -> None:
        if self._args.start <= frame.index <= self._args.stop and (labels != before).any():
            self._smooth.write(frame.index, frame.id, labels, self._layers)
        write_aside(self._channel.folder / FILTERING, msgspec.json.encode((self._key, frame.index + 1)))

    def _filtered(self) -> int:
        """Index of the first frame that an execution before this one did not get to; 0 where there was none."""
        try:
            raw = (self._channel.folder / FILTERING).read_bytes()
            key, index = msgspec.json.decode(raw, type=tuple[str, int])
        except (OSError, msgspec.DecodeError):
            return 0
        return index if key == self._key else 0

    def _locked(self, entry: FrameEntry) -> frozenset[int] | None:
        """The layers that may not change on a frame; None = all."""
        if entry.frame.state == "approved" or not self._args.start <= entry.frame.index <= self._args.stop:
            return None
        if self._args.overwrite_anchors:
            return frozenset()
        held = {region.id: region.track_id for region in entry.regions if region.anchor}
        return frozenset(
            self._layers.number(spec.class_id, held[spec.id]) for spec in entry.specs if spec.id in held
        )

    def _scope(self) -> frozenset[int] | None:
        """The layers that the job is about; None = all."""
        args = self._args
        if not args.class_ids and not args.track_ids:
            return None
        return frozenset(
            number
            for number, (class_id, track_id) in enumerate(self._layers.all(), 1)
            if class_id in args.class_ids or track_id in args.track_ids
        )

    def _reshape(self) -> None:
        frames = self._args.stop - self._args.start + 1
        with Reshaping(self._channel.folder, self._args, self._snapshot.header, self._layers) as reshaping:
            for number, entry in enumerate(self._within(), 1):
                reshaping.frame(entry, self._smooth, self._after, self._given)
                self._step("Turning masks into regions", number, frames)

    def _measure(self) -> dict[str, Any]:
        args = self._args
        after = self._smooth if args.preview else self._after
        truths = truth_files.folder_of(Path(args.data_dir), args.asset_id)
        with Measuring(self._channel.folder, truths, self._layers, args.start, args.stop) as measuring:
            for entry in self._entries(args.start - 1, args.stop):
                index = entry.frame.index
                span = _span_of(index, self._spans)
                follows = span is not None and index > span[0]
                measuring.frame(entry, self._labels, after, follows=follows)
                if index >= args.start:
                    self._step("Measuring", entry.frame.index - args.start + 1, args.stop - args.start + 1)
            return measuring.result()


def _span_of(index: int, spans: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The span that holds a frame; one of a single frame has nothing to smooth."""
    at = bisect_right(spans, (index, LAST)) - 1
    return spans[at] if at >= 0 and spans[at][0] < spans[at][1] and index <= spans[at][1] else None


def _is(path: Path, key: str) -> bool:
    """Whether a filter has run over exactly what `key` stands for."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=str) == key
    except (OSError, msgspec.DecodeError):
        return False
