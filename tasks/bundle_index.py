"""A bundle opened for reading by frame: offsets are kept, lines are decoded when they are asked for.

The whole text is checked once (`bundle.read`), so what is decoded later is known to be good. Memory grows by a
few hundred bytes a frame and a region, never by geometry.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
import numpy as np

from app.errors import Refused
from app.formats import bundle
from app.formats.images import MAX_PIXELS
from app.models import frame_id

CHUNK = 1 << 20
_decoder = msgspec.json.Decoder(bundle.Line)


class IndexedBundle:
    """A bundle file, text or zip; a context manager. Raises Refused on entering when the bundle is not sound.

    `name`: what sentences call it; `assets` and `tracks` by id; frames have numbers from 0 in their order.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = name or path.name
        self.assets: dict[str, bundle.AssetLine] = {}
        self.tracks: dict[str, bundle.TrackLine] = {}
        self._stack = ExitStack()
        self._text: BinaryIO

    def __enter__(self) -> Self:
        try:
            try:
                self.file = self._stack.enter_context(bundle.BundleFile(self.path))
                self._text = self._seekable()
            except OSError as exc:
                raise Refused(f"The file cannot be read: {exc.strerror or exc}.") from exc
            self._index()
        except Refused as exc:
            self._stack.close()
            raise Refused(f"{self.name}: {exc.sentence}") from exc
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def frame_count(self) -> int:
        return len(self._frames)

    @property
    def region_count(self) -> int:
        return len(self._regions)

    def frame(self, number: int) -> bundle.FrameLine:
        line = _decoder.decode(self._read(self._frames[number]))
        assert isinstance(line, bundle.FrameLine)
        return line

    def frames(self) -> Iterator[tuple[int, bundle.FrameLine]]:
        """All frames with their numbers."""
        for number in range(len(self._frames)):
            yield number, self.frame(number)

    def regions(self, number: int) -> list[bundle.RegionLine]:
        """The regions of frame `number` in the order that decides among equals: time made, id."""
        lines = [_decoder.decode(raw) for raw in self._raw_regions(number)]
        found = [line for line in lines if isinstance(line, bundle.RegionLine)]
        return sorted(found, key=lambda line: (line.created_at, line.id))

    def raw(self, number: int) -> list[bytes]:
        """The line of frame `number` and those of its regions as they are: equal text, equal frame."""
        return [self._read(self._frames[number]), *self._raw_regions(number)]

    def _raw_regions(self, number: int) -> list[bytes]:
        first, last = self._first[number], self._first[number + 1]
        return [self._read(int(offset)) for offset in self._regions[first:last]]

    def label(self, frame: bundle.FrameLine) -> tuple[str, str]:
        """How a frame is called: (name of its asset, its own name or index)."""
        asset = self.assets[frame.asset]
        return asset.stem or asset.name, frame.name or f"{frame.index:06d}"

    def _read(self, offset: int) -> bytes:
        self._text.seek(offset)
        return self._text.readline().rstrip()

    def _seekable(self) -> BinaryIO:
        """The text as a file that can be read anywhere; that of a zip is unpacked to a temporary file."""
        if not self.file.zipped:
            return self._stack.enter_context(self.path.open("rb"))
        target: BinaryIO = self._stack.enter_context(tempfile.TemporaryFile(prefix="pointillist-"))  # noqa: SIM115
        with self.file.text() as source:
            while block := bundle.read_block(source, CHUNK):
                target.write(block)
        target.seek(0)
        return target

    def _index(self) -> None:
        frames, offsets, owners = array("Q"), array("Q"), array("Q")
        numbers: dict[str, int] = {}
        counted = _Counted(self._text)
        for _, line in bundle.read(counted):  # pyright: ignore[reportArgumentType]
            if isinstance(line, bundle.RegionLine):
                offsets.append(counted.start)
                owners.append(numbers[line.frame])
            elif isinstance(line, bundle.FrameLine):
                if line.width * line.height > MAX_PIXELS:
                    raise Refused(
                        f"The frame {line.index} of {line.width} × {line.height} px is too large: at most "
                        f"{MAX_PIXELS // 10**6} megapixels are read."
                    )
                numbers[frame_id(line.asset, line.index)] = len(frames)
                frames.append(counted.start)
            elif isinstance(line, bundle.AssetLine):
                self.assets[line.id] = line
            elif isinstance(line, bundle.TrackLine):
                self.tracks[line.id] = line
            else:
                self.header = line
        order = np.argsort(np.asarray(owners, np.uint64), kind="stable")
        self._frames = frames
        self._regions = np.asarray(offsets, np.uint64)[order]
        counts = np.bincount(np.asarray(owners, np.int64), minlength=len(frames))
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


class _Counted:
    """A file that remembers where the line that was read last begins."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.start = self._next = 0

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self.start = self._next
        self._next += len(line)
        return line
