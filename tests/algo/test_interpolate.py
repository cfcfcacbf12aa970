"""Shapes between two masks: exact at both ends, the same from either side, and moving with what moves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo.certificate import iou
from app.algo.interpolate import Between

SHAPE = (90, 160)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def disc(x: float, y: float, r: float) -> np.ndarray:
    return (X - x) ** 2 + (Y - y) ** 2 < r * r


def bar(x: float, y: float, angle: float, length: float = 30, width: float = 5) -> np.ndarray:
    along = (X - x) * np.cos(angle) + (Y - y) * np.sin(angle)
    across = (Y - y) * np.cos(angle) - (X - x) * np.sin(angle)
    return (abs(along) < length) & (abs(across) < width)


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """A few discs, some of them cut out again: several pieces, holes, shapes cut by the edge, single pixels."""
    mask = np.zeros(SHAPE, bool)
    for _ in range(draw(st.integers(1, 4))):
        one = disc(draw(st.integers(-5, 165)), draw(st.integers(-5, 95)), draw(st.integers(1, 40)))
        mask = mask & ~one if draw(st.booleans()) else mask | one
    mask[draw(st.integers(0, 89)), draw(st.integers(0, 159))] = True
    return mask


@settings(max_examples=12, deadline=None)
@given(first=masks(), last=masks(), step=st.integers(0, 7))
def test_it_is_exact_at_both_ends_and_the_same_from_either_side(
    first: np.ndarray, last: np.ndarray, step: int
) -> None:
    there, back = Between(first, last), Between(last, first)
    assert np.array_equal(there.at(0, 7), first)
    assert np.array_equal(there.at(7, 7), last)
    assert np.array_equal(there.at(step, 7), back.at(7 - step, 7))
    assert there.score(step, 7) == pytest.approx(back.score(7 - step, 7))
    assert 0 <= there.score(step, 7) <= 1


@settings(max_examples=6, deadline=None)
@given(first=masks(), last=masks())
def test_close_to_an_end_it_is_nearly_the_mask_there(first: np.ndarray, last: np.ndarray) -> None:
    assert iou(Between(first, last).at(1, 100_000), first) > 0.95


def test_a_disc_that_moves_further_than_it_is_wide_moves_and_keeps_its_size() -> None:
    first, last = disc(30, 40, 12), disc(90, 40, 12)
    assert not (first & last).any()
    between = Between(first, last)
    for step in range(1, 10):
        assert iou(between.at(step, 10), disc(30 + 6 * step, 40, 12)) > 0.95
    assert between.score(5, 10) > 0.95


def test_a_disc_that_comes_nearer_grows_evenly() -> None:
    assert iou(Between(disc(40, 45, 10), disc(110, 45, 40)).at(1, 2), disc(75, 45, 20)) > 0.93


def test_a_bar_turns_instead_of_melting() -> None:
    between = Between(bar(60, 45, 0.0), bar(80, 45, np.pi / 3))
    assert iou(between.at(1, 2), bar(70, 45, np.pi / 6)) > 0.85


def test_each_of_several_pieces_goes_its_own_way() -> None:
    first = disc(30, 30, 10) | disc(30, 70, 14)
    last = disc(80, 15, 10) | disc(50, 70, 14)
    assert iou(Between(first, last).at(1, 2), disc(55, 22.5, 10) | disc(40, 70, 14)) > 0.9


def test_a_hole_moves_with_its_shape() -> None:
    first, last = (disc(x, 45, 25) & ~disc(x + 4, 45, 8) for x in (40, 110))
    assert iou(Between(first, last).at(1, 2), disc(75, 45, 25) & ~disc(79, 45, 8)) > 0.93


def test_what_stands_still_and_is_uncovered_does_not_drift() -> None:
    whole = disc(80, 45, 30)
    half = Between(whole & (X > 80), whole).at(1, 2)
    assert iou(half[:, 90:], whole[:, 90:]) > 0.95


def test_it_moves_by_about_the_same_from_frame_to_frame() -> None:
    between = Between(disc(30, 30, 15) & (Y < 35), bar(120, 60, 0.8))
    frames = [between.at(step, 12) for step in range(13)]
    # Slivers that come and go count little here: what jumps does not.
    assert all(iou(a, b) > 0.3 for a, b in pairwise(frames))
    assert all(frame.any() for frame in frames)


def test_a_mask_of_the_whole_frame_stays_whole() -> None:
    full = np.ones(SHAPE, bool)
    assert Between(full, full).at(1, 2).all()
