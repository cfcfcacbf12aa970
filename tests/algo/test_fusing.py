"""Two walks become one mask, and say how far they agree."""

from __future__ import annotations

import numpy as np
import pytest

from app.algo.tracking.fusing import fuse


def square(x: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((60, 100), bool)
    mask[20 : 20 + size, x : x + size] = True
    return mask


def test_equal_masks_are_kept_and_agree_wholly() -> None:
    mask, agreement = fuse(square(30), square(30), 0.3)
    assert mask is not None
    assert (mask == square(30)).all()
    assert agreement == 1


@pytest.mark.parametrize(("share", "near"), [(0.02, 30), (0.98, 36)])
def test_close_to_an_anchor_its_walk_decides(share: float, near: int) -> None:
    mask, agreement = fuse(square(30), square(36), share)
    assert mask is not None
    assert np.count_nonzero(mask ^ square(near)) <= 20
    assert agreement == pytest.approx(14 / 26)


def test_in_the_middle_both_are_believed_and_a_surer_walk_alone() -> None:
    mask, _ = fuse(square(30), square(36), 0.5)
    assert mask is not None
    assert (mask == (square(30) | square(36))).all()
    surer, _ = fuse(square(30), square(36), 0.5, (0.9, 0.1))
    assert surer is not None
    assert np.count_nonzero(surer ^ square(30)) <= 20


def test_one_walk_that_lost_the_object_gives_way_and_that_is_told() -> None:
    empty = np.zeros((60, 100), bool)
    for forward, backward in [(square(30), None), (square(30), empty), (None, square(30))]:
        mask, agreement = fuse(forward, backward, 0.9)
        assert mask is not None
        assert (mask == square(30)).all()
        assert agreement == 0
    assert fuse(None, empty, 0.5) == (None, 1.0)


def test_masks_that_lie_apart_are_not_averaged_away() -> None:
    mask, agreement = fuse(square(10), square(60), 0.7)
    assert mask is not None
    assert (mask == square(60)).all()
    assert agreement == 0
