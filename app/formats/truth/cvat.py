"""CVAT XML 1.1: images and video tracks; polygons, masks and ellipses, painted by z-order.

In a video a shape holds until the track's next entry, as CVAT itself does for masks; between key frames of
a polygon nothing is interpolated, because CVAT writes the frames between out anyway. Boxes, lines, points,
cuboids and skeletons have no outline and are counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from msgspec import Struct

from app.errors import Refused
from app.formats.truth.files import with_suffix
from app.formats.truth.json_source import counted, heads, image_name
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import ObjectReader, Sheet
from app.formats.truth.shapes import Piece, cvat_rle, ellipse, polygon
from app.formats.truth.xml_source import children, number, text_of, whole

MAX_FRAMES = 1_000_000
MAX_SAID = 20
_AREAS = ("polygon", "mask", "ellipse")
_NO_AREA = ("box", "polyline", "points", "cuboid", "skeleton")


class _Shape(Struct):
    kind: str
    label: str
    facts: dict[str, str]
    attributes: dict[str, str]
    z: float = 0
    track: str | None = None


class _Video(Struct):
    """What the description says about a video: its size and which frames were annotated."""

    width: int = 0
    height: int = 0
    start: int | None = None
    stop: int | None = None
    step: int = 1


class _Found(Struct):
    """One file after the first pass."""

    images: int
    frames: list[int]
    video: _Video


def matches(files: Files) -> bool:
    return any(b"<annotations" in head for _, head in heads(files, ".xml"))


def open_reader(files: Files) -> CvatReader:
    return CvatReader(files)


class CvatReader(ObjectReader):
    format = "cvat"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._files: dict[str, _Found] = {}
        names = with_suffix(files, ".xml")
        if len(names) > 1:
            names = [name for name, head in heads(files, ".xml") if b"<annotations" in head]
        if not names:
            raise Refused(f"“{files.title}” holds no CVAT XML file.")
        for name in names:
            self._files[name] = self._scan(name)
        self.count = sum(found.images + len(found.frames) for found in self._files.values())

    def frames(self) -> Iterator[TruthFrame]:
        for name, found in self._files.items():
            events: dict[int, list[tuple[int, _Shape]]] = defaultdict(list)
            tracks = 0
            for element in children(self.files, name, "annotations"):
                if element.tag == "image":
                    yield self._image(element)
                elif element.tag == "track":
                    for frame, shape in _entries(element, tracks):
                        if frame is not None:
                            events[frame].append((tracks, shape))
                    tracks += 1
            active: dict[int, _Shape] = {}
            for frame in found.frames:
                active.update(events.pop(frame, ()))
                yield self._of_video(frame, list(active.values()), found.video)

    def _scan(self, name: str) -> _Found:
        video, images, mentioned = _Video(), 0, set[int]()
        broken = repeated = 0
        escapes: list[str] = []
        for element in children(self.files, name, "annotations"):
            if element.tag == "meta":
                self._read_labels(element)
                video = _video_of(element, name)
            elif element.tag == "image":
                images += 1
                if image_name(element.get("name", ""))[1]:
                    escapes.append(element.get("name", "")[:200])
            elif element.tag == "track":
                last: tuple[int, _Shape] | None = None
                gap = False
                for frame, shape in _entries(element, 0):
                    if frame is None:
                        broken += 1
                        continue
                    mentioned.add(frame)
                    if last and last[1].kind == "polygon" and last[1].facts.get("outside") != "1":
                        gap = gap or frame - last[0] > video.step
                    last = frame, shape
                repeated += gap
        for escape in escapes[:MAX_SAID]:
            self.problems.append(
                f"“{name}”: the file name “{escape}” leads out of the folder; only its last part is used."
            )
        if broken:
            self.problems.append(
                f"“{name}”: {counted(broken, 'shape')} left out whose frame is not a number."
            )
        if repeated:
            self.problems.append(
                f"“{name}”: {counted(repeated, 'polygon track')} with gaps between key frames; there the last "
                "outline is repeated, not interpolated."
            )
        frames = _frames_of(video, mentioned, name) if mentioned or not images else []
        return _Found(images, frames, video)

    def _read_labels(self, meta: Element) -> None:
        for label in meta.iter("label"):
            name = text_of(label, "name")
            if name:
                colour = text_of(label, "color").lower()
                real = len(colour) == 7 and colour[0] == "#" and set(colour[1:]) <= set("0123456789abcdef")
                self.declare(name, colour=colour if real else None)

    def _image(self, element: Element) -> TruthFrame:
        name = image_name(element.get("name", ""))[0] or f"image {element.get('id', '')[:40]}"
        try:
            index = whole(element.get("id"), "id")
        except Refused:
            index = None
        try:
            width, height = whole(element.get("width"), "width"), whole(element.get("height"), "height")
        except Refused:
            width, height = self.measured(name, index)
        sheet = Sheet(TruthFrame(name, width, height, index))
        self._paint(sheet, [_shape(child, child.get("label", "")) for child in element if child.tag != "tag"])
        return sheet.done()

    def _of_video(self, index: int, shapes: list[_Shape], video: _Video) -> TruthFrame:
        name = f"frame_{index:06d}"
        sheet = self.sheet(name, video.width, video.height, index)
        self._paint(sheet, [shape for shape in shapes if shape.facts.get("outside") != "1"])
        return sheet.done()

    def _paint(self, sheet: Sheet, shapes: list[_Shape]) -> None:
        undeclared: set[str] = set()
        # A stable sort: shapes of one z-order keep the order of the file.
        for number_, shape in sorted(enumerate(shapes, 1), key=lambda pair: pair[1].z):
            if shape.kind not in _AREAS:
                if shape.kind in _NO_AREA:
                    sheet.skip(shape.kind)
                continue
            if shape.label and self._declared and not self.declares(shape.label):
                undeclared.add(shape.label)
            where = f"track {shape.track}" if shape.track is not None else f"shape {number_}"
            sheet.add(
                f"{where} ({shape.kind} “{shape.label[:80]}”)",
                lambda shape=shape: self.key_of(shape.label),
                lambda w, h, shape=shape: _draw(shape, w, h),
                track=shape.track,
                attributes=dict(shape.attributes),
            )
        for label in sorted(undeclared):
            sheet.say(
                f"the label “{label[:80]}” is not in the file's list; it is kept as a class of its own."
            )


def _video_of(meta: Element, name: str) -> _Video:
    def fact(tag: str) -> int | None:
        text = next((found.text for found in meta.iter(tag) if found.text), None)
        return None if text is None else whole(text, tag)

    try:
        size = next(meta.iter("original_size"), None)
        width = 0 if size is None else whole(text_of(size, "width"), "width")
        height = 0 if size is None else whole(text_of(size, "height"), "height")
        filter_ = next((found.text or "" for found in meta.iter("frame_filter")), "").partition("step=")[2]
        step = whole(filter_, "step") if filter_.strip() else 1
        start, stop, count = fact("start_frame"), fact("stop_frame"), fact("size")
    except Refused as exc:
        raise Refused(f"“{name}”: in the description of the task {exc.sentence}") from exc
    if step < 1 or (start or 0) < 0:
        raise Refused(f"“{name}”: the description of the task has an impossible range of frames.")
    if stop is None and count is not None:
        stop = (start or 0) + (count - 1) * step
    return _Video(width, height, start, stop, step)


def _frames_of(video: _Video, mentioned: set[int], name: str) -> list[int]:
    start = video.start if video.start is not None else min(mentioned, default=0)
    stop = video.stop if video.stop is not None else max(mentioned, default=-1)
    if (stop - start) // video.step >= MAX_FRAMES or len(mentioned) > MAX_FRAMES:
        raise Refused(f"“{name}” speaks of more than {MAX_FRAMES} frames.")
    return sorted(mentioned | set(range(start, stop + 1, video.step)))


def _entries(track: Element, position: int) -> Iterator[tuple[int | None, _Shape]]:
    """The shapes of a track with their frame (None where it cannot be told), in the order of frames."""
    label, track_id = track.get("label", ""), track.get("id", str(position))[:40]
    found: list[tuple[int | None, _Shape]] = []
    for child in track:
        try:
            frame = whole(child.get("frame"), "frame")
        except Refused:
            frame = None
        found.append((frame if frame is not None and frame >= 0 else None, _shape(child, label, track_id)))
    yield from sorted(found, key=lambda pair: -1 if pair[0] is None else pair[0])


def _shape(element: Element, label: str, track: str | None = None) -> _Shape:
    attributes = {
        found.get("name", "")[:200]: (found.text or "").strip()
        for found in element.findall("attribute")
        if found.get("name")
    }
    if element.get("occluded") == "1":
        attributes["occluded"] = "true"
    try:
        z = number(element.get("z_order", "0"), "z-order")
    except Refused:
        z = 0.0
    return _Shape(str(element.tag), label, dict(element.attrib), attributes, z, track)


def _draw(shape: _Shape, width: int, height: int) -> Piece:
    facts = shape.facts
    if shape.kind == "polygon":
        return polygon([_points(facts.get("points", ""))], width, height)
    if shape.kind == "mask":
        left, top, wide, high = (whole(facts.get(key), key) for key in ("left", "top", "width", "height"))
        return cvat_rle(facts.get("rle", ""), left, top, (wide, high), width, height)
    cx, cy, rx, ry = (number(facts.get(key), key) for key in ("cx", "cy", "rx", "ry"))
    return ellipse(cx, cy, rx, ry, width, height, number(facts.get("rotation", "0"), "rotation"))


def _points(text: str) -> list[list[float]]:
    try:
        return [[float(part) for part in pair.split(",")] for pair in text.split(";") if pair.strip()]
    except ValueError as exc:
        raise Refused("its outline holds a coordinate that is not a number.") from exc
