from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from app.errors import Refused
from app.formats import label_png
from app.models import ClassDef

ROAD = ClassDef(id=1, name="road", colour="#804080")
CAR = ClassDef(id=2, name="car", colour="#00008e", value=7)
SKY = ClassDef(id=3, name="sky", colour="#4682b4", value=0)
DEEP = ClassDef(id=4, name="deep", colour="#010203", value=4000)


@st.composite
def templates(draw: st.DrawFn, largest: int) -> tuple[list[ClassDef], int]:
    count = draw(st.integers(1, 12))
    ids = draw(st.lists(st.integers(1, 65535), min_size=count, max_size=count, unique=True))
    values = draw(st.lists(st.integers(0, largest), min_size=count + 1, max_size=count + 1, unique=True))
    colours = draw(st.lists(st.integers(1, 0xFFFFFF), min_size=count, max_size=count, unique=True))
    classes = [
        ClassDef(id=i, name=f"c{i}", colour=f"#{c:06x}", value=v)
        for i, v, c in zip(ids, values, colours, strict=False)
    ]
    return classes, values[-1]


def maps_of(classes: list[ClassDef], data: st.DataObject) -> np.ndarray:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    picks = data.draw(arrays(np.uint8, shape, elements=st.integers(0, len(classes))))
    return np.array([0, *(c.id for c in classes)], np.uint16)[picks]


@settings(deadline=None, max_examples=60)
@given(templates(255), st.data())
def test_palette_gives_every_label_map_back(template: tuple, data: st.DataObject) -> None:
    classes, unlabelled = template
    label_map = maps_of(classes, data)
    png = label_png.encode(label_map, classes, mode="palette", unlabelled=unlabelled)
    assert (label_png.decode(png, classes, mode="palette", unlabelled=unlabelled) == label_map).all()


@settings(deadline=None, max_examples=60)
@given(templates(65535), st.data())
def test_index_gives_every_label_map_back(template: tuple[list[ClassDef], int], data: st.DataObject) -> None:
    classes, unlabelled = template
    label_map = maps_of(classes, data)
    png = label_png.encode(label_map, classes, mode="index", unlabelled=unlabelled)
    assert (label_png.decode(png, classes, mode="index", unlabelled=unlabelled) == label_map).all()


@settings(deadline=None, max_examples=60)
@given(templates(255), st.data())
def test_colour_gives_every_label_map_back(template: tuple[list[ClassDef], int], data: st.DataObject) -> None:
    classes, _ = template
    unlabelled = label_png.free_value(classes, "colour")
    label_map = maps_of(classes, data)
    png = label_png.encode(label_map, classes, mode="colour", unlabelled=unlabelled)
    assert (label_png.decode(png, classes, mode="colour", unlabelled=unlabelled) == label_map).all()


def test_palette_pixel_is_the_value_and_palette_the_class_colour() -> None:
    png = label_png.encode(np.array([[0, 1, 2]], np.uint16), [ROAD, CAR], mode="palette", unlabelled=0)
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "P"
        assert np.asarray(image).tolist() == [[0, 1, 7]]
        assert np.asarray(image.convert("RGB"))[0].tolist() == [[0, 0, 0], [0x80, 0x40, 0x80], [0, 0, 0x8E]]


def test_index_is_8_bits_until_a_value_needs_16() -> None:
    label_map = np.array([[0, 1]], np.uint16)
    for classes, depth in (([ROAD], 8), ([ROAD, DEEP], 16)):
        png = label_png.encode(label_map, classes, mode="index", unlabelled=0)
        assert png[24] == depth
        assert png[25] == 0


def test_equal_label_maps_give_equal_bytes() -> None:
    label_map = np.random.default_rng(1).choice([0, 1, 2], (40, 60)).astype(np.uint16)
    for mode in label_png.MODES:
        first = label_png.encode(label_map, [ROAD, CAR], mode=mode, unlabelled=0)
        assert first == label_png.encode(label_map.copy(), [ROAD, CAR], mode=mode, unlabelled=0)


