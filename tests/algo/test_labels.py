"""Components, run lengths, packed bits and palettes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from app.algo.labels import (
    area_of_rle,
    class_masks,
    components,
    decode_rle,
    encode_rle,
    exported_values,
    hex_colour,
    pack_mask,
    palette_bytes,
    unpack_mask,
    voc_colour_map,
)
from app.errors import Refused

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def column_by_column(mask: np.ndarray) -> list[int]:
    counts, current = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if bool(mask[y, x]) != current:
                counts.append(0)
                current = not current
            counts[-1] += 1
    return counts


@given(masks)
@settings(max_examples=150, deadline=None)
def test_run_lengths_give_the_mask_back(mask: np.ndarray) -> None:
    rle = encode_rle(mask)
    assert np.array_equal(decode_rle(rle), mask)
    assert area_of_rle(rle) == mask.sum()
    assert np.array_equal(decode_rle({"size": list(mask.shape), "counts": column_by_column(mask)}), mask)


def test_compressed_text_is_the_one_of_the_coco_api() -> None:
    # Written by pycocotools for these masks.
    square = np.zeros((9, 10), bool)
    square[2:5, 3:7] = True
    assert encode_rle(square) == {"size": [9, 10], "counts": "m03600000i0"}
    # 6,000,000 zeros: six groups of five bits, low first, then the sign bit's group.
    assert encode_rle(np.zeros((2000, 3000), bool))["counts"] == "P\\Sg5"
    # The example of the COCO format page, 3 zeros and so on, uncompressed and compressed.
    assert np.array_equal(decode_rle({"size": [9, 10], "counts": "m03600000i0"}), square)


def test_ten_thousand_specks_survive_run_lengths() -> None:
    mask = np.random.default_rng(0).random((400, 500)) < 0.05
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [3, 3], "counts": [4, 4]},
        {"size": [3, 3], "counts": [12, -3]},
        {"size": [3, 3], "counts": []},
        {"size": [3, 3], "counts": "P"},
        {"size": [3, 3], "counts": "\x00\x01"},
        {"size": [3, 3], "counts": "ñ"},
        {"size": [3, 3], "counts": "o" * 40 + "0"},
        {"size": [3], "counts": [9]},
        {"size": [-3, -3], "counts": [9]},
        {"size": [3, 3], "counts": 9},
        {"size": [10**6, 10**6], "counts": [10**12]},
        {},
    ],
)
def test_damaged_run_lengths_are_refused_with_a_sentence(rle: dict[str, object]) -> None:
    with pytest.raises(Refused) as caught:
        decode_rle(rle)
    assert len(caught.value.sentence) > 20


@given(masks, st.integers(0, 50), st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_packed_bits_give_the_crop_back_where_it_was(mask: np.ndarray, x0: int, y0: int) -> None:
    box, bits = pack_mask(mask, x0=x0, y0=y0)
    crop = unpack_mask(box, bits)
    assert crop.sum() == mask.sum()
    again = np.zeros_like(mask)
    again[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0] = crop
    assert np.array_equal(again, mask)


def test_packed_bits_that_do_not_fit_their_box_are_refused() -> None:
    with pytest.raises(Refused, match="do not fit"):
        unpack_mask((0, 0, 4, 4), b"\x00")


def test_components_are_split_by_class_and_small_ones_are_reported() -> None:
    label_map = np.array([[1, 1, 0, 2], [1, 0, 0, 0], [0, 0, 2, 2]])
    found = components(label_map, min_area=2)
    assert [(c.class_id, c.area, c.box) for c in found.kept] == [(1, 3, (0, 0, 2, 2)), (2, 2, (2, 2, 4, 3))]
    assert [(c.class_id, c.area, c.box) for c in found.small] == [(2, 1, (3, 0, 4, 1))]
    assert found.small_pixels == 1


def test_diagonal_pixels_join_by_eight_neighbours_only() -> None:
    diagonal = np.eye(3, dtype=np.uint8)
    assert len(components(diagonal).kept) == 1
    assert len(components(diagonal, connectivity=4).kept) == 3
    with pytest.raises(Refused):
        components(diagonal, connectivity=6)


@given(arrays(np.uint8, (7, 9), elements=st.integers(0, 3)), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_components_together_are_the_label_map(label_map: np.ndarray, min_area: int) -> None:
    found = components(label_map, min_area=min_area)
    again = np.zeros_like(label_map)
    for piece in [*found.kept, *found.small]:
        full = piece.full((7, 9))
        assert piece.area == full.sum()
        assert (again[full] == 0).all()
        again[full] = piece.class_id
    assert np.array_equal(again, label_map)
    assert all(piece.area < min_area for piece in found.small)


def test_zero_is_a_class_where_nothing_is_ignored() -> None:
    label_map = np.array([[0, 1]])
    assert sorted(class_masks(label_map, ignore=())) == [0, 1]
    assert [c.class_id for c in components(label_map, ignore=()).kept] == [0, 1]


def test_exported_values_may_be_zero_and_may_need_sixteen_bits() -> None:
    label_map = np.array([[0, 1, 2]], np.uint16)
    assert exported_values(label_map, {1: 0, 2: 7}, 255).tolist() == [[255, 0, 7]]
    assert exported_values(label_map, {1: 0, 2: 7}, 255).dtype == np.uint8
    assert exported_values(label_map, {1: 300, 2: 7}, 0).dtype == np.uint16


def test_voc_palette_has_its_published_colours() -> None:
    table = voc_colour_map()
    assert table[[0, 1, 2, 3, 8, 15, 20, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [64, 0, 0], [192, 128, 128], [0, 64, 128], [224,
        224, 192],
    ]  # fmt: skip


def test_palette_bytes_hold_the_classes_colours() -> None:
    data = palette_bytes({3: "#0a0b0c"})
    assert len(data) == 768
    assert data[9:12] == bytes([10, 11, 12])
    image = Image.new("P", (1, 1), 3)
    image.putpalette(data)
    assert image.convert("RGB").getpixel((0, 0)) == (10, 11, 12)


@pytest.mark.parametrize("text", ["red", "#12345", "#12345g", "123456"])
def test_other_colour_spellings_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        hex_colour(text)
