"""The project bundle: one project as canonical JSONL, made to be diffed and to be restored.

Line 1 is the header; then assets, tracks, frames and regions, each kind sorted: assets by time made, stem and
name, tracks by time made, class and name, frames by asset and index, regions by frame and time made; the id
decides among equals. A restored project has new ids but keeps the times, so its bundle has the same lines in
the same order, in which only the ids differ. Keys are sorted, text is UTF-8, nothing is
indented, defaults are left out, whole numbers have no decimal point: the same project always gives the same
bytes. Coordinates are multiples of 1/64 px (`app.models.quantise`), which is also how they are stored:
nothing is rounded on the way.

| line | says |
|---|---|
| `bundle` | format version, project (name, status, engine), class template |
| `asset` | an asset without its source file |
| `track` | class and name |
| `frame` | index, pts, size, state, and the content hash of the image file |
| `region` | class, geometry, track, certificate |

A point is [x, y], [x, y, label] or [x, y, label, r] (label 1, r 0 where left out); a ring of an outline is
flat: [x, y, dx, dy, dx, dy, …], each point as the step from the one before.

A bundle file is this text alone (`.jsonl`), or a zip of `project.jsonl` and the frames' images under
`assets/<asset id>/{frames,thumbs}/`. Masks and label maps are never in it: they follow from it.
This module is light (no arrays, no images), so that every process may import it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec

from app.errors import Refused
from app.formats.bundle_lines import (
    NOT_PLAIN,
    VERSION,
    AssetLine,
    FrameLine,
    Header,
    Line,
    RegionLine,
    TrackLine,
    asset_line,
    frame_line,
    geometry_of,
    header,
    region_line,
    ring_of,
    template_of,
    track_line,
)
from app.models import frame_id, quantise

__all__ = [
    "AssetLine", "BundleFile", "FrameLine", "Header", "Line", "RegionLine", "TrackLine", "asset_line",
    "encode", "frame_line", "geometry_of", "header", "quantise", "read", "read_block", "region_line",
    "template_of", "track_line",
]  # fmt: skip

TEXT_NAME = "project.jsonl"
MAX_LINE = 8 << 20
"""Bytes of one line."""
MAX_IMAGE = 256 << 20
"""Bytes of one image file."""
MEDIA = re.compile(r"assets/([0-9a-f]{24})/((?:frames|thumbs)/[0-9]{6,9}\.(?:jpg|png))")
_FILE = re.compile(r"frames/[0-9]{6,9}\.(jpg|png)")
_THUMB = re.compile(r"thumbs/[0-9]{6,9}\.(jpg|png)")

_ORDER: dict[type, int] = {Header: 0, AssetLine: 1, TrackLine: 2, FrameLine: 3, RegionLine: 4}
_KIND_NAMES = {0: "header", 1: "asset", 2: "track", 3: "frame", 4: "region"}

_DEFAULTS = {
    kind: [(f.name, f.default) for f in msgspec.structs.fields(kind) if isinstance(f.default, float | str)]
    for kind in _ORDER
}
"""The encoder recognises defaults by identity, which an equal number or text from elsewhere does not have."""
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Line)
_version_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(line: Line) -> bytes:
    """The canonical bytes of a line, newline included."""
    plain = {
        name: default
        for name, default in _DEFAULTS[type(line)]
        if (value := getattr(line, name)) is not default and value == default
    }
    if plain:
        line = msgspec.structs.replace(line, **plain)
    if isinstance(line, RegionLine):
        line = msgspec.structs.replace(
            line,
            points=[[_short(v) for v in known] for known in line.points],
            box=None if line.box is None else tuple(_short(v) for v in line.box),
            outline=None if line.outline is None else [[_short(v) for v in ring] for ring in line.outline],
        )
    return _encoder.encode(line) + b"\n"


def _short(value: float) -> float:
    """Whole numbers as int, so that they are written without a decimal point."""
    return int(value) if value == int(value) else value


def read(file: BinaryIO) -> Iterator[tuple[int, Line]]:
    """The lines of a bundle with their numbers (from 1), each checked alone and against those before it.

    Memory grows with the ids, not with the geometry. Raises Refused with a sentence that names the line: not
    JSON, too long, another version, unknown or missing fields, numbers that are none or out of range, an id
    twice, a reference to nothing, a path that leaves the bundle, a geometry off its frame.
    """
    checks = _Checks()
    number = 0
    while raw := _line(file):
        number += 1
        if len(raw) > MAX_LINE:
            raise Refused(
                f"Line {number} of the bundle is longer than {MAX_LINE >> 20} MiB; the file is damaged."
            )
        if not raw.strip():
            continue
        try:
            line = _decoded(raw, first=checks.rank < 0)
            checks.check(line)
        except Refused as exc:
            raise Refused(f"Line {number} of the bundle {exc.sentence}") from exc
        yield number, line
    if checks.rank < 0:
        raise Refused("The bundle is empty.")


def read_block(file: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes of the text. Raises Refused where the zip around it is damaged."""
    try:
        return file.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise Refused("The bundle is damaged; copy or download it again.") from exc


