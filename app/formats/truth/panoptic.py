"""COCO panoptic: a JSON file that lists segments, and a PNG per image whose colour is the segment's number.

The number is R + 256 · G + 65536 · B; 0 is void, and pixels of void belong to no object. The PNGs lie in the
folder that is called as the JSON file; others are found by their name. `iscrowd` becomes an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from scipy import ndimage

from app.errors import Refused
from app.formats.label_png import read_pixels
from app.formats.truth.class_lists import class_colours
from app.formats.truth.files import stem_of, with_suffix
from app.formats.truth.json_source import (
    Id,
    as_text,
    counted,
    has_key,
    heads,
    image_name,
    item,
    json_names,
    read_json,
)
from app.formats.truth.map_reader import MAX_FILE_BYTES, runs
from app.formats.truth.model import Files, TruthFrame, TruthObject
from app.formats.truth.objects import ObjectReader

_CATEGORIES = "panoptic_coco_categories.json"
_SEARCHED_BYTES = 1 << 30
MAX_SEGMENTS = 4096
_SHOWN = 5


class _Image(Struct):
    id: Id
    file_name: str
    width: float = 0
    height: float = 0


class _Category(Struct):
    id: Id
    name: str
    color: list[int] | None = None


class _Segment(Struct):
    id: int
    category_id: Id
    iscrowd: int | bool = 0
    attributes: dict[str, Any] = {}


class _Annotation(Struct):
    image_id: Id
    file_name: str
    segments_info: list[msgspec.Raw]


class _File(Struct):
    annotations: list[msgspec.Raw]
    images: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


def matches(files: Files) -> bool:
    return bool(_panoptic_names(files))


def open_reader(files: Files) -> PanopticReader:
    return PanopticReader(files)


def _panoptic_names(files: Files) -> list[str]:
    """The JSON files that list segments. A whole file is searched only if its name or a folder gives reason."""
    folders = {part for name in with_suffix(files, ".png") for part in name.split("/")[:-1]}
    found = []
    for name, head in heads(files):
        if not head.lstrip().startswith(b"{"):
            continue
        if has_key(head, "segments_info", b"[") or (
            ("panoptic" in name.lower() or stem_of(name) in folders)
            and b'"segments_info"' in files.read(name, _SEARCHED_BYTES)
        ):
            found.append(name)
    return found


class PanopticReader(ObjectReader):
    format = "coco-panoptic"

    def __init__(self, files: Files) -> None:
        """Raises Refused: no such JSON file, one that is damaged, or not one PNG."""
        super().__init__(files)
        self._names = _panoptic_names(files) or [
            name for name in json_names(files) if len(json_names(files)) == 1
        ]
        if not self._names:
            raise Refused(f"“{files.title}” holds no COCO panoptic JSON file (one with “segments_info”).")
        self._pngs: dict[str, list[str]] = {}
        for name in with_suffix(files, ".png"):
            self._pngs.setdefault(name.rpartition("/")[2], []).append(name)
        self.count = 0
        for name in self._names:
            file = read_json(files, name, _File)
            self._categories(name, file)
            self.count += len(file.annotations)
        self._listed_categories()
        if not self._pngs:
            raise Refused(
                f"“{files.title}” has the JSON file of COCO panoptic but none of its PNGs; choose the folder or zip "
                "that holds both."
            )

    def frames(self) -> Iterator[TruthFrame]:
        for name in self._names:
            file = read_json(self.files, name, _File)
            categories = self._categories(name, file, say=False)
            images = _images(file)
            for position, raw in enumerate(file.annotations, 1):
                try:
                    annotation = item(raw, _Annotation)
                except Refused as exc:
                    problem = f"“{name}”: annotation {position} is left out: {exc.sentence}"
                    yield TruthFrame(f"annotation {position}", 0, 0, problems=[problem])
                    continue
                yield self._frame(name, annotation, categories, images)

    # ── the lists ────────────────────────────────────────────────────────────

    def _categories(self, name: str, file: _File, *, say: bool = True) -> dict[Id, str]:
        found: dict[Id, str] = {}
        for raw in file.categories:
            try:
                category = item(raw, _Category)
            except Refused as exc:
                if say:
                    self.problems.append(f"“{name}”: a category is left out: {exc.sentence}")
                continue
            value = category.id if isinstance(category.id, int) else None
            key = self.declare(category.name, value=value, colour=_hex(category.color))
            if found.setdefault(category.id, key) != key and say:
                self.problems.append(
                    f"“{name}”: the category id {category.id} comes twice; the first one counts."
                )
        return found

    def _listed_categories(self) -> None:
        """Colours from the list that COCO publishes, where it lies beside and the file itself has none."""
        name = next((name for name in self.files.names if name.rpartition("/")[2] == _CATEGORIES), None)
        if name is None:
            return
        for row, colour in class_colours(self.files, name).items():
            known = self._declared.get(f"name:{row}")
            if known is not None and known.colour is None:
                self._declared[known.key] = msgspec.structs.replace(known, colour=colour)

    # ── one image ────────────────────────────────────────────────────────────

    def _frame(
        self, json_name: str, annotation: _Annotation, categories: dict[Id, str], images: dict[Id, _Image]
    ) -> TruthFrame:
        plain, _ = image_name(annotation.file_name)
        image = images.get(annotation.image_id)
        known = image_name(image.file_name)[0] if image else ""
        frame = TruthFrame(known or plain or f"image {annotation.image_id}", 0, 0)
        png = self._png_of(json_name, plain)
        if image is None:
            frame.problems.append(
                f"“{frame.name}”: its image id {annotation.image_id} is not in the list of images of “{json_name}”."
            )
        if png is None:
            frame.problems.append(f"“{frame.name}”: its segments “{plain}” are not in the source.")
            return frame
        try:
            pixels = read_pixels(self.files.read(png, MAX_FILE_BYTES), f"“{png}”")
            if pixels.ndim != 3:
                raise Refused(f"“{png}” is no colour PNG, so it holds no segments of COCO panoptic.")
            frame.height, frame.width = pixels.shape[:2]
            if image and image.width and (image.width, image.height) != (frame.width, frame.height):
                frame.problems.append(
                    f"“{frame.name}” is {image.width:g}×{image.height:g} px by the JSON file, but “{png}” is "
                    f"{frame.width}×{frame.height}; the PNG counts."
                )
            self._fill(frame, pixels, annotation, categories)
        except Refused as exc:
            frame.problems.append(exc.sentence)
            frame.objects = []
        return frame

    def _png_of(self, json_name: str, name: str) -> str | None:
        base = name.rpartition("/")[2]
        found = self._pngs.get(base) or self._pngs.get(f"{stem_of(base)}.png") or []
        folder = json_name.removesuffix(".json")
        beside = f"{folder}/{name}"
        if beside in found:
            return beside
        close = [path for path in found if stem_of(json_name) in path.split("/")[:-1]]
        return (close or found or [None])[0]

    def _fill(
        self, frame: TruthFrame, pixels: np.ndarray, annotation: _Annotation, categories: dict[Id, str]
    ) -> None:
        wide = pixels.astype(np.uint32)
        flat = (wide[..., 0] | wide[..., 1] << 8 | wide[..., 2] << 16).ravel()
        starts, lengths = runs(flat)
        ids, inverse = np.unique(flat[starts], return_inverse=True)
        if len(ids) > MAX_SEGMENTS:
            raise Refused(
                f"“{frame.name}” has {len(ids)} segments, at most {MAX_SEGMENTS} are read: it is a photo."
            )
        labels = np.repeat((inverse + 1).astype(np.int32), lengths).reshape(pixels.shape[:2])
        found = ndimage.find_objects(labels)
        places = {int(number): place for place, number in enumerate(ids.tolist(), 1)}
        counts = dict(
            zip(ids.tolist(), np.bincount(inverse, lengths, len(ids)).astype(np.int64).tolist(), strict=True)
        )
        unlisted = set(places) - {0}
        taken: set[int] = set()
        for position, raw in enumerate(annotation.segments_info, 1):
            try:
                segment = item(raw, _Segment)
                unlisted.discard(segment.id)
                key = _check(segment, places, taken, categories)
            except Refused as exc:
                label = _label(raw, position)
                frame.problems.append(f"“{frame.name}”: segment {label} is left out: {exc.sentence}")
                continue
            taken.add(segment.id)
            place = places[segment.id]
            rows, columns = found[place - 1] or (slice(0, 0), slice(0, 0))
            attributes = as_text(segment.attributes)
            if segment.iscrowd:
                attributes["iscrowd"] = "true"
            track = attributes.pop("track_id", None)
            mask = labels[rows, columns] == place
            frame.objects.append(TruthObject(key, mask, columns.start, rows.start, track, attributes))
        if unlisted:
            numbers = sorted(unlisted)
            shown = ", ".join(map(str, numbers[:_SHOWN])) + (" …" if len(numbers) > _SHOWN else "")
            frame.problems.append(
                f"“{frame.name}” has {sum(counts[number] for number in numbers)} pixels of "
                f"{counted(len(numbers), 'segment')} that the JSON file does not list: {shown}."
            )


def _images(file: _File) -> dict[Id, _Image]:
    found: dict[Id, _Image] = {}
    for raw in file.images:
        try:
            image = item(raw, _Image)
        except Refused:
            # An annotation that points at it says so.
            continue
        found.setdefault(image.id, image)
    return found


def _check(segment: _Segment, places: dict[int, int], taken: set[int], categories: dict[Id, str]) -> str:
    """The key of a segment's class. Raises Refused with a sentence that fits behind "is left out:"."""
    if segment.id == 0:
        raise Refused("the number 0 means void.")
    if segment.id not in places:
        raise Refused("the PNG has no pixel of it.")
    if segment.id in taken:
        raise Refused("its number comes twice; the first one counts.")
    if segment.category_id not in categories:
        raise Refused(f"its category {segment.category_id} is not in the list.")
    return categories[segment.category_id]


def _hex(colour: list[int] | None) -> str | None:
    if colour is None or len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
        return None
    return "#{:02x}{:02x}{:02x}".format(*colour)


class _Numbered(Struct):
    id: Id


def _label(raw: msgspec.Raw, position: int) -> str:
    try:
        return str(item(raw, _Numbered).id)
    except Refused:
        return f"at place {position}"
