"""Rings give masks back: exactly when traced, at the wanted IoU when simplified."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.algo.certificate import iou
from app.algo.outline import QUANTUM, quantise, rasterise, ring_area, simplify_to, trace, trace_midpoints
from app.errors import Refused

masks = arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def drawn(name: str, shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]]
    if name == "ring":
        cv2.circle(mask, (80, 60), 50, (1,), -1)
        cv2.circle(mask, (80, 60), 30, (0,), -1)
    elif name == "nested rings":
        mask[:] = (np.hypot(x - 80, y - 60) // 7) % 2
    elif name == "crescent":
        cv2.circle(mask, (80, 60), 50, (1,), -1)
        cv2.circle(mask, (95, 60), 48, (0,), -1)
    elif name == "one-pixel line":
        cv2.line(mask, (3, 110), (150, 7), (1,), 1)
    elif name == "comb":
        mask[10:100, 10:150:4] = 1
        mask[100:104, 10:150] = 1
    elif name == "checkerboard":
        mask[:] = (x + y) % 2
    elif name == "full frame":
        mask[:] = 1
    elif name == "border":
        mask[:, :3] = mask[0] = mask[-1, 100:] = 1
    elif name == "one pixel":
        mask[60, 80] = 1
    elif name == "specks":
        mask[:] = np.random.default_rng(3).random(shape) < 0.2
    return mask.astype(bool)


SHAPES = ["ring", "nested rings", "crescent", "one-pixel line", "comb", "checkerboard", "full frame",
"border",
          "one pixel", "specks"]  # fmt: skip


@given(masks)
@settings(max_examples=300, deadline=None)
def test_traced_rings_give_any_mask_back_exactly(mask: np.ndarray) -> None:
    rings = trace(mask)
    assert np.array_equal(rasterise(rings, mask.shape), mask)
    assert np.array_equal(rasterise(trace_midpoints(mask), mask.shape), mask)
    assert sum(ring_area(ring) for ring in rings) == mask.sum(), "outer rings clockwise, holes the other way"


@pytest.mark.parametrize("name", SHAPES)
def test_drawn_shapes_come_back_exactly_and_simplified_ones_meet_the_target(name: str) -> None:
    mask = drawn(name)
    assert np.array_equal(rasterise(trace(mask), mask.shape), mask)
    for target in (0.8, 0.95, 1.0):
        rings, reached = simplify_to(mask, target)
        again = rasterise(rings, mask.shape)
        assert reached >= target
        assert iou(again, mask) == reached


def test_a_disc_is_simplified_to_a_few_points_and_fewer_for_a_lower_target() -> None:
    disc = drawn("ring") | drawn("crescent")
    sizes = [sum(map(len, simplify_to(disc, target)[0])) for target in (0.9, 0.95, 0.99)]
    assert sizes == sorted(sizes)
    assert sizes[1] <= 30 < sum(map(len, trace(disc)))


def test_simplified_coordinates_lie_on_the_quantum() -> None:
    for ring in simplify_to(drawn("crescent"), 0.95)[0]:
        assert np.array_equal(np.round(ring / QUANTUM) * QUANTUM, ring)


def test_a_ring_has_an_outer_boundary_and_a_hole_of_opposite_turn() -> None:
    areas = [ring_area(ring) for ring in trace(drawn("ring"))]
    assert len(areas) == 2
    assert max(areas) > 0 > min(areas)


def test_overlapping_rings_cancel_by_the_even_odd_rule() -> None:
    outer, inner = [(0, 0), (6, 0), (6, 6), (0, 6)], [(2, 2), (4, 2), (4, 4), (2, 4)]
    filled = rasterise([outer, inner], (6, 6))
    assert filled.sum() == 36 - 4
    assert not filled[3, 3]


def test_pixel_centres_decide_and_a_centre_on_the_edge_belongs_to_its_right() -> None:
    assert rasterise([[(0.5, 0), (2.5, 0), (2.5, 1), (0.5, 1)]], (1, 4)).tolist() == [
        [True, True, False, False]
    ]
    assert rasterise([[(0.6, 0), (2.4, 0), (2.4, 1), (0.6, 1)]], (1, 4)).tolist() == [
        [False, True, False, False]
    ]


def test_parts_outside_the_frame_are_cut_off() -> None:
    assert rasterise([[(-5, -5), (50, -5), (50, 50), (-5, 50)]], (3, 4)).all()
    assert (
        rasterise([[(2, -9), (9, -9), (9, 9), (2, 9)]], (2, 4)).tolist() == [[False, False, True, True]] * 2
    )
    assert not rasterise([[(-9, 0), (-1, 0), (-1, 9)]], (3, 4)).any()


@given(st.lists(st.tuples(st.integers(-8, 24), st.integers(-8, 24)), min_size=3, max_size=9))
@settings(max_examples=150, deadline=None)
def test_polygons_fill_as_counted_crossings_say(points: list[tuple[int, int]]) -> None:
    ring = [(x / 2, y / 2) for x, y in points]
    expected = np.zeros((8, 8), bool)
    for row in range(8):
        for column in range(8):
            crossed = 0
            for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
                if (ay <= row + 0.5) != (by <= row + 0.5):
                    crossed += ax + (row + 0.5 - ay) * (bx - ax) / (by - ay) <= column + 0.5 + 1e-12
            expected[row, column] = crossed % 2
    assert np.array_equal(rasterise([ring], (8, 8)), expected)


def test_nothing_traces_to_nothing() -> None:
    empty = np.zeros((5, 6), bool)
    assert trace(empty) == trace_midpoints(empty) == []
    assert simplify_to(empty) == ([], 1.0)
    assert not rasterise([], (5, 6)).any()
    assert rasterise([[(0, 0), (1, 0), (1, 1)]], (0, 0)).shape == (0, 0)


@pytest.mark.parametrize(
    "ring", [[(0, 0), (1, 1)], [(0, 0, 0)] * 3, [(0, 0), (1, 0), (float("nan"), 1)], [1, 2, 3]]
)
def test_rings_that_enclose_nothing_or_are_not_numbers_are_refused(ring: list[object]) -> None:
    with pytest.raises(Refused):
        rasterise([ring], (4, 4))  # type: ignore[list-item]


def test_quantising_drops_repeats_and_collapsed_rings() -> None:
    assert quantise([[(0, 0), (0.1, 0), (0.2, 0.1)]]) == []
    assert quantise([[(0, 0), (0.1, 0), (4, 0), (4, 4)]])[0].tolist() == [[0, 0], [4, 0], [4, 4]]
    assert quantise([]) == []
