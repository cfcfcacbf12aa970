"""Exports of frames: every frame becomes one page of files, and the pages become one zip.

A page lies in `.frames/`, written aside and renamed, so that a run after a kill goes on behind the last one.
Nothing is held for more than one frame. The zip is stored, without times: equal input, equal bytes.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.out import FORMATS
from app.formats.out.model import Files, FrameOut, Options, Plan, RegionOut, Writer
from app.formats.out.names import kept_name, plain_name, take
from app.formats.out.writers import open_writer
from app.models import Track
from tasks.channel import Channel, storage_errors, write_aside
from tasks.given_masks import GivenMasks, added, notes_of, taken
from tasks.rendering import classes_of, winner_map
from tasks.snapshot import FrameEntry, Section, Snapshot

_EPOCH = (1980, 1, 1, 0, 0, 0)
_NOTES = ".notes.json"
_BLOCK = 1 << 20


class Page(Struct):
    """What a frame became. `image`: the path of its image, "" where images are not wanted."""

    files: Files
    image: str = ""
    image_name: str = ""
    missing: dict[str, int] = {}
    """Masks that were not at hand, by engine."""


class Wanted(NamedTuple):
    """A frame to be exported and what it is called there; see `FrameOut`."""

    position: int
    sequence: str
    folder: str
    name: str
    entry: FrameEntry


_page = msgspec.msgpack.Decoder(Page)


T = TypeVar("T")


class Pages:
    """The pages in the order of the frames."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def __call__(self) -> Iterator[Files]:
        return (page.files for page in self.whole())

    def whole(self) -> Iterator[Page]:
        for position in range(self._count):
            yield _page.decode(self._path(position).read_bytes())

    def add(self, make: Callable[[T], Page], wanted: T) -> None:
        """The page of the next frame: made, unless an earlier run has made it."""
        path = self._path(self._count)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(path, msgspec.msgpack.encode(make(wanted)))
        self._count += 1

    def _path(self, position: int) -> Path:
        # A folder of a hundred thousand files is slow on some disks.
        return self._folder / f"{position // 1000:06d}" / f"{position:09d}"


def export_frames(
    channel: Channel,
    snapshot: Snapshot,
    out: Path,
    format: str,
    options: Options,
    notes: list[str],
    data: Path,
) -> tuple[list[str], int, int]:
    """Write `<project>_<format>.zip`. Returns (names of the files, frames written, frames without regions).

    Raises Refused (nothing to export, a template that does not suit the format, an unreadable frame),
    Cancelled, StorageFull.
    """
    numbers = {track.id: number for number, track in enumerate(_tracks(snapshot), 1)}
    writer = open_writer(format, _plan(snapshot, numbers, format, options))
    make = partial(_made, writer, numbers, options, GivenMasks(data))
    total = sum(s.labelled if options.only_labelled else s.frames for s in snapshot.sections)
    if not total:
        raise Refused("No frame has a region yet. Label one first, or export the frames without regions too.")
    skipped = snapshot.frame_count - total
    if skipped:
        notes.append(f"{skipped} frames without regions were left out.")
    target = out / f"{plain_name(snapshot.header.project.name)}_{format}.zip"
    folder = out / ".frames"
    if not target.exists():
        pages = Pages(folder)
        channel.kept = {"frames": 0}
        for done, wanted in enumerate(wanted_frames(snapshot, options), 1):
            channel.check()
            pages.add(make, wanted)
            channel.kept = {"frames": done}
            channel.report(done, total)
        channel.report(total, total, "Packing the files", now=True)
        with storage_errors():
            _pack(channel, target, writer, pages)
    shutil.rmtree(folder, ignore_errors=True)
    notes.extend(read_notes(out))
    return [target.name], total, skipped


def write_notes(out: Path, notes: list[str]) -> None:
    """Keep what an export has to say beside its file, for a run after a kill."""
    write_aside(out / _NOTES, msgspec.json.encode(notes))


def read_notes(out: Path) -> list[str]:
    if not (out / _NOTES).exists():
        return []
    return msgspec.json.decode((out / _NOTES).read_bytes(), type=list[str])


