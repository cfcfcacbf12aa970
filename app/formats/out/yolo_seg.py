"""YOLO segmentation: one text a frame with a polygon for every piece, and `data.yaml`. Lossy, and measured.

A line is the number of the class (from 0, in the template's order) and the outer rim as x y x y … in parts of
the frame's width and height, along the corners of the pixels. Holes are filled. What is written is rasterised
again, and a note says how close it is.
"""

from __future__ import annotations

import msgspec
import numpy as np

from app.algo.outline import rasterise, trace
from app.formats.out.model import (
    Files,
    FrameOut,
    Pages,
    Plan,
    Streamed,
    Thing,
    classes_file,
    fragments,
    things,
)
from app.formats.out.names import yaml_text

_IOU = "@iou"
_DIGITS = 6


class YoloSeg:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan
        self._numbers = {c.id: number for number, c in enumerate(plan.classes)}

    def frame_files(self, frame: FrameOut) -> Files:
        size = np.array([frame.width, frame.height])
        lines, ious = [], []
        for thing in things(frame, self._plan.objects):
            rings, iou = _outer_rings(thing, size)
            ious.append(iou)
            for ring in rings:
                numbers = " ".join(_short(v) for v in ring.ravel().tolist())
                lines.append(f"{self._numbers[thing.class_id]} {numbers}\n")
        return {
            f"labels/{self._plan.split}/{frame.path}.txt": "".join(lines).encode(),
            _IOU: msgspec.json.encode(ious),
        }

    def image_name(self, frame: FrameOut) -> str:
        return f"images/{self._plan.split}/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        numbers = {c.id: {"index": self._numbers[c.id]} for c in self._plan.classes}
        yield classes_file(self._plan, more=numbers)
        names = "".join(f"  {self._numbers[c.id]}: {yaml_text(c.name)}\n" for c in self._plan.classes)
        images = f"images/{self._plan.split}"
        yield "data.yaml", [f"path: .\ntrain: {images}\nval: {images}\nnames:\n{names}".encode()]
        self._measure(pages)

    def _measure(self, pages: Pages) -> None:
        count, total, worst, holed = 0, 0.0, 1.0, 0
        for data in fragments(pages, _IOU):
            for iou in msgspec.json.decode(data, type=list[float]):
                count, total, worst, holed = count + 1, total + iou, min(worst, iou), holed + (iou < 1)
        if count and not holed:
            self.notes.append(f"The polygons give all {count} objects back exactly.")
        elif count:
            self.notes.append(
                f"YOLO polygons are lossy: {holed} of {count} objects changed, mostly by holes that were filled; "
                f"IoU with what is drawn here {total / count:.4f} on average, {worst:.4f} at worst."
            )


def _outer_rings(thing: Thing, size: np.ndarray) -> tuple[list[np.ndarray], float]:
    """The outer rims in parts of the frame, (n, 2) rounded as written, and the IoU of what they draw."""
    origin = (thing.x0, thing.y0)
    rings = [np.round((ring + origin) / size, _DIGITS) for ring in trace(thing.mask) if _is_outer(ring)]
    height, width = thing.mask.shape
    drawn = np.zeros((height, width), bool)
    for ring in rings:
        drawn |= rasterise([ring * size - origin], (height, width))
    union = int((drawn | thing.mask).sum())
    return rings, int((drawn & thing.mask).sum()) / union


def _is_outer(ring: np.ndarray) -> bool:
    """Outer rings run clockwise on the screen, where y points down."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) > 0


def _short(value: float) -> str:
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")


open_writer = YoloSeg
