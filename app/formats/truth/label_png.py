"""Ground truth as palette and grey PNGs, 1 to 16 bits, whose pixel value is the class.

| layout | what a value means |
|---|---|
| VOC (`SegmentationClass`) | labelmap.txt or class_names.txt, else the 20 classes; 255 is void |
| CamVid (`trainannot` …) | label_colors.txt, else the 11 classes; 0 is sky, 11 is void |
| Cityscapes (`*_labelIds`, else `*_labelTrainIds`, else `*_instanceIds`) | the published ids |
| DAVIS, YouTube-VOS (`Annotations/<sequence>/`) | an object followed through the sequence, given as objects; \
with classes.json beside it and no list of objects, a class |
| any folder of masks | classes.json or another list beside it, our own export's too, else the bare numbers |

No value is taken for background unless the source says so.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.errors import Refused
from app.formats.truth import known_classes
from app.formats.truth.class_lists import ClassList, class_list
from app.formats.truth.map_reader import MapReader, boxes, count_values, cut, looks_like_a_photo
from app.formats.truth.masks import Masks, find_masks, has_index, palette_of
from app.formats.truth.model import Files, SourceClass, TruthFrame

MAX_VALUES = 4096
"""Different values in one frame; more are heights or distances, not classes."""
_INSTANCES = 1000
"""Cityscapes' instanceIds are class × 1000 + number, or the class alone."""


def matches(files: Files) -> bool:
    masks = find_masks(files)
    return bool(masks.items) and masks.items[0].role != "color" and has_index(files, masks)


def open_reader(files: Files) -> LabelReader:
    return LabelReader(files)


class LabelReader(MapReader):
    format = "label-png"

    def __init__(self, files: Files) -> None:
        masks = find_masks(files)
        palette = _first_palette(files, masks)
        listed = class_list(files)
        super().__init__(files, masks, _declared(masks, listed, palette))
        # A list that states the numbers, or numbers that are published, are worth saying when a pixel has another.
        self._closed = bool(self._declared)
        self._colours: dict[int, str] = {}
        self._tracked: dict[tuple[str, int], _Tracked] = {}
        self._objects = False
        if masks.layout == "annotations":
            self._tracked = _tracked(files)
            self._objects = bool(self._tracked) or not self._closed

    def _fill(self, frame: TruthFrame, place: int, pixels: NDArray[Any], data: bytes) -> None:
        mask = self.masks.items[place]
        if pixels.ndim != 2:
            raise Refused(
                f"“{mask.file}” is a colour PNG among numbered ones; read it as a colour label map."
            )
        counts = count_values(pixels)
        present = np.flatnonzero(counts).tolist()
        if len(present) > MAX_VALUES:
            raise Refused(f"“{mask.file}” has {len(present)} different values, so it is no label map.")
        if looks_like_a_photo(pixels, len(present)):
            raise Refused(
                f"“{mask.file}” looks like a photo, not like a label map: most neighbouring pixels differ."
            )
        palette = palette_of(data)
        self._check_palette(frame, mask.file, present, palette)
        if self._objects:
            self._give_objects(frame, mask.sequence, pixels, palette)
            return
        frame.values = pixels
        frame.keys = {value: self._key(value, mask.role, palette) for value in present}
        if self._closed:
            # Lists often begin at 1 and leave the background out; it is among the found classes all the same.
            strange = [value for value in present if value and frame.keys[value] not in self._declared]
            if strange:
                pixels_of = int(counts[strange].sum())
                named = ", ".join(map(str, strange[:5])) + (" …" if len(strange) > 5 else "")
                frame.problems.append(
                    f"“{mask.file}” has {pixels_of} pixels of {'a value' if len(strange) == 1 else 'values'} "
                    f"that the class list does not name: {named}."
                )

    def _key(self, value: int, role: str, palette: list[str]) -> str:
        if role == "instanceIds" and value >= _INSTANCES:
            value //= _INSTANCES
        return self._remember(value, str(value), palette)

    def _remember(self, value: int, name: str, palette: list[str], *, void: bool = False) -> str:
        key = f"value:{value}"
        if key not in self._declared and key not in self._found:
            colour = palette[value] if value < len(palette) else None
            self._found[key] = SourceClass(key=key, name=name, value=value, colour=colour, void=void)
        return key

    def _give_objects(
        self, frame: TruthFrame, sequence: str, pixels: NDArray[Any], palette: list[str]
    ) -> None:
        for value, box in boxes(pixels).items():
            if value == 255 and palette[255:] == [known_classes.VOC_VOID]:
                frame.objects.append(
                    cut(pixels, value, box, self._remember(value, "void", palette, void=True))
                )
                continue
            known = self._tracked.get((sequence.rpartition("/")[2], value), _Tracked())
            if known.category:
                key = self._named(known.category)
            else:
                key = self._remember(value, f"object {value}", palette)
            made = cut(pixels, value, box, key)
            made.track = known.track or (f"{sequence}/{value}" if sequence else str(value))
            frame.objects.append(made)

    def _named(self, name: str) -> str:
        """The key of the class of that name, which the class list may know."""
        key = next((key for key, known in self._declared.items() if known.name == name), f"name:{name}")
        if key not in self._declared:
            self._found.setdefault(key, SourceClass(key=key, name=name))
        return key

    def _check_palette(self, frame: TruthFrame, file: str, present: list[int], palette: list[str]) -> None:
        """Where only the palette tells what a number is, it must be the same in every file."""
        for value in present:
            if value < len(palette) and self._colours.setdefault(value, palette[value]) != palette[value]:
                frame.problems.append(
                    f"“{file}” shows the value {value} in {palette[value]}, other files in {self._colours[value]}: "
                    "the numbers may mean other classes here."
                )
                return


