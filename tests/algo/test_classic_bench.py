"""The click benchmark follows its protocol, and the segmenter does well on drawn scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.bench import clicks


def drawn(folder: Path) -> Path:
    """A dataset of two images: one with three objects, one with none of a fitting size."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    labels = np.zeros((120, 160), np.uint8)
    labels[10:70, 20:80] = 3
    labels[80:100, 100:140] = 7
    labels[80:90, 10:30] = 7
    labels[:, 150:] = 255
    colours = np.array([[210, 205, 190], [60, 110, 60], [150, 40, 50], [90, 90, 90]], np.uint8)
    index = np.select([labels == 3, labels == 7, labels == 255], [1, 2, 3], 0)
    Image.fromarray(colours[index]).save(folder / "images" / "00000.jpg", quality=95)
    Image.fromarray(labels).save(folder / "masks" / "00000.png")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "images" / "00001.jpg")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folder / "masks" / "00001.png")
    (folder / "classes.json").write_text(json.dumps({"background": 0, "ignore": 255}), encoding="utf-8")
    return folder


def test_the_largest_fitting_component_of_an_image_is_its_object(tmp_path: Path) -> None:
    [sample] = clicks.choose_objects([drawn(tmp_path / "set")])
    assert sample.value == 3
    assert sample.mask.sum() == 3600
    assert sample.mask[10:70, 20:80].all()


def test_folders_are_found_alone_and_below_a_parent(tmp_path: Path) -> None:
    folder = drawn(tmp_path / "kind" / "set")
    assert clicks.dataset_folders(folder) == [folder]
    assert clicks.dataset_folders(tmp_path) == [folder]


def test_the_person_clicks_deepest_first_and_then_the_larger_error() -> None:
    truth = np.zeros((40, 60), bool)
    truth[10:31, 0:21] = True
    # The frame's edge bounds the object: the deepest point is its middle, not the frame.
    assert clicks.next_click(truth, None, reach=False) == (10.5, 20.5, 1.0, 0.0)
    x, y, label, r = clicks.next_click(truth, truth & (np.arange(60) < 4), reach=True) or (0, 0, 0, 0)
    assert truth[int(y), int(x)]
    assert x > 4
    assert label == 1
    assert r == pytest.approx(0.7 * 9)
    spilled = truth.copy()
    spilled[5:36, 30:60] = True
    assert (clicks.next_click(truth, spilled, reach=False) or ())[2] == 0
    assert clicks.next_click(truth, truth, reach=False) is None


def test_all_clicks_to_the_target_count_until_it_is_reached() -> None:
    slow = clicks.Trace([0.1] * 9 + [0.9], [0.01] * 10, 0.2)
    never = clicks.Trace([0.1] * 10, [0.01] * 10, 0.2)
    quick = clicks.Trace([0.86] * 10, [0.02], 0.9)
    assert clicks.summarise([slow])["noc85"] == 10
    assert clicks.summarise([never])["noc85"] == 10
    assert clicks.summarise([quick])["noc85"] == 1
    assert clicks.summarise([slow, quick])["iou_1_best3"] == pytest.approx(0.55)


def test_a_drawn_scene_is_segmented_well_and_reported_in_full(tmp_path: Path) -> None:
    result = clicks.run([drawn(tmp_path / "set")])
    assert result["objects"] == 1
    for mode in ("point", "reach"):
        assert {
            "iou_1",
            "iou_3",
            "iou_5",
            "iou_10",
            "noc85",
            "ms_per_click",
            "ms_first",
            "iou_1_best3",
        } <= set(result[mode])
        assert result[mode]["iou_3"] > 0.9
        assert result[mode]["iou_10"] > 0.95
    assert "point" in clicks.table(result)


def test_a_folder_without_objects_gives_an_empty_report(tmp_path: Path) -> None:
    result = clicks.run([tmp_path])
    assert result["objects"] == 0
    assert "objects 0" in clicks.table(result)
