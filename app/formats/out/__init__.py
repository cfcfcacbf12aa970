"""The formats that a project can be exported to: one row each, and one module for what the row promises.

This module is light, because the page with the choices is made from it; `writers.open_writer` loads the rest.
"""

from __future__ import annotations

from msgspec import Struct


class Format(Struct, kw_only=True, frozen=True):
    """`options`: the names of the options that the format heeds ("asset", "one-asset": a choice of
    asset may, must be made; "range": `start` and `stop`; "of": what gets a file of its own; the others are
    `options.Options`, shortened). `lossy`: what does not survive, or "".
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


_MAPS = ("asset", "unlabelled", "shared", "labelled", "media")
_VIDEO = ("one-asset", "range")
_PICTURE = ("opacity", "outlines", "labels", "audio", "quality", "max_side")
_THINGS = ("asset", "labelled", "objects", "media")

TABLE: tuple[Format, ...] = (
    Format(
        id="palette-png",
        title="Label maps as palette PNG",
        hint="One PNG a frame: the class's value, in its colour.",
        module="label_maps",
        options=_MAPS,
    ),
    Format(
        id="index-png",
        title="Label maps as index PNG",
        hint="One grey PNG a frame with the class's value.",
        module="label_maps",
        options=_MAPS,
    ),
    Format(
        id="colour-png",
        title="Label maps as colour PNG",
        hint="One RGB PNG a frame in the colours of the classes.",
        module="label_maps",
        options=_MAPS,
    ),
    Format(
        id="coco",
        title="COCO instances",
        hint="One JSON for all frames, masks as compressed run lengths.",
        module="coco",
        options=(*_THINGS, "split"),
        split="default",
    ),
    Format(
        id="coco-panoptic",
        title="COCO panoptic",
        hint="A PNG of segment numbers a frame, and one JSON.",
        module="coco_panoptic",
        options=(*_THINGS, "split"),
        split="default",
    ),
    Format(
        id="voc",
        title="PASCAL VOC",
        hint="Palette PNGs by class and by object, labelmap.txt.",
        module="voc",
        options=(*_MAPS, "split"),
        split="default",
    ),
    Format(
        id="davis",
        title="DAVIS",
        hint="Palette PNGs by track, a folder for every asset.",
        module="davis",
        options=(*_MAPS, "objects", "split"),
        objects="region",
        split="train",
    ),
    Format(
        id="cityscapes",
        title="Cityscapes",
        hint="labelIds, instanceIds, colour PNGs and polygons.",
        module="cityscapes",
        options=(*_MAPS, "objects", "split"),
        split="train",
    ),
    Format(
        id="labelme",
        title="LabelMe",
        hint="One JSON a frame, with masks as they are.",
        module="labelme",
        options=_THINGS,
        objects="region",
    ),
    Format(
        id="cvat",
        title="CVAT for images 1.1",
        hint="One XML for all frames, masks as run lengths.",
        module="cvat",
        options=_THINGS,
        objects="region",
    ),
    Format(
        id="yolo-seg",
        title="YOLO segmentation",
        hint="One text of polygons a frame, and data.yaml.",
        module="yolo_seg",
        options=(*_THINGS, "split"),
        objects="region",
        split="train",
        lossy="Polygons lose holes, and a region of several pieces becomes several objects.",
    ),
    Format(
        id="masks-png",
        title="Masks as PNG",
        hint="Black and white PNGs for every class or track.",
        module="masks_png",
        options=_THINGS,
    ),
    Format(
        id="overlay-mp4",
        title="Overlay video (MP4)",
        hint="Label maps over the frames, with sound.",
        options=(*_VIDEO, *_PICTURE),
        lossy="A video to look at; it does not come back as labels.",
    ),
    Format(
        id="side-by-side-mp4",
        title="Original beside overlay (MP4)",
        hint="Both in one video, with sound.",
        options=(*_VIDEO, *_PICTURE, "arrangement"),
        lossy="A video to look at; it does not come back as labels.",
    ),
    Format(
        id="mask-video",
        title="Mask videos (MP4 or FFV1)",
        hint="Black and white, one video for every class or track.",
        options=(*_VIDEO, "of", "lossless"),
    ),
    Format(
        id="bundle",
        title="Project bundle (JSONL)",
        hint="All regions as sorted text; restores the project.",
        options=("media",),
    ),
)

FORMATS: dict[str, Format] = {row.id: row for row in TABLE}
