"""J and F against what the definitions say of squares, and against a plain search for neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from app.algo.certificate import boundary, tolerance_px
from app.algo.measures import Agreement, agreement, mean


def square(x: int, y: int, side: int, shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_j_is_the_overlap_and_f_forgives_what_lies_within_the_tolerance() -> None:
    # 0.8 % of a diagonal of 200 px is 1.6 px: two.
    near = agreement(square(40, 40, 20), square(42, 40, 20))
    assert near.j == pytest.approx(18 * 20 / (22 * 20))
    assert near.f == 1
    far = agreement(square(40, 40, 20), square(43, 40, 20))
    assert far.f < 1
    assert far.both == pytest.approx((far.j + far.f) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_f_is_what_a_search_for_the_nearest_boundary_pixel_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = rng.random((2, 9, 12)).repeat(8, 1).repeat(8, 2) > 0.6

    def share(of: np.ndarray, near: np.ndarray) -> float:
        here, there = (np.argwhere(boundary(mask)) for mask in (of, near))
        distance = np.hypot(*(here[:, None] - there[None]).transpose(2, 0, 1)).min(axis=1)
        return float(np.mean(distance <= tolerance_px((72, 96))))

    precision, recall = share(found, truth), share(truth, found)
    assert agreement(truth, found).f == pytest.approx(2 * precision * recall / (precision + recall))


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    nothing = np.zeros((120, 160), bool)
    assert agreement(nothing, nothing) == Agreement(1, 1)
    assert agreement(nothing, square(10, 10, 20)) == Agreement(0, 0)


def test_void_pixels_count_on_neither_side() -> None:
    void = np.zeros((120, 160), bool)
    void[:, 60:] = True
    assert agreement(square(40, 40, 20), square(40, 40, 40) & (void | square(40, 40, 20)), void).j == 1


def test_the_mean_is_taken_of_both_measures_and_of_nothing_there_is_none() -> None:
    assert mean([Agreement(1, 0.5), Agreement(0, 0.25)]) == Agreement(0.5, 0.375)
    assert mean([]) is None
