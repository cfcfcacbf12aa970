"""Label maps and names over pictures, as the canvas shows them."""

from __future__ import annotations

import numpy as np
import pytest

from app.formats.overlay import Look, Painter
from app.formats.overlay_labels import Labeller, Named
from app.models import ClassDef

CLASSES = [
    ClassDef(id=1, name="road", colour="#ff0000", priority=2),
    ClassDef(id=300, name="car", colour="#0000ff", priority=1),
]
GREY = np.full((48, 64, 3), 128, np.uint8)
BARE = Look(opacity=0.5, outlines=False)


def test_opacity_mixes_class_colour_inside_and_leaves_unlabelled_pixels() -> None:
    label_map = np.zeros((48, 64), np.uint16)
    label_map[10:40, 10:50] = 300
    label_map[:4] = 77  # a class that the template no longer has
    out = Painter(CLASSES, Look(opacity=0.5)).paint(GREY, label_map)
    assert out[25, 30].tolist() == [64, 64, 192]
    assert out[[2, 45], 5].tolist() == [[128] * 3] * 2
    assert GREY.min() == GREY.max() == 128


def test_border_runs_along_the_edge_half_on_either_side_and_the_class_on_top_keeps_its_colour() -> None:
    label_map = np.full((48, 64), 1, np.uint16)
    label_map[:, 32:] = 300
    out = Painter(CLASSES, Look(opacity=0.0, width=2.0)).paint(GREY, label_map)[24].astype(int)
    # Red has the higher priority; 95 % of it on the two pixels at the edge, over as much of blue.
    assert out[31] == pytest.approx([242, 1, 12], abs=15)
    assert out[32] == pytest.approx([242, 1, 12], abs=15)
    assert out[[28, 35]].tolist() == [[128] * 3] * 2
    wide = Painter(CLASSES, Look(opacity=0.0, width=8.0)).paint(GREY, label_map)[24].astype(int)
    assert [int(x) for x in np.flatnonzero(wide[:, 0] > 200)] == list(range(28, 36))


def test_borders_can_be_left_out() -> None:
    label_map = np.full((48, 64), 1, np.uint16)
    label_map[:, 32:] = 300
    out = Painter(CLASSES, Look(opacity=1.0, outlines=False)).paint(GREY, label_map)
    assert out[0, [31, 32]].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert (Painter(CLASSES, Look(opacity=0.0, outlines=False)).paint(GREY, label_map) == GREY).all()


def test_more_classes_than_a_byte_can_count_all_get_their_colour() -> None:
    classes = [ClassDef(id=k, name=str(k), colour=f"#{k:06x}") for k in range(1, 401)]
    label_map = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)
    out = Painter(classes, Look(opacity=1.0, outlines=False)).paint(
        np.zeros((20, 20, 3), np.uint8), label_map
    )
    assert (out.astype(int) @ [65536, 256, 1] == label_map).all()


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────


def drawn(winners: np.ndarray, *texts: str, labeller: Labeller | None = None) -> np.ndarray:
    """Where names changed the picture, (H, W) bool."""
    image = np.full((*winners.shape, 3), 90, np.uint8)
    named = [Named(str(number), text, (0, 200, 0)) for number, text in enumerate(texts)]
    (labeller or Labeller()).draw(image, winners, named)
    return (image != 90).any(axis=2)


def test_name_stands_inside_a_large_object_and_beside_a_small_one() -> None:
    winners = np.zeros((240, 320), np.uint16)
    winners[40:200, 20:160] = 1
    inside = drawn(winners, "car")
    assert inside.any()
    assert not inside[winners == 0].any()
    winners[:] = 0
    winners[100:112, 200:212] = 1
    beside = drawn(winners, "car")
    assert beside[winners == 0].sum() > 50
    assert not beside[winners == 1].any()


def test_names_of_neighbours_do_not_cover_each_other() -> None:
    winners = np.zeros((120, 320), np.uint16)
    for number, x in enumerate((100, 118, 136), 1):
        winners[60:74, x : x + 14] = number
    alone = [drawn(np.where(winners == k, winners, 0), "left", "mid", "right") for k in (1, 2, 3)]
    assert sum(mask.sum() for mask in alone) > (alone[0] | alone[1] | alone[2]).sum()
    together = drawn(winners, "left", "mid", "right")
    assert together.sum() == pytest.approx(sum(int(mask.sum()) for mask in alone), rel=0.1)


def test_name_stays_inside_the_frame_at_its_corner() -> None:
    winners = np.zeros((120, 160), np.uint16)
    winners[:14, :14] = 1
    shown = drawn(winners, "Straßenbahn")
    middle = np.zeros((120, 160), np.uint16)
    middle[60:74, 70:84] = 1
    assert shown.sum() == drawn(middle, "Straßenbahn").sum()


def test_name_keeps_its_side_while_it_fits_there() -> None:
    labeller = Labeller()
    winners = np.zeros((240, 320), np.uint16)
    winners[4:18, 100:114] = 1
    first = drawn(winners, "cat", labeller=labeller)
    assert first[18:].any()
    winners = np.roll(winners, 100, axis=0)
    assert drawn(winners, "cat", labeller=labeller)[118:].any()
    assert drawn(winners, "cat")[:104].any()


@pytest.mark.parametrize(
    "text",
    ["道路", "Дорога", "한국어", "ไทย", "عربي", "😀🚗", "\U000e0041\u202e\x00x", "a\nb", "𒀀", "w" * 500],
)
def test_any_name_is_drawn_as_well_as_fonts_can(text: str) -> None:
    winners = np.ones((120, 400), np.uint16)
    assert drawn(winners, text).sum() > 60


@pytest.mark.parametrize("text", ["", " ", "\u200b\u202e", "\x00"])
def test_name_of_nothing_visible_is_left_out(text: str) -> None:
    assert not drawn(np.ones((120, 400), np.uint16), text).any()


def test_different_scripts_are_drawn_as_themselves() -> None:
    winners = np.ones((120, 400), np.uint16)
    shapes = [drawn(winners, text) for text in ("道路", "汽车", "??", "路道")]
    assert not any((one == two).all() for k, one in enumerate(shapes) for two in shapes[:k])
