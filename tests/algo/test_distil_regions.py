"""All masks of a frame become regions together: every certificate is what rendering them again gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo.certificate import boundary_f, iou
from app.algo.compete import RegionSeeds
from app.algo.distil import distil_mask, outline_only
from app.algo.distil_regions import DistilledRegion, distil_regions
from app.algo.outline import rasterise
from app.algo.render import Claim, Crop, competing, prepare_compete, region_masks, seeds_of
from app.errors import Refused
from app.models import Geometry, Point, quantise

SHAPE = (60, 80)


def picture(masks: Sequence[np.ndarray]) -> np.ndarray:
    """A noisy picture in which every mask has a shade of its own."""
    shades = np.full(masks[0].shape, 40, np.uint8)
    for index, mask in enumerate(masks):
        shades[mask] = 80 + 37 * index % 150
    noise = np.random.default_rng(0).integers(0, 12, (*shades.shape, 3))
    return (shades[..., None] + noise).astype(np.uint8)


def stored(region: DistilledRegion) -> Claim:
    """The region as it is stored and read again."""
    points = [Point(x=x, y=y, label=1 if label else 0, r=r) for x, y, label, r in region.points.tolist()]
    outline = None if region.outline is None else [[(x, y) for x, y in r.tolist()] for r in region.outline]
    return Claim(1, 0, 0, quantise(Geometry(points=points, outline=outline)))


def rendered(image: np.ndarray, regions: Sequence[DistilledRegion]) -> list[np.ndarray]:
    """What the worker and the exports draw for these regions."""
    shape = (image.shape[0], image.shape[1])
    prepared = prepare_compete(image)
    crops = region_masks(
        lambda drawn: competing(prepared, [seeds_of(claim.geometry) for claim in drawn]),
        shape,
        [stored(region) for region in regions],
    )
    return [crop.full(shape) for crop in crops]


def ellipse(x: int, y: int, a: int, b: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(mask, (x, y), (a, b), 20, 0, 360, (1,), -1)
    return mask.astype(bool)


SCENE = [ellipse(20, 30, 15, 20), ellipse(55, 30, 20, 12), ellipse(50, 28, 5, 25)]


@pytest.mark.parametrize("unlabelled", ["open", "background"])
@pytest.mark.parametrize("budget", [0, 4, 60])
def test_certificates_are_what_rendering_the_regions_again_gives(
    budget: int, unlabelled: Literal["open", "background"]
) -> None:
    image = picture(SCENE)
    regions = distil_regions(image, [Crop(mask) for mask in SCENE], budget=budget, unlabelled=unlabelled)
    nobody = ~np.any(SCENE, axis=0)
    for region, mask, drawn in zip(regions, SCENE, rendered(image, regions), strict=True):
        assert np.array_equal(drawn, region.mask.full(SHAPE))
        scored = np.ones(SHAPE, bool) if region.exact or unlabelled == "background" else ~nobody
        assert region.iou == iou(drawn & scored, mask & scored) >= 0.95
        assert region.boundary_f == boundary_f(drawn & scored, mask & scored)
        assert region.exact == (region.outline is not None)


def test_a_target_of_one_gives_every_pixel_back() -> None:
    image = picture(SCENE)
    regions = distil_regions(image, [Crop(mask) for mask in SCENE], target=1.0, unlabelled="background")
    for region, mask, drawn in zip(regions, SCENE, rendered(image, regions), strict=True):
        assert np.array_equal(drawn, mask)
        assert region.iou == region.boundary_f == 1


def test_a_region_under_others_is_an_outline_without_points() -> None:
    hidden = ellipse(55, 30, 8, 6)
    image = picture(SCENE)
    regions = distil_regions(image, [Crop(hidden), *(Crop(mask) for mask in SCENE)])
    assert not len(regions[0].points)
    assert regions[0].exact
    assert regions[0].iou >= 0.95
    assert all(len(region.points) for region in regions[1:])


def test_a_lone_object_keeps_to_itself_only_where_the_rest_is_background() -> None:
    image = picture(SCENE[:1])
    (free,) = distil_regions(image, [Crop(SCENE[0])], unlabelled="background")
    assert (free.points[:, 2] == 0).any()
    assert free.iou >= 0.95
    (flooded,) = distil_regions(image, [Crop(SCENE[0])], unlabelled="open")
    assert len(flooded.points) == 1
    assert flooded.mask.mask.all()
    half = np.zeros(SHAPE, bool)
    half[:, 40:] = True
    (mixed,) = distil_regions(image, [Crop(SCENE[0])], unlabelled=half)
    assert all(x > 40 for x, _, label, _ in mixed.points if label == 0)


def test_the_budget_is_kept_but_for_one_point_a_region() -> None:
    image = picture(SCENE)
    for budget, most in ((1, 4), (9, 9)):
        regions = distil_regions(
            image, [Crop(mask) for mask in SCENE], budget=budget, unlabelled="background"
        )
        assert sum(len(region.points) for region in regions) <= most
        assert all(region.points[0, 2] == 1 for region in regions)


def test_without_outlines_a_poor_region_says_so() -> None:
    noise = np.random.default_rng(0).random(SHAPE) < 0.3
    (region,) = distil_regions(
        np.zeros((*SHAPE, 3), np.uint8), [Crop(noise)], with_outline=False, unlabelled="background", budget=5
    )
    assert region.outline is None
    assert not region.exact
    assert region.iou < 0.95


def test_empty_and_misplaced_masks_and_none_at_all() -> None:
    image = picture(SCENE)
    assert distil_regions(image, []) == []
    with pytest.raises(Refused, match="empty"):
        distil_regions(image, [Crop(np.zeros(SHAPE, bool))])
    with pytest.raises(Refused, match="leaves its frame"):
        distil_regions(image, [Crop(np.ones((5, 5), bool), 78, 3)])
    with pytest.raises(Refused, match="another size"):
        distil_regions(image, [Crop(SCENE[0])], unlabelled=np.ones((3, 3), bool))


@st.composite
def awkward(draw: st.DrawFn) -> np.ndarray:
    """A mask of the kinds that break centroids, thinning and flooding."""
    kind = draw(
        st.sampled_from(["ring", "crescent", "line", "comb", "full", "corner", "frame", "specks", "pixel"])
    )
    a, b = draw(st.integers(3, 14)), draw(st.integers(3, 14))
    x, y = draw(st.integers(0, SHAPE[1] - 1)), draw(st.integers(0, SHAPE[0] - 1))
    mask = np.zeros(SHAPE, np.uint8)
    match kind:
        case "ring":
            cv2.ellipse(mask, (x, y), (a + 4, b + 4), 0, 0, 360, (1,), -1)
            cv2.ellipse(mask, (x, y), (a, b), 0, 0, 360, (0,), -1)
        case "crescent":
            cv2.circle(mask, (x, y), a + 6, (1,), -1)
            cv2.circle(mask, (x + a, y), a + 3, (0,), -1)
        case "line":
            cv2.line(mask, (x, y), (SHAPE[1] - 1 - b, a), (1,), 1)
        case "comb":
            mask[a : a + 30, b : b + 40 : 4] = 1
            mask[a + 30, b : b + 40] = 1
        case "full":
            mask[:] = 1
        case "corner":
            mask[:a, :b] = 1
        case "frame":
            mask[:] = 1
            mask[2:-2, 2:-2] = 0
        case "specks":
            mask[:] = np.random.default_rng(a * 15 + b).random(SHAPE) < 0.1
    mask[y, x] = 1
    return mask.astype(bool)


@given(
    st.lists(awkward(), min_size=1, max_size=3),
    st.sampled_from([0, 3, 40]),
    st.sampled_from([0.9, 1.0]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_masks_come_back_certified(
    masks: list[np.ndarray], budget: int, target: float, visible: bool
) -> None:
    image = picture(masks if visible else [np.zeros(SHAPE, bool)])
    regions = distil_regions(
        image, [Crop(mask) for mask in masks], budget=budget, target=target, unlabelled="background"
    )
    top = np.zeros(SHAPE, int)
    for index, mask in enumerate(masks):
        top[mask] = index + 1
    for index, (region, drawn) in enumerate(zip(regions, rendered(image, regions), strict=True)):
        assert region.iou == iou(drawn, masks[index]) >= target
        for x, y, label, r in region.points.tolist():
            at = top[int(y), int(x)]
            assert at == (index + 1 if label else 0)
            rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
            assert (top[np.hypot(columns + 0.5 - x, rows + 0.5 - y) < r] == at).all()


@given(awkward(), st.sampled_from([0.9, 0.95, 1.0]))
@settings(max_examples=30, deadline=None)
def test_any_single_mask_comes_back_certified(mask: np.ndarray, target: float) -> None:
    prepared = prepare_compete(picture([mask]))

    def render(points: np.ndarray) -> np.ndarray:
        return competing(prepared, [RegionSeeds(points)])[0].full(SHAPE)

    looped, straight = distil_mask(mask, render, target=target), outline_only(mask, target=target)
    for found in (looped, straight):
        assert found.met
        assert found.exact == (found.outline is not None)
        again = render(found.points) if found.outline is None else rasterise(found.outline, SHAPE)
        assert np.array_equal(again, found.mask)
        assert found.iou == iou(again, mask) >= target
        assert found.boundary_f == boundary_f(again, mask)
        assert all(mask[int(y), int(x)] == (label == 1) for x, y, label, _ in found.points.tolist())
