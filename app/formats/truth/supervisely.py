"""Supervisely: meta.json with the classes, and one JSON an image in a folder ann; bitmaps and polygons with holes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.truth.json_source import (
    Id,
    as_text,
    has_key,
    heads,
    image_name,
    item,
    json_names,
    read_json,
)
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import PerFileReader
from app.formats.truth.shapes import (
    Empty,
    Piece,
    from_base64,
    inflate,
    paste,
    png_mask,
    subtract,
    with_border,
)


class _Class(Struct):
    title: str
    color: str | None = None


class _Meta(Struct):
    classes: list[msgspec.Raw]


class _Size(Struct, frozen=True):
    width: float = 0
    height: float = 0


class _Bitmap(Struct):
    data: str
    origin: list[int]


class _Points(Struct):
    exterior: list[list[float]] = []
    interior: list[list[list[float]]] = []


class _Tag(Struct):
    name: str
    value: Any = None


class _Object(Struct, rename="camel"):
    class_title: str
    id: Id | None = None
    geometry_type: str | None = None
    bitmap: _Bitmap | None = None
    points: _Points | None = None
    tags: list[_Tag] = []


class _File(Struct):
    objects: list[msgspec.Raw]
    size: _Size = _Size()


def matches(files: Files) -> bool:
    if any(name.rpartition("/")[2] == "meta.json" for name in json_names(files)):
        return any(_looks_like(head) or has_key(head, "classTitle") for _, head in heads(files))
    return any(has_key(head, "classTitle") and has_key(head, "objects", b"[") for _, head in heads(files))


def open_reader(files: Files) -> SuperviselyReader:
    names = [name for name in json_names(files) if name.rpartition("/")[2] != "meta.json"]
    inside = [name for name in names if "ann" in name.split("/")[:-1]]
    return SuperviselyReader(files, inside or names)


def _looks_like(head: bytes) -> bool:
    return has_key(head, "objects", b"[") and has_key(head, "size", b"{") and not has_key(head, "info", b"{")


class SuperviselyReader(PerFileReader):
    format = "supervisely"

    def prepare(self) -> None:
        metas = [name for name in json_names(self.files) if name.rpartition("/")[2] == "meta.json"]
        if not metas:
            self.problems.append("There is no meta.json; the classes are taken from the objects alone.")
        for name in metas:
            for number, raw in enumerate(read_json(self.files, name, _Meta).classes, 1):
                try:
                    found = item(raw, _Class)
                except Refused as exc:
                    self.problems.append(f"“{name}”: class {number} is left out: {exc.sentence}")
                    continue
                colour = (found.color or "").lower()
                real = len(colour) == 7 and colour[0] == "#" and set(colour[1:]) <= set("0123456789abcdef")
                self.declare(found.title, colour=colour if real else None)

    def read_frame(self, name: str) -> TruthFrame:
        file = read_json(self.files, name, _File)
        shown = _image_of(name)
        sheet = self.sheet(shown, file.size.width, file.size.height)
        for number, raw in enumerate(file.objects, 1):
            try:
                found = item(raw, _Object)
            except Refused as exc:
                sheet.say(f"object no. {number} is left out: {exc.sentence}")
                continue
            kind = found.geometry_type or ("bitmap" if found.bitmap else "polygon")
            if kind not in ("bitmap", "polygon"):
                sheet.skip(kind[:40])
                continue
            sheet.add(
                f"object {number if found.id is None else found.id} (“{found.class_title[:80]}”)",
                lambda found=found: self.key_of(found.class_title),
                lambda w, h, found=found, kind=kind: _draw(found, kind, w, h),
                attributes=as_text({t.name: True if t.value is None else t.value for t in found.tags}),
            )
        return sheet.done()


def _draw(found: _Object, kind: str, width: int, height: int) -> Piece:
    if kind == "polygon":
        points = found.points or _Points()
        outer = with_border(points.exterior, width, height)
        # A hole may touch or pass the outer ring: it is cut out, not counted by parity.
        for hole in points.interior:
            try:
                cut = with_border(hole, width, height)
            except Empty:
                continue
            outer = subtract(outer, cut)
        return outer
    if found.bitmap is None or len(found.bitmap.origin) != 2:
        raise Refused("its bitmap or the place of it is missing.")
    data = from_base64(found.bitmap.data)
    if data[:4] != b"\x89PNG":
        data = inflate(data, 4 * width * height + (1 << 16))
    x0, y0 = found.bitmap.origin
    return paste(png_mask(data, (width, height)), x0, y0, width, height)


def _image_of(name: str) -> str:
    """ "ds0/ann/00000.jpg.json" → "ds0/00000.jpg"."""
    parts = [part for part in name.split("/") if part != "ann"]
    return image_name("/".join(parts).removesuffix(".json"))[0] or name
