"""Ground truth in: which formats can be read, which one a source is in, and its reader.

A format is a module with `matches(files) -> bool`, which looks at names and the heads of a few files, and
`open_reader(files) -> Reader`. Modules are imported when they are first asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from msgspec import Struct

from app.errors import Refused
from app.formats.truth.files import check_kind, open_files
from app.formats.truth.model import Files, Reader

__all__ = ["FORMATS", "Format", "candidates", "detect", "open_files", "open_truth"]


class _Module(Protocol):
    def matches(self, files: Files) -> bool: ...
    def open_reader(self, files: Files) -> Reader: ...


class Format(Struct, kw_only=True, frozen=True):
    """A format: how the user sees it named, and the module that reads it."""

    id: str
    title: str
    module: str

    def load(self) -> _Module:
        return cast(_Module, import_module(f"app.formats.truth.{self.module}"))


# Asked in this order: what a file says about itself comes before what can be guessed from names and pixels,
# and label maps come last, because many exports of polygons carry drawn label maps beside them.
TABLE: tuple[tuple[str, str, str], ...] = (
    ("sav", "SA-V masklets (JSON)", "sav"),
    ("sa1b", "SA-1B masks (JSON)", "sa1b"),
    ("coco-panoptic", "COCO panoptic (JSON and PNG)", "panoptic"),
    ("coco", "COCO instances or stuff (JSON)", "coco"),
    ("datumaro", "Datumaro (JSON)", "datumaro"),
    ("supervisely", "Supervisely (JSON)", "supervisely"),
    ("isat", "ISAT (JSON)", "isat"),
    ("labelme", "LabelMe (JSON)", "labelme"),
    ("labelme-xml", "LabelMe (XML)", "labelme_xml"),
    ("cvat", "CVAT 1.1 (XML)", "cvat"),
    ("cityscapes", "Cityscapes polygons (JSON)", "cityscapes"),
    ("yolo-seg", "YOLO segmentation (text)", "yolo_seg"),
    ("label-png", "Label maps: palette or index PNG (VOC, DAVIS, CamVid, Cityscapes)", "label_png"),
    ("colour-png", "Label maps: colour PNG", "colour_png"),
)

FORMATS: dict[str, Format] = {row[0]: Format(id=row[0], title=row[1], module=row[2]) for row in TABLE}


def candidates(files: Files) -> list[str]:
    """The ids of all formats that say the source is theirs, the likeliest first."""
    found = []
    for known in FORMATS.values():
        try:
            module = known.load()
        except ModuleNotFoundError:
            continue
        if module.matches(files):
            found.append(known.id)
    return found


def detect(files: Files) -> str:
    """The id of the format that a source is in. Raises Refused, listing what can be read, when it is in none."""
    found = candidates(files)
    if found:
        return found[0]
    if not files.names:
        raise Refused(f"“{files.title}” holds no files.")
    for name in files.names[:1000]:
        check_kind(name, b"")
    titles = "; ".join(known.title for known in FORMATS.values())
    raise Refused(f"“{files.title}” is not ground truth in a format that can be read. These are: {titles}.")


def open_truth(files: Files, format: str | None = None) -> Reader:
    """The reader of a source, in the format named or the one that it looks like.

    Raises Refused: no such format, or the source cannot be read as that.
    """
    chosen = detect(files) if format is None else format
    if chosen not in FORMATS:
        raise Refused(f"There is no format {chosen[:40]!r}; choose one of {', '.join(FORMATS)}.")
    return FORMATS[chosen].load().open_reader(files)
