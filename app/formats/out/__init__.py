"""The formats that a project can be exported to: one row each, and one module for what the row promises.

This module is light, because the page with the choices is made from it; `writers.open_writer` loads the rest.
"""

from __future__ import annotations

from msgspec import Struct


class Format(Struct, kw_only=True, frozen=True):
    """`options`: the names of the options that the format heeds (fields of `model.Options`, and "asset" or
    "one-asset" for whether a choice of asset may or must be made). `lossy`: what does not survive, or "".
    `objects`: what one annotation stands for unless told otherwise. `module`: "" where a task writes it whole.
    """

    id: str
    title: str
    hint: str
    module: str = ""
    options: tuple[str, ...] = ()
    objects: str = "class"
    split: str = ""
    lossy: str = ""


_MAPS = ("asset", "unlabelled", "labelled", "media")
_THINGS = ("asset", "labelled", "objects", "media")

TABLE: tuple[Format, ...] = (
    Format(
        id="palette-png",
        title="Label maps as palette PNG",
        hint="One PNG a frame: the class's value, shown in the class's colour.",
        module="label_maps",
        options=_MAPS,
    ),
    Format(
        id="index-png",
        title="Label maps as index PNG",
        hint="One grey PNG a frame with the class's value, 8 or 16 bits (labelIds).",
        module="label_maps",
        options=_MAPS,
    ),
    Format(
        id="colour-png",
        title="Label maps as colour PNG",
        hint="One RGB PNG a frame in the colours of the classes.",
        module="label_maps",
        options=("asset", "labelled", "media"),
    ),
    Format(
        id="coco",
        title="COCO instances",
        hint="One JSON for all frames, masks as compressed run lengths.",
        module="coco",
        options=_THINGS,
    ),
    Format(
        id="voc",
        title="PASCAL VOC",
        hint="SegmentationClass and SegmentationObject as palette PNG, labelmap.txt and the list of frames.",
        module="voc",
        options=("asset", "unlabelled", "labelled", "split", "media"),
        split="default",
    ),
    Format(
        id="overlay-mp4",
        title="Overlay video (MP4)",
        hint="The frames with their label maps over them, for looking at.",
        options=("one-asset", "opacity", "edges"),
        lossy="A video to look at; it does not come back as labels.",
    ),
    Format(
        id="bundle",
        title="Project bundle (JSONL)",
        hint="All regions as sorted text: restores the project with identical label maps.",
        options=("media",),
    ),
)

FORMATS: dict[str, Format] = {row.id: row for row in TABLE}
