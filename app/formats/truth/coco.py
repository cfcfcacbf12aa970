"""COCO instances and stuff: polygons and run lengths, from every such JSON file of the source.

A file is parsed once and its annotations stay unparsed text until their image is due; one file is held at a
time. Several rings of one annotation are united, as COCO does. Detection files that hold panoptic segments
as run lengths are read too; panoptic JSON with PNG files belongs to another reader.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from app.errors import Refused
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
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import ObjectReader
from app.formats.truth.shapes import Piece, coco_rle, pairs, polygon, union


class _File(Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] | None = None
    categories: list[msgspec.Raw] = []


class _Image(Struct):
    id: Id
    file_name: str
    width: float = 0
    height: float = 0


class _Category(Struct):
    id: Id
    name: str
    color: list[int] | str | None = None


class _Head(Struct):
    image_id: Id
    category_id: Id | None = None
    id: Id | None = None
    segmentation: msgspec.Raw | UnsetType = UNSET
    segments_info: msgspec.Raw | UnsetType = UNSET


class _Annotation(Struct):
    category_id: Id
    id: Id | None = None
    segmentation: list[list[float]] | _Rle | None = None
    iscrowd: int | bool | None = None
    attributes: dict[str, Any] | None = None


class _Rle(Struct):
    size: list[int]
    counts: str | list[int]


class _Loaded(Struct):
    """One file, indexed: image id → its annotations, unparsed."""

    name: str
    images: list[_Image]
    of_image: dict[Id, list[msgspec.Raw]]
    categories: dict[Id, str]
    problems: list[str]


def matches(files: Files) -> bool:
    return any(_looks_like(head) for _, head in heads(files))


def open_reader(files: Files) -> CocoReader:
    return CocoReader(files)


def _looks_like(head: bytes) -> bool:
    if has_key(head, "images", b"["):
        return True
    if not has_key(head, "annotations", b"["):
        return has_key(head, "licenses", b"[") and has_key(head, "info", b"{")
    # SA-1B has one "image", Datumaro puts its annotations into "items".
    return not has_key(head, "image", b"{") and not has_key(head, "items", b"[")


class CocoReader(ObjectReader):
    format = "coco"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._names: list[str] = []
        self.count = 0
        names = [name for name, head in heads(files) if _looks_like(head)]
        if not names and len(json_names(files)) == 1:
            names = json_names(files)
        refusals: list[Refused] = []
        self._last: _Loaded | None = None
        for name in names:
            try:
                loaded = self._load(name)
            except Refused as exc:
                # A file of captions beside the instances must not stop them; a lone one is refused.
                refusals.append(exc)
                continue
            self._last = loaded
            self._names.append(name)
            self.count += len(loaded.images)
            self.problems += loaded.problems
        if not self._names:
            raise refusals[0] if refusals else Refused(f"“{files.title}” holds no COCO JSON file.")
        self.problems += [f"Left out: {exc.sentence}" for exc in refusals]

    def frames(self) -> Iterator[TruthFrame]:
        for name in self._names:
            loaded = self._last if self._last is not None and self._last.name == name else self._load(name)
            self._last = loaded
            for image in loaded.images:
                yield self._frame(image, loaded)

    def _load(self, name: str) -> _Loaded:
        file = read_json(self.files, name, _File)
        if file.annotations is None:
            raise Refused(f"“{name}” lists images but no annotations.")
        problems: list[str] = []
        categories = self._categories(file.categories, name, problems)
        images = _images(file.images, name, problems)
        of_image = _by_image(file.annotations, images, categories, name, problems)
        return _Loaded(name, images, of_image, categories, problems)

    def _categories(self, raws: list[msgspec.Raw], name: str, problems: list[str]) -> dict[Id, str]:
        found: dict[Id, str] = {}
        for raw in raws:
            try:
                category = item(raw, _Category)
            except Refused as exc:
                problems.append(f"“{name}”: a category is left out: {exc.sentence}")
                continue
            if category.id in found:
                problems.append(f"“{name}”: the category id {category.id} comes twice; the first one counts.")
                continue
            value = int(category.id) if isinstance(category.id, int) else None
            found[category.id] = self.declare(category.name, value=value, colour=_colour(category.color))
        return found

    def _frame(self, image: _Image, loaded: _Loaded) -> TruthFrame:
        name, _ = image_name(image.file_name)
        name = name or f"image {image.id}"
        sheet = self.sheet(name, image.width, image.height)
        for position, raw in enumerate(loaded.of_image.get(image.id, ())):
            try:
                annotation = item(raw, _Annotation)
            except Refused as exc:
                sheet.say(f"{_called(raw, position)} is left out: {exc.sentence}")
                continue
            label = f"annotation {position + 1 if annotation.id is None else annotation.id}"
            if annotation.segmentation is None or annotation.segmentation == []:
                sheet.skip("annotation without an outline")
                continue
            key = loaded.categories.get(annotation.category_id)
            if key is None:
                sheet.say(f"{label} is left out: its category {annotation.category_id} is not in the list.")
                continue
            attributes = as_text(annotation.attributes or {})
            if annotation.iscrowd:
                attributes["iscrowd"] = "true"
            sheet.add(
                label,
                key,
                lambda w, h, shape=annotation.segmentation: _draw(shape, w, h),
                track=attributes.pop("track_id", None),
                attributes=attributes,
            )
        return sheet.done()


def _draw(shape: list[list[float]] | _Rle | None, width: int, height: int) -> Piece:
    if isinstance(shape, _Rle):
        return coco_rle({"size": shape.size, "counts": shape.counts}, width, height)
    return union([polygon([pairs(ring)], width, height) for ring in shape or []])


def _images(raws: list[msgspec.Raw], name: str, problems: list[str]) -> list[_Image]:
    images: list[_Image] = []
    seen: set[Id] = set()
    twice = 0
    for raw in raws:
        try:
            image = item(raw, _Image)
        except Refused as exc:
            problems.append(f"“{name}”: an image is left out: {exc.sentence}")
            continue
        if image.id in seen:
            twice += 1
            continue
        seen.add(image.id)
        images.append(image)
        shown, escapes = image_name(image.file_name)
        if escapes:
            problems.append(
                f"“{name}”: the file name “{image.file_name[:200]}” leads out of the folder; only “{shown}” is used."
            )
    if twice:
        problems.append(f"“{name}”: {counted(twice, 'image')} with the id of another left out.")
    return images


def _by_image(
    raws: list[msgspec.Raw], images: list[_Image], categories: dict[Id, str], name: str, problems: list[str]
) -> dict[Id, list[msgspec.Raw]]:
    known = {image.id for image in images}
    found: dict[Id, list[msgspec.Raw]] = defaultdict(list)
    ids: Counter[Id] = Counter()
    unknown_category: Counter[Id] = Counter()
    unreadable = homeless = outlined = panoptic = 0
    for raw in raws:
        try:
            head = item(raw, _Head)
        except Refused:
            unreadable += 1
            continue
        if head.id is not None:
            ids[head.id] += 1
        panoptic += head.segments_info is not UNSET
        outlined += head.segmentation is not UNSET
        if head.image_id not in known:
            homeless += 1
            continue
        if head.category_id is not None and head.category_id not in categories:
            unknown_category[head.category_id] += 1
        found[head.image_id].append(raw)
    if raws and not outlined and not unreadable:
        if panoptic:
            raise Refused(
                f"“{name}” is panoptic: its segments are drawn in PNG files, which must come with it."
            )
        raise Refused(f"“{name}” holds no segmentation, only boxes, captions or key points.")
    if unreadable:
        problems.append(f"“{name}”: {counted(unreadable, 'annotation')} left out that cannot be read.")
    if homeless:
        problems.append(
            f"“{name}”: {counted(homeless, 'annotation')} left out of images that are not listed."
        )
    for category, count in unknown_category.most_common(20):
        problems.append(
            f"“{name}”: {counted(count, 'annotation')} left out of a category {category} that is not in the list."
        )
    repeated = [(key, count) for key, count in ids.most_common(5) if count > 1]
    if repeated:
        total = sum(count > 1 for count in ids.values())
        shown = ", ".join(f"{key} ({count} times)" for key, count in repeated)
        problems.append(
            f"“{name}”: {total} annotation id{'s are' if total > 1 else ' is'} used more than once: {shown}"
            f"{' …' if total > len(repeated) else ''}. All annotations are kept."
        )
    return found


def _called(raw: msgspec.Raw, position: int) -> str:
    try:
        head = item(raw, _Head)
    except Refused:
        return f"annotation no. {position + 1}"
    return f"annotation {head.id}" if head.id is not None else f"annotation no. {position + 1}"


def _colour(value: list[int] | str | None) -> str | None:
    if isinstance(value, list) and len(value) == 3 and all(0 <= v <= 255 for v in value):
        return "#{:02x}{:02x}{:02x}".format(*value)
    return None
