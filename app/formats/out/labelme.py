"""LabelMe: one JSON a frame, beside its image; every mask as a PNG in base64 between its corners. Exact.

The corners (x1, y1), (x2, y2) are the first and the last pixel of the mask. `group_id` is the number of the
track; attributes stand in the shape as they are. `labels.txt` lists the classes as LabelMe's
own tools want them.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from app.formats.out.model import Files, FrameOut, Pages, Plan, Streamed, Thing, pretty, things

VERSION = "5.5.0"


class LabelMe:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan
        self._names = {c.id: c.name for c in plan.classes}

    def frame_files(self, frame: FrameOut) -> Files:
        document = {
            "version": VERSION,
            "flags": {},
            "shapes": [self._shape(thing) for thing in things(frame, self._plan.objects)],
            "imagePath": frame.name + frame.suffix,
            "imageData": None,
            "imageHeight": frame.height,
            "imageWidth": frame.width,
        }
        return {f"{frame.path}.json": pretty(document)}

    def _shape(self, thing: Thing) -> dict[str, object]:
        height, width = thing.mask.shape
        region = thing.region
        shape: dict[str, object] = {
            "label": self._names[thing.class_id],
            "points": [[thing.x0, thing.y0], [thing.x0 + width - 1, thing.y0 + height - 1]],
            "group_id": region.track if region else None,
            "description": "",
            "shape_type": "mask",
            "flags": {},
            "mask": base64.b64encode(_png(thing.mask)).decode(),
        }
        if region and region.attributes:
            shape["attributes"] = region.attributes
        return shape

    def image_name(self, frame: FrameOut) -> str:
        return frame.path + frame.suffix

    def finish(self, pages: Pages) -> Streamed:
        # No classes.json: tools take every JSON in the folder for a frame.
        names = ["__ignore__", "_background_", *(" ".join(c.name.split()) for c in self._plan.classes)]
        yield "labels.txt", ["".join(f"{name}\n" for name in names).encode()]


def _png(mask: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask.view(np.uint8)).save(out, "PNG")
    return out.getvalue()


open_writer = LabelMe
