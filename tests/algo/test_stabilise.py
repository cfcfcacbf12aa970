"""Smoothing steadies labels that flicker, and leaves alone whatever it was told to or has no reason to touch."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.algo.motion import Picture, picture
from app.algo.stabilise import Shot, stabilise
from app.errors import Refused
from app.smoothing import METHODS, Smoothing

HEIGHT, WIDTH = 60, 80

few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
smoothings = st.builds(
    Smoothing,
    method=st.sampled_from(sorted(METHODS)),
    window=st.sampled_from([3, 5, 9]),
    alpha=st.sampled_from([0.1, 0.5, 0.9]),
    motion=st.booleans(),
    evidence=st.booleans(),
)


def texture(seed: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (shape[0] // 4 + 1, shape[1] // 4 + 1, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((4, 4, 1), np.uint8))[: shape[0], : shape[1]]


def still(frames: int, seed: int = 1) -> list[Picture]:
    return [picture(texture(seed))] * frames


def scattered(rng: np.random.Generator, frames: int) -> list[np.ndarray]:
    """Label maps without rhyme or reason: blocks of 0 to 4, other ones on every frame."""
    return [
        np.kron(rng.integers(0, 5, (HEIGHT // 10, WIDTH // 10)), np.ones((10, 10))).astype(np.uint16)
        for _ in range(frames)
    ]


def trembling(rng: np.random.Generator, frames: int) -> list[np.ndarray]:
    """A square (3) on 0 whose sides lie up to 4 px off, independently on every frame."""
    out = []
    for _ in range(frames):
        labels = np.zeros((HEIGHT, WIDTH), np.uint16)
        top, bottom, left, right = rng.integers(-4, 5, 4)
        labels[15 + top : 45 + bottom, 20 + left : 60 + right] = 3
        out.append(labels)
    return out


def run(
    maps: Sequence[np.ndarray],
    smoothing: Smoothing,
    pictures: Sequence[Picture | None] | None = None,
    **given,
) -> list[np.ndarray]:
    pictures = pictures or still(len(maps))
    shots = [Shot(labels, shown, **given) for labels, shown in zip(maps, pictures, strict=True)]
    return list(stabilise(shots, smoothing))


@few
@given(smoothing=smoothings, seed=st.integers(0, 99))
def test_constant_labels_stay_identical(smoothing: Smoothing, seed: int):
    labels = scattered(np.random.default_rng(seed), 1)[0]
    out = run([labels] * 7, smoothing, still(7, seed))
    assert all(one is labels for one in out)


@few
@given(smoothing=smoothings, seed=st.integers(0, 99))
def test_labels_come_from_the_window_and_the_input_is_untouched(smoothing: Smoothing, seed: int):
    maps = scattered(np.random.default_rng(seed), 7)
    kept = [one.copy() for one in maps]
    out = run(maps, smoothing)
    assert all((one == two).all() for one, two in zip(maps, kept, strict=True))
    reach = smoothing.window // 2 if METHODS[smoothing.method].parameter == "window" else 7
    for at, labels in enumerate(out):
        assert labels.dtype == np.uint16
        assert labels.shape == (HEIGHT, WIDTH)
        window = np.stack(maps[max(0, at - reach) : at + reach + 1])
        assert (labels == window).any(0).all()


@few
@given(smoothing=smoothings, seed=st.integers(0, 99), locked=st.sets(st.integers(0, 4), max_size=3))
def test_locked_layers_neither_gain_nor_lose_a_pixel(smoothing: Smoothing, seed: int, locked: set[int]):
    maps = scattered(np.random.default_rng(seed), 6)
    out = run(maps, smoothing, locked=frozenset(locked))
    for labels, result in zip(maps, out, strict=True):
        assert all(((labels == layer) == (result == layer)).all() for layer in locked)


@few
@given(smoothing=smoothings, seed=st.integers(0, 99), scope=st.sets(st.integers(0, 4), max_size=2))
def test_only_what_is_asked_for_changes(smoothing: Smoothing, seed: int, scope: set[int]):
    maps = scattered(np.random.default_rng(seed), 6)
    out = run(maps, smoothing, scope=frozenset(scope))
    for labels, result in zip(maps, out, strict=True):
        changed = labels != result
        assert (np.isin(labels, list(scope)) | np.isin(result, list(scope)))[changed].all()


@few
@given(smoothing=smoothings, seed=st.integers(0, 99), at=st.integers(1, 5))
def test_approved_frames_are_given_back_as_they_are(smoothing: Smoothing, seed: int, at: int):
    maps = scattered(np.random.default_rng(seed), 6)
    shots = [Shot(labels, None, locked=None if n == at else frozenset()) for n, labels in enumerate(maps)]
    assert list(stabilise(shots, smoothing))[at] is maps[at]


@few
@given(smoothing=smoothings, seed=st.integers(0, 99))
def test_nothing_crosses_a_cut(smoothing: Smoothing, seed: int):
    rng = np.random.default_rng(seed)
    first, second = scattered(rng, 4), [labels + np.uint16(10) for labels in scattered(rng, 4)]
    other = picture(255 - texture(1)[::-1] // 4)
    out = run([*first, *second], smoothing, [*still(4), *([other] * 4)])
    assert all((one == two).all() for one, two in zip(out[:4], run(first, smoothing), strict=True))
    assert all(
        (one == two).all() for one, two in zip(out[4:], run(second, smoothing, [other] * 4), strict=True)
    )
    assert max(int(one.max()) for one in out[:4]) < 10


@few
@given(smoothing=smoothings)
def test_frames_are_read_no_further_than_half_a_window_ahead(smoothing: Smoothing):
    read = 0

    def shots() -> Iterator[Shot]:
        nonlocal read
        for labels, shown in zip(trembling(np.random.default_rng(1), 14), still(14), strict=True):
            read += 1
            yield Shot(labels, shown)

    reach = max(2, smoothing.window // 2)
    given_out = 0
    for _ in stabilise(shots(), smoothing):
        given_out += 1
        assert read <= given_out + reach
    assert given_out == 14


@pytest.mark.parametrize("method", sorted(METHODS))
def test_no_more_than_a_window_of_frames_is_kept(method: str):
    pictures: list[weakref.ref[Picture]] = []

    def shots() -> Iterator[Shot]:
        for labels in trembling(np.random.default_rng(1), 30):
            shown = picture(texture(1))
            pictures.append(weakref.ref(shown))
            yield Shot(labels, shown)

    for _ in stabilise(shots(), Smoothing(method=method, window=5)):
        # The window, the frame that leaves it, and the one that the generator above still holds.
        assert sum(one() is not None for one in pictures) <= 5 + 2


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("motion", [False, True])
def test_boundaries_that_tremble_come_to_rest(method: str, motion: bool):
    maps = trembling(np.random.default_rng(2), 14)
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[15:45, 20:60] = True
    out = run(maps, Smoothing(method=method, motion=motion))

    def off(labels: Sequence[np.ndarray]) -> float:
        return float(np.mean([np.count_nonzero((one == 3) != truth) for one in labels[2:]]))

    assert off(out) < 0.75 * off(maps)


def test_a_large_alpha_still_smooths():
    maps = trembling(np.random.default_rng(3), 10)
    out = run(maps, Smoothing(method="exponential", alpha=0.5, evidence=False))
    assert sum(one is not two for one, two in zip(maps, out, strict=True)) >= 7


@pytest.mark.parametrize("method", ["average", "median"])
def test_a_component_that_is_lost_for_one_frame_comes_back(method: str):
    maps = [one.copy() for one in [trembling(np.random.default_rng(4), 1)[0]] * 9]
    whole = maps[0].copy()
    maps[4][:] = 0
    out = run(maps, Smoothing(method=method))
    assert (out[4] == whole).all()
    assert all((one == whole).all() for one in out)


def test_a_component_lost_once_in_a_long_steady_clip_comes_back_and_nothing_else_changes():
    size, frames, lost = (160, 240), 16, 9
    rng = np.random.default_rng(8)
    labels = np.kron(rng.integers(1, 5, (4, 6)), np.ones((40, 40))).astype(np.uint16)
    labels[60:90, 100:140] = 9
    maps = [labels] * frames
    maps[lost] = np.where(labels == 9, 0, labels).astype(np.uint16)
    pictures = [picture(texture(8, size))] * frames
    out = run(maps, Smoothing(), pictures)
    assert (out[lost] == labels).all()
    assert all(one is labels for at, one in enumerate(out) if at != lost)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_moving_square_is_not_eroded_by_motion_compensation(method: str):
    frames, size = 7, 120
    floor, cover = texture(5, (size, size)), texture(6, (40, 40))
    maps, pictures = [], []
    for at in range(frames):
        left = 20 + 4 * at
        image, labels = floor.copy(), np.zeros((size, size), np.uint16)
        image[40:80, left : left + 40] = cover
        labels[40:80, left : left + 40] = 7
        maps.append(labels)
        pictures.append(picture(image))
    compensated = run(maps, Smoothing(method=method, evidence=False), pictures)
    plain = run(maps, Smoothing(method=method, evidence=False, motion=False), pictures)

    def agreement(results: Sequence[np.ndarray]) -> float:
        pairs = [(labels == 7, result == 7) for labels, result in zip(maps, results, strict=True)]
        return min(np.count_nonzero(a & b) / np.count_nonzero(a | b) for a, b in pairs)

    assert agreement(compensated) > 0.96
    assert agreement(compensated) > agreement(plain)
    assert min(np.count_nonzero(result == 7) for result in compensated) > 0.97 * 40 * 40


@pytest.mark.parametrize(
    "wrong",
    [
        Smoothing(window=4),
        Smoothing(window=1),
        Smoothing(method="median", window=11),
        Smoothing(method="exponential", alpha=0.0),
        Smoothing(method="exponential", alpha=1.0),
        Smoothing(method="exponential", alpha=float("nan")),
        Smoothing(method="fourier"),
    ],
)
def test_parameters_out_of_range_are_refused_before_anything_is_read(wrong: Smoothing):
    with pytest.raises(Refused):
        stabilise(iter([]), wrong)


def test_nothing_in_is_nothing_out():
    assert list(stabilise([], Smoothing())) == []
