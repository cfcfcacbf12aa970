"""DAVIS and YouTube-VOS: a folder of palette PNGs for every asset. Exact for what is written: objects or classes.

`Annotations/<asset>/<frame>.png`; a pixel is the number of the object, the same in all frames: the tracks of
the asset in order of appearance, and one number for the regions of a class that have no track. With
`objects="class"` it is the class's value. Frames of a video are called 00000, 00001 and so on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from app.errors import Refused
from app.formats import label_png
from app.formats.out.model import Files, FrameOut, Pages, Plan, RegionOut, Streamed, classes_file, pretty
from app.formats.out.voc import palette_png

MAX_OBJECTS = 255
Key = tuple[str, int]
"""("track", its number) or ("class", its id)."""


class Davis:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan
        self._by_class = plan.objects == "class"
        self._shared = plan.options.shared_values
        self._unlabelled = plan.options.unlabelled_value or 0
        self._sequences: dict[str, dict[Key, int]] = {}
        if self._by_class:
            self._unlabelled = label_png.check_classes(
                plan.classes, "palette", plan.options.unlabelled_value, shared=self._shared
            )
            self.notes += label_png.unlabelled_note(plan.options.unlabelled_value, self._unlabelled)
        loose = False
        for sequence, regions in plan.survey():
            numbers = self._sequences.setdefault(sequence, {})
            for region in () if self._by_class else regions:
                numbers.setdefault(_key(region), len(numbers) + 1)
                loose = loose or region.track is None
            if len(numbers) > MAX_OBJECTS:
                raise Refused(
                    f"“{sequence}” has more than {MAX_OBJECTS} objects, and a palette PNG tells no more apart; "
                    "export DAVIS by class, or masks as PNG."
                )
        if loose:
            self.notes.append("Regions without a track are one object for each class.")

    def frame_files(self, frame: FrameOut) -> Files:
        if self._by_class:
            data = label_png.encode(
                frame.label_map,
                self._plan.classes,
                mode="palette",
                unlabelled=self._unlabelled,
                shared=self._shared,
            )
        else:
            numbers = self._sequences[frame.sequence]
            table = np.array([0, *(numbers[_key(region)] for region in frame.regions)], np.uint8)
            data = palette_png(table[frame.winners], {})
        return {f"Annotations/{frame.sequence}/{_name(frame)}.png": data}

    def image_name(self, frame: FrameOut) -> str:
        return f"JPEGImages/{frame.sequence}/{_name(frame)}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        facts = {"unlabelled": self._unlabelled} if self._by_class else {}
        yield classes_file(self._plan, **facts)
        if not self._by_class:
            yield "objects.json", [pretty(self._objects())]
        lines = "".join(f"{sequence}\n" for sequence in self._sequences)
        yield f"ImageSets/{self._plan.split}.txt", [lines.encode()]

    def _objects(self) -> dict[str, list[dict[str, Any]]]:
        """Sequence → its objects: number, class and track."""
        classes = {c.id: c.name for c in self._plan.classes}
        out: dict[str, list[dict[str, Any]]] = {}
        for sequence, numbers in self._sequences.items():
            out[sequence] = []
            for (kind, which), number in numbers.items():
                row: dict[str, Any] = {"number": number}
                if kind == "track":
                    track = self._plan.tracks[which - 1]
                    row |= {"class": classes.get(track.class_id, ""), "track": track.name}
                else:
                    row |= {"class": classes[which]}
                out[sequence].append(row)
        return out


def _key(region: RegionOut) -> Key:
    return ("class", region.class_id) if region.track is None else ("track", region.track)


def _name(frame: FrameOut) -> str:
    own = frame.name != f"{frame.sequence}_{frame.index:06d}"
    return frame.name if own else f"{frame.index:05d}"


open_writer = Davis