def _line(file: BinaryIO) -> bytes:
    try:
        return file.readline(MAX_LINE + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise Refused("The bundle is damaged; copy or download it again.") from exc


class BundleFile:
    """A bundle on disk, text alone or zip; a context manager.

    Raises Refused for a zip with a name that does not belong in a bundle (so nothing can be unpacked
    elsewhere), the same name twice, encryption, another packing than stored or deflated, no `project.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self._zip: zipfile.ZipFile | None = None
        self.media: dict[str, zipfile.ZipInfo] = {}
        """Images by name, `assets/<asset id>/frames/000000.jpg`; empty for a bundle of text alone."""
        self._path = path
        with path.open("rb") as file:
            if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
                return
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as exc:
            raise Refused("The bundle is a damaged zip file; copy or download it again.") from exc
        try:
            self._look(self._zip.infolist())
        except BaseException:
            self._zip.close()
            raise

    def _look(self, entries: list[zipfile.ZipInfo]) -> None:
        names = set()
        for entry in entries:
            if entry.filename != TEXT_NAME and not MEDIA.fullmatch(entry.filename):
                raise Refused(
                    f"The bundle holds the file {entry.filename[:200]!r}, which does not belong in a bundle."
                )
            if entry.filename in names:
                raise Refused(f"The bundle holds the file {entry.filename!r} twice.")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Refused("The bundle is encrypted or packed unusually; zip it again as plain files.")
            names.add(entry.filename)
            if entry.filename != TEXT_NAME:
                self.media[entry.filename] = entry
        if TEXT_NAME not in names:
            raise Refused(f"The zip file holds no {TEXT_NAME}; it is not a project bundle.")

    @contextmanager
    def text(self) -> Iterator[BinaryIO]:
        """The JSONL text, from its beginning."""
        if self._zip is None:
            with self._path.open("rb") as file:
                yield file
            return
        with self._zip.open(TEXT_NAME) as entry:
            yield entry  # pyright: ignore[reportReturnType]

    @property
    def zipped(self) -> bool:
        return self._zip is not None

    def image(self, name: str) -> bytes:
        """The bytes of an image file of the bundle. Raises Refused: larger than MAX_IMAGE, damaged."""
        entry = self.media[name]
        if self._zip is None or entry.file_size > MAX_IMAGE:
            raise Refused(f"The image {name} of the bundle is larger than {MAX_IMAGE >> 20} MiB.")
        try:
            return self._zip.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as exc:
            raise Refused(f"The image {name} of the bundle is damaged; copy the bundle again.") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()


def _decoded(raw: bytes, *, first: bool) -> Line:
    try:
        if first:
            found = _version_decoder.decode(raw)
            if found.get("type") != "bundle":
                raise Refused("is not the header of a project bundle; the file is something else.")
            if found.get("version") != VERSION:
                raise Refused(
                    f"has format version {found.get('version')!r:.40}, but this program reads version "
                    f"{VERSION}; restore the bundle with the program that wrote it, or a newer one."
                )
        return _decoder.decode(raw)
    except UnicodeDecodeError as exc:
        raise Refused("is not UTF-8 text; the file is damaged.") from exc
    except RecursionError as exc:
        raise Refused("is nested too deeply; the file is damaged.") from exc
    except msgspec.ValidationError as exc:
        raise Refused(f"does not fit the format: {str(exc)[:300]}.") from exc
    except msgspec.DecodeError as exc:
        raise Refused(f"is not JSON: {str(exc)[:200]}.") from exc


class _Checks:
    """What a line must fulfil given the lines before it. Sentences go on after "Line N of the bundle"."""

    def __init__(self) -> None:
        self.rank = -1
        self.classes: set[int] = set()
        self.ids: set[str] = set()
        self.assets: set[str] = set()
        self.tracks: set[str] = set()
        self.frames: dict[str, tuple[int, int]] = {}

    def check(self, line: Line) -> None:
        rank = _ORDER[type(line)]
        if rank < self.rank or rank == self.rank == 0:
            raise Refused(
                f"is a line of kind {_KIND_NAMES[rank]} after one of kind {_KIND_NAMES[self.rank]}; "
                "the order is header, assets, tracks, frames, regions."
            )
        self.rank = rank
        if isinstance(line, Header):
            self._header(line)
        elif isinstance(line, FrameLine):
            self._frame(line)
        else:
            if line.id in self.ids:
                raise Refused(f"repeats the id {line.id}; every id may occur once.")
            self.ids.add(line.id)
            if isinstance(line, RegionLine):
                self._region(line)
            elif isinstance(line, TrackLine):
                self._class(line.class_id)
                self.tracks.add(line.id)
            else:
                _plain(line.stem)
                self.assets.add(line.id)

    def _header(self, line: Header) -> None:
        classes = line.class_template.classes
        self.classes = {known.id for known in classes}
        if len(self.classes) != len(classes):
            raise Refused("has two classes with the same id.")
        parents = {known.id: known.parent for known in classes}
        for known in classes:
            seen, parent = {known.id}, known.parent
            while parent is not None:
                if parent not in parents:
                    raise Refused(f"has a class “{known.name}” whose parent {parent} does not exist.")
                if parent in seen:
                    raise Refused(f"has a class “{known.name}” that is its own ancestor.")
                seen.add(parent)
                parent = parents[parent]

    def _class(self, class_id: int) -> None:
        if class_id not in self.classes:
            raise Refused(f"refers to the class {class_id}, which the bundle does not have.")

    def _frame(self, line: FrameLine) -> None:
        if line.asset not in self.assets:
            raise Refused(f"refers to the asset {line.asset}, which the bundle does not have.")
        if not _FILE.fullmatch(line.file) or not _THUMB.fullmatch(line.thumb):
            raise Refused("names a file that is not of the form frames/000000.jpg and thumbs/000000.jpg.")
        id = frame_id(line.asset, line.index)
        if id in self.frames:
            raise Refused(f"repeats the frame {line.index} of its asset.")
        self.frames[id] = (line.width, line.height)

    def _region(self, line: RegionLine) -> None:
        self._class(line.class_id)
        if line.frame not in self.frames:
            raise Refused(f"refers to the frame {line.frame}, which the bundle does not have.")
        if line.track is not None and line.track not in self.tracks:
            raise Refused(f"refers to the track {line.track}, which the bundle does not have.")
        _geometry(line, *self.frames[line.frame])


def _plain(stem: str) -> None:
    if stem in (".", "..") or NOT_PLAIN.search(stem):
        raise Refused("has a stem that is not a plain file name.")


def _geometry(line: RegionLine, width: int, height: int) -> None:
    if not line.points and line.box is None and not line.outline:
        raise Refused("is a region without points, box or outline.")
    for known in line.points:
        if not (0 <= known[0] <= width and 0 <= known[1] <= height):
            raise Refused(f"has a point ({known[0]:g}, {known[1]:g}) off its frame of {width} × {height} px.")
        if len(known) > 2 and known[2] not in (0, 1):
            raise Refused(f"has a point whose label is {known[2]:g}; it must be 1 or 0.")
        if len(known) > 3 and not 0 <= known[3] <= 100_000:
            raise Refused(f"has a point whose reach is {known[3]:g}; it must lie between 0 and 100000 px.")
    if line.box is not None:
        x1, y1, x2, y2 = line.box
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise Refused(f"has a box that does not lie on its frame of {width} × {height} px.")
    for ring in line.outline or ():
        if len(ring) < 6 or len(ring) % 2:
            raise Refused("has an outline with a ring of fewer than three points (x, y).")
        if not all(0 <= x <= width and 0 <= y <= height for x, y in ring_of(ring)):
            raise Refused(f"has an outline that leaves its frame of {width} × {height} px.")
