"""The job "import_labels": ground truth becomes regions, or stays hidden for scoring, one frame at a time.

| file in the job folder | content |
|---|---|
| report.json | `ImportReport` |
| records.jsonl | one line a frame: its id, its regions and tracks; the web process writes them in one transaction |
| truth/<frame id>.json | region id → the source mask as COCO run lengths, to look at beside the region |
| certificates.jsonl | one `CertificateRow` a line, worst first |

Hidden ground truth has other records and, instead of the last two, the maps (tasks/import_truth.py).

A dry run writes the report alone. Run again after a kill, frames whose line is complete are not done again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct, field

from app.algo.compete import VERSION
from app.algo.distil_regions import DistilledRegion, distil_regions
from app.algo.labels import encode_rle
from app.errors import Refused
from app.formats.images import read_image
from app.formats.truth import FORMATS, open_files, open_truth
from app.formats.truth.model import TruthFrame
from app.models import Certificate, Geometry, Point, Region, Track, quantise
from tasks import import_truth
from tasks.channel import Channel, cut_lines, write_aside
from tasks.import_masks import FrameMasks, Wanted, masks_of
from tasks.import_matching import key_of
from tasks.import_report import (
    BINS,
    CertificateRow,
    Certificates,
    Dropped,
    ImportArgs,
    ImportReport,
    TargetFrame,
)
from tasks.import_scan import Judge, Problems, Tally, let_sizes_be_known, matcher_of, scan
from tasks.import_truth import TruthKeeper

R = TypeVar("R", bound=Struct)


class FrameRecord(Struct, kw_only=True):
    """The regions of one frame. `tracks`: those that its regions name; the same track comes with every frame."""

    frame_id: str
    regions: list[Region]
    tracks: list[Track] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Read a source of ground truth and report on it, or turn it into regions.

    Returns {report, records, regions, frames}: paths of the files above (`records` "" for a dry run). Raises
    Refused (not a readable source, no frame matches, a class without a decision), StorageFull, Cancelled.
    """
    try:
        asked = msgspec.convert(args, ImportArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The import is described wrongly: {exc}.") from exc
    files = open_files(Path(asked.source), asked.name)
    try:
        reader = open_truth(files, asked.format)
        matcher = matcher_of(asked)
        let_sizes_be_known(reader, matcher, asked)
        report = ImportReport(
            job_id=asked.job_id,
            dry_run=asked.dry_run,
            format=reader.format,
            format_title=FORMATS[reader.format].title,
            source=asked.name,
            match=asked.options.match,
            keep=asked.keep,
        )
        if asked.dry_run:
            scan(channel, reader, matcher, asked, report)
            records = ""
        else:
            records = str(channel.folder / "records.jsonl")
            _Import(channel, asked, report).run(reader, matcher)
    finally:
        files.close()
    path = channel.folder / "report.json"
    write_aside(path, msgspec.json.encode(report))
    return {
        "report": str(path),
        "records": records,
        "regions": report.regions,
        "frames": report.counts.matched if report.kept is None else report.kept.frames,
        "below_target": report.certificates.below_target,
    }


class _Import:
    def __init__(self, channel: Channel, args: ImportArgs, report: ImportReport) -> None:
        self._channel, self._args, self._report = channel, args, report
        self._records = channel.folder / "records.jsonl"
        self._truth = channel.folder / "truth"
        self._keeper = TruthKeeper(channel.folder, args) if args.keep == "truth" else None
        self._problems = Problems()
        classes = args.class_template.classes
        self._known = {known.id for known in classes}
        self._rank = {known.id: (known.priority, order) for order, known in enumerate(classes)}

    def run(self, reader: Any, matcher: Any) -> None:
        args, report, channel = self._args, self._report, self._channel
        started = time.monotonic()
        if args.options.match == "auto":
            raise Refused("Say how frames are matched, or look at a dry run first.")
        strange = {class_id for class_id in args.mapping.values() if class_id} - self._known
        if strange:
            raise Refused(
                f"The mapping names the class {min(strange)}, which the class template does not have."
            )
        if self._keeper is None:
            self._truth.mkdir(parents=True, exist_ok=True)
        finished = {record.frame_id for record in _read(self._records, _Line)}
        for sentence in reader.problems:
            self._problems.add(sentence)
        tally, judge = Tally(reader), Judge(matcher, args.options.match, args)
        total = reader.count
        with self._records.open("ab") as out:
            for done, (truth, frame) in enumerate(self._frames(reader, tally, judge), 1):
                channel.check()
                if frame is not None and frame.id not in finished:
                    record = (self._keeper.frame if self._keeper else self._frame)(
                        truth, frame, self._void(tally)
                    )
                    out.write(msgspec.json.encode(record) + b"\n")
                    out.flush()
                channel.report(
                    done, max(total, done), "Keeping masks" if self._keeper else "Turning masks into points"
                )
            os.fsync(out.fileno())
        self._require_something(judge)
        judge.finish(report)
        report.counts.problems, report.problems = self._problems.count, self._problems.kept
        report.classes = sorted(tally.rows.values(), key=lambda row: (-row.pixels, row.name))
        for row in report.classes:
            row.class_id = args.mapping.get(row.key)
        if self._keeper is not None:
            import_truth.summarise(self._records, report)
        else:
            self._summarise()
            if not report.regions:
                raise Refused(
                    "The ground truth holds no mask of a class that is mapped, so nothing was imported."
                )
        report.seconds = time.monotonic() - started

    def _require_something(self, judge: Judge) -> None:
        counts = judge.counts
        if counts.matched:
            return
        if counts.unreadable and counts.unreadable == counts.frames:
            first = self._problems.kept[0] if self._problems.kept else ""
            raise Refused(f"Nothing of the ground truth can be used. {first}".strip())
        raise Refused(
            "No frame of the ground truth belongs to a frame here, so nothing was imported. "
            "Choose another way of matching, or another asset."
        )

    def _frames(
        self, reader: Any, tally: Tally, judge: Judge
    ) -> Iterator[tuple[TruthFrame, TargetFrame | None]]:
        for truth in reader.frames():
            for sentence in truth.problems:
                self._problems.add(sentence)
            readable = truth.values is not None or bool(truth.objects) or not truth.problems
            empty = tally.add(truth, self._problems)
            undecided = [
                key for key in tally.rows if key not in self._args.mapping and not tally.rows[key].void
            ]
            if undecided:
                raise Refused(
                    f"The class “{tally.rows[undecided[0]].name}” of the source has no class of the template. "
                    "Map it, or say that it is ignored."
                )
            frame = judge.judge(key_of(truth), (truth.width, truth.height), readable, empty)
            taken = frame is not None and (frame.truth if self._keeper else frame.regions)
            if taken and self._args.options.existing == "skip":
                frame = None
            yield truth, frame

    @staticmethod
    def _void(tally: Tally) -> set[str]:
        return {key for key, row in tally.rows.items() if row.void}

    def _frame(self, truth: TruthFrame, frame: TargetFrame, void: set[str]) -> FrameRecord:
        options = self._args.options
        shape = (frame.height, frame.width)
        masks = masks_of(truth, self._args.mapping, void, shape, options)
        record = FrameRecord(frame_id=frame.id, regions=[], dropped=masks.dropped)
        sources: dict[str, dict[str, object]] = {}
        # As they will be painted: what is certified is what is seen.
        masks.wanted.sort(key=lambda wanted: self._rank[wanted.class_id])
        if masks.wanted:
            distilled = self._distilled(frame, masks, shape)
            tracks: dict[str, Track] = {}
            for rank, (wanted, found) in enumerate(zip(masks.wanted, distilled, strict=True)):
                region = self._region(frame, rank, wanted, found, tracks)
                record.regions.append(region)
                sources[region.id] = encode_rle(wanted.crop.full(shape))
            record.tracks = list(tracks.values())
        write_aside(self._truth / f"{frame.id}.json", msgspec.json.encode(sources))
        return record

    def _distilled(
        self, frame: TargetFrame, masks: FrameMasks, shape: tuple[int, int]
    ) -> list[DistilledRegion]:
        options = self._args.options
        name = f"frame {frame.index}"
        if options.budget:
            image = read_image(Path(frame.image), name)
            if image.shape[:2] != shape:
                raise Refused(f"The image of {name} is not of the size {shape[1]}×{shape[0]} px as recorded.")
        else:
            image = np.zeros((*shape, 3), np.uint8)
        return distil_regions(
            image,
            [wanted.crop for wanted in masks.wanted],
            budget=options.budget,
            target=options.iou_target,
            unlabelled="open" if masks.free is None else masks.free,
            shared=masks.disjoint,
        )

    def _region(
        self,
        frame: TargetFrame,
        rank: int,
        wanted: Wanted,
        found: DistilledRegion,
        tracks: dict[str, Track],
    ) -> Region:
        track_id = None
        if wanted.track is not None:
            # One object keeps its identity within its asset and class, whatever frame names it first.
            digest = hashlib.sha256(
                f"{self._args.job_id} {frame.asset} {wanted.class_id} {wanted.track}".encode()
            )
            track_id = digest.hexdigest()[:24]
            tracks.setdefault(
                track_id,
                Track(
                    id=track_id,
                    project_id=self._args.project_id,
                    class_id=wanted.class_id,
                    name=wanted.track[:200],
                ),
            )
        salt = hashlib.sha256(f"{self._args.job_id} {frame.id}".encode()).hexdigest()[:18]
        rows = [
            Point(x=x, y=y, label=1 if label > 0.5 else 0, r=r) for x, y, label, r in found.points.tolist()
        ]
        outline = None
        if found.outline is not None:
            outline = [[(float(x), float(y)) for x, y in ring.tolist()] for ring in found.outline]
        return Region(
            id=f"{salt}{rank:06x}",
            frame_id=frame.id,
            class_id=wanted.class_id,
            geometry=quantise(Geometry(points=rows, outline=outline)),
            track_id=track_id,
            certificate=Certificate(
                engine="outline" if found.exact else "classic",
                weights="" if found.exact else VERSION,
                iou=found.iou,
                boundary_f=found.boundary_f,
                target=self._args.options.iou_target,
                exact=found.exact,
            ),
            area=int(np.count_nonzero(found.mask.mask)),
            author="import",
            attributes={k[:60]: v[:500] for k, v in wanted.attributes.items() if k},
        )

    def _summarise(self) -> None:
        """Read the records once more for the sums and the list of certificates, worst first."""
        report, found = self._report, Certificates()
        rows: list[tuple[float, float, bytes]] = []
        encode = msgspec.json.encode
        sum_iou = sum_f = 0.0
        for record in read_records(self._records):
            report.dropped.pieces += record.dropped.pieces
            report.dropped.pixels += record.dropped.pixels
            for region in record.regions:
                own = region.certificate
                assert own is not None
                report.points += len(region.geometry.points)
                found.count += 1
                found.outlines += own.exact
                found.below_target += own.iou < own.target
                found.min_iou = min(found.min_iou, own.iou)
                found.histogram[min(BINS - 1, int(own.iou * BINS))] += 1
                sum_iou += own.iou
                sum_f += own.boundary_f
                row = CertificateRow(
                    region_id=region.id,
                    frame_id=region.frame_id,
                    class_id=region.class_id,
                    iou=own.iou,
                    boundary_f=own.boundary_f,
                    exact=own.exact,
                    area=region.area,
                )
                rows.append((own.iou, own.boundary_f, encode(row)))
        found.points = found.count - found.outlines
        if found.count:
            found.mean_iou, found.mean_boundary_f = sum_iou / found.count, sum_f / found.count
        rows.sort()
        write_aside(self._channel.folder / "certificates.jsonl", b"".join(row + b"\n" for *_, row in rows))
        report.certificates, report.regions, report.outlines = found, found.count, found.outlines


def read_records(path: Path) -> Iterator[FrameRecord]:
    """The complete records of a file, one frame at a time; a torn last line is cut off first."""
    return _read(path, FrameRecord)


class _Line(Struct):
    """What every record says."""

    frame_id: str


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    cut_lines(path)
    decode = msgspec.json.Decoder(kind).decode
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                yield decode(line)
