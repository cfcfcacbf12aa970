"""Outlines of a whole label map: painted in their order they give every region back as certified."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from app.algo.certificate import iou
from app.algo.outline import rasterise, simplify_to
from app.algo.outline_map import OutlinedRegion, outline_map
from app.algo.render import Crop

SHAPE = (90, 120)


def label_map() -> np.ndarray:
    """A ground, a hill on it, a ball on both, a post of two pixels before all."""
    labels = np.zeros(SHAPE, np.int32)
    labels[50:] = 1
    cv2.ellipse(labels, (40, 50), (35, 25), 0, 0, 360, (2,), -1)
    cv2.circle(labels, (75, 50), 18, (3,), -1)
    labels[10:85, 30:32] = 4
    return labels


def crops(labels: np.ndarray, values: Sequence[int]) -> list[Crop]:
    return [Crop(labels == value) for value in values]


def painted(outlines: Sequence[OutlinedRegion], shape: tuple[int, int]) -> np.ndarray:
    out = np.zeros(shape, np.int32)
    for index, outline in enumerate(outlines, start=1):
        out[rasterise(outline.rings, shape)] = index
    return out


def points(outlines: Sequence[OutlinedRegion]) -> int:
    return sum(len(ring) for outline in outlines for ring in outline.rings)


def test_each_certificate_is_what_painting_the_rings_in_order_gives() -> None:
    labels = label_map()
    outlines = outline_map(crops(labels, [1, 2, 3, 4]), SHAPE)
    seen = painted(outlines, SHAPE)
    for index, outline in enumerate(outlines, start=1):
        assert outline.iou == iou(seen == index, labels == index) >= 0.95
        assert all((ring == np.round(ring)).all() for ring in outline.rings)
    assert np.mean([outline.iou for outline in outlines]) >= 0.97


def test_a_shared_boundary_is_spent_once() -> None:
    labels = label_map()
    alone = sum(len(ring) for value in (1, 2, 3, 4) for ring in simplify_to(labels == value, 0.97)[0])
    assert points(outline_map(crops(labels, [1, 2, 3, 4]), SHAPE)) < 0.7 * alone


def test_pixels_that_are_not_compared_cost_nothing() -> None:
    labels = label_map()
    rng = np.random.default_rng(0)
    void = cv2.GaussianBlur(rng.random(SHAPE), (0, 0), 2) > 0.52
    ragged = [Crop(crop.mask & ~void) for crop in crops(labels, [1, 2, 3])]
    with_void = outline_map(ragged, SHAPE, void=void)
    seen = painted(with_void, SHAPE)
    for index, (outline, crop) in enumerate(zip(with_void, ragged, strict=True), start=1):
        assert outline.iou == iou((seen == index) & ~void, crop.mask) >= 0.95
    assert points(with_void) < points(outline_map(ragged, SHAPE))


def test_targets_of_one_give_every_pixel_back() -> None:
    labels = label_map()
    outlines = outline_map(crops(labels, [1, 2, 3, 4]), SHAPE, mean=1.0, least=1.0)
    assert np.array_equal(painted(outlines, SHAPE), labels)


def test_a_region_wholly_covered_has_no_rings_and_nothing_is_nothing() -> None:
    full = np.ones(SHAPE, bool)
    outlines = outline_map([Crop(label_map() == 3), Crop(full)], SHAPE)
    assert outlines[0].rings == []
    assert outlines[1].iou == 1
    assert outline_map([], SHAPE) == []


@given(arrays(np.uint8, (14, 17), elements={"min_value": 0, "max_value": 3}))
@settings(max_examples=40, deadline=None)
def test_any_label_map_keeps_its_targets(labels: np.ndarray) -> None:
    values = [int(v) for v in np.unique(labels) if v]
    outlines = outline_map(crops(labels, values), (14, 17))
    seen = painted(outlines, (14, 17))
    for index, (value, outline) in enumerate(zip(values, outlines, strict=True), start=1):
        assert outline.iou == iou(seen == index, labels == value) >= 0.95
    assert not values or np.mean([outline.iou for outline in outlines]) >= 0.97
