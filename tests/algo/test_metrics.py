"""Figures of neighbouring frames on drawn masks: motion is no flicker, a lost frame is, specks weigh little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from app.algo import metrics
from app.algo.fuse import Layer, fuse_regions
from app.algo.motion import between, picture
from app.quality import Summary

SHAPE = (120, 160)


def texture(seed: int) -> np.ndarray:
    """A floor with enough structure for optical flow, larger than a frame."""
    noise = np.random.default_rng(seed).random((300, 400)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = cv2.normalize(blurred, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)  # pyright: ignore
    return np.repeat(grey[..., None], 3, axis=2)


FLOOR, SQUARE = texture(1), texture(2)[:40, :40]
SQUARE[..., 2] //= 3


def frame(x: int, y: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A textured square of 40 px at (x, y) before a still floor: its image, and its labels 0 and 1."""
    image, labels = FLOOR[: SHAPE[0], : SHAPE[1]].copy(), np.zeros(SHAPE, np.uint16)
    image[y : y + 40, x : x + 40] = SQUARE
    labels[y : y + 40, x : x + 40] = 1
    return image, labels


def pair(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> dict[int, Any]:
    motion = between(picture(before[0]), picture(after[0]))
    return metrics.neighbours(before[1], after[1], motion)


def test_a_square_that_moves_with_its_texture_is_steady_once_the_motion_is_taken_out() -> None:
    row = pair(frame(30), frame(38))[1]
    assert row.iou == pytest.approx(32 / 48)
    assert row.dice == pytest.approx(2 * 32 / 80)
    assert (row.area, row.change) == (1600, 0)
    assert row.warped_iou > 0.93
    assert row.warped_dice > row.warped_iou
    assert row.boundary_f > 0.93


def test_labels_that_stand_still_while_the_square_moves_flicker_only_once_warped() -> None:
    image, _ = frame(38)
    row = pair(frame(30), (image, frame(30)[1]))[1]
    assert row.iou == 1
    assert row.warped_iou < 0.85


def test_a_lost_frame_shows_in_every_figure_on_the_way_out_and_back() -> None:
    empty = np.zeros(SHAPE, np.uint16)
    for before, after, change, area in ((frame(30)[1], empty, -1, 0), (empty, frame(34)[1], 1, 1600)):
        row = pair((frame(30)[0], before), (frame(34)[0], after))[1]
        assert (row.area, row.change, row.iou, row.dice) == (area, change, 0, 0)
        assert (row.warped_iou, row.warped_dice, row.boundary_f) == (0, 0, 0)


def test_a_part_that_is_lost_says_how_much_of_the_area_went() -> None:
    image, labels = frame(30)
    damaged = labels.copy()
    damaged[40:54] = 0
    row = pair((image, labels), (image, damaged))[1]
    assert row.change == pytest.approx(-0.35)
    assert row.iou == pytest.approx(0.65)
    assert row.warped_iou == pytest.approx(0.65, abs=0.02)


def test_nothing_is_compared_at_a_first_frame_and_across_a_cut() -> None:
    first = metrics.neighbours(None, frame(30)[1], None)
    other = (255 - texture(5)[: SHAPE[0], : SHAPE[1]] // 3, frame(30)[1])
    bright = between(picture(np.zeros((*SHAPE, 3), np.uint8)), picture(other[0]))
    assert bright.cut
    for found in (first, metrics.neighbours(frame(30)[1], other[1], bright)):
        assert list(found) == [metrics.FRAME, 1]
        assert all(
            (row.area, row.change, row.iou, row.warped_iou, row.boundary_f) == (1600, None, None, None, None)
            for row in found.values()
        )


def test_without_motion_there_are_raw_figures_only() -> None:
    row = metrics.neighbours(frame(30)[1], frame(38)[1], None)[1]
    assert row.iou == pytest.approx(32 / 48)
    assert (row.warped_iou, row.warped_dice, row.boundary_f) == (None, None, None)


def test_a_label_where_the_motion_is_hardly_trusted_has_no_warped_figures() -> None:
    labels = frame(30)[1]
    valid = labels == 0
    valid[40:43] = True
    assert metrics.compare(labels, labels, (labels, valid))[1].warped_iou is None
    valid[40:60] = True
    assert metrics.compare(labels, labels, (labels, valid))[1].warped_iou == 1


def test_a_label_of_a_few_pixels_cannot_dominate_a_frame_nor_a_large_one_hide_the_rest() -> None:
    before = np.ones(SHAPE, np.uint16)
    before[:3, :3] = 2
    before[50:100, 50:100] = 3
    specks, car = before.copy(), before.copy()
    specks[:3, :3] = 1
    car[50:100, 50:100] = 1
    everywhere = np.ones(SHAPE, bool)

    def whole(after: np.ndarray) -> Any:
        return metrics.compare(before, after, (before, everywhere))[metrics.FRAME]

    assert whole(before).warped_iou == 1
    assert whole(specks).warped_iou > 0.9
    assert whole(car).warped_iou < 0.5
    # Weighted by pixels it would be 0.77, by their square roots 0.65: the road would hide that the car is lost.
    assert whole(car).area == before.size


def test_numbers_up_to_the_largest_are_told_apart() -> None:
    before = np.array([[65535, 65535, 300, 0]], np.uint16)
    after = np.array([[65535, 300, 300, 7]], np.uint16)
    found = metrics.neighbours(before, after, None)
    assert list(found) == [0, 7, 300, 65535]
    assert [found[n].iou for n in (7, 300, 65535)] == [0, 0.5, 0.5]
    assert (found[0].area, found[7].change, found[300].area) == (4, 1, 2)


def test_a_frame_without_labels_after_one_without_has_no_figures() -> None:
    empty = np.zeros(SHAPE, np.uint16)
    assert metrics.compare(empty, empty, (empty, np.ones(SHAPE, bool))) == {0: metrics.Neighbour(area=0)}


def rows(*values: float | None) -> list[metrics.Neighbour]:
    return [metrics.Neighbour(area=9, iou=v, dice=v, warped_iou=v, warped_dice=v) for v in values]


def test_a_summary_averages_what_is_known_and_says_of_how_many_frames() -> None:
    found = metrics.summary([*rows(None, 1, 0.5), metrics.Neighbour(area=9, iou=0.3, dice=0.3)])
    assert found.frames == 3
    assert found.iou == pytest.approx(0.6)
    assert found.instability == pytest.approx(0.4)
    assert (found.warped_iou, found.warped_instability, found.consistency) == (0.75, 0.25, 0.75)
    assert found.boundary_f is None
    assert metrics.summary(rows(None)) == Summary()


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        ((0.5,), (0.9,), 80),
        ((0.9,), (0.8,), -100),
        ((1,), (1,), 0),
        ((1,), (0.9,), None),
        ((None,), (1,), None),
    ],
)
def test_improvement_is_the_share_of_instability_that_is_gone(
    before: Sequence[float | None], after: Sequence[float | None], percent: float | None
) -> None:
    found = metrics.improvement(metrics.summary(rows(*before)), metrics.summary(rows(*after)))
    assert found is percent if percent is None else found == pytest.approx(percent)


def test_raw_instability_counts_where_one_side_was_not_warped() -> None:
    raw = metrics.summary([metrics.Neighbour(area=9, iou=0.5, dice=0.5)])
    assert metrics.improvement(raw, metrics.summary(rows(0.75))) == pytest.approx(50)


def layer(priority: int, class_id: int, x0: int, x1: int) -> Layer:
    return Layer(priority, class_id, class_id, np.ones((10, x1 - x0), bool), x0, 0)


def test_pixels_are_contested_where_classes_of_one_priority_overlap_and_are_seen() -> None:
    shape = (20, 60)
    tie = [layer(0, 1, 0, 20), layer(0, 2, 15, 30), layer(0, 1, 25, 40)]
    assert metrics.contested(tie, fuse_regions(tie, shape)) == 100
    same = [layer(0, 1, 0, 20), layer(0, 1, 10, 30), layer(5, 2, 0, 30)]
    assert metrics.contested(same, fuse_regions(same, shape)) == 0
    covered = [*tie, layer(9, 3, 0, 18)]
    assert metrics.contested(covered, fuse_regions(covered, shape)) == 70
