from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.algo.labels import encode_rle
from app.errors import Refused
from app.formats.truth import open_files, open_truth
from tests.truth_sources import full, read, rows

LABELS = {"label": {"labels": [{"name": "car"}, {"name": "road"}]}}


def datumaro(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"id": "a", "annotations": list(annotations), "image": {"path": "t/a.jpg", "size": [4, 6]}, **more}
    return {"infos": {}, "categories": LABELS, "items": [item]}


def test_polygons_and_masks_are_painted_by_z_order(tmp_path: Path) -> None:
    square = {"type": "polygon", "label_id": 0, "points": [1, 1, 4, 1, 4, 3, 1, 3], "z_order": 2}
    mask = np.zeros((4, 6), bool)
    mask[:, 2:] = True
    runs = {"type": "mask", "label_id": 1, "rle": encode_rle(mask), "attributes": {"track_id": 3, "a": 1}}
    document = datumaro(square, runs, {"type": "label", "label_id": 0}, {"type": "bbox", "label_id": 0})
    reader, [frame] = read(tmp_path, {"annotations/train.json": document})
    assert reader.format == "datumaro"
    assert (frame.name, frame.width, frame.height) == ("t/a.jpg", 6, 4)
    road, car = frame.objects
    assert (full(road, frame) == mask).all()
    assert (road.track, road.attributes) == ("3", {"a": "1"})
    assert rows(car, frame) == ["......", ".###..", ".###..", "......"]
    assert [reader.found(made.key).name for made in frame.objects] == ["road", "car"]
    assert frame.problems == ["“t/a.jpg”: left out because it is no segmentation: 1 × bbox."]


def test_frame_numbers_become_the_index_and_items_without_image_keep_their_id(tmp_path: Path) -> None:
    document = datumaro(attr={"frame": 12}, image=None)
    reader, [frame] = read(tmp_path, {"a.json": document})
    assert (frame.name, frame.index, frame.problems) == ("a", 12, [])
    assert [c.name for c in reader.classes()] == ["car", "road"]


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({"type": "polygon", "label_id": 5, "points": [0, 0, 2, 0, 2, 2]}, "class 5 is not in the list of 2"),
        ({"type": "polygon", "label_id": None, "points": [0, 0, 2, 0, 2, 2]}, "names no class"),
        ({"type": "polygon", "label_id": 0, "points": [0, 0, 2]}, "odd number"),
        ({"type": "mask", "label_id": 0}, "without run lengths"),
        ({"type": "mask", "label_id": 0, "rle": {"size": [6, 4], "counts": [24]}}, "another size"),
        ({"type": 7}, "not the content"),
    ],
)
def test_a_bad_annotation_is_a_sentence(tmp_path: Path, annotation: dict[str, Any], sentence: str) -> None:
    _, [frame] = read(tmp_path, {"a.json": datumaro(annotation)})
    assert frame.objects == []
    assert sentence in frame.problems[0]


def test_a_file_without_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="items"):
        read(tmp_path, {"a.json": {"categories": LABELS}})


def test_the_real_sample_reads_without_a_problem(shared_data: Path) -> None:
    reader = open_truth(open_files(shared_data / "formats/datumaro_json"))
    frames = list(reader.frames())
    assert [frame.name for frame in frames] == [
        "test/c.jpg",
        "train/a.jpg",
        "train/b.jpg",
        "validation/d.jpg",
    ]
    assert [c.name for c in reader.classes()] == ["car", "bicycle", "tom", "mary"]
    assert not any(frame.problems for frame in frames)
