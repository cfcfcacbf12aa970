"""COCO instances: one JSON, masks as compressed run lengths with `iscrowd` 1. Exact.

`annotations/instances_<split>.json`; a category's id is the class's id. COCO knows no colours: they are in
`classes.json`. The JSON is streamed: images, then annotations, numbered from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from app.formats.out.model import Files, FrameOut, Pages, Plan, Streamed, classes_file, fragments, json_array
from app.formats.out.runs import runs_of

_IMAGE, _ANNOTATIONS = "@image", "@annotations"


class Image(Struct):
    id: int
    file_name: str
    width: int
    height: int


class Segmentation(Struct):
    size: tuple[int, int]
    counts: str


class Annotation(Struct):
    id: int
    image_id: int
    category_id: int
    segmentation: Segmentation
    area: int
    bbox: tuple[int, int, int, int]
    iscrowd: int = 1
    attributes: dict[str, str | int] = {}


_annotations = msgspec.msgpack.Decoder(list[Annotation])


class Coco:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan

    def frame_files(self, frame: FrameOut) -> Files:
        by_class = self._plan.objects == "class"
        size = (frame.height, frame.width)
        found = []
        for runs in runs_of(frame.label_map if by_class else frame.winners):
            region = None if by_class else frame.regions[runs.value - 1]
            row = Annotation(
                id=0,
                image_id=frame.position + 1,
                category_id=region.class_id if region else runs.value,
                segmentation=Segmentation(size, runs.counts),
                area=runs.area,
                bbox=runs.bbox,
            )
            if region:
                row.attributes = region.facts
            found.append(row)
        image = Image(frame.position + 1, frame.path + frame.suffix, frame.width, frame.height)
        return {_IMAGE: msgspec.json.encode(image), _ANNOTATIONS: msgspec.msgpack.encode(found)}

    def image_name(self, frame: FrameOut) -> str:
        return f"images/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        yield classes_file(self._plan)
        yield f"annotations/instances_{self._plan.split}.json", self._document(pages)

    def _document(self, pages: Pages) -> Iterator[bytes]:
        info = {"description": self._plan.title}
        yield b'{"info":' + msgspec.json.encode(info) + b',"licenses":[],\n"categories":'
        yield from json_array(msgspec.json.encode(row) for row in categories(self._plan))
        yield b',\n"images":'
        yield from json_array(fragments(pages, _IMAGE))
        yield b',\n"annotations":'
        yield from json_array(_numbered(pages))
        yield b"}\n"


def _numbered(pages: Pages) -> Iterator[bytes]:
    number = 0
    for data in fragments(pages, _ANNOTATIONS):
        for row in _annotations.decode(data):
            row.id = number = number + 1
            yield msgspec.json.encode(row)


def categories(plan: Plan) -> list[dict[str, Any]]:
    """The classes as COCO categories; the parent's name is the supercategory."""
    names = {c.id: c.name for c in plan.classes}
    return [{"id": c.id, "name": c.name, "supercategory": names.get(c.parent or 0, "")} for c in plan.classes]


open_writer = Coco
