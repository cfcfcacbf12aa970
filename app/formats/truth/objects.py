"""What the readers of object formats share: classes that are declared or turn up, and frames filled with care."""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from PIL import Image, UnidentifiedImageError

from app.errors import Refused
from app.formats.archive import IMAGE_SUFFIXES
from app.formats.truth.model import Files, SourceClass, TruthFrame, TruthObject
from app.formats.truth.shapes import Empty, Piece, check_size

MAX_PROBLEMS = 100
"""Sentences kept for one frame; the rest is counted."""
MAX_SHEETS = 64
MAX_PIXELS_HELD = 1 << 31
"""A frame's objects may hold MAX_SHEETS times its pixels together, and never more than MAX_PIXELS_HELD."""
VOID_NAMES = frozenset({"unlabelled", "unlabeled", "void", "ignore", "__ignore__"})

SizeOf = Callable[[str, int | None], tuple[int, int] | None]


class ObjectReader:
    """Base of the readers that give objects: `frames` and `count` are each format's own.

    `size_of`, set by whoever knows the project's frames, says (width, height) of the frame with a name and
    an index (or None) for sources that do not state sizes and carry no images.
    """

    format: str = ""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.problems: list[str] = []
        self.size_of: SizeOf | None = None
        self._declared: dict[str, SourceClass] = {}
        self._found: dict[str, SourceClass] = {}
        self._images: dict[str, str] | None = None

    def classes(self) -> list[SourceClass]:
        return list(self._declared.values())

    def found(self, key: str) -> SourceClass:
        known = self._declared.get(key) or self._found.get(key)
        return known or SourceClass(key=key, name=key.partition(":")[2])

    def declare(
        self, name: str, *, value: int | None = None, colour: str | None = None, void: bool = False
    ) -> str:
        """A class of the source's own list. Returns its key; the first entry of a name counts."""
        key = f"name:{name}"
        void = void or name.casefold() in VOID_NAMES
        self._declared.setdefault(key, SourceClass(key=key, name=name, value=value, colour=colour, void=void))
        return key

    def key_of(self, name: str) -> str:
        """The key of a class that an annotation names, declared or not. Raises `Refused` for an empty name."""
        if not name.strip():
            raise Refused("it names no class.")
        key = f"name:{name}"
        if key not in self._declared:
            self._found.setdefault(key, SourceClass(key=key, name=name, void=name.casefold() in VOID_NAMES))
        return key

    def declares(self, name: str) -> bool:
        return f"name:{name}" in self._declared

    def image_beside(self, name: str) -> str | None:
        """The image in the source whose path ends like `name` (its ending left out), or None."""
        if self._images is None:
            self._images = {}
            for path in self.files.names:
                if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES:
                    for tail in _tails(path):
                        self._images.setdefault(tail, path)
        return next((self._images[tail] for tail in _tails(name) if tail in self._images), None)

    def measured(self, name: str, index: int | None = None) -> tuple[int, int]:
        """(width, height) of a frame whose size the format does not state: (0, 0) where nobody knows."""
        beside = self.image_beside(name)
        found = image_size(self.files, beside) if beside else None
        if found is None and self.size_of is not None:
            found = self.size_of(name, index)
        return found or (0, 0)

    def sheet(self, name: str, width: float | None, height: float | None, index: int | None = None) -> Sheet:
        """An empty frame of the stated size, or of the size that can be found where none is stated."""
        if not width or not height:
            width, height = self.measured(name, index)
        return Sheet(TruthFrame(name, int(width), int(height), index))


class PerFileReader(ObjectReader):
    """Base of the formats with one file an image. A file that cannot be read is a frame with a problem and
    no size; where it is the only one, opening raises `Refused`."""

    def __init__(self, files: Files, names: list[str]) -> None:
        super().__init__(files)
        self.names = names
        self.count = len(names)
        if not names:
            raise Refused(f"“{files.title}” holds no annotation file of this format.")
        self.prepare()
        if len(names) == 1:
            self.read_frame(names[0])

    def prepare(self) -> None:
        """Read what the files share (lists of classes)."""

    def read_frame(self, name: str) -> TruthFrame:
        """One file as a frame. Raises `Refused` when it cannot be read at all."""
        raise NotImplementedError

    def frames(self) -> Iterator[TruthFrame]:
        for name in self.names:
            try:
                yield self.read_frame(name)
            except Refused as exc:
                yield TruthFrame(name.rpartition(".")[0], 0, 0, problems=[f"{exc.sentence} It is left out."])


def image_size(files: Files, name: str) -> tuple[int, int] | None:
    """(width, height) of an image as it is shown, without decoding it; None when it cannot be told."""
    try:
        with Image.open(io.BytesIO(files.read(name))) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else (image.width, image.height)
    except (
        Refused,
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        TypeError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return None


def _tails(path: str) -> Iterable[str]:
    """The path without its ending, then without its first folder, and so on."""
    parts = path.split("/")
    parts[-1] = PurePosixPath(parts[-1]).stem
    for start in range(len(parts)):
        yield "/".join(parts[start:]).casefold()


class Sheet:
    """One frame being filled: an annotation that cannot be read becomes a sentence, never an error."""

    def __init__(self, frame: TruthFrame) -> None:
        self.frame = frame
        self.width = self.height = 0
        self._skipped: Counter[str] = Counter()
        self._unsaid = 0
        self._held = 0
        try:
            self.width, self.height = check_size(frame.width, frame.height)
        except Refused as exc:
            frame.width = frame.height = 0
            self.say(f"{exc.sentence} Its objects are left out.")
        self._limit = min(MAX_SHEETS * self.width * self.height, MAX_PIXELS_HELD)

    @property
    def usable(self) -> bool:
        """Whether the frame has a size, so that objects can be drawn."""
        return self.width > 0

    def say(self, sentence: str) -> None:
        if len(self.frame.problems) < MAX_PROBLEMS:
            self.frame.problems.append(f"“{self.frame.name}”: {sentence}")
        else:
            self._unsaid += 1

    def skip(self, what: str) -> None:
        """An annotation of a kind that is no segmentation ("box", "line"): counted, and left out."""
        self._skipped[what] += 1

    def add(
        self,
        label: str,
        key: Callable[[], str] | str,
        draw: Callable[[int, int], Piece],
        *,
        track: str | None = None,
        attributes: dict[str, str] | None = None,
        may_be_empty: bool = False,
    ) -> TruthObject | None:
        """Draw one annotation with `draw(width, height)`; `label` names it in sentences ("annotation 7").

        `may_be_empty`: one without pixels is no problem, it is just not there.
        """
        if not self.usable:
            return None
        try:
            class_key = key if isinstance(key, str) else key()
            piece = draw(self.width, self.height)
            self._held += piece.mask.size
            if self._held > self._limit:
                raise Refused("the frame has more objects than can be held at once.")
        except Refused as exc:
            if not (may_be_empty and isinstance(exc, Empty)):
                self.say(f"{label} is left out: {exc.sentence}")
            return None
        if piece.note:
            self.say(f"{label}: {piece.note}; it is kept.")
        made = TruthObject(class_key, piece.mask, piece.x0, piece.y0, track, attributes or {})
        self.frame.objects.append(made)
        return made

    def done(self) -> TruthFrame:
        if self._skipped:
            parts = ", ".join(f"{count} × {what}" for what, count in sorted(self._skipped.items()))
            self.say(f"left out because it is no segmentation: {parts}.")
        if self._unsaid:
            self.frame.problems.append(f"“{self.frame.name}”: and {self._unsaid} more of this kind.")
        return self.frame
