"""All masks of a frame become regions together: every certificate is what rendering them again gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import pytest

from app.algo.certificate import boundary_f, iou
from app.algo.distil_regions import DistilledRegion, distil_regions
from app.algo.render import Claim, Crop, competing, prepare_compete, region_masks, seeds_of
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
