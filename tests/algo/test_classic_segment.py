"""Guarantees of the click segmenter that hold whatever the picture is."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo.classic import Prepared, prepare, segment
from app.errors import Refused

Situation = tuple[str, int, int, list[tuple[float, ...]]]
KINDS = ("shapes", "flat", "noise", "grey ramp")
SIZES = ((1, 1), (1, 40), (40, 1), (2, 2), (24, 37), (60, 80))


def picture(kind: str, height: int, width: int) -> np.ndarray:
    """A drawn (H, W, 3) picture."""
    rng = np.random.default_rng(3)
    image = np.full((height, width, 3), 90, np.uint8)
    if kind == "noise":
        return rng.integers(0, 256, image.shape, dtype=np.uint8)
    if kind == "grey ramp":
        return np.repeat(
            (np.arange(width) * 255 // max(1, width - 1)).astype(np.uint8)[None, :, None], 3, 2
        ).repeat(height, axis=0)
    if kind == "shapes":
        image[height // 4 : height // 2 + 1, width // 4 : 3 * width // 4 + 1] = (200, 40, 40)
        image[3 * height // 4 :] = (30, 60, 190)
    return image


@cache
def ready(kind: str, height: int, width: int) -> Prepared:
    return prepare(picture(kind, height, width))


def pixel(prepared: Prepared, x: float, y: float) -> tuple[int, int]:
    return min(prepared.height - 1, max(0, int(y))), min(prepared.width - 1, max(0, int(x)))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    height, width = draw(st.sampled_from(SIZES))
    kind = draw(st.sampled_from(KINDS))
    rows = draw(
        st.lists(
            st.tuples(
                st.floats(0, width, allow_nan=False),
                st.floats(0, height, allow_nan=False),
                st.sampled_from([0.0, 1.0]),
                st.one_of(st.just(0.0), st.floats(0, 1e9)),
            ),
            min_size=1,
            max_size=7,
        )
    )
    return kind, height, width, rows


@settings(max_examples=80, deadline=None)
@given(situations())
def test_every_click_is_honoured_and_of_contradicting_ones_the_later(
    case: Situation,
) -> None:
    prepared, points = ready(*case[:3]), np.array(case[3])
    wanted = {pixel(prepared, x, y): label > 0.5 for x, y, label, _ in points}
    answers = segment(prepared, points)
    assert len(answers) == (3 if len(points) == 1 and points[0, 2] else 1)
    for answer in answers:
        assert answer.mask.shape == (prepared.height, prepared.width)
        assert answer.mask.dtype == bool
        assert 0 <= answer.score <= 1
        for place, inside in wanted.items():
            assert answer.mask[place] == inside


@settings(max_examples=40, deadline=None)
@given(situations(), st.data())
def test_nothing_lies_outside_the_box(case: Situation, data: st.DataObject) -> None:
    prepared, points = ready(*case[:3]), np.array(case[3])
    x1 = data.draw(st.floats(0, prepared.width - 0.6))
    y1 = data.draw(st.floats(0, prepared.height - 0.6))
    x2 = data.draw(st.floats(x1 + 0.5, prepared.width + 3))
    y2 = data.draw(st.floats(y1 + 0.5, prepared.height + 3))
    mask = segment(prepared, points, box=(x1, y1, x2, y2))[0].mask
    rows, columns = np.nonzero(mask)
    assert ((columns + 0.5 >= x1) & (columns + 0.5 <= x2) & (rows + 0.5 >= y1) & (rows + 0.5 <= y2)).all()


def test_clicks_beyond_the_image_count_for_its_edge() -> None:
    prepared = ready("shapes", 60, 80)
    mask = segment(prepared, np.array([[80.0, 60.0, 1, 0], [-3.0, -2.0, 0, 0]]))[0].mask
    assert mask[59, 79]
    assert not mask[0, 0]


def test_a_click_in_a_plain_rectangle_finds_it() -> None:
    image = np.full((120, 160, 3), 200, np.uint8)
    image[30:90, 50:110] = (40, 90, 160)
    truth = np.zeros((120, 160), bool)
    truth[30:90, 50:110] = True
    answers = segment(prepare(image), np.array([[80.5, 60.5, 1, 0]]))
    scores = [(a.mask & truth).sum() / (a.mask | truth).sum() for a in answers]
    assert max(scores) > 0.9
    assert len({a.mask.tobytes() for a in answers}) >= 1


def test_a_box_alone_finds_what_it_surrounds() -> None:
    image = np.full((120, 160, 3), 200, np.uint8)
    image[30:90, 50:110] = (40, 90, 160)
    truth = np.zeros((120, 160), bool)
    truth[30:90, 50:110] = True
    [answer] = segment(prepare(image), np.zeros((0, 4)), box=(44, 24, 116, 96))
    assert (answer.mask & truth).sum() / (answer.mask | truth).sum() > 0.9


def test_other_regions_claim_their_discs_except_where_own_clicks_do() -> None:
    prepared = ready("flat", 60, 80)
    others = np.array([[60.0, 30.0, 12.0], [21.0, 30.0, 6.0]])
    mask = segment(prepared, np.array([[20.5, 30.5, 1, 4.0]]), others=others)[0].mask
    assert mask[30, 20]
    assert not mask[30, 60]
    assert not mask[22:38, 52:68].any()


def test_without_positive_evidence_the_answer_is_empty() -> None:
    prepared = ready("shapes", 60, 80)
    for points in (np.zeros((0, 4)), np.array([[5.0, 5.0, 0, 3.0]])):
        [answer] = segment(prepared, points)
        assert not answer.mask.any()
        assert answer.score == 0


def test_refinement_keeps_to_the_previous_answer_far_from_the_new_click() -> None:
    prepared = ready("shapes", 60, 80)
    first = segment(prepared, np.array([[40.5, 22.5, 1, 5.0]]))[0].mask
    both = np.array([[40.5, 22.5, 1, 5.0], [70.5, 55.5, 0, 0]])
    second = segment(prepared, both, previous=first)[0].mask
    assert second[22, 40]
    assert not second[55, 70]


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    image = picture("noise", 60, 80)
    points = np.array([[30.5, 20.5, 1, 4.0], [60.5, 50.5, 0, 0]])
    fresh = segment(prepare(image), points)[0]
    used = prepare(image)
    for x in range(2, 78):
        segment(used, np.array([[x + 0.5, 30.5, 0, 0], [40.5, 30.5, 1, 0]]))
    again = segment(used, points)[0]
    assert again.mask.tobytes() == fresh.mask.tobytes()
    assert again.score == fresh.score


PROGRAM = """
import hashlib
import numpy as np
from app.algo.classic import prepare, segment
image = np.random.default_rng(5).integers(0, 256, (50, 70, 3), dtype=np.uint8)
image[10:40, 20:50] //= 3
answers = segment(prepare(image), np.array([[30.5, 20.5, 1.0, 0.0]]))
print(hashlib.sha256(b"".join(a.mask.tobytes() + np.float64(a.score).tobytes() for a in answers)).hexdigest())
"""


def test_a_new_process_gives_the_same_bytes() -> None:
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout.strip()
    image = np.random.default_rng(5).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    image[10:40, 20:50] //= 3
    answers = segment(prepare(image), np.array([[30.5, 20.5, 1.0, 0.0]]))
    parts = b"".join(a.mask.tobytes() + np.float64(a.score).tobytes() for a in answers)
    assert hashlib.sha256(parts).hexdigest() == told


def test_a_large_picture_is_answered_at_its_own_size() -> None:
    image = np.full((1500, 2600, 3), 200, np.uint8)
    image[400:1100, 900:1700] = (40, 90, 160)
    prepared = prepare(image)
    mask = segment(prepared, np.array([[1300.5, 750.5, 1, 240.0]]))[0].mask
    assert mask.shape == (1500, 2600)
    truth = np.zeros(mask.shape, bool)
    truth[400:1100, 900:1700] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9
    assert prepared.nbytes > image.nbytes


@pytest.mark.parametrize(
    "points",
    [np.array([[1.0, 2.0, 1.0]]), np.array([[np.nan, 2.0, 1.0, 0.0]]), np.array([[1, 2, 1, np.inf]])],
)
def test_malformed_points_are_refused(points: np.ndarray) -> None:
    with pytest.raises(Refused):
        segment(ready("shapes", 24, 37), points)


def test_an_empty_box_and_a_foreign_previous_mask_are_refused() -> None:
    prepared = ready("shapes", 24, 37)
    with pytest.raises(Refused):
        segment(prepared, np.zeros((0, 4)), box=(5, 5, 5, 9))
    with pytest.raises(Refused):
        segment(prepared, np.array([[1.0, 2.0, 1.0, 0.0]]), previous=np.zeros((3, 3), bool))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))]
)
def test_what_is_no_rgb_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(Refused):
        prepare(image)
