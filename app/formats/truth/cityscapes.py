"""Cityscapes polygons: one JSON an image, objects in the order they are painted.

Deleted objects are left out. "cargroup" is a car with the attribute group: Cityscapes so marks several
objects drawn as one.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.truth.files import suffix_of
from app.formats.truth.json_source import Id, has_key, heads, item, json_names, read_json
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import PerFileReader
from app.formats.truth.shapes import with_border

_ENDINGS = ("_gtFine_polygons", "_gtCoarse_polygons", "_polygons")
_GROUPED = frozenset("person rider car truck bus caravan trailer train motorcycle bicycle".split())
_VOID = frozenset({"ego vehicle", "rectification border", "out of roi"})


class _Object(Struct):
    label: str
    polygon: list[list[float]] = []
    deleted: int | bool = 0
    id: Id | None = None


class _File(Struct, rename="camel"):
    objects: list[msgspec.Raw]
    img_width: float = 0
    img_height: float = 0


def matches(files: Files) -> bool:
    return any(_looks_like(head) for _, head in heads(files))


def open_reader(files: Files) -> CityscapesReader:
    return CityscapesReader(files, json_names(files))


def _looks_like(head: bytes) -> bool:
    return has_key(head, "imgHeight") and has_key(head, "objects", b"[")


class CityscapesReader(PerFileReader):
    format = "cityscapes"

    def read_frame(self, name: str) -> TruthFrame:
        file = read_json(self.files, name, _File)
        shown = self._image_of(name)
        sheet = self.sheet(shown, file.img_width, file.img_height)
        for number, raw in enumerate(file.objects, 1):
            try:
                found = item(raw, _Object)
            except Refused as exc:
                sheet.say(f"object {number} is left out: {exc.sentence}")
                continue
            if found.deleted:
                continue
            label, attributes = found.label, {}
            if label.endswith("group") and label[:-5] in _GROUPED:
                label, attributes = label[:-5], {"group": "true"}
            if label in _VOID:
                self.declare(label, void=True)
            sheet.add(
                f"object {number} (“{found.label[:80]}”)",
                lambda label=label: self.key_of(label),
                lambda w, h, found=found: with_border(found.polygon, w, h),
                attributes=attributes,
            )
        return sheet.done()

    def _image_of(self, name: str) -> str:
        """ "gtFine/val/city/a_gtFine_polygons.json" → "val/city/a_leftImg8bit.png"."""
        parts = name.split("/")
        folders = [part for part in parts[:-1] if part not in ("gtFine", "gtCoarse")]
        stem = PurePosixPath(parts[-1]).stem
        ending = next((ending for ending in _ENDINGS if stem.endswith(ending)), "")
        base = "/".join([*folders, stem.removesuffix(ending)])
        for image in (f"{base}_leftImg8bit", base):
            beside = self.image_beside(f"{image}.png")
            if beside:
                return image + suffix_of(beside)
        return f"{base}_leftImg8bit.png" if ending.startswith("_gt") else base
