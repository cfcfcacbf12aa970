"""The roundtrip benchmark on a folder drawn here: its layout, its keys, what it ignores."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from app.bench.roundtrip import dataset_folders, main, region_line, run, table
from app.errors import Refused


def folder(root: Path, frames: int = 2, masks: int = 2) -> Path:
    """Two objects on a background, with a stripe of ignored pixels."""
    place = root / "drawn"
    (place / "images").mkdir(parents=True)
    (place / "masks").mkdir()
    for index in range(frames):
        labels = np.zeros((90, 120), np.uint8)
        cv2.circle(labels, (40 + 5 * index, 45), 25, (1,), -1)
        labels[20:70, 80:110] = 2
        labels[85:] = 255
        image = (np.take(np.array([40, 120, 200, *[0] * 253]), labels)[..., None] + np.zeros(3)).astype(
            np.uint8
        )
        Image.fromarray(image).save(place / "images" / f"{index:05d}.jpg", quality=95)
        if index < masks:
            Image.fromarray(labels).save(place / "masks" / f"{index:05d}.png")
    (place / "classes.json").write_text(
        json.dumps(
            {"background": 0, "ignore": 255, "classes": [{"id": 1, "name": "ball"}, {"id": 2, "name": "box"}]}
        ),
        "utf-8",
    )
    return place


def test_every_figure_of_the_protocol_is_there_and_easy_pictures_come_back(tmp_path: Path) -> None:
    place = folder(tmp_path)
    seen: list[tuple[int, int]] = []
    result = run([place], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    for budget in (120, 300):
        row = result[f"budget_{budget}"]
        assert row["pixel_accuracy"] > 0.98
        assert row["miou"] > 0.95
        assert 3 <= row["points_per_frame"] <= budget
        assert row["bytes_per_frame"] > 0
        assert row["seconds_per_frame"] > 0
        assert set(row["per_class"]) == {"0", "ball", "box"}
        assert min(row["per_class"].values()) > 0.9
    outline = result["outline"]
    assert outline["regions_per_frame"] == 2, "neither the background nor the ignored stripe is a region"
    assert outline["iou_min"] >= 0.95
    assert outline["iou_mean"] >= 0.97
    assert outline["bytes_ratio"] > 0
    assert outline["points_per_frame"] > 0
    assert outline["uncertified_share"] == 0
    assert "budget_120" in table(result)
    assert "ball" in table(result)


def test_frames_without_a_mask_are_left_out_and_few_can_be_asked_for(tmp_path: Path) -> None:
    place = folder(tmp_path, frames=5, masks=4)
    assert run([place], frames_per_folder=2)["frames"] == 2
    assert run([place], frames_per_folder=None)["frames"] == 4


def test_the_command_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path, frames=1, masks=1)
    main(["--data", str(tmp_path), "--json"])
    assert {"budget_120", "budget_300", "outline"} <= set(json.loads(capsys.readouterr().out))


def test_folders_are_found_below_and_at_the_root(tmp_path: Path) -> None:
    place = folder(tmp_path)
    assert dataset_folders(tmp_path) == dataset_folders(place) == [place]


def test_no_frame_with_a_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="images"):
        run(dataset_folders(tmp_path))


def test_a_line_is_canonical_and_a_ring_goes_on_in_steps() -> None:
    line = region_line(
        3, np.array([[1.5, 2.0, 1, 4.0], [7.0, 8.5, 1, 0]]), [np.array([[10, 20], [22, 20], [20, 22.0]])]
    )
    assert line == b'{"class_id":3,"outline":[[10,20,12,0,-2,2]],"points":[[1.5,2,1,4],[7,8.5]]}\n'
