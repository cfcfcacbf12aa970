"""An accepted mask becomes points only where nobody sees the difference, else an outline."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.algo.certificate import boundary_f, iou
from app.algo.compete import RegionSeeds, prepare_compete, render_points
from app.algo.distil import distil_mask
from app.algo.outline import rasterise
from app.models import Certificate, Geometry, Point
from app.worker.refine import OUTLINE_TARGET, SHARP, to_region

SHAPE = (240, 320)
CLICK = Geometry(points=[Point(x=150.5, y=120.5, label=1, r=0)])
RIVAL = RegionSeeds(np.array([[10.5, 10.5, 1.0, 5.0]]))


def disc() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    cv2.circle(mask, (150, 120), 70, (1,), -1)
    return mask.astype(bool)


def saw() -> np.ndarray:
    """A disc whose teeth cost little area and nearly the whole boundary."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    angle = np.arctan2(y - 120, x - 150)
    return np.hypot(x - 150, y - 120) < 70 + 9 * ((angle * 16 / np.pi) % 1 < 0.3)


def engine(shown: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Draws along the edges of a picture of `shown`, against one other region."""
    prepared = prepare_compete(np.where(shown[..., None], 180, 60).astype(np.uint8).repeat(3, axis=2))
    return lambda points: render_points(prepared, [RIVAL, RegionSeeds(points)]) == 2


def accepted(
    mask: np.ndarray, shown: np.ndarray, target: float = 0.95
) -> tuple[Geometry, Certificate, np.ndarray]:
    return to_region(
        mask, CLICK, engine(shown), lambda *_: None, engine="classic", weights="w", target=target
    )


def test_a_mask_that_the_picture_shows_needs_no_more_than_the_click() -> None:
    geometry, certificate, drawn = accepted(disc(), disc())
    assert geometry == CLICK
    assert not certificate.exact
    assert (certificate.engine, certificate.weights) == ("classic", "w")
    assert iou(drawn, disc()) == certificate.iou >= 0.95


def test_points_that_reach_the_iou_but_not_the_boundary_give_way_to_an_outline() -> None:
    mask = saw()
    alone = distil_mask(mask, engine(disc()), start_points=np.array([[150.5, 120.5, 1, 0]]), target=0.9)
    assert alone.met, "the points would do for the IoU"
    assert boundary_f(alone.mask, mask, tolerance=0.002) < SHARP
    geometry, certificate, drawn = accepted(mask, disc(), target=0.9)
    assert geometry.outline
    assert certificate.exact
    assert certificate.iou == iou(rasterise(geometry.outline, SHAPE), mask) >= OUTLINE_TARGET
    assert np.array_equal(drawn, rasterise(geometry.outline, SHAPE))
    assert geometry.points == CLICK.points, "what the person placed stays, and nothing else"


def test_an_outline_reaches_a_target_above_its_usual_one() -> None:
    geometry, certificate, _ = accepted(saw(), disc(), target=1.0)
    assert geometry.outline
    assert certificate.iou == 1


def test_the_loop_gives_up_where_points_bring_too_little() -> None:
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.random(SHAPE), (0, 0), 3) > 0.5
    asked = []

    def draw(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return engine(disc())(points)

    result = distil_mask(noise, draw, budget=60, max_renders=100)
    assert result.exact
    assert max(asked) < 60


@pytest.mark.parametrize("target", [0.95, 1.0])
def test_an_outline_is_certified_as_it_is_stored(target: float) -> None:
    geometry, certificate, drawn = accepted(saw(), disc(), target=target)
    again = rasterise(geometry.outline or [], SHAPE)
    assert np.array_equal(again, drawn)
    assert iou(again, saw()) == certificate.iou
