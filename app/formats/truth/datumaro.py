"""Datumaro JSON: polygons and run lengths of every annotations file, painted by z-order."""

from __future__ import annotations

from collections.abc import Iterator
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
from app.formats.truth.objects import ObjectReader, Sheet
from app.formats.truth.shapes import Piece, coco_rle, pairs, polygon

_AREAS = ("polygon", "mask")
_WHOLE_IMAGE = ("label", "caption")


class _Label(Struct):
    name: str


class _Labels(Struct, frozen=True):
    labels: list[_Label] = []


class _Categories(Struct, frozen=True):
    label: _Labels = _Labels()


class _File(Struct):
    items: list[msgspec.Raw]
    categories: _Categories = _Categories()


class _Image(Struct):
    path: str | None = None
    size: list[float] | None = None


class _Item(Struct):
    id: str
    annotations: list[msgspec.Raw] = []
    image: _Image | None = None
    attr: dict[str, Any] = {}


class _Rle(Struct):
    counts: str | list[int]
    size: list[int]


class _Annotation(Struct):
    type: str
    id: Id | None = None
    label_id: int | None = None
    z_order: float = 0
    points: list[float] | None = None
    rle: _Rle | None = None
    attributes: dict[str, Any] | None = None


def matches(files: Files) -> bool:
    return any(_looks_like(head) for _, head in heads(files, size=1 << 16))


def open_reader(files: Files) -> DatumaroReader:
    return DatumaroReader(files)


def _looks_like(head: bytes) -> bool:
    if has_key(head, "images", b"["):
        return False
    return has_key(head, "categories", b"{") or (has_key(head, "items", b"[") and has_key(head, "infos"))


class DatumaroReader(ObjectReader):
    format = "datumaro"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._names = json_names(files)
        if not self._names:
            raise Refused(f"“{files.title}” holds no Datumaro JSON file.")
        self.count = 0
        for name in self._names:
            file = read_json(files, name, _File)
            self.count += len(file.items)
            for label in file.categories.label.labels:
                self.declare(label.name)

    def frames(self) -> Iterator[TruthFrame]:
        for name in self._names:
            file = read_json(self.files, name, _File)
            labels = [label.name for label in file.categories.label.labels]
            for number, raw in enumerate(file.items, 1):
                try:
                    found = item(raw, _Item)
                except Refused as exc:
                    said = f"“{name}”: item {number} is left out: {exc.sentence}"
                    yield TruthFrame(f"item {number}", 0, 0, problems=[said])
                    continue
                yield self._frame(found, labels)

    def _frame(self, found: _Item, labels: list[str]) -> TruthFrame:
        image = found.image or _Image()
        name = image_name(image.path or "")[0] or image_name(found.id)[0] or "image"
        height, width = image.size if image.size and len(image.size) == 2 else (0, 0)
        number = found.attr.get("frame")
        index = number if isinstance(number, int) and not isinstance(number, bool) else None
        annotations: list[tuple[int, _Annotation]] = []
        broken: list[str] = []
        for position, raw in enumerate(found.annotations, 1):
            try:
                annotations.append((position, item(raw, _Annotation)))
            except Refused as exc:
                broken.append(f"annotation no. {position} is left out: {exc.sentence}")
        wanted = any(annotation.type in _AREAS for _, annotation in annotations)
        if wanted and (not width or not height):
            width, height = self.measured(name, index)
        frame = TruthFrame(name, int(width), int(height), index)
        if not wanted and not broken and (not width or not height):
            # Nothing to draw: that no size is known does not matter.
            return frame
        sheet = Sheet(frame)
        for said in broken:
            sheet.say(said)
        for position, annotation in sorted(annotations, key=lambda pair: pair[1].z_order):
            if annotation.type not in _AREAS:
                if annotation.type not in _WHOLE_IMAGE:
                    sheet.skip(annotation.type[:40])
                continue
            attributes = as_text(annotation.attributes or {})
            sheet.add(
                f"annotation {position if annotation.id is None else annotation.id} ({annotation.type})",
                lambda annotation=annotation: self._key(annotation, labels),
                lambda w, h, annotation=annotation: _draw(annotation, w, h),
                track=attributes.pop("track_id", None),
                attributes=attributes,
            )
        return sheet.done()

    def _key(self, annotation: _Annotation, labels: list[str]) -> str:
        if annotation.label_id is None:
            raise Refused("it names no class.")
        if not 0 <= annotation.label_id < len(labels):
            raise Refused(f"its class {annotation.label_id} is not in the list of {len(labels)} classes.")
        return self.key_of(labels[annotation.label_id])


def _draw(annotation: _Annotation, width: int, height: int) -> Piece:
    if annotation.type == "polygon":
        return polygon([pairs(annotation.points or [])], width, height)
    if annotation.rle is None:
        raise Refused("it is a mask without run lengths.")
    return coco_rle({"size": annotation.rle.size, "counts": annotation.rle.counts}, width, height)
