"""Masks become points: where the points lie, what they give back, and what happens when they cannot."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from PIL import Image

from app.algo.certificate import boundary_f, iou
from app.algo.compete import RegionSeeds, prepare_compete, render_points
from app.algo.distil import depth, distil_mask, first_points, outline_only
from app.algo.distil_map import distil_frame, distil_label_map, distil_owners
from app.algo.outline import rasterise
from app.algo.skeleton import merge_near
from app.errors import Refused

SHAPE = (120, 160)


def drawn(name: str) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    if name == "disc":
        cv2.circle(mask, (70, 60), 30, (1,), -1)
    elif name == "ring":
        cv2.circle(mask, (80, 60), 50, (1,), -1)
        cv2.circle(mask, (80, 60), 35, (0,), -1)
    elif name == "crescent":
        cv2.circle(mask, (80, 60), 50, (1,), -1)
        cv2.circle(mask, (98, 60), 48, (0,), -1)
    elif name == "one-pixel line":
        cv2.line(mask, (3, 110), (150, 7), (1,), 1)
    elif name == "comb":
        mask[10:100, 10:150:8] = 1
        mask[100:104, 10:150] = 1
    elif name == "full frame":
        mask[:] = 1
    elif name == "border":
        mask[:, :5] = mask[:4] = 1
    elif name == "one pixel":
        mask[60, 80] = 1
    elif name == "specks":
        mask[:] = np.random.default_rng(3).random(SHAPE) < 0.15
    return mask.astype(bool)


SHAPES = ["disc", "ring", "crescent", "one-pixel line", "comb", "full frame", "border", "one pixel", "specks"]


def paint(mask: np.ndarray) -> np.ndarray:
    """A picture in which the mask can be seen."""
    noise = np.random.default_rng(0).integers(0, 12, (*mask.shape, 3))
    return (np.where(mask[..., None], 180, 60) + noise).astype(np.uint8)


def alone(mask: np.ndarray) -> partial[np.ndarray]:
    """An engine that renders one region against the background."""
    prepared = prepare_compete(paint(mask))

    def render(points: np.ndarray) -> np.ndarray:
        return render_points(prepared, [RegionSeeds(points)]) == 1

    return partial(render)


@pytest.mark.parametrize("name", SHAPES)
def test_first_points_lie_inside_and_their_discs_do_not_leave_the_mask(name: str) -> None:
    mask = drawn(name)
    points = first_points(mask, 6)
    assert 1 <= len(points) <= 6
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for px, py, label, r in points:
        assert label == 1
        assert mask[int(py), int(px)]
        assert mask[np.hypot(x + 0.5 - px, y + 0.5 - py) < r].all()


def test_the_first_point_is_the_deepest_and_its_reach_the_distance_to_the_outside() -> None:
    x, y, _, r = first_points(drawn("disc"))[0]
    assert np.hypot(x - 70.5, y - 60.5) < 2
    assert 29 <= r <= 31.5


def test_depth_counts_the_frames_edge_as_outside() -> None:
    assert depth(np.ones((5, 7), bool)).tolist() == [
        [1] * 7, [1, 2, 2, 2, 2, 2, 1], [1, 2, 3, 3, 3, 2, 1], [1, 2, 2, 2, 2, 2, 1], [1] * 7,
    ]  # fmt: skip
    assert not depth(np.zeros((4, 4), bool)).any()


def test_a_long_shape_starts_with_several_points_along_it() -> None:
    points = first_points(drawn("comb"), 6)
    assert len(points) == 6
    assert np.ptp(points[:, 0]) > 50


def test_a_cluster_of_candidates_leaves_its_deepest() -> None:
    rng = np.random.default_rng(0)
    near = np.column_stack([rng.normal(20, 0.5, 12), rng.normal(20, 0.5, 12), np.linspace(3, 5, 12)])
    far = np.column_stack([rng.normal(90, 0.5, 12), rng.normal(40, 0.5, 12), np.linspace(3, 5, 12)])
    merged = merge_near(np.concatenate([near, far]))
    assert len(merged) < 8
    assert {tuple(near[-1]), tuple(far[-1])} <= {tuple(row) for row in merged}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_certified_by_points_or_outline(name: str) -> None:
    mask = drawn(name)
    result = distil_mask(mask, alone(mask), budget=10)
    assert result.iou >= 0.95
    assert len(result.points) <= 10
    if result.exact:
        assert result.outline is not None
        again = rasterise(result.outline, SHAPE)
    else:
        assert result.outline is None
        again = alone(mask)(result.points)
    assert np.array_equal(again, result.mask)
    assert iou(again, mask) == result.iou
    assert boundary_f(again, mask) == result.boundary_f


def test_an_easy_shape_needs_no_outline_and_few_points() -> None:
    mask = drawn("disc")
    result = distil_mask(mask, alone(mask))
    assert result.outline is None
    assert len(result.points) <= 3


def test_a_persons_points_stay_first_and_unchanged() -> None:
    mask = drawn("crescent")
    own = np.array([[40.5, 60.5, 1, 5.0], [120.5, 60.5, 0, 9.0]])
    result = distil_mask(mask, alone(mask), start_points=own)
    assert np.array_equal(result.points[:2], own)
    only_negative = distil_mask(mask, alone(mask), start_points=own[1:])
    assert np.array_equal(only_negative.points[0], own[1])
    assert (only_negative.points[:, 2] == 1).any()


def test_points_that_are_not_needed_are_pruned() -> None:
    mask = drawn("disc")
    calls = []

    def render(points: np.ndarray) -> np.ndarray:
        calls.append(len(points))
        # The engine wants two points at first sight, but any single one is enough later on.
        return mask if len(points) >= 2 or len(calls) > 2 else np.zeros_like(mask)

    result = distil_mask(mask, render)
    assert len(result.points) == 1
    assert result.renders == len(calls)


def test_an_engine_that_sees_nothing_leaves_a_certified_outline() -> None:
    mask = drawn("ring")
    result = distil_mask(mask, lambda points: np.zeros(SHAPE, bool), budget=4)
    assert result.exact
    assert result.iou >= 0.95
    without = distil_mask(mask, lambda points: np.zeros(SHAPE, bool), budget=4, with_outline=False)
    assert without.outline is None
    assert without.iou == 0


def test_the_straight_way_is_an_outline_with_its_deepest_point() -> None:
    mask = drawn("ring")
    result = outline_only(mask)
    assert len(result.points) == 1
    assert mask[int(result.points[0, 1]), int(result.points[0, 0])]
    assert iou(rasterise(result.outline or [], SHAPE), mask) == result.iou >= 0.95


def test_empty_masks_and_misfitting_engines_are_refused() -> None:
    with pytest.raises(Refused, match="empty"):
        distil_mask(np.zeros(SHAPE, bool), lambda points: np.zeros(SHAPE, bool))
    with pytest.raises(Refused, match="empty"):
        outline_only(np.zeros(SHAPE, bool))
    with pytest.raises(Refused, match="another size"):
        distil_mask(drawn("disc"), lambda points: np.zeros((3, 3), bool))


@given(arrays(np.bool_, (12, 15)))
@settings(max_examples=60, deadline=None)
def test_any_mask_has_first_points_inside_it(mask: np.ndarray) -> None:
    points = first_points(mask, 5)
    assert bool(len(points)) == bool(mask.any())
    assert all(mask[int(y), int(x)] for x, y, _, _ in points)


def stripes() -> np.ndarray:
    labels = np.full(SHAPE, 3, np.uint8)
    labels[:, 60:110] = 9
    labels[30:60, 20:140] = 5
    labels[100:, :] = 255
    return labels


def test_a_label_map_comes_back_from_its_points() -> None:
    labels = stripes()
    prepared = prepare_compete(
        np.random.default_rng(0).integers(0, 9, (*SHAPE, 3)).astype(np.uint8) + (labels[..., None] % 7) * 30
    )
    result = distil_label_map(labels, partial(render_points, prepared), budget=40, ignore=[255])
    known = labels != 255
    assert (result.rendered == labels)[known].mean() > 0.98
    assert set(result.points) == {3, 5, 9}, "the ignored value is not seeded"
    for value, rows in result.points.items():
        assert all(labels[int(y), int(x)] == value for x, y, _, _ in rows)
    assert result.count <= 40


@pytest.mark.parametrize("budget", [1, 2, 7])
def test_the_budget_is_never_passed(budget: int) -> None:
    labels = np.random.default_rng(0).integers(0, 5, SHAPE).astype(np.uint8)
    prepared = prepare_compete(np.zeros((*SHAPE, 3), np.uint8))
    assert distil_label_map(labels, partial(render_points, prepared), budget=budget).count <= budget


def test_more_points_never_describe_a_real_frame_worse(shared_data: Path) -> None:
    folder = shared_data / "sequences" / "camvid_0016E5_15hz"
    if not folder.is_dir():
        pytest.skip("CamVid is not among the shared test data")
    image = np.asarray(Image.open(folder / "images" / "00000.jpg").convert("RGB"))
    labels = np.asarray(Image.open(folder / "masks" / "00000.png"))
    prepared = prepare_compete(image)
    right = []
    for budget in (30, 120, 300):
        result = distil_label_map(labels, partial(render_points, prepared), budget=budget, ignore=[11])
        right.append((result.rendered == labels)[labels != 11].mean())
    assert right == sorted(right)
    assert right[1] >= 0.96


def test_a_label_map_of_nothing_but_ignored_pixels_is_refused() -> None:
    with pytest.raises(Refused):
        distil_label_map(
            np.full((5, 5), 255, np.uint8), lambda regions: np.zeros((5, 5), np.uint16), ignore=[255]
        )


def test_a_large_frame_finds_most_points_on_a_small_copy_and_stays_true() -> None:
    labels = cv2.resize(stripes(), (1280, 960), interpolation=cv2.INTER_NEAREST)
    image = np.random.default_rng(0).integers(0, 9, (*labels.shape, 3)).astype(np.uint8)
    image += (labels[..., None] % 7) * 30
    result = distil_frame(image, labels, budget=40, ignore=[255])
    assert (result.rendered == labels)[labels != 255].mean() > 0.99
    assert 3 <= result.count <= 40
    for value, rows in result.points.items():
        assert all(labels[int(y), int(x)] == value for x, y, _, _ in rows)
    again = distil_frame(image, labels, budget=40, ignore=[255])
    assert all(np.array_equal(result.points[value], again.points[value]) for value in (3, 5, 9))


def test_starting_points_move_to_the_deepest_place_of_their_class_nearby() -> None:
    labels = stripes()
    owners = np.zeros(SHAPE, np.int32)
    for index, value in enumerate((3, 5, 9), start=1):
        owners[labels == value] = index
    start = [np.zeros((0, 4)), np.array([[30.5, 58.5, 1, 0]]), np.array([[5.5, 5.5, 1, 0]])]
    prepared = prepare_compete(np.zeros((*SHAPE, 3), np.uint8))
    result = distil_owners(owners, 3, partial(render_points, prepared), budget=3, start=start, slack=4)
    assert result.points[1][0, 1] == 54.5
    assert all(
        labels[int(rows[0, 1]), int(rows[0, 0])] == v
        for v, rows in zip((3, 5, 9), result.points, strict=True)
    )


def test_a_label_map_of_another_size_than_its_image_is_refused() -> None:
    with pytest.raises(Refused, match="differ in size"):
        distil_frame(np.zeros((4, 5, 3), np.uint8), np.ones((5, 4), np.uint8))
