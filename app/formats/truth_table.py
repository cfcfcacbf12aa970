"""The formats of ground truth that can be read. Light: the web process lists them without a reader."""

from __future__ import annotations

from msgspec import Struct


class FormatRow(Struct, kw_only=True, frozen=True):
    """`note`: what a source looks like, in one line; `module`: of `app.formats.truth`."""

    id: str
    title: str
    note: str
    module: str


def _row(id: str, module: str, title: str, note: str) -> FormatRow:
    return FormatRow(id=id, title=title, note=note, module=module)


# Asked in this order: what a file says about itself comes before what can be guessed from names and pixels,
# and label maps come last, because many exports of polygons carry drawn label maps beside them.
TABLE: tuple[FormatRow, ...] = (
    _row("sav", "sav", "SA-V masklets (JSON)", "One JSON file a video, run lengths for every fourth frame."),
    _row("sa1b", "sa1b", "SA-1B masks (JSON)", "One JSON file an image, masks without classes."),
    _row("coco-panoptic", "panoptic", "COCO panoptic", "A JSON file and a folder of PNGs with segment ids."),
    _row(
        "coco", "coco", "COCO instances or stuff", "JSON with polygons or run lengths, one file or several."
    ),
    _row("datumaro", "datumaro", "Datumaro", "JSON of the Datumaro data set format."),
    _row(
        "supervisely",
        "supervisely",
        "Supervisely",
        "meta.json and one JSON file an image, bitmaps or polygons.",
    ),
    _row("isat", "isat", "ISAT", "One JSON file an image, beside isat.yaml."),
    _row("labelme", "labelme", "LabelMe JSON", "One JSON file an image: polygons and masks."),
    _row("labelme-xml", "labelme_xml", "LabelMe XML", "One XML file an image, masks as PNG beside it."),
    _row("cvat", "cvat", "CVAT 1.1", "annotations.xml of images or of a video, polygons and masks."),
    _row("cityscapes", "cityscapes", "Cityscapes polygons", "One *_polygons.json an image."),
    _row(
        "yolo-seg", "yolo_seg", "YOLO segmentation", "One text file an image, polygons in shares of its size."
    ),
    _row(
        "label-png",
        "label_png",
        "Label maps: palette or index PNG",
        "VOC, DAVIS, YouTube-VOS, CamVid, Cityscapes labelIds, our own exports.",
    ),
    _row("colour-png", "colour_png", "Label maps: colour PNG", "Every colour stands for a class."),
)
