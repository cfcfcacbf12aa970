"""YOLO segmentation: one text file an image, a line an object: class and normalised outline.

The format states no sizes: they come from the images beside, or from `size_of`. Class names come from
data.yaml, obj.names or classes.txt; without one a class is its number.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from app.errors import Refused
from app.formats.truth.files import suffix_of, with_suffix
from app.formats.truth.json_source import heads
from app.formats.truth.model import Files, SourceClass, TruthFrame
from app.formats.truth.objects import PerFileReader, Sheet
from app.formats.truth.shapes import pairs, polygon

MAX_TEXT_BYTES = 256 << 20
_LINE = re.compile(rb"^\s*\d{1,5}(\s+-?[0-9.][0-9.eE+-]*){4,}\s*$")
_LISTS = frozenset(
    {"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "labels.txt", "readme.txt"}
)
_NAME_FILES = ("obj.names", "classes.txt", "predefined_classes.txt")
_PAIR = re.compile(r"^\s+(\d{1,5})\s*:\s*(.+?)\s*$")
_DASH = re.compile(r"^\s*-\s+(.+?)\s*$")


def matches(files: Files) -> bool:
    return any(
        _LINE.match(head.partition(b"\n")[0])
        for name, head in heads(files, ".txt")
        if name.rpartition("/")[2].lower() not in _LISTS
    )


def open_reader(files: Files) -> YoloReader:
    return YoloReader(files, _label_files(files))


class YoloReader(PerFileReader):
    format = "yolo-seg"

    def prepare(self) -> None:
        self._keys: list[str] = []
        for value, name in sorted(_class_names(self.files, self.problems).items()):
            if 0 <= value < 65536:
                self._keys += [""] * (value + 1 - len(self._keys))
                self._keys[value] = self.declare(name, value=value)
        self._refuse_boxes()

    def read_frame(self, name: str) -> TruthFrame:
        shown = self._image_of(name)
        width, height = self.measured(shown)
        sheet = Sheet(TruthFrame(shown, width, height))
        for number, line in enumerate(self._lines(name), 1):
            words = line.split()
            if not words:
                continue
            label = f"line {number}"
            if len(words) == 5 and sheet.usable:
                sheet.skip("box")
                continue
            sheet.add(
                label,
                lambda word=words[0]: self._key(word),
                lambda w, h, words=words: polygon([pairs(_numbers(words[1:])) * (w, h)], w, h),
            )
        return sheet.done()

    def _refuse_boxes(self) -> None:
        boxes = False
        for name in self.names:
            for line in self._lines(name):
                words = line.split()
                if len(words) > 5:
                    return
                boxes = boxes or len(words) == 5
        if boxes:
            raise Refused(
                f"“{self.files.title}” holds boxes, no segmentation; outlines need three points or more."
            )

    def _lines(self, name: str) -> list[str]:
        try:
            return self.files.read(name, MAX_TEXT_BYTES).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as exc:
            raise Refused(f"“{name}” is not a text in UTF-8.") from exc

    def _key(self, word: str) -> str:
        if not word.isdecimal() or len(word) > 5:
            raise Refused(f"its class “{word[:40]}” is not a number.")
        value = int(word)
        if self._keys:
            if value >= len(self._keys) or not self._keys[value]:
                raise Refused(f"its class {value} is not in the list of {len(self._keys)} classes.")
            return self._keys[value]
        key = f"value:{value}"
        self._found.setdefault(key, SourceClass(key=key, name=f"class {value}", value=value))
        return key

    def _image_of(self, name: str) -> str:
        """The image that a label file belongs to: "labels/train/1.txt" → "train/1.jpg"."""
        parts = name.split("/")
        if "labels" in parts[:-1]:
            parts.remove("labels")
        stem = "/".join([*parts[:-1], PurePosixPath(parts[-1]).stem])
        beside = self.image_beside(stem + ".txt")
        return stem + suffix_of(beside) if beside else stem


def _label_files(files: Files) -> list[str]:
    names = with_suffix(files, ".txt")
    if len(names) == 1:
        return names
    inside = [name for name in names if "labels" in name.split("/")[:-1]]
    return inside or [name for name in names if name.rpartition("/")[2].lower() not in _LISTS]


def _numbers(words: list[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as exc:
        raise Refused("it holds a coordinate that is not a number.") from exc


def _class_names(files: Files, problems: list[str]) -> dict[int, str]:
    for name in files.names:
        last = name.rpartition("/")[2].lower()
        if last not in _NAME_FILES and suffix_of(last) not in (".yaml", ".yml"):
            continue
        try:
            text = files.read(name, 1 << 20).decode("utf-8-sig")
        except (Refused, UnicodeDecodeError):
            problems.append(f"“{name}” cannot be read; the classes have no names.")
            continue
        if last in _NAME_FILES:
            found = dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
        else:
            found = yaml_names(text)
        if found:
            return found
    return {}


def yaml_names(text: str) -> dict[int, str]:
    """The `names` of a data.yaml, in the three ways that are in use: [a, b], "- a" lines, "0: a" lines.

    Nothing else of YAML is understood, so nothing else of it can do harm.
    """
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        return {}
    rest = lines[start].partition(":")[2].strip()
    if rest.startswith("["):
        whole = " ".join([rest, *lines[start + 1 :]])
        inside = whole[1:].partition("]")[0]
        return dict(enumerate(_plain(part) for part in inside.split(",") if part.strip()))
    found: dict[int, str] = {}
    if rest.startswith("{"):
        inside = " ".join([rest, *lines[start + 1 :]])[1:].partition("}")[0]
        for part in inside.split(","):
            key, _, value = part.partition(":")
            if key.strip().isdecimal() and len(key.strip()) < 6:
                found[int(key)] = _plain(value)
        return found
    for line in lines[start + 1 :]:
        pair, dash = _PAIR.match(line), _DASH.match(line)
        if pair:
            found[int(pair[1])] = _plain(pair[2])
        elif dash:
            found[len(found)] = _plain(dash[1])
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return found


def _plain(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text.partition(" #")[0].strip()
