"""SA-1B: one JSON an image with run lengths that have no class and may overlap; large ones are painted first."""

from __future__ import annotations

import msgspec
import numpy as np
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
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import PerFileReader
from app.formats.truth.shapes import coco_rle

CLASS = "object"


class _Image(Struct):
    file_name: str
    width: float = 0
    height: float = 0
    image_id: Id | None = None


class _Rle(Struct):
    size: list[int]
    counts: str | list[int]


class _Annotation(Struct):
    segmentation: _Rle
    id: Id | None = None


class _File(Struct):
    image: _Image
    annotations: list[msgspec.Raw]


def matches(files: Files) -> bool:
    return any(
        has_key(head, "image", b"{")
        and has_key(head, "annotations", b"[")
        and has_key(head, "file_name")
        and not has_key(head, "items", b"[")
        for _, head in heads(files)
    )


def open_reader(files: Files) -> Sa1bReader:
    return Sa1bReader(files, json_names(files))


class Sa1bReader(PerFileReader):
    format = "sa1b"

    def prepare(self) -> None:
        self.declare(CLASS)

    def read_frame(self, name: str) -> TruthFrame:
        file = read_json(self.files, name, _File)
        shown = image_name(file.image.file_name)[0].rpartition("/")[2]
        shown = folder_of(name) + shown if shown else name.rpartition(".")[0]
        sheet = self.sheet(shown, file.image.width, file.image.height)
        for number, raw in enumerate(file.annotations, 1):
            try:
                found = item(raw, _Annotation)
            except Refused as exc:
                sheet.say(f"annotation no. {number} is left out: {exc.sentence}")
                continue
            rle = found.segmentation
            sheet.add(
                f"annotation {number if found.id is None else found.id}",
                self.key_of(CLASS),
                lambda w, h, rle=rle: coco_rle({"size": rle.size, "counts": rle.counts}, w, h),
            )
        sheet.frame.objects.sort(key=lambda made: -int(np.count_nonzero(made.mask)))
        return sheet.done()
