"""Mattes of drawn composites whose alpha is known."""

from __future__ import annotations

from itertools import chain
from typing import Any

import cv2
import numpy as np
import pytest

from app.algo.matting import METHODS, matte
from app.algo.matting.band import UNKNOWN, reshaped, trimap
from app.algo.matting.foreground import foreground
from app.algo.matting.measures import dtssd, grad, mad, mse, sad
from app.algo.matting.steady import AROUND, Steady
from app.errors import Refused
from app.matting import PARAMETERS, READ, MatteParameters, check

FRONT, BACK = np.array([205, 70, 60], np.float32), np.array([60, 110, 160], np.float32)
ENGINES = list(METHODS)


def noise(shape: tuple[int, int], seed: int, strength: float = 10) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.normal(0, 4 * strength, (*shape, 3)).astype(np.float32), (0, 0), 2)


def composite(alpha: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The image (H, W, 3) uint8 and the colours in front (H, W, 3) uint8 of an alpha (H, W)."""
    shape = alpha.shape[0], alpha.shape[1]
    front, back = FRONT + noise(shape, seed), BACK + noise(shape, seed + 1)
    weight = alpha[..., None]
    mixed = weight * front + (1 - weight) * back
    return tuple(np.clip(np.rint(one), 0, 255).astype(np.uint8) for one in (mixed, front))  # pyright: ignore


def ball(height: int = 150, width: int = 200, radius: float = 45, edge: float = 1.0) -> np.ndarray:
    """(H, W) float32: a disc, from inside to outside over so many pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    away = np.hypot(x - width * 0.5, y - height * 0.5) - radius
    return np.clip(0.5 - away / edge, 0, 1).astype(np.float32)


def hairy() -> np.ndarray:
    """A disc with 90 hairs of 20 pixels."""
    big = np.zeros((600, 800), np.uint8)
    cv2.circle(big, (400, 300), 130, 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 90, endpoint=False):
        ends = [(round(400 + r * np.cos(angle)), round(300 + r * np.sin(angle))) for r in (125, 215)]
        cv2.line(big, *ends, 255, 5)
    return cv2.resize(big, (200, 150), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


SHAPES = {"edge": ball(), "blur": ball(edge=14), "hair": hairy()}


@pytest.mark.parametrize(
    ("shape", "engine", "least"),
    [
        ("edge", "matte-fast", 0.6),
        ("edge", "matte-fine", 0.75),
        ("blur", "matte-fast", 0.6),
        ("blur", "matte-fine", 0.75),
        ("hair", "matte-fast", 0.6),
        ("hair", "matte-fine", 0.75),
    ],
)
def test_an_engine_takes_most_of_a_masks_error_away(shape: str, engine: str, least: float) -> None:
    truth = SHAPES[shape]
    mask = truth > 0.5
    found = matte(composite(truth)[0], mask, engine=engine).alpha
    assert 1 - mse(found, truth) / mse(mask.astype(np.float32), truth) > least


@pytest.mark.parametrize("engine", ENGINES)
def test_alpha_is_the_mask_outside_the_band_and_always_a_fraction(engine: str) -> None:
    mask = SHAPES["hair"] > 0.5
    image = composite(SHAPES["hair"])[0]
    found = matte(image, mask, engine=engine)
    assert found.alpha.dtype == np.float32
    assert found.alpha.shape == mask.shape
    assert ((found.alpha >= 0) & (found.alpha <= 1)).all()
    known = found.trimap != UNKNOWN
    assert (found.alpha[known] == mask[known]).all()
    assert ((found.trimap == 255)[known] == mask[known]).all()
    assert (found.alpha[70:80, 95:105] == 1).all()
    assert (found.alpha[:8] == 0).all()
    assert (matte(image, mask, engine=engine).alpha == found.alpha).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (3, 5), (17, 4), (31, 45), (64, 64)])