def _plan(snapshot: Snapshot, numbers: dict[str, int], format: str, options: Options) -> Plan:
    row = FORMATS[format]
    header = snapshot.header

    def survey() -> Iterator[tuple[str, list[RegionOut]]]:
        for wanted in wanted_frames(snapshot, options):
            yield wanted.sequence, _regions(wanted.entry, numbers)

    return Plan(
        format=format,
        title=header.project.name,
        classes=header.class_template.classes,
        tracks=_tracks(snapshot),
        options=options,
        objects=options.objects or row.objects,  # pyright: ignore[reportArgumentType]
        split=options.split or row.split,
        survey=survey,
    )


def _tracks(snapshot: Snapshot) -> list[Track]:
    return sorted(snapshot.header.tracks, key=lambda track: (track.created_at, track.id))


def _made(
    writer: Writer, numbers: dict[str, int], options: Options, given: GivenMasks, wanted: Wanted
) -> Page:
    entry = wanted.entry
    winners = winner_map(entry, given)
    frame = FrameOut(
        position=wanted.position,
        index=entry.frame.index,
        sequence=wanted.sequence,
        folder=wanted.folder,
        name=wanted.name,
        suffix=Path(entry.frame.file).suffix,
        label_map=classes_of(entry, winners),
        winners=winners,
        regions=_regions(entry, numbers),
    )
    page = Page(files=writer.frame_files(frame), missing=taken(given))
    if options.media:
        page.image, page.image_name = entry.image, writer.image_name(frame)
    return page


def _regions(entry: FrameEntry, numbers: dict[str, int]) -> list[RegionOut]:
    rows = {region.id: region for region in entry.regions}
    out = []
    for spec in entry.specs:
        row = rows.get(spec.id)
        track = numbers.get(row.track_id) if row and row.track_id else None
        out.append(RegionOut(spec.id, spec.class_id, track, row.attributes if row else {}))
    return out


def wanted_frames(snapshot: Snapshot, options: Options) -> Iterator[Wanted]:
    """Every frame that the options ask for, in order.

    A frame is called as the file it came from, else `<stem>_<index>`; several assets get a folder each, and
    equal names are numbered.
    """
    several = len(snapshot.sections) > 1
    stems: set[str] = set()
    position = 0
    for section in snapshot.sections:
        sequence = take(plain_name(section.asset.stem, "frames"), stems)
        names: set[str] = set()
        for entry in snapshot.frames(section):
            name = _frame_name(section, sequence, entry, names)
            if entry.specs or not options.only_labelled:
                yield Wanted(position, sequence, sequence if several else "", name, entry)
                position += 1


def _frame_name(section: Section, sequence: str, entry: FrameEntry, taken: set[str]) -> str:
    plain = f"{sequence}_{entry.frame.index:06d}"
    if not entry.frame.name:
        # Frames of a video: their names cannot meet, so none need be remembered.
        return plain if section.asset.kind == "video" else take(plain, taken)
    return take(kept_name(entry.frame.name, plain), taken)


def _pack(channel: Channel, target: Path, writer: Writer, pages: Pages) -> None:
    part = target.with_name(target.name + ".part")
    missing: dict[str, int] = {}
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, content in writer.finish(pages):
            _add(channel, archive, name, content)
        for page in pages.whole():
            added(missing, page.missing)
            for name, data in page.files.items():
                if not name.startswith("@"):
                    _add(channel, archive, name, [data])
            if page.image:
                _add(channel, archive, page.image_name, _image(page))
    write_notes(target.parent, [*writer.notes, *notes_of(missing)])
    part.replace(target)


def _add(channel: Channel, archive: zipfile.ZipFile, name: str, content: Iterable[bytes]) -> None:
    if name in archive.NameToInfo:
        raise Refused(
            f"Two frames would both be written as “{name}”; export them one asset at a time, or rename."
        )
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    with archive.open(info, "w", force_zip64=True) as file:
        pending = bytearray()
        for piece in content:
            pending += piece
            if len(pending) >= _BLOCK:
                channel.check()
                file.write(pending)
                pending.clear()
        channel.check()
        file.write(pending)


def _image(page: Page) -> Iterator[bytes]:
    try:
        with Path(page.image).open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as exc:
        raise Refused(
            f"The image for “{page.image_name}” cannot be read; export without images, or import the asset again."
        ) from exc
