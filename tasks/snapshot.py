"""What an export works from: a JSONL file that the web process wrote before the job began.

One header line, then for every asset its line followed by one line a frame, in order. It pins the class
template and every region, so edits made meanwhile do not mix into the result. It is read line by line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

from app.errors import Refused
from app.models import Asset, ClassTemplate, Frame, Geometry, Project, Region, Track


class HeaderEntry(Struct, kw_only=True, tag_field="type", tag="header"):
    project: Project
    class_template: ClassTemplate
    tracks: list[Track] = field(default_factory=list)


class AssetEntry(Struct, kw_only=True, tag_field="type", tag="asset"):
    asset: Asset


class Spec(Struct, kw_only=True):
    """What rendering needs of a region; `order` = position of its class in the class template.

    `engine`, `weights`: those that certified it, as `app.mask_key.certifier` says them.
    """

    id: str
    class_id: int
    priority: int
    order: int
    geometry: Geometry
    engine: str = ""
    weights: str = ""


class FrameEntry(Struct, kw_only=True, tag_field="type", tag="frame"):
    """`regions`: the rows in order of making; `specs`: those of them whose class still exists."""

    frame: Frame
    image: str
    regions: list[Region] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)


Entry = HeaderEntry | AssetEntry | FrameEntry
_decoder = msgspec.json.Decoder(Entry)


class Section(Struct, kw_only=True):
    """One asset of the snapshot and where its frames begin."""

    asset: Asset
    offset: int
    frames: int = 0
    labelled: int = 0
    times: list[float | None] = field(default_factory=list)


class Snapshot:
    """A snapshot file, looked through once so that its parts can be read again in any order."""

    def __init__(self, path: Path) -> None:
        """Raises Refused when the file is absent or damaged."""
        self._path = path
        self.sections: list[Section] = []
        self.lost = 0
        """Regions whose class the template no longer has."""
        header: HeaderEntry | None = None
        for offset, entry in self._entries(0):
            if isinstance(entry, HeaderEntry):
                header = entry
            elif isinstance(entry, AssetEntry):
                self.sections.append(Section(asset=entry.asset, offset=offset))
            else:
                section = self.sections[-1]
                section.frames += 1
                section.labelled += bool(entry.specs)
                section.times.append(entry.frame.pts)
                self.lost += len(entry.regions) - len(entry.specs)
        if header is None:
            raise Refused("The snapshot of this export is empty; start the export again.")
        self.header = header

    def frames(self, section: Section) -> Iterator[FrameEntry]:
        """The frames of one asset, in order."""
        for _, entry in self._entries(section.offset):
            if not isinstance(entry, FrameEntry):
                return
            yield entry

    @property
    def frame_count(self) -> int:
        return sum(section.frames for section in self.sections)

    def _entries(self, start: int) -> Iterator[tuple[int, Entry]]:
        """Every entry from byte `start` on, with the offset behind it."""
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                offset = start
                for line in file:
                    offset += len(line)
                    yield offset, _decoder.decode(line)
        except FileNotFoundError as exc:
            raise Refused("The snapshot of this export is gone; start the export again.") from exc
        except msgspec.DecodeError as exc:
            raise Refused("The snapshot of this export is damaged; start the export again.") from exc