def test_class_of_value_0_leaves_another_number_to_unlabelled_pixels() -> None:
    with pytest.raises(Refused, match=r"“sky” is written as 0.*such as 255"):
        label_png.check_classes([ROAD, SKY], "index", 0)
    assert label_png.check_classes([ROAD, SKY], "index", None) == 255
    assert label_png.check_classes([ROAD, SKY], "palette", None) == 255
    assert label_png.unlabelled_note(None, 255) == [
        "A class is written as 0, so unlabelled pixels are written as 255."
    ]
    assert label_png.unlabelled_note(255, 255) == label_png.unlabelled_note(None, 0) == []
    assert label_png.check_classes([ROAD, SKY], "index", 255) == 255
    assert label_png.check_classes([ROAD, CAR], "index", None) == 0


def test_classes_of_one_value_are_refused_unless_merging_is_wanted() -> None:
    twin = ClassDef(id=9, name="twin", colour="#123456", value=7)
    with pytest.raises(Refused, match="“car” and “twin” have the same value 7"):
        label_png.check_classes([CAR, twin], "index", 0)
    assert label_png.check_classes([CAR, twin], "index", 0, shared=True) == 0
    both = np.array([[2, 9]], np.uint16)
    png = label_png.encode(both, [CAR, twin], mode="index", unlabelled=0, shared=True)
    assert label_png.read_pixels(png).tolist() == [[7, 7]]


def test_value_over_255_is_refused_for_a_palette_in_words() -> None:
    with pytest.raises(Refused, match=r"“deep” has the value 4000.*index PNGs"):
        label_png.check_classes([DEEP], "palette", 0)
    with pytest.raises(Refused, match="from 0 to 255"):
        label_png.check_classes([ROAD], "palette", 256)


def test_unknown_values_and_colours_are_counted() -> None:
    png = label_png.encode(np.array([[1, 2, 2]], np.uint16), [ROAD, CAR], mode="index", unlabelled=0)
    with pytest.raises(Refused, match=r"2 pixels .* the first of value 7"):
        label_png.decode(png, [ROAD], mode="index", unlabelled=0)
    png = label_png.encode(np.array([[1, 2, 2]], np.uint16), [ROAD, CAR], mode="colour", unlabelled=0)
    with pytest.raises(Refused, match=r"1 pixels .* colour #804080"):
        label_png.decode(png, [CAR], mode="colour", unlabelled=0)


def test_class_missing_from_the_template_is_refused() -> None:
    with pytest.raises(Refused, match="holds class 2"):
        label_png.encode(np.array([[2]], np.uint16), [ROAD], mode="index", unlabelled=0)


def test_low_bit_grey_is_read_as_stored() -> None:
    out = io.BytesIO()
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(out, "PNG")
    assert label_png.read_pixels(out.getvalue()).tolist() == [[0, 1]]


@pytest.mark.parametrize("cut", [0, 20, 40, -30])
def test_damaged_png_is_refused(cut: int) -> None:
    png = label_png.encode(np.ones((8, 8), np.uint16), [ROAD], mode="palette", unlabelled=0)
    with pytest.raises(Refused):
        label_png.read_pixels(png[:cut])


def test_declared_size_is_judged_before_decoding() -> None:
    png = bytearray(label_png.encode(np.ones((8, 8), np.uint16), [ROAD], mode="palette", unlabelled=0))
    png[16:24] = (60000).to_bytes(4, "big") * 2
    with pytest.raises(Refused, match="60000×60000"):
        label_png.read_pixels(bytes(png))


def test_real_palette_masks_survive_a_round_trip(shared_data) -> None:
    folder = shared_data / "sequences" / "camvid_0016E5_15hz" / "masks"
    classes = [ClassDef(id=v + 1, name=f"c{v}", colour=f"#{v + 1:06x}", value=v) for v in range(12)]
    for path in sorted(folder.glob("*.png"))[:3]:
        label_map = label_png.decode(path.read_bytes(), classes, mode="palette", unlabelled=255)
        again = label_png.encode(label_map, classes, mode="palette", unlabelled=255)
        assert (label_png.read_pixels(again) == label_png.read_pixels(path.read_bytes())).all()
