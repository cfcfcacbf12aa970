"""COCO panoptic: one PNG of segment numbers a frame, and one JSON that says what they are. Exact.

`annotations/panoptic_<split>/<frame>.png` holds a segment's number as R + 256 G + 65536 B, 0 unlabelled;
segments are numbered from 1 within a frame. `annotations/panoptic_<split>.json` is streamed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import msgspec
import numpy as np
from msgspec import Struct
from PIL import Image

from app.algo.labels import hex_colour
from app.formats.out.coco import Image as ImageRow
from app.formats.out.coco import categories
from app.formats.out.model import Files, FrameOut, Pages, Plan, Streamed, classes_file, fragments, json_array
from app.formats.out.runs import runs_of

_IMAGE, _ANNOTATION = "@image", "@annotation"


class Segment(Struct):
    id: int
    category_id: int
    area: int
    bbox: tuple[int, int, int, int]
    iscrowd: int = 0
    attributes: dict[str, str | int] = {}


class Annotation(Struct):
    image_id: int
    file_name: str
    segments_info: list[Segment]


class CocoPanoptic:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan

    def frame_files(self, frame: FrameOut) -> Files:
        by_class = self._plan.objects == "class"
        values = frame.label_map if by_class else frame.winners
        numbers = np.zeros(int(values.max(initial=0)) + 1, np.uint32)
        segments = []
        for number, runs in enumerate(runs_of(values), 1):
            region = None if by_class else frame.regions[runs.value - 1]
            numbers[runs.value] = number
            row = Segment(number, region.class_id if region else runs.value, runs.area, runs.bbox)
            if region:
                row.attributes = region.facts
            segments.append(row)
        annotation = Annotation(frame.position + 1, f"{frame.path}.png", segments)
        image = ImageRow(frame.position + 1, frame.path + frame.suffix, frame.width, frame.height)
        return {
            f"annotations/panoptic_{self._plan.split}/{frame.path}.png": _png(numbers[values]),
            _IMAGE: msgspec.json.encode(image),
            _ANNOTATION: msgspec.json.encode(annotation),
        }

    def image_name(self, frame: FrameOut) -> str:
        return f"images/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        yield classes_file(self._plan)
        yield f"annotations/panoptic_{self._plan.split}.json", self._document(pages)

    def _document(self, pages: Pages) -> Iterator[bytes]:
        colours = {c.id: hex_colour(c.colour) for c in self._plan.classes}
        thing = int(self._plan.objects == "region")
        rows = [{**row, "isthing": thing, "color": colours[row["id"]]} for row in categories(self._plan)]
        yield b'{"info":' + msgspec.json.encode({"description": self._plan.title}) + b',"licenses":[],\n'
        yield b'"categories":'
        yield from json_array(msgspec.json.encode(row) for row in rows)
        yield b',\n"images":'
        yield from json_array(fragments(pages, _IMAGE))
        yield b',\n"annotations":'
        yield from json_array(fragments(pages, _ANNOTATION))
        yield b"}\n"


def _png(numbers: np.ndarray) -> bytes:
    rgb = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG")
    return out.getvalue()


open_writer = CocoPanoptic
