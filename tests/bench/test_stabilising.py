"""Damage is seeded and counted; the benchmark tells what a filter mends from what it spoils."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.bench import stabilising
from app.bench.damage import damaged
from app.errors import Refused
from tests.drawing import scene


def blobs(frames: int) -> list[np.ndarray]:
    """(120, 160) uint8: a disc (1) and a bar (2) on 0, which move a little."""
    y, x = np.mgrid[:120, :160]
    out = []
    for at in range(frames):
        labels = np.zeros((120, 160), np.uint8)
        labels[(x - 50 - at) ** 2 + (y - 60) ** 2 < 30**2] = 1
        labels[20:100, 110:130] = 2
        out.append(labels)
    return out


def test_the_same_seed_does_the_same_damage():
    first, again, other = damaged(blobs(6), 3), damaged(blobs(6), 3), damaged(blobs(6), 4)
    assert all((one == two).all() for one, two in zip(first.labels, again.labels, strict=True))
    assert first.broken == again.broken
    assert any((one != two).any() for one, two in zip(first.labels, other.labels, strict=True))


def test_boundaries_tremble_by_a_few_pixels_and_independently():
    truth = [blobs(1)[0]] * 12
    labels, broken = damaged(truth, 1)
    whole = [one for at, one in enumerate(labels) if at not in broken]
    off = np.mean([np.count_nonzero(one != truth[0]) for one in whole])
    # Both outlines together are 188 + 200 px long; a normal displacement of 3 px is off by 2.4 px in the mean.
    assert 1.8 < off / 388 < 3.0
    both = np.mean([np.count_nonzero(one != two) for one, two in zip(whole[1:], whole[:-1], strict=True)])
    assert both > 1.2 * off


def test_a_component_fails_on_a_few_frames():
    truth = blobs(60)
    labels, broken = damaged(truth, 2)
    assert len(broken) == 3
    for at, fault in broken.items():
        area, left = (np.count_nonzero(one[at] == fault.label) for one in (truth, labels))
        assert fault.label in (1, 2)
        assert (left < 0.2 * area) if fault.kind == "lost" else (left > 1.2 * area)


def test_ignored_pixels_stay_where_they_are():
    truth = blobs(8)
    labels, broken = damaged(truth, 5, ignore=[2])
    assert all(((one == 2) == (two == 2)).all() for one, two in zip(truth, labels, strict=True))
    assert {fault.label for fault in broken.values()} == {1}


def data_set(folder: Path, frames: int, masks: int) -> Path:
    """`folder` with drawn frames and masks on the first of them."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for at in range(frames):
        image, labels = scene(at, 160, 120)
        Image.fromarray(image).save(folder / "images" / f"{at:05}.png")
        if at < masks:
            labels[:6] = 9
            Image.fromarray(labels).save(folder / "masks" / f"{at:05}.png")
    (folder / "classes.json").write_text(json.dumps({"background": 0, "ignore": 9}))
    return folder


def test_the_benchmark_tells_what_each_filter_mends(tmp_path: Path):
    out = stabilising.run([data_set(tmp_path / "drawn", 8, 8), data_set(tmp_path / "sparse", 8, 2)])
    assert out["sequences"] == 1
    assert list(out["filters"]) == [
        name + way for name in ("average", "median", "exponential") for way in ("", "_motion")
    ]
    assert out["filters"][out["default"]["filter"]].items() <= out["default"].items()
    row = out["per_sequence"]["drawn"]
    assert row["clean"]["iou_gt"] == 1
    assert row["damaged"]["iou_gt"] < 0.95
    assert out["default"]["instability_removed"] > 0.6
    assert out["default"]["iou_gt_gain"] > 0.02
    assert out["default"]["iou_clean"] > 0.99
    assert out["ms_per_frame"] > 0
    assert json.loads(json.dumps(out)) == out


def test_a_folder_without_consecutive_masks_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match="consecutive"):
        stabilising.run([data_set(tmp_path / "sparse", 6, 4)])
