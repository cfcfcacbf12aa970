"""Other priorities: the masks fused twice, against the rule applied pixel by pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo.fuse import Layer, fuse, layers_at
from app.algo.render import Claim, Crop
from app.algo.what_if import balance, can_differ, layers_of, moves
from app.models import Geometry

SHAPE = (7, 9)
CLASSES = (1, 2, 3, 4)


@st.composite
def ranks(draw: st.DrawFn) -> dict[int, tuple[int, int]]:
    """Priorities with many ties; positions are a permutation, as in a template."""
    places = draw(st.permutations(range(len(CLASSES))))
    return {c: (draw(st.integers(-1, 2)), place) for c, place in zip(CLASSES, places, strict=True)}


@st.composite
def crops(draw: st.DrawFn) -> Crop:
    x0, y0 = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    height, width = draw(st.integers(0, SHAPE[0] - y0)), draw(st.integers(0, SHAPE[1] - x0))
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    return Crop(np.array(bits, bool).reshape(height, width), x0, y0)


@st.composite
def frames(draw: st.DrawFn) -> tuple[list[Claim], list[Crop], dict[int, tuple[int, int]]]:
    before = draw(ranks())
    classes = draw(st.lists(st.sampled_from(CLASSES), max_size=6))
    regions = [Claim(c, *before[c], Geometry()) for c in classes]
    return regions, [draw(crops()) for _ in regions], before


def seen(layers: list[Layer]) -> np.ndarray:
    """The label map, pixel by pixel, by the rule that the inspector explains."""
    out = np.zeros(SHAPE, np.uint16)
    for y, x in np.ndindex(SHAPE):
        hits = layers_at(layers, x, y)
        out[y, x] = layers[hits[0]].class_id if hits else 0
    return out


@settings(max_examples=60, deadline=None)
@given(frames(), ranks())
def test_moves_are_what_two_fusions_differ_in(
    frame: tuple[list[Claim], list[Crop], dict[int, tuple[int, int]]], after: dict[int, tuple[int, int]]
) -> None:
    regions, masks, before = frame
    old, new = seen(layers_of(regions, masks)), seen(layers_of(regions, masks, after))
    assert np.array_equal(fuse(layers_of(regions, masks), SHAPE), old)
    assert np.array_equal(fuse(layers_of(regions, masks, after), SHAPE), new)
    moved = moves(old, new)
    assert sum(moved.values()) == (old != new).sum()
    assert all(pixels == ((old == a) & (new == b)).sum() for (a, b), pixels in moved.items())
    sums = balance(moved)
    assert sum(gained for gained, _ in sums.values()) == sum(lost for _, lost in sums.values())
    assert all(
        gained - lost == int((new == c).sum()) - int((old == c).sum()) for c, (gained, lost) in sums.items()
    )
    if not can_differ({region.class_id for region in regions}, before, after):
        assert not moved


def test_classes_in_another_sequence_can_differ_and_a_larger_distance_cannot() -> None:
    before = {1: (0, 0), 2: (0, 1), 3: (5, 2)}
    assert not can_differ({1, 2, 3}, before, {1: (-7, 0), 2: (1, 1), 3: (90, 2)})
    assert can_differ({1, 2}, before, {1: (0, 1), 2: (0, 0), 3: (5, 2)})
    assert not can_differ({1, 3}, before, {1: (0, 1), 2: (0, 0), 3: (5, 2)})


def test_class_numbers_above_a_byte_and_unlabelled_pixels_are_told_apart() -> None:
    old = np.array([[0, 65535, 300]], np.uint16)
    new = np.array([[65535, 0, 300]], np.uint16)
    assert moves(old, new) == {(0, 65535): 1, (65535, 0): 1}
