"""Cityscapes: `gtFine/<split>/<asset>/<frame>_gtFine_{labelIds,instanceIds,color}.png` and `_polygons.json`.

labelIds is exact: the classes' values, 8 bits. instanceIds: the same, or value · 1000 + number within the
class where an object is a region. The polygons give the frame back when they are painted one over the other
by OpenCV's `fillPoly`; other tools draw edges a little differently.
"""

from __future__ import annotations

import io

import cv2
import msgspec
import numpy as np
from PIL import Image
from scipy.ndimage import find_objects
from skimage.measure import label

from app.algo.labels import hex_colour
from app.errors import Refused
from app.formats import label_png
from app.formats.out.model import Files, FrameOut, Objects, Pages, Plan, Streamed, classes_file
from app.formats.out.names import take

_STEP = 1000
_MAX_VALUE = 64
_IMAGE_ENDING = "_leftImg8bit"


class Cityscapes:
    def __init__(self, plan: Plan) -> None:
        self.notes = ["labelIds are exact; the polygons are drawn a little differently by every tool."]
        self._plan = plan
        self._shared = plan.options.shared_values
        self._unlabelled = label_png.check_classes(
            plan.classes, "palette", plan.options.unlabelled_value, shared=self._shared
        )
        self.notes += label_png.unlabelled_note(plan.options.unlabelled_value, self._unlabelled)
        values = {c.id: c.exported_value for c in plan.classes}
        large = [c.name for c in plan.classes if values[c.id] > _MAX_VALUE]
        if plan.objects == "region" and large:
            raise Refused(
                f"The class “{large[0]}” has the value {max(values.values())}, but instanceIds (value · 1000 + "
                f"number) hold values up to {_MAX_VALUE}; lower it in the class template or export by class."
            )
        self._values = np.full(max(values, default=0) + 1, self._unlabelled, np.uint16)
        self._colours = np.zeros((len(self._values), 3), np.uint8)
        for known in plan.classes:
            self._values[known.id] = known.exported_value
            self._colours[known.id] = hex_colour(known.colour)
        self._names = {c.id: c.name for c in plan.classes}
        self._names[0] = take("unlabeled", {c.name.casefold() for c in plan.classes})

    def frame_files(self, frame: FrameOut) -> Files:
        values = self._values[frame.label_map]
        base = f"gtFine/{self._plan.split}/{frame.sequence}/{frame.name.removesuffix(_IMAGE_ENDING)}_gtFine"
        return {
            f"{base}_labelIds.png": _png(values.astype(np.uint8)),
            f"{base}_instanceIds.png": _png(self._instances(frame, values)),
            f"{base}_color.png": _png(self._colours[frame.label_map]),
            f"{base}_polygons.json": self._polygons(frame),
        }

    def _instances(self, frame: FrameOut, values: np.ndarray) -> np.ndarray:
        if self._plan.objects == "class":
            return values
        table = np.full(len(frame.regions) + 1, self._unlabelled, np.uint16)
        counts: dict[int, int] = {}
        for position in np.unique(frame.winners).tolist():
            if position:
                class_id = frame.regions[position - 1].class_id
                number = counts.get(class_id, 0)
                counts[class_id] = number + 1
                # A thousand regions of one class: the others share the last number.
                table[position] = int(self._values[class_id]) * _STEP + min(number, _STEP - 1)
        return table[frame.winners]

    def _polygons(self, frame: FrameOut) -> bytes:
        return msgspec.json.encode(
            {
                "imgHeight": frame.height,
                "imgWidth": frame.width,
                "objects": [
                    {"label": self._names[class_id], "polygon": polygon}
                    for class_id, polygon in nested_polygons(frame, self._plan.objects)
                ],
            }
        )

    def image_name(self, frame: FrameOut) -> str:
        name = frame.name.removesuffix(_IMAGE_ENDING)
        return f"leftImg8bit/{self._plan.split}/{frame.sequence}/{name}{_IMAGE_ENDING}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        yield classes_file(self._plan, unlabelled=self._unlabelled)


def nested_polygons(frame: FrameOut, objects: Objects) -> list[tuple[int, list[list[int]]]]:
    """(class id, [[x, y], …]) in the order of painting: what lies in a hole of another comes after it.

    Vertices are pixels of the rim (whole numbers). Pieces are connected by sides, so that of two pieces one is
    inside the other's outer rim, and then begins further down, or they are apart: painting them from the top
    down gives every pixel back.
    Unlabelled pieces (class 0) are among them only where they lie in a hole.
    """
    source = frame.label_map if objects == "class" else frame.winners
    pieces = np.asarray(label(source.astype(np.int32), background=-1, connectivity=1))
    found = []
    for number, box in enumerate(find_objects(pieces), 1):
        if box is None:
            continue
        mask = (pieces[box] == number).view(np.uint8)
        y0, x0 = box[0].start, box[1].start
        value = int(source[box][mask.view(bool)][0])
        rim = x0 == 0 or y0 == 0 or box[1].stop == frame.width or box[0].stop == frame.height
        if not value and rim:
            continue
        rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        ring = np.add(rings[0].reshape(-1, 2), (x0, y0)).tolist()
        class_id = frame.regions[value - 1].class_id if value and objects == "region" else value
        # One pixel or a line is a polygon too, of points that repeat.
        found.append((y0, number, class_id, ring if len(ring) > 2 else (ring * 3)[:3]))
    found.sort(key=lambda row: row[:2])
    return [(class_id, ring) for _, _, class_id, ring in found]


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


open_writer = Cityscapes
