"""IoU and boundary F of mask pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from app.algo.certificate import boundary, boundary_f, iou, tolerance_px


def square(shape: tuple[int, int], x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def slow_boundary_f(a: np.ndarray, b: np.ndarray) -> float:
    ea, eb = np.argwhere(boundary(a)), np.argwhere(boundary(b))
    if not len(ea) and not len(eb):
        return 1.0
    if not len(ea) or not len(eb):
        return 0.0
    distance = np.hypot(*(ea[:, None] - eb[None]).transpose(2, 0, 1))
    reach = tolerance_px((a.shape[0], a.shape[1]))
    precision, recall = (distance.min(1) <= reach).mean(), (distance.min(0) <= reach).mean()
    return 0.0 if precision + recall == 0 else float(2 * precision * recall / (precision + recall))


def test_iou_of_half_overlapping_squares_is_a_third() -> None:
    assert iou(square((9, 9), 0, 0, 4, 4), square((9, 9), 2, 0, 6, 4)) == 1 / 3


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((5, 5), bool)
    assert iou(empty, empty) == boundary_f(empty, empty) == 1.0


def test_a_shift_within_the_tolerance_keeps_the_boundary_whole_and_one_beyond_loses_it() -> None:
    shape = (400, 300)
    assert tolerance_px(shape) == 4
    mask = square(shape, 50, 50, 200, 300)
    assert boundary_f(mask, np.roll(mask, 4, axis=1)) == 1.0
    assert boundary_f(mask, np.roll(mask, (40, 40), axis=(0, 1))) < 0.1


def test_the_tolerance_is_measured_against_the_frame_not_the_crop() -> None:
    small = boundary_f(square((40, 40), 10, 10, 20, 20), square((40, 40), 13, 10, 23, 20))
    assert small < boundary_f(square((900, 900), 10, 10, 20, 20), square((900, 900), 13, 10, 23, 20)) == 1.0


@given(arrays(np.bool_, (9, 9)), arrays(np.bool_, (9, 9)))
@settings(max_examples=150, deadline=None)
def test_boundary_f_equals_the_pairwise_definition(a: np.ndarray, b: np.ndarray) -> None:
    assert abs(boundary_f(a, b) - slow_boundary_f(a, b)) < 1e-9
