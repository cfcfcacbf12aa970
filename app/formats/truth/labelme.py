"""LabelMe JSON: one file an image; polygons, masks, rectangles and circles.

Shapes of one label and one `group_id` are one object. The picture that a file may carry is not looked at,
and `imagePath` serves only for its last part, the name.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.truth.json_source import (
    Id,
    as_text,
    folder_of,
    has_key,
    heads,
    image_name,
    item,
    json_names,
    read_json,
)
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import PerFileReader, Sheet
from app.formats.truth.shapes import (
    Piece,
    disc_with_border,
    from_base64,
    paste,
    png_mask,
    union,
    with_border,
)

_AREAS = ("polygon", "mask", "rectangle", "circle")


class _Shape(Struct):
    label: str
    points: list[list[float]] = []
    shape_type: str | None = "polygon"
    group_id: Id | None = None
    flags: dict[str, Any] | None = None
    mask: str | None = None


class _File(Struct, rename="camel"):
    shapes: list[msgspec.Raw]
    image_path: str | None = None
    image_width: float | None = None
    image_height: float | None = None
    flags: dict[str, Any] | None = None


def matches(files: Files) -> bool:
    # Sorted keys put the picture, which is long, before the shapes.
    return any(
        has_key(head, "shapes", b"[") or (has_key(head, "flags", b"{") and has_key(head, "imageData"))
        for _, head in heads(files, size=1 << 16)
    )


def open_reader(files: Files) -> LabelmeReader:
    return LabelmeReader(files, json_names(files))


class LabelmeReader(PerFileReader):
    format = "labelme"

    def prepare(self) -> None:
        """The class list that usually lies beside: "__ignore__" is -1, then counted from 0."""
        beside = next((n for n in self.files.names if n.rpartition("/")[2] == "labels.txt"), None)
        if beside is None:
            return
        try:
            lines = self.files.read(beside, 1 << 20).decode("utf-8").split("\n")
        except (Refused, UnicodeDecodeError):
            self.problems.append(f"“{beside}” cannot be read; the classes are taken from the shapes alone.")
            return
        names = [line.strip() for line in lines if line.strip()]
        first = -1 if names[:1] == ["__ignore__"] else 0
        for value, name in enumerate(names, first):
            self.declare(name, value=value if value >= 0 else None)

    def read_frame(self, name: str) -> TruthFrame:
        file = read_json(self.files, name, _File)
        stem = name.rpartition(".")[0]
        shown = image_name(file.image_path or "")[0].rpartition("/")[2]
        shown = folder_of(name) + shown if shown else stem
        sheet = self.sheet(shown, file.image_width, file.image_height)
        for label, shapes in _grouped(file.shapes, sheet):
            first = shapes[0]
            attributes = as_text(first.flags or {})
            if first.group_id is not None:
                attributes["group_id"] = str(first.group_id)
            sheet.add(
                label,
                lambda label=first.label: self.key_of(label),
                lambda w, h, shapes=shapes: union([_draw(shape, w, h) for shape in shapes]),
                attributes=attributes,
            )
        return sheet.done()


def _grouped(raws: list[msgspec.Raw], sheet: Sheet) -> list[tuple[str, list[_Shape]]]:
    """Shapes with an area, those of one label and group together, in the order of their first."""
    out: list[tuple[str, list[_Shape]]] = []
    groups: dict[tuple[str, Id], list[_Shape]] = {}
    for number, raw in enumerate(raws, 1):
        try:
            shape = item(raw, _Shape)
        except Refused as exc:
            sheet.say(f"shape {number} is left out: {exc.sentence}")
            continue
        if (shape.shape_type or "polygon") not in _AREAS:
            sheet.skip(str(shape.shape_type)[:40])
            continue
        group = None if shape.group_id is None else (shape.label, shape.group_id)
        if group is not None and group in groups:
            groups[group].append(shape)
            continue
        shapes = [shape]
        if group is not None:
            groups[group] = shapes
        out.append((f"shape {number} (“{shape.label[:80]}”)", shapes))
    return out


def _draw(shape: _Shape, width: int, height: int) -> Piece:
    kind, points = shape.shape_type or "polygon", shape.points
    if kind == "polygon":
        return with_border(points, width, height)
    if len(points) != 2 or any(len(point) != 2 for point in points):
        raise Refused(f"a {kind} needs two points, it has {len(points)}.")
    (xa, ya), (xb, yb) = points
    if kind == "circle":
        radius = ((xb - xa) ** 2 + (yb - ya) ** 2) ** 0.5 if max(map(abs, (xa, ya, xb, yb))) < 1e9 else 1e9
        return disc_with_border(xa, ya, radius, width, height)
    x0, x1, y0, y1 = min(xa, xb), max(xa, xb), min(ya, yb), max(ya, yb)
    if kind == "rectangle":
        return with_border([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], width, height)
    if not shape.mask:
        raise Refused("it is a mask without pixels.")
    if max(map(abs, (x0, x1, y0, y1))) > 1e6:
        raise Refused("its box is not a possible one.")
    mask = png_mask(from_base64(shape.mask), (width, height))
    # The box is inclusive: rows y0 to y1, columns x0 to x1.
    left, top, wide, high = int(x0), int(y0), int(x1) - int(x0) + 1, int(y1) - int(y0) + 1
    if mask.shape != (high, wide):
        raise Refused(f"its mask is {mask.shape[1]}×{mask.shape[0]} px, but its box is {wide}×{high}.")
    return paste(mask, left, top, width, height)
