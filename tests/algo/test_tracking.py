"""Following drawn things: over a textured floor, behind a sheet, through a cut, beside each other, both ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from app.algo.tracking import Frame, Sight, Tracker, following

HEIGHT, WIDTH = 120, 200
RNG = np.random.default_rng(5)
FLOOR = cv2.GaussianBlur(RNG.integers(60, 140, (HEIGHT, WIDTH, 3)).astype(np.uint8), (5, 5), 0)
OTHER = cv2.GaussianBlur(RNG.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8), (0, 0), 6)[..., ::-1] // 2
SKIN = cv2.GaussianBlur(RNG.integers(0, 255, (2 * HEIGHT, 2 * WIDTH, 3)).astype(np.uint8), (7, 7), 0)

Mask = np.ndarray
Picture = tuple[np.ndarray, Mask]


def disc(x: float, y: float, r: float = 18) -> Mask:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 < r * r


def drawn(
    mask: Mask, x: float, y: float, tint: Sequence[int] = (90, -30, -40), floor: np.ndarray = FLOOR
) -> np.ndarray:
    """A textured thing whose texture moves with (x, y), over a floor."""
    left, top = WIDTH - int(x), HEIGHT - int(y)
    skin = SKIN[top : top + HEIGHT, left : left + WIDTH].astype(int) // 2 + 60 + np.array(tint)
    return np.where(mask[..., None], np.clip(skin, 0, 255).astype(np.uint8), floor)


def moving(index: int) -> Picture:
    """A disc that moves to the right."""
    x, y = 40 + 4 * index, 60 + index
    return drawn(disc(x, y), x, y), disc(x, y)


def step(
    tracker: Tracker, position: int, image: np.ndarray, confirmed: dict[int, Mask] | None = None
) -> dict[int, Sight]:
    work = tracker.step(position, Frame(image), confirmed or {})
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def followed(pictures: Sequence[Picture], confirmed: dict[int, Mask] | None = None) -> list[Sight]:
    """Object 1 through pictures, from its mask on the first; `confirmed`: its masks on further ones."""
    tracker = Tracker((HEIGHT, WIDTH))
    known = {0: pictures[0][1], **(confirmed or {})}
    for position, mask in known.items():
        if position:
            tracker.remember(1, position, Frame(pictures[position][0]), mask)
    return [
        step(tracker, at, image, {1: known[at]} if at in known else None)[1]
        for at, (image, _) in enumerate(pictures)
    ]


def iou(sight: Sight, truth: Mask) -> float:
    if sight.mask is None:
        return float(not truth.any())
    return np.count_nonzero(sight.mask & truth) / np.count_nonzero(sight.mask | truth)


def agreement(sights: Sequence[Sight], pictures: Sequence[Picture]) -> list[float]:
    return [iou(sight, truth) for sight, (_, truth) in zip(sights, pictures, strict=True)]


def test_a_textured_disc_is_followed() -> None:
    pictures = [moving(i) for i in range(20)]
    sights = followed(pictures)
    assert min(agreement(sights, pictures)) > 0.93
    assert min(sight.score for sight in sights) > 0.6


def test_backward_is_forward_on_the_reversed_video() -> None:
    pictures = [moving(i) for i in reversed(range(12))]
    assert min(agreement(followed(pictures), pictures)) > 0.93


def hidden(index: int) -> Picture:
    """The disc, behind a sheet for six frames."""
    image, truth = moving(index)
    if 6 <= index < 12:
        image = image.copy()
        image[20:110, 30:130] = 128
        truth = np.zeros_like(truth)
    return image, truth


def test_an_object_behind_a_sheet_is_lost_and_found_again() -> None:
    pictures = [hidden(i) for i in range(18)]
    sights = followed(pictures)
    assert [sight.mask is None for sight in sights] == [6 <= i < 12 for i in range(18)]
    assert {sight.score for sight in sights[6:12]} == {0.0}
    assert min(agreement(sights, pictures)) > 0.9


def shot(index: int) -> Picture:
    """A cut to another place after six frames, back after twelve: the disc has gone on meanwhile."""
    if 6 <= index < 12:
        return OTHER, np.zeros((HEIGHT, WIDTH), bool)
    return moving(index)


def test_a_cut_loses_an_object_at_once_and_searches_for_it() -> None:
    pictures = [shot(i) for i in range(16)]
    sights = followed(pictures)
    assert [sight.mask is None for sight in sights] == [6 <= i < 12 for i in range(16)]
    assert min(agreement(sights[12:], pictures[12:])) > 0.9


def test_two_objects_that_touch_share_no_pixel() -> None:
    tracker = Tracker((HEIGHT, WIDTH))
    for index in range(10):
        left, right = disc(50 + 3 * index, 60), disc(150 - 4 * index, 60)
        image = drawn(right & ~left, 150 - 4 * index, 60, (-40, 60, -20))
        image = drawn(left, 50 + 3 * index, 60, floor=image)
        sights = step(tracker, index, image, {1: left, 2: right & ~left} if index == 0 else None)
        first, second = sights[1].mask, sights[2].mask
        assert first is not None
        assert second is not None
        assert not (first & second).any()
        assert min(iou(sights[1], left), iou(sights[2], right & ~left)) > 0.9


def test_an_anchor_ahead_helps_before_it_is_reached_and_is_reported_as_it_is() -> None:
    def opening(index: int) -> Picture:
        """A second disc of another colour comes out from behind the first: nothing tells that it belongs to it."""
        x = 50 + 2 * index
        image, front = moving(0)[0] * 0 + FLOOR, disc(50, 60)
        back = disc(x, 60)
        image = drawn(back, x, 60, (-40, 70, -30), floor=image)
        image = drawn(front, 50, 60, floor=image)
        return image, front | back

    pictures = [opening(i) for i in range(16)]
    last = pictures[-1][1]
    alone, guided = followed(pictures), followed(pictures, {15: last})
    assert (
        np.mean(agreement(guided[1:15], pictures[1:15]))
        > np.mean(agreement(alone[1:15], pictures[1:15])) + 0.1
    )
    assert guided[15].mask is last
    assert guided[15].score == 1


def test_an_anchor_takes_the_place_of_what_was_thought() -> None:
    pictures = [moving(i) for i in range(12)]
    wrong = disc(150, 30)
    tracker, sights = Tracker((HEIGHT, WIDTH)), []
    for index, (image, truth) in enumerate(pictures):
        confirmed = {0: {1: wrong}, 6: {1: truth}}.get(index)
        sights.append(step(tracker, index, image, confirmed)[1])
        if index == 6:
            tracker.forget(1, 0)
    agreed = agreement(sights, pictures)
    assert max(agreed[:6]) < 0.1
    assert min(agreed[6:]) > 0.9


def test_a_thin_bar_survives() -> None:
    def bar(index: int) -> Picture:
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[20:100, 60 + 2 * index : 63 + 2 * index] = True
        return np.where(mask[..., None], np.uint8(230), FLOOR), mask

    pictures = [bar(i) for i in range(12)]
    assert min(agreement(followed(pictures), pictures)) > 0.7


def test_what_comes_into_view_and_moves_with_an_object_joins_it() -> None:
    def emerging(index: int) -> Picture:
        """A disc of two colours slides out from under a sheet; only one of them is seen at first."""
        x, y = 70 + 6 * index, 60
        whole, half = disc(x, y, 24), disc(x, y, 24)
        half[:, : x - 4] = False
        image = drawn(half, x, y, floor=drawn(whole, x, y, (-50, 40, -30)))
        image[:, :66], whole[:, :66] = OTHER[:, :66], False
        return image, whole

    pictures = [emerging(i) for i in range(14)]
    assert agreement(followed(pictures), pictures)[-1] > 0.7


def test_a_growing_object_is_followed_on_in_larger_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "TOO_MANY", 2500)

    def growing(index: int) -> Picture:
        return drawn(disc(80, 60, 18 + 2 * index), 80, 60), disc(80, 60, 18 + 2 * index)

    pictures = [growing(i) for i in range(14)]
    assert min(agreement(followed(pictures), pictures)) > 0.8


def test_memory_does_not_grow_with_the_video() -> None:
    tracker = Tracker((HEIGHT, WIDTH))
    held = []
    for index in range(40):
        image, truth = moving(index % 10 if index // 10 % 2 == 0 else 10 - index % 10)
        step(tracker, index, image, {1: truth} if index == 0 else None)
        held.append(tracker.nbytes)
    assert max(held) == held[12] > 0


@pytest.mark.parametrize("anchor", [lambda: np.zeros((HEIGHT, WIDTH), bool), lambda: disc(199, 119, 2)])
def test_nothing_to_see_is_no_error(anchor: Callable[[], Mask]) -> None:
    tracker = Tracker((HEIGHT, WIDTH))
    first = anchor()
    assert step(tracker, 0, FLOOR, {1: first})[1].mask is first
    assert step(tracker, 1, OTHER)[1].mask is None
