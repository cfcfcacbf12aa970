"""What is exported is imported again by the readers of ground truth: recognised, and identical."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.formats.out.model import FrameOut
from app.formats.truth import open_files, open_truth
from app.formats.truth.model import Reader, TruthFrame
from tests.formats.out.exporting import CLASSES, export, frame

BACK = {
    "palette-png": "label-png",
    "index-png": "label-png",
    "colour-png": "colour-png",
    "coco": "coco",
    "coco-panoptic": "coco-panoptic",
    "voc": "label-png",
    "davis": "label-png",
    "cityscapes": "cityscapes",
    "labelme": "labelme",
    "cvat": "cvat",
}
FREE = 255


def scenes() -> list[FrameOut]:
    """A frame of blocks and specks, one of stripes that touch all sides, one of a single class."""
    rng = np.random.default_rng(5)
    blocks = np.kron(rng.integers(0, 6, (5, 7)), np.ones((6, 6), int))
    blocks[rng.random(blocks.shape) < 0.05] = 4
    stripes = np.tile(np.arange(40) % 6, (30, 1))
    return [
        frame(winners, position) for position, winners in enumerate((blocks, stripes, np.ones((30, 40), int)))
    ]


def ids_of(reader: Reader, shown: TruthFrame) -> np.ndarray:
    """The label map in our class ids, by the value, the colour or the name that the source states."""

    def class_id(key: str) -> int:
        found = reader.found(key)
        for known in CLASSES:
            if found.value is not None and key.startswith("value:"):
                if found.value == known.exported_value:
                    return known.id
            elif key.startswith("colour:"):
                if found.colour == known.colour:
                    return known.id
            elif found.name == known.name:
                return known.id
        return 0

    assert shown.problems == []
    out = np.zeros((shown.height, shown.width), np.uint16)
    if shown.values is not None:
        for value, key in shown.keys.items():
            out[shown.values == value] = class_id(key)
    for thing in shown.objects:
        height, width = thing.mask.shape
        out[thing.y0 : thing.y0 + height, thing.x0 : thing.x0 + width][thing.mask] = class_id(thing.key)
    return out


# The pixels of DAVIS by region are numbers of objects, which say nothing of classes.
@pytest.mark.parametrize(
    ("format", "objects"),
    [(f, o) for f in BACK for o in ("class", "region") if (f, o) != ("davis", "region")],
)
def test_export_comes_back_as_the_identical_label_maps(tmp_path: Path, format: str, objects: str) -> None:
    wanted = scenes()
    files, _ = export(format, wanted, objects=objects, unlabelled_value=FREE)
    for name, data in files.items():
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    source = open_files(tmp_path / "export")
    reader = open_truth(source)
    assert reader.format == BACK[format]
    found = [ids_of(reader, shown) for shown in reader.frames()]
    source.close()
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one == other.label_map).all()
