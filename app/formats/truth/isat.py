"""ISAT JSON: one file an image; polygons painted by layer, classes and colours in isat.yaml.

Polygons of the class "__background__" are holes: they erase what lies below. Polygons of one class and
group that follow each other in the layers are one object.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.truth.json_source import (
    Id,
    folder_of,
    has_key,
    heads,
    image_name,
    item,
    json_names,
    read_json,
)
from app.formats.truth.model import Files, TruthFrame, TruthObject
from app.formats.truth.objects import PerFileReader, Sheet
from app.formats.truth.shapes import Empty, Piece, at_pixels, subtract, union

BACKGROUND = "__background__"
_ENTRY = re.compile(r"^\s*-?\s*(color|name)\s*:\s*['\"]?(.*?)['\"]?\s*$")


class _Info(Struct, frozen=True):
    name: str = ""
    width: float = 0
    height: float = 0


class _Object(Struct):
    category: str
    segmentation: list[list[float]]
    group: Id | None = None
    layer: float = 0
    iscrowd: int | bool | None = None
    note: str | None = None


class _File(Struct):
    objects: list[msgspec.Raw]
    info: _Info = _Info()


def matches(files: Files) -> bool:
    return any(_looks_like(head) for _, head in heads(files))


def open_reader(files: Files) -> IsatReader:
    return IsatReader(files, json_names(files))


def _looks_like(head: bytes) -> bool:
    return has_key(head, "info", b"{") and has_key(head, "objects", b"[") and not has_key(head, "images")


class IsatReader(PerFileReader):
    format = "isat"

    def prepare(self) -> None:
        beside = next(
            (n for n in self.files.names if n.rpartition("/")[2] in ("isat.yaml", "isat.yml")), None
        )
        if beside is None:
            return
        try:
            text = self.files.read(beside, 1 << 20).decode("utf-8")
        except (Refused, UnicodeDecodeError):
            self.problems.append(f"“{beside}” cannot be read; the classes are taken from the objects alone.")
            return
        for entry in re.split(r"^\s*-\s", text, flags=re.M)[1:]:
            facts = {m[1]: m[2] for line in entry.splitlines() if (m := _ENTRY.match(line))}
            if facts.get("name") and facts["name"] != BACKGROUND:
                colour = facts.get("color", "").lower()
                self.declare(facts["name"], colour=colour if re.fullmatch("#[0-9a-f]{6}", colour) else None)

    def read_frame(self, name: str) -> TruthFrame:
        file = read_json(self.files, name, _File)
        shown = image_name(file.info.name)[0].rpartition("/")[2]
        shown = folder_of(name) + shown if shown else name.rpartition(".")[0]
        sheet = self.sheet(shown, file.info.width, file.info.height)
        objects: list[tuple[int, _Object]] = []
        for number, raw in enumerate(file.objects, 1):
            try:
                objects.append((number, item(raw, _Object)))
            except Refused as exc:
                sheet.say(f"object {number} is left out: {exc.sentence}")
        objects.sort(key=lambda pair: pair[1].layer)
        last: tuple[_Object, TruthObject] | None = None
        for number, found in objects:
            last = self._paint(sheet, number, found, last)
        return sheet.done()

    def _paint(
        self, sheet: Sheet, number: int, found: _Object, last: tuple[_Object, TruthObject] | None
    ) -> tuple[_Object, TruthObject] | None:
        attributes = {"group": str(found.group)} if found.group is not None else {}
        if found.note:
            attributes["note"] = found.note[:1000]
        if found.iscrowd:
            attributes["iscrowd"] = "true"
        background = found.category == BACKGROUND
        made = sheet.add(
            f"object {number} (“{found.category[:80]}”)",
            lambda: "" if background else self.key_of(found.category),
            lambda w, h: at_pixels(found.segmentation, w, h),
            attributes=attributes,
        )
        if made is None:
            return last
        objects = sheet.frame.objects
        if background:
            objects.pop()
            sheet.frame.objects = [kept for kept in objects if _erase(kept, made)]
            return None
        if last and found.group is not None:
            before, below = last
            if (before.category, before.group) == (found.category, found.group):
                objects.pop()
                joined = union([Piece(below.mask, below.x0, below.y0), Piece(made.mask, made.x0, made.y0)])
                below.mask, below.x0, below.y0 = joined.mask, joined.x0, joined.y0
                return found, below
        return found, made


def _erase(kept: TruthObject, hole: TruthObject) -> bool:
    """Cut a hole into an object; False when nothing of it is left."""
    try:
        left = subtract(Piece(kept.mask, kept.x0, kept.y0), Piece(hole.mask, hole.x0, hole.y0))
    except Empty:
        return False
    kept.mask, kept.x0, kept.y0, _ = left
    return True