def _first_palette(files: Files, masks: Masks) -> list[str]:
    for mask in masks.items[:3]:
        palette = palette_of(files.head(mask.file, 8192))
        if palette:
            return palette
    return []


def _declared(masks: Masks, listed: ClassList | None, palette: list[str]) -> list[SourceClass]:
    found = listed.by_value(palette) if listed else []
    if masks.layout == "cityscapes" and masks.items:
        train_ids = masks.items[0].role == "labelTrainIds"
        return found if found and not train_ids else known_classes.cityscapes(train_ids=train_ids)
    if masks.layout == "voc":
        found = found or known_classes.voc()
        if all(known.value != 255 for known in found):
            found.append(known_classes.voc()[-1])
    if masks.layout == "camvid" and not found:
        found = known_classes.camvid_index()
    if palette[255:] == [known_classes.VOC_VOID] and found and all(known.value != 255 for known in found):
        found.append(known_classes.voc()[-1])
    return found


class _Tracked(msgspec.Struct):
    """An object of a sequence: its class, and what it is called through all sequences ("" = not known)."""

    category: str = ""
    track: str = ""


def _tracked(files: Files) -> dict[tuple[str, int], _Tracked]:
    """(sequence, number) → object, from the meta.json of YouTube-VOS or the objects.json of our own exports.

    Raises Refused when such a file is damaged.
    """
    bases = {name.rpartition("/")[2]: name for name in reversed(files.names)}
    for base, kind in (("objects.json", dict[str, list[_OurObject]]), ("meta.json", _Meta)):
        name = bases.get(base)
        if name is None:
            continue
        try:
            found = msgspec.json.decode(files.read(name, 64 << 20), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise Refused(f"“{name}” is not the list of objects that belongs to such label maps.") from exc
        if isinstance(found, _Meta):
            return {
                (sequence, int(number)): _Tracked(known.category[:200])
                for sequence, video in found.videos.items()
                for number, known in video.objects.items()
                if number.isdecimal() and len(number) < 6
            }
        return {
            (sequence, known.number): _Tracked(known.category[:200], known.track[:200])
            for sequence, rows in found.items()
            for known in rows
        }
    return {}


class _OurObject(msgspec.Struct):
    number: int
    category: str = msgspec.field(default="", name="class")
    track: str = ""


class _Object(msgspec.Struct):
    category: str = ""


class _Video(msgspec.Struct):
    objects: dict[str, _Object] = {}


class _Meta(msgspec.Struct):
    videos: dict[str, _Video] = {}
