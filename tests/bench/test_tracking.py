"""`bench track` on drawn films: which frames and objects count, and what the headline is the mean of."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from app.bench import tracking
from app.bench.folders import DataSet
from app.errors import Refused
from app.worker.engines import Engine, Plan, Seen, Walk
from app.worker.engines.fake import Fake

SIDE, STEP = 24, 2
COLOURS = {1: (200, 30, 30), 2: (30, 30, 200)}


class ByColour(Engine):
    """Sees what has the colour of its object, and nothing else."""

    tiers = {"track": ("pixels",)}

    def prepare(self, image: np.ndarray, tier: str) -> np.ndarray:
        return image.astype(int)

    def track(self, plan: Plan) -> Walk:
        for at in plan.positions:
            yield None
            pixels = plan.prepared(at, "track")
            objects = {anchor.object for anchor in plan.anchors}
            yield at, [Seen(n, np.abs(pixels - COLOURS[n]).max(axis=2) < 40, 0.9) for n in objects]


def film(root: Path, name: str, *, frames: int = 9, masks: set[int] | None = None, objects: int = 1) -> Path:
    """Squares that move STEP pixels a frame to the right; the last column of pixels is ignored."""
    place = root / name
    (place / "images").mkdir(parents=True)
    (place / "masks").mkdir()
    for index in range(frames):
        labels = np.zeros((100, 140), np.uint8)
        for number in range(1, objects + 1):
            x, y = 10 + STEP * index, 45 * number - 35
            labels[y : y + SIDE, x : x + SIDE] = number
        image = np.full((100, 140, 3), 120, np.uint8)
        for number, colour in COLOURS.items():
            image[labels == number] = colour
        labels[:, -1] = 255
        Image.fromarray(image).save(place / "images" / f"{index:05d}.jpg", quality=95, subsampling=0)
        if masks is None or index in masks:
            Image.fromarray(labels).save(place / "masks" / f"{index:05d}.png")
    (place / "classes.json").write_text(json.dumps({"background": 0, "ignore": 255}), "utf-8")
    return place


def overlap(steps: int) -> float:
    """IoU of the square with itself so many frames later."""
    return (SIDE - STEP * steps) / (SIDE + STEP * steps)


def test_all_frames_count_but_the_given_ones(tmp_path: Path) -> None:
    result = tracking.run([film(tmp_path, "moving")], engine=Fake(tmp_path))
    # An object that stands still where it is given: what is missed can be counted.
    expected = pytest.approx(np.mean([overlap(k) for k in range(1, 9)]))
    assert result["forward"]["J"] == expected
    assert result["backward"]["J"] == expected
    assert result["forward"]["JF"] == pytest.approx((result["forward"]["J"] + result["forward"]["F"]) / 2)
    assert result["two_anchors"]["J"] > result["forward"]["J"] + 0.1, "the nearer anchor leads"
    assert result["ms_per_frame"] > 0
    assert result["per_sequence"]["moving"]["objects"] == 1


def test_few_masks_are_enough_and_the_walk_goes_from_the_first_to_the_last(tmp_path: Path) -> None:
    place = film(tmp_path, "sparse", masks={1, 5, 7})
    row = tracking.run([place], engine=Fake(tmp_path))["per_sequence"]["sparse"]
    assert row["forward"]["J"] == pytest.approx((overlap(4) + overlap(6)) / 2)
    assert row["backward"]["J"] == pytest.approx((overlap(2) + overlap(6)) / 2)
    walked = tracking.walk(Fake(tmp_path), DataSet(place), 7, 1, [])
    assert len(walked.seconds) == 7


def test_the_headline_is_about_single_objects_and_others_are_listed(tmp_path: Path) -> None:
    folders = [film(tmp_path, "one"), film(tmp_path, "two", objects=2, masks={0, 8})]
    result = tracking.run(folders, engine=Fake(tmp_path))
    assert result["sequences"] == 1
    assert result["forward"] == result["per_sequence"]["one"]["forward"]
    assert result["per_sequence"]["two"]["objects"] == 2
    assert result["per_sequence"]["two"]["forward"]["J"] == pytest.approx(overlap(8))
    assert "two_anchors" not in result["per_sequence"]["two"], "no frame is left to be scored"
    alone = tracking.run(folders[1:], engine=Fake(tmp_path))
    assert alone["forward"] == result["per_sequence"]["two"]["forward"]


def test_an_object_that_comes_later_makes_two_of_one(tmp_path: Path) -> None:
    place = film(tmp_path, "later")
    path = place / "masks" / "00008.png"
    labels = np.array(Image.open(path))
    labels[70:90, 10:30] = 2
    Image.fromarray(labels).save(path)
    row = tracking.run([place, film(tmp_path, "one")], engine=Fake(tmp_path))
    assert row["sequences"] == 1
    assert row["per_sequence"]["later"]["objects"] == 2


def test_an_object_behind_a_sheet_should_be_lost_and_found_again(tmp_path: Path) -> None:
    folders = [film(tmp_path, "long", frames=26)]
    assert tracking.run(folders, engine=ByColour())["recovered"] == {"J": 1, "lost": 1}
    assert tracking.run(folders, engine=Fake(tmp_path))["recovered"]["lost"] == 0


def test_ignored_pixels_and_the_background_are_no_objects(tmp_path: Path) -> None:
    assert DataSet(film(tmp_path, "two", objects=2)).objects(0) == [1, 2]


def test_a_folder_without_two_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="two frames"):
        tracking.run([film(tmp_path, "still", masks={3})], engine=Fake(tmp_path))


def test_colours_for_numbers_are_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    place = film(tmp_path, "colours")
    path = place / "masks" / "00000.png"
    cv2.imwrite(str(path), np.zeros((100, 140, 3), np.uint8))
    with pytest.raises(Refused, match=r"00000\.png"):
        tracking.run([place], engine=Fake(tmp_path))
