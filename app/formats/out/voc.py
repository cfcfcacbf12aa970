"""PASCAL VOC segmentation: palette PNGs by class and by object, `labelmap.txt`, the list of frames. Exact.

Pixels of `SegmentationClass` are the classes' values; those of `SegmentationObject` number the regions of a
frame from 1. `unlabelled_value` 255 writes unlabelled pixels as VOC's void.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image

from app.algo.labels import hex_colour, palette_bytes, voc_colour_map
from app.errors import Refused
from app.formats import label_png
from app.formats.out.model import Files, FrameOut, Pages, Plan, Streamed, classes_file, fragments
from app.formats.out.names import take

_NAME, _CROWDED = "@name", "@crowded"
MAX_OBJECTS = 254
_VOID = 255


class Voc:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._shared = plan.options.shared_values
        self._unlabelled = label_png.check_classes(
            plan.classes, "palette", plan.options.unlabelled_value, shared=self._shared
        )
        self.notes = label_png.unlabelled_note(plan.options.unlabelled_value, self._unlabelled)
        self._background = voc_colour_map()[self._unlabelled] if self._unlabelled == _VOID else (0, 0, 0)
        self._check_colours()

    def _check_colours(self) -> None:
        """VOC readers find the class by the colour that labelmap.txt states, not by the number."""
        seen = {tuple(map(int, self._background)): "unlabelled pixels"}
        for known in self._plan.classes:
            other = seen.setdefault(hex_colour(known.colour), f"“{known.name}”")
            if other != f"“{known.name}”" and not self._shared:
                raise Refused(
                    f"“{known.name}” has the same colour as {other}, and PASCAL VOC tells classes apart by "
                    "colour; give one of them another colour in the class template."
                )

    def frame_files(self, frame: FrameOut) -> Files:
        classes = label_png.encode(
            frame.label_map,
            self._plan.classes,
            mode="palette",
            unlabelled=self._unlabelled,
            shared=self._shared,
        )
        seen = np.unique(frame.winners)
        seen = seen[seen > 0]
        numbers = np.full(len(frame.regions) + 1, _VOID, np.uint8)
        numbers[0] = self._unlabelled if self._unlabelled == _VOID else 0
        numbers[seen[:MAX_OBJECTS]] = np.arange(1, min(len(seen), MAX_OBJECTS) + 1)
        files = {
            f"SegmentationClass/{frame.path}.png": classes,
            f"SegmentationObject/{frame.path}.png": palette_png(numbers[frame.winners], {}),
            # A name with spaces is quoted, or readers would take its first word.
            _NAME: (f'"{frame.path}"\n' if " " in frame.path else f"{frame.path}\n").encode(),
        }
        if len(seen) > MAX_OBJECTS:
            files[_CROWDED] = b""
        return files

    def image_name(self, frame: FrameOut) -> str:
        return f"JPEGImages/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        names = label_names(self._plan, self._unlabelled == _VOID)
        yield classes_file(
            self._plan,
            unlabelled=self._unlabelled,
            more={c.id: {"label": names[c.id]} for c in self._plan.classes if names[c.id] != c.name},
        )
        yield "labelmap.txt", [self._label_map(names)]
        yield f"ImageSets/Segmentation/{self._plan.split}.txt", fragments(pages, _NAME)
        crowded = sum(1 for _ in fragments(pages, _CROWDED))
        if crowded:
            self.notes.append(
                f"{crowded} frames have more than {MAX_OBJECTS} regions; SegmentationObject shows the others "
                "as 255. SegmentationClass is complete."
            )

    def _label_map(self, names: dict[int, str]) -> bytes:
        def rows() -> Iterator[str]:
            yield "# label:color_rgb:parts:actions"
            yield f"{names[0]}:{','.join(str(int(v)) for v in self._background)}::"
            for known in self._plan.classes:
                yield f"{names[known.id]}:{','.join(map(str, hex_colour(known.colour)))}::"

        return "".join(row + "\n" for row in rows()).encode()


def label_names(plan: Plan, void: bool) -> dict[int, str]:
    """Class id (0 = unlabelled) → a name without the signs that mean something in labelmap.txt."""
    taken: set[str] = set()
    names = {
        c.id: take(re.sub(r"[:,#\s\x00-\x1f\x7f]+", " ", c.name).strip() or f"class {c.id}", taken)
        for c in plan.classes
    }
    names[0] = take("void" if void else "background", taken)
    return names


def palette_png(pixels: np.ndarray, colours: dict[int, str]) -> bytes:
    """(H, W) uint8 as a palette PNG: the colours given, VOC's elsewhere."""
    image = Image.fromarray(pixels)
    image.putpalette(palette_bytes(colours))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


open_writer = Voc
