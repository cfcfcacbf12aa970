"""The dry run of an import: every frame of the source is read once, nothing is changed."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from app.formats.truth.model import Reader, TruthFrame
from tasks.channel import Channel
from tasks.import_masks import counts_of
from tasks.import_matching import Matcher, key_of
from tasks.import_report import (
    ClassRow,
    Counts,
    FrameMatch,
    FrameRow,
    ImportArgs,
    ImportReport,
    Match,
    TargetFrame,
)

MAX_ROWS = 500
MAX_PROBLEMS = 200


class Problems:
    """Sentences about the source: all are counted, the first are kept."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[str] = []

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.kept) < MAX_PROBLEMS:
            self.kept.append(sentence)


def matcher_of(args: ImportArgs) -> Matcher:
    with Path(args.frames).open("rb") as file:
        return Matcher(msgspec.json.decode(line, type=TargetFrame) for line in file)


def let_sizes_be_known(reader: Reader, matcher: Matcher, args: ImportArgs) -> None:
    """Formats that state no size ask for the size of the frame that they will be matched with."""
    if not hasattr(reader, "size_of"):
        return
    how: list[Match] = ["name", "index"] if args.options.match == "auto" else [args.options.match]

    def size_of(name: str, index: int | None) -> tuple[int, int] | None:
        for way in how:
            found = matcher.find(way, name, index, None, args.options.offset)
            if len(found) == 1:
                return found[0].width, found[0].height
        return None

    reader.size_of = size_of  # pyright: ignore[reportAttributeAccessIssue]


class Judge:
    """Says of every frame of the source what becomes of it, and counts."""

    def __init__(self, matcher: Matcher, how: Match, args: ImportArgs) -> None:
        self.matcher, self.args = matcher, args
        self.how: Match = how
        self.counts = Counts()
        self.rows: list[FrameRow] = []
        self._taken: dict[str, str] = {}
        self._fine: list[FrameRow] = []

    def judge(
        self, key: tuple[str, int | None, float | None], size: tuple[int, int], readable: bool, empty: bool
    ) -> TargetFrame | None:
        """The frame that takes this ground truth, or None; the row says why. `size` = (width, height)."""
        options, counts = self.args.options, self.counts
        name, index, pts = key
        counts.frames += 1
        found = self.matcher.find(self.how, name, index, pts, options.offset)
        frame = found[0] if len(found) == 1 else None
        state: FrameMatch = "matched"
        note = ""
        if not readable:
            state, note = "unreadable", "Nothing of it can be used; the list of problems says why."
            counts.unreadable += 1
        elif frame is None:
            state = "missing"
            counts.missing += 1
            if found:
                note = f"{len(found)} frames could be meant; import into one asset."
        elif frame.id in self._taken:
            state, note = (
                "duplicate",
                f"“{self._taken[frame.id]}” belongs to the same frame; the first one counts.",
            )
            counts.duplicate += 1
        elif size != (frame.width, frame.height) and options.wrong_size == "skip":
            state = "wrong-size"
            note = f"{size[0]}×{size[1]} px, the frame has {frame.width}×{frame.height} px."
            counts.wrong_size += 1
        else:
            counts.matched += 1
            counts.empty += empty
            self._taken[frame.id] = name
            counts.existing += frame.regions > 0
            counts.truths += frame.truth
            if size != (frame.width, frame.height):
                note = f"{size[0]}×{size[1]} px, scaled to {frame.width}×{frame.height} px."
        self._keep(
            FrameRow(
                name=name[:300],
                state=state,
                frame_id=frame.id if frame else None,
                index=frame.index if frame else None,
                note=note,
            )
        )
        return frame if state == "matched" else None

    def _keep(self, row: FrameRow) -> None:
        if row.state != "matched" or row.note:
            if len(self.rows) < MAX_ROWS:
                self.rows.append(row)
        elif len(self._fine) < 50:
            self._fine.append(row)

    def finish(self, report: ImportReport) -> None:
        """The counts and rows for the report: what needs attention first."""
        self.counts.without = len(self.matcher) - len(self._taken)
        report.counts = self.counts
        report.frames = [*self.rows, *self._fine][:MAX_ROWS]


class Tally:
    """How much there is of each class."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.rows: dict[str, ClassRow] = {}
        for known in reader.classes():
            self._row(known.key)

    def _row(self, key: str) -> ClassRow:
        row = self.rows.get(key)
        if row is None:
            known = self._reader.found(key)
            row = ClassRow(key=key, name=known.name, value=known.value, colour=known.colour, void=known.void)
            self.rows[key] = row
        return row

    def add(self, truth: TruthFrame, problems: Problems) -> bool:
        """Count a frame; returns whether nothing is annotated on it."""
        seen: dict[str, list[int]] = {}
        if truth.values is not None:
            strange = 0
            for value, pixels in counts_of(truth.values).items():
                key = truth.keys.get(value)
                if key is None:
                    strange += pixels
                    continue
                entry = seen.setdefault(key, [0, 0])
                entry[0] += pixels
            if strange:
                problems.add(f"{truth.name}: {strange} pixels have values that stand for no class.")
        for known in truth.objects:
            entry = seen.setdefault(known.key, [0, 0])
            entry[0] += int(known.mask.sum())
            entry[1] += 1
        empty = True
        for key, (pixels, objects) in seen.items():
            row = self._row(key)
            row.frames += 1
            row.pixels += pixels
            row.objects += objects
            empty = empty and row.void
        return empty


def scan(channel: Channel, reader: Reader, matcher: Matcher, args: ImportArgs, report: ImportReport) -> None:
    """Fill the report of a dry run. Holds a few hundred bytes a frame of the source."""
    started = time.monotonic()
    problems = Problems()
    for sentence in reader.problems:
        problems.add(sentence)
    tally = Tally(reader)
    seen: list[tuple[tuple[str, int | None, float | None], tuple[int, int], bool, bool]] = []
    total = reader.count
    for done, truth in enumerate(reader.frames(), 1):
        channel.check()
        for sentence in truth.problems:
            problems.add(sentence)
        readable = truth.values is not None or bool(truth.objects) or not truth.problems
        seen.append((key_of(truth), _size(truth), readable, tally.add(truth, problems)))
        channel.report(done, max(total, done), "Reading")
    if not seen:
        problems.add("The source holds no annotated frame.")
    how = args.options.match
    if how == "auto":
        how = matcher.choose((key for key, *_ in seen), args.options.offset)
    judge = Judge(matcher, how, args)
    for key, size, readable, empty in seen:
        judge.judge(key, size, readable, empty)
    judge.finish(report)
    report.match = how
    report.counts.problems = problems.count
    report.problems = problems.kept
    report.classes = sorted(tally.rows.values(), key=lambda row: (-row.pixels, row.name))
    report.seconds = time.monotonic() - started


def _size(truth: TruthFrame) -> tuple[int, int]:
    return truth.width, truth.height


def read_report(path: Path) -> ImportReport | None:
    """The report of an import, or None while there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ImportReport)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
