"""Painter's algorithm: who wins a pixel, and that shortcuts change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo.fuse import (
    Layer,
    bounding_box,
    fuse,
    fuse_regions,
    label_map_of,
    layers_at,
    refuse,
    union_box,
)
from app.bench.fusing import scene
from app.errors import Refused


def grid(text: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in text.split()])


def naive(layers: list[Layer], shape: tuple[int, int]) -> np.ndarray:
    """The rule, pixel by pixel: the largest (priority, order, position) wins."""
    out = np.zeros(shape, np.uint16)
    for y in range(shape[0]):
        for x in range(shape[1]):
            hits = layers_at(layers, x, y)
            out[y, x] = layers[hits[0]].class_id if hits else 0
    return out


@st.composite
def layer_lists(draw: st.DrawFn) -> tuple[list[Layer], tuple[int, int]]:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    layers = []
    for _ in range(draw(st.integers(0, 6))):
        x0, y0 = draw(st.integers(-2, width)), draw(st.integers(-2, height))
        h, w = draw(st.integers(0, 6)), draw(st.integers(0, 6))
        bits = draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))
        class_id = draw(st.integers(1, 4))
        mask = np.array(bits, bool).reshape(h, w)
        layers.append(Layer(draw(st.integers(-1, 1)), class_id, class_id, mask, x0, y0))
    return layers, (height, width)


def test_higher_priority_class_paints_over_lower() -> None:
    road, car = grid("#### ####"), grid("..#. ..#.")
    assert fuse([(9, 0, 2, car), (1, 1, 1, road)], (2, 4)).tolist() == [[1, 1, 2, 1]] * 2


def test_equal_priority_goes_to_the_class_later_in_the_template_whatever_the_list_order() -> None:
    a, b = (0, 0, 5, grid("##.")), (0, 1, 3, grid(".##"))
    assert fuse([a, b], (1, 3)).tolist() == fuse([b, a], (1, 3)).tolist() == [[5, 3, 3]]


def test_regions_of_one_class_are_a_logical_or_and_the_later_one_is_named_the_winner() -> None:
    layers = [(0, 0, 7, grid("##.")), (0, 0, 7, grid(".##"))]
    assert fuse(layers, (1, 3)).tolist() == [[7, 7, 7]]
    assert fuse_regions(layers, (1, 3)).tolist() == [[1, 2, 2]]


def test_no_layers_give_an_unlabelled_map() -> None:
    assert fuse([], (2, 3)).tolist() == [[0, 0, 0]] * 2


def test_class_ids_up_to_65535_survive() -> None:
    assert fuse([(0, 0, 65535, grid("#."))], (1, 2)).tolist() == [[65535, 0]]


@given(layer_lists())
@settings(max_examples=150, deadline=None)
def test_fusion_follows_the_rule_at_every_pixel(case: tuple[list[Layer], tuple[int, int]]) -> None:
    layers, shape = case
    fused = fuse(layers, shape)
    assert fused.dtype == np.uint16
    assert np.array_equal(fused, naive(layers, shape))
    assert np.array_equal(label_map_of(fuse_regions(layers, shape), layers), fused)


@given(layer_lists(), st.data())
@settings(max_examples=150, deadline=None)
def test_refusing_after_one_change_equals_the_full_fusion(
    case: tuple[list[Layer], tuple[int, int]], data: st.DataObject
) -> None:
    layers, shape = case
    if not layers:
        return
    before, winners = fuse(layers, shape), fuse_regions(layers, shape)
    kept = before.copy()
    index = data.draw(st.integers(0, len(layers) - 1))
    old = layers[index]
    new = replace(
        old,
        x0=data.draw(st.integers(-3, 9)),
        y0=data.draw(st.integers(-3, 9)),
        priority=data.draw(st.integers(-1, 1)),
        mask=old.mask[: data.draw(st.integers(0, 6))],
    )
    after = [*layers[:index], new, *layers[index + 1 :]]
    changed = union_box(old.box, new.box)
    assert np.array_equal(refuse(before, after, changed), fuse(after, shape))
    assert np.array_equal(refuse(winners, after, changed, winners=True), fuse_regions(after, shape))
    assert np.array_equal(before, kept), "the map before the change is left as it was"


def test_removing_a_region_uncovers_what_lay_below() -> None:
    layers = [Layer(0, 0, 1, grid("####")), Layer(1, 1, 2, grid("##"), x0=1)]
    before = fuse(layers, (1, 4))
    assert refuse(before, layers[:1], layers[1].box).tolist() == [[1, 1, 1, 1]]


@given(layer_lists())
@settings(max_examples=40, deadline=None)
def test_torch_masks_give_the_same_bytes(case: tuple[list[Layer], tuple[int, int]]) -> None:
    torch = pytest.importorskip("torch")
    layers, shape = case
    if not layers:
        return
    tensors = [replace(layer, mask=torch.from_numpy(layer.mask.copy())) for layer in layers]
    fused = fuse(tensors, shape)
    assert fused.dtype == torch.uint16
    assert fused.numpy().tobytes() == fuse(layers, shape).tobytes()
    assert fuse_regions(tensors, shape).numpy().tobytes() == fuse_regions(layers, shape).tobytes()
    changed = layers[-1].box
    again = refuse(fused, tensors[:-1], changed)
    assert again.numpy().tobytes() == fuse(layers[:-1], shape).tobytes()


def test_a_1080p_scene_moves_a_region_without_a_trace() -> None:
    layers = scene()
    shape = (1080, 1920)
    moved = [*layers[:50], replace(layers[50], x0=layers[50].x0 + 40), *layers[51:]]
    again = refuse(fuse(layers, shape), moved, union_box(layers[50].box, moved[50].box))
    assert np.array_equal(again, fuse(moved, shape))


def test_non_contiguous_and_byte_masks_are_accepted() -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3, 2:5] = 9
    assert np.array_equal(fuse([(0, 0, 1, mask.T)], (6, 4)), (mask.T != 0).astype(np.uint16))


@pytest.mark.parametrize("class_id", [0, -1, 65536])
def test_a_class_id_outside_the_label_map_is_refused(class_id: int) -> None:
    with pytest.raises(Refused, match="1 to 65535"):
        fuse([(0, 0, class_id, grid("#"))], (1, 1))


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(Refused, match="again on this frame"):
        fuse([(0, 0, 1, grid("##"))], (2, 2))


def test_mixing_numpy_and_torch_is_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(Refused, match="one kind"):
        fuse([(0, 0, 1, grid("#")), (0, 0, 1, torch.ones(1, 1, dtype=torch.bool))], (1, 1))


def test_boxes_hold_exactly_the_pixels() -> None:
    assert bounding_box(grid(".... .##. ..#.")) == (1, 1, 3, 3)
    assert bounding_box(grid("...")) is None
    assert union_box((0, 0, 0, 0), None) is None
    assert union_box((1, 1, 2, 2), (0, 3, 1, 4)) == (0, 1, 2, 4)