def test_small_and_odd_frames(engine: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for mask in (rng.random(shape) < 0.5, np.arange(shape[1]) < np.full(shape, shape[1] // 2)):
        found = matte(image, mask, engine=engine)
        assert found.alpha.shape == found.trimap.shape == shape
        assert np.isfinite(found.alpha).all()
        assert ((found.alpha >= 0) & (found.alpha <= 1)).all()
        assert foreground(image, found.alpha).shape == image.shape


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("full", [True, False])
def test_masks_without_a_boundary_stay_as_they_are(engine: str, full: bool) -> None:
    image = composite(SHAPES["edge"])[0]
    found = matte(image, np.full(image.shape[:2], full), engine=engine)
    assert (found.alpha == full).all()
    assert (found.trimap == 255 * full).all()
    colours = foreground(image, found.alpha)
    assert (colours == (image if full else 0)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_touches_the_border_of_a_frame_is_whole_there(engine: str) -> None:
    truth = np.zeros((120, 160), np.float32)
    truth[40:, 50:110] = 1
    found = matte(composite(truth)[0], truth > 0.5, engine=engine).alpha
    assert found[-1, 65:95].min() > 0.98
    assert found[-1, :35].max() < 0.02
    assert mad(found, truth) < 0.01


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_frame_is_done_at_a_smaller_size_and_as_well(engine: str) -> None:
    truth = cv2.resize(SHAPES["blur"], (1600, 1200), interpolation=cv2.INTER_LINEAR)
    mask = truth > 0.5
    image = cv2.resize(composite(SHAPES["blur"])[0], (1600, 1200), interpolation=cv2.INTER_LINEAR)
    found = matte(image, mask, engine=engine)
    assert 1 - mse(found.alpha, truth) / mse(mask.astype(np.float32), truth) > 0.6
    assert (found.alpha[found.trimap != UNKNOWN] == mask[found.trimap != UNKNOWN]).all()


def test_the_band_is_wide_at_hair_and_narrow_at_edges() -> None:
    widths = {}
    for name, truth in SHAPES.items():
        band = matte(composite(truth)[0], truth > 0.5, engine="matte-fast").trimap == UNKNOWN
        widths[name] = np.count_nonzero(band[75, 100:])
    assert widths["hair"] > 1.5 * widths["edge"]
    assert widths["blur"] > widths["edge"]


def test_a_band_of_a_given_width_and_of_doubt() -> None:
    mask = SHAPES["edge"] > 0.5
    image = composite(SHAPES["edge"])[0]
    narrow = matte(image, mask, parameters=MatteParameters(band=4)).trimap == UNKNOWN
    assert np.count_nonzero(narrow[75, 100:]) == 8
    assert (narrow == (trimap(mask, width=4) == UNKNOWN)).all()
    doubt = mask.astype(np.float32)
    doubt[:, :100] = 0
    wide = matte(image, mask, parameters=MatteParameters(band=4), uncertainty=doubt).trimap == UNKNOWN
    assert np.count_nonzero(wide[75, 130:]) == 24
    assert (wide[75, :60] == narrow[75, :60]).all()


def test_masks_shrink_and_grow_first() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    mask[5, 5] = True
    assert np.count_nonzero(reshaped(mask, 3, 0)) == 14 * 14
    grown = reshaped(mask, 0, 2)
    assert grown[10:30, 18:42].all()
    assert not grown[20, 17]
    opened = reshaped(mask, 2, 2)
    assert not opened[5, 5]
    assert opened[12:28, 20:40].all()
    full, none = np.ones((5, 5), bool), np.zeros((5, 5), bool)
    assert reshaped(full, 9, 0).all()
    assert not reshaped(none, 0, 9).any()


def test_colours_in_front_do_not_show_what_is_behind() -> None:
    truth = SHAPES["blur"]
    image, colours = composite(truth)
    soft = (truth > 0.1) & (truth < 0.9)

    def error(found: np.ndarray) -> float:
        return float(np.abs(found[soft].astype(float) - colours[soft]).mean())

    found = foreground(image, truth)
    assert error(found) < 0.35 * error(image)
    assert (found[truth == 1] == image[truth == 1]).all()
    assert (found[:5, :5] == 0).all()


def test_what_stands_still_is_averaged_and_what_moves_is_not() -> None:
    rng = np.random.default_rng(5)
    still, frames = composite(SHAPES["edge"])[0], 7
    noisy = [np.clip(SHAPES["edge"] + rng.normal(0, 0.1, SHAPES["edge"].shape), 0, 1) for _ in range(frames)]
    alphas = [one.astype(np.float32) for one in noisy]
    calm, ready = along([still] * frames, alphas)
    assert ready == [0] * AROUND + [1] * (frames - AROUND)
    assert dtssd(calm) < 0.4 * dtssd(alphas)
    textured = np.clip(BACK + noise((150, 260), 9, 40), 0, 255).astype(np.uint8)
    images = [np.ascontiguousarray(textured[:, 6 * at : 6 * at + 200]) for at in range(frames)]
    moved, _ = along(images, alphas)
    assert len(moved) == frames
    inner = np.s_[20:-20, 60:-60]
    assert all((one[inner] == other[inner]).all() for one, other in zip(moved, alphas, strict=True))


def test_nothing_is_averaged_across_a_cut() -> None:
    dark, light = np.full((48, 64, 3), 10, np.uint8), np.full((48, 64, 3), 240, np.uint8)
    alphas = [np.full((48, 64), at, np.float32) for at in (0, 0, 1, 1)]
    calm, _ = along([dark, dark, light, light], alphas)
    assert [float(one.mean()) for one in calm] == [0, 0, 1, 1]


def along(images: list[np.ndarray], alphas: list[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
    """The alphas of a film, and how many were ready after each frame."""
    steady = Steady()
    given = [steady.push(image, alpha) for image, alpha in zip(images, alphas, strict=True)]
    return [*chain.from_iterable(given), *steady.finish()], [len(one) for one in given]


def test_measures_of_known_errors() -> None:
    truth = np.zeros((40, 50), np.float32)
    off = truth.copy()
    off[10:20, 10:20] = 0.5
    part = np.zeros((40, 50), bool)
    part[10:20, :20] = True
    assert sad(off, truth) == pytest.approx(0.05)
    assert (mad(off, truth), mse(off, truth)) == (pytest.approx(0.025), pytest.approx(0.0125))
    assert (mad(off, truth, part), mse(off, truth, part)) == (pytest.approx(0.25), pytest.approx(0.125))
    assert mse(off, truth, truth > 1) == 0
    assert grad(off, off) == 0
    assert grad(off, truth) == pytest.approx(grad(1 - off, 1 - truth), rel=1e-3)
    assert grad(off, truth, ~part) < grad(off, truth)
    # From one frame to the next a quarter of the pixels changes by 0.5 in the one and not at all in the other.
    before, after = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    after[:2, :2] = 0.5
    assert dtssd([before, after], [before, before]) == pytest.approx(25)
    assert dtssd([before, after], [before, after]) == 0
    assert dtssd([before, after, after]) == pytest.approx(12.5)
    assert dtssd([before]) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"band": 0.5},
        {"band": float("nan")},
        {"band": 201},
        {"erode": -1},
        {"dilate": 101},
        {"warm_up": 51},
        {"tile": 100},
        {"tile": 300},
        {"chunk": 3},
        {"overlap": 17, "chunk": 64},
        {"overlap": 9, "chunk": 16},
    ],
)
def test_parameters_outside_their_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=PARAMETERS[next(iter(wrong))].title):
        check(MatteParameters(**wrong))


def test_usual_parameters_are_accepted() -> None:
    check(MatteParameters())
    check(MatteParameters(band=12.5, tile=512, overlap=8))
    fields = set(MatteParameters.__struct_fields__)
    assert set().union(*READ.values()) == fields
    assert set(PARAMETERS) == fields - {"steady"}
