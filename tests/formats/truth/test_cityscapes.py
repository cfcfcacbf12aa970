from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats.truth import open_files, open_truth
from tests.truth_sources import full, painted, read, rows


def polygons(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"imgHeight": 4, "imgWidth": 6, "objects": list(objects)}


def test_outlines_include_their_border_and_keep_the_order_of_painting(tmp_path: Path) -> None:
    document = polygons(
        {"label": "road", "polygon": [[0, 0], [5, 0], [5, 3], [0, 3]]},
        {"label": "car", "polygon": [[1, 1], [3, 1], [3, 2], [1, 2]]},
        {"label": "pole", "polygon": [[5, 3], [5, 3], [5, 3]]},
    )
    reader, [frame] = read(tmp_path, {"gtFine/val/ulm/ulm_000001_000019_gtFine_polygons.json": document})
    assert reader.format == "cityscapes"
    assert frame.name == "val/ulm/ulm_000001_000019_leftImg8bit.png"
    assert painted(reader, frame, {"road": 1, "car": 2, "pole": 3}).tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 2, 2, 2, 1, 1],
        [1, 2, 2, 2, 1, 1],
        [1, 1, 1, 1, 1, 3],
    ]


def test_deleted_objects_go_groups_are_the_class_and_the_ego_vehicle_is_void(tmp_path: Path) -> None:
    ring = [[0, 0], [5, 0], [5, 3], [0, 3]]
    document = polygons(
        {"label": "car", "polygon": ring, "deleted": 1},
        {"label": "cargroup", "polygon": ring},
        {"label": "guard rail group", "polygon": ring},
        {"label": "ego vehicle", "polygon": ring},
    )
    reader, [frame] = read(tmp_path, {"a_gtFine_polygons.json": document})
    assert [reader.found(made.key).name for made in frame.objects] == [
        "car",
        "guard rail group",
        "ego vehicle",
    ]
    assert [made.attributes for made in frame.objects] == [{"group": "true"}, {}, {}]
    assert reader.found("name:ego vehicle").void


def test_a_bad_object_is_a_sentence_and_a_file_without_objects_is_refused(tmp_path: Path) -> None:
    document = polygons(
        {"label": "car", "polygon": [[1, 1], [2, 2]]}, {"label": 5}, {"label": "", "polygon": []}
    )
    _, [frame] = read(tmp_path, {"a_polygons.json": document})
    assert frame.objects == []
    assert len(frame.problems) == 3
    with pytest.raises(Refused, match="objects"):
        read(tmp_path, {"a_polygons.json": {"imgHeight": 4, "imgWidth": 6}}, "cityscapes")


def test_the_real_sample_is_drawn_like_its_masks_but_for_holes_and_pieces_left_out(shared_data: Path) -> None:
    reader = open_truth(open_files(shared_data / "formats/generated_cityscapes_like"), "cityscapes")
    frames = list(reader.frames())
    names = ["sky", "building", "pole", "road", "pavement", "tree"]
    names += ["sign_symbol", "fence", "car", "pedestrian", "bicyclist"]
    values = {name: value for value, name in enumerate(names)}
    for frame, number in zip(frames, (0, 30), strict=True):
        source = np.asarray(Image.open(shared_data / f"sequences/camvid_0016E5_15hz/masks/{number:05d}.png"))
        labels = painted(reader, frame, values, 11)
        assert (labels == source).mean() > 0.997
        assert not frame.problems
        assert rows(frame.objects[0], frame)
        assert full(frame.objects[0], frame).any()
