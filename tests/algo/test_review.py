"""The review queue: what counts as trouble, and an order that finds different errors first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo import review
from app.algo.review import KINDS, Findings, together

LIMIT = 0.17


def rows(*layers: tuple[int, list[float]], first: int = 0) -> tuple[Any, Any, Any]:
    """layer, place and one value a frame, from place `first` on."""
    return (
        np.concatenate([np.full(len(values), layer, np.int64) for layer, values in layers]),
        np.concatenate([np.arange(first, first + len(values)) for _, values in layers]),
        np.concatenate([np.array(values, float) for _, values in layers]),
    )


def flicker(*layers: tuple[int, list[float]]) -> Findings:
    layer, place, warped = rows(*layers)
    return review.flicker(layer, place, np.full(len(layer), 1000.0), warped, limit=LIMIT)


def found(kind: str, *at: tuple[int, int, float]) -> Findings:
    """Findings (layer, place, chance)."""
    layer, place, chance = (np.array(column) for column in zip(*at, strict=True))
    return Findings(
        layer, place, np.full(len(at), KINDS.index(kind)), np.zeros(len(at)), chance.astype(float)
    )


def best(of: Findings) -> int:
    return int(of.place[np.argmax(of.chance)])


def chances(of: Findings) -> dict[int, float]:
    return dict(zip(of.place.tolist(), of.chance.tolist(), strict=True))


def test_a_frame_that_is_wrong_for_itself_counts_more_than_the_one_behind_it() -> None:
    steady = [np.nan] + [0.05] * 20
    steady[9] = steady[10] = 0.4  # into and out of frame 9
    of = chances(flicker((1, steady)))
    assert max(of, key=lambda place: of[place]) == 9
    assert of[9] > 2 * of[10]
    assert of[9] > 0.5


def test_a_mask_that_changes_for_good_is_offered_where_it_does() -> None:
    steady = [np.nan] + [0.03] * 20
    steady[9] = 0.5
    assert flicker((1, steady)).place.tolist() == [9]


def test_what_is_usual_for_a_layer_is_no_reason_to_look() -> None:
    rng = np.random.default_rng(1)
    restless = (0.3 + 0.02 * rng.standard_normal(60)).tolist()
    assert max(flicker((1, restless)).chance, default=0) < 0.3
    restless[30] = restless[31] = 0.7
    assert best(flicker((1, restless))) == 30


def test_flicker_below_the_limit_hardly_counts_however_unusual() -> None:
    quiet, loud = [0.0] * 30, [0.0] * 30
    quiet[10:12], loud[10:12] = [0.03] * 2, [0.3] * 2
    below = chances(flicker((1, quiet))).get(10, 0.0)
    assert below < 0.2 < chances(flicker((1, loud)))[10]


def test_unmeasured_frames_say_nothing() -> None:
    assert len(flicker((1, [np.nan] * 9))) == 0
    assert len(flicker((1, []))) == 0
    assert len(review.areas(*rows((1, [])))) == 0


def test_the_worse_side_of_a_broken_frame_is_told() -> None:
    steady = [0.02] * 20
    steady[7], steady[8] = 0.31, 0.44
    of = flicker((3, steady))
    at = of.place.tolist().index(7)
    assert (of.value[at], of.layer[at]) == (pytest.approx(0.44), 3)


def test_an_area_that_falls_for_one_frame_is_told_with_its_share() -> None:
    of = review.areas(*rows((2, [1000.0] * 10 + [660.0] + [1000.0] * 10), first=40))
    assert (of.place.tolist(), of.layer.tolist()) == ([50], [2])
    assert of.value[0] == pytest.approx(-0.34)
    assert of.chance[0] > 0.5


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.9, 1.1),
    st.floats(50, 50_000),
    st.integers(3, 40),
)
def test_a_mask_that_grows_or_shrinks_evenly_is_not_sudden(by: float, begin: float, frames: int) -> None:
    assert len(review.areas(*rows((1, [begin * by**at for at in range(frames)])))) == 0


def test_a_layer_that_is_missing_for_a_frame_or_two_broke_there() -> None:
    layer, place, area = rows((1, [500.0] * 40))
    kept = ~np.isin(place, [12, 25, 26])
    of = review.areas(layer[kept], place[kept], area[kept])
    assert sorted(of.place.tolist()) == [12, 25, 26]
    assert of.value.tolist() == [-1.0] * 3


def test_frames_that_were_not_labelled_are_not_missing() -> None:
    layer, place, area = rows((1, [500.0] * 40))
    sparse = place % 2 == 0
    assert len(review.areas(layer[sparse], place[sparse], area[sparse])) == 0


def test_areas_that_nobody_knows_say_nothing() -> None:
    assert len(review.areas(*rows((1, [500.0, np.nan, 500.0, np.nan, np.nan, 500.0] * 5)))) == 0


def test_doubts_of_engines_and_geometry_grow_with_what_is_missing() -> None:
    layer = np.ones(4, np.int64)
    place = np.arange(4)
    value = np.array([0.98, 0.9, 0.6, 0.2])
    for of in (
        review.agreement(layer, place, value),
        review.score(layer, place, value),
        review.certificate(layer, place, value, np.full(4, 0.95)),
    ):
        assert of.place.tolist() == sorted(of.place.tolist())
        assert 0 not in of.place
        assert (np.diff(of.chance) > 0).all()
        assert of.chance.max() < 1


def test_a_loss_is_offered_where_it_begins_and_now_and_then_further_on() -> None:
    of = review.lost(np.array([7, 8]), np.array([10, 100]), np.array([2 * review.LOST_EVERY + 1, 1]))
    assert of.place.tolist() == [10, 10 + review.LOST_EVERY, 10 + 2 * review.LOST_EVERY, 100]
    assert of.layer.tolist() == [7, 7, 7, 8]
    assert of.value.tolist() == [2 * review.LOST_EVERY + 1, review.LOST_EVERY + 1, 1, 1]
    assert of.chance[0] == of.chance[3] > of.chance[1]


def test_frames_beside_a_later_correction_count_by_how_near_they_are() -> None:
    layer = np.array([1] * 12 + [2] * 12)
    place = np.array([*range(12), *range(12)])
    anchor = (place == 6) & (layer == 1)
    at = np.where(anchor, 5.0, 1.0)
    at[4] = 9.0  # made anew since
    of = review.neighbour(layer, place, anchor, at)
    assert set(of.layer.tolist()) == {1}
    assert sorted(of.place.tolist()) == [1, 2, 3, 5, 7, 8, 9, 10, 11]
    assert set(of.value.tolist()) == {6.0}
    near = chances(of)
    assert near[5] == near[7] > near[8] > near[9]


def test_what_a_person_confirmed_counts_less() -> None:
    of = review.lowered(found("area", (1, 5, 0.8), (2, 5, 0.8)), np.array([2, 1]), np.array([5, 6]), 0.25)
    assert of.chance.tolist() == [0.8, pytest.approx(0.2)]


def test_a_frame_with_two_faults_comes_before_those_with_one_of_them() -> None:
    of = together([found("area", (1, 3, 0.5), (2, 40, 0.6)), found("score", (2, 3, 0.5))])
    queue = review.queue(of)
    assert queue.place.tolist() == [3, 40]
    assert queue.gain.tolist() == [pytest.approx(0.75), pytest.approx(0.6)]


def test_the_neighbours_of_a_fault_wait_behind_other_faults() -> None:
    of = together([found("agreement", *((1, 20 + at, 0.9 - 0.01 * at) for at in range(4)), (2, 90, 0.4))])
    assert review.queue(of).place.tolist()[:2] == [20, 90]
    apart = together([found("agreement", (1, 20, 0.9), (2, 21, 0.89), (2, 90, 0.4))])
    assert review.queue(apart).place.tolist() == [20, 21, 90]


def test_opened_frames_are_left_out_and_quieten_their_neighbours() -> None:
    of = found("lost", (1, 10, 0.8), (1, 13, 0.7), (1, 60, 0.6))
    queue = review.queue(of, opened=np.array([10]))
    assert queue.place.tolist() == [60, 13]
    assert queue.gain[0] == pytest.approx(0.6)


def test_frames_that_are_done_count_half() -> None:
    of = found("score", (1, 10, 0.8), (1, 60, 0.6))
    queue = review.queue(of, halved=np.array([10]))
    assert dict(zip(queue.place.tolist(), queue.gain.tolist(), strict=True)) == {
        60: pytest.approx(0.6),
        10: pytest.approx(0.4),
    }


FINDING = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 60), st.floats(review.LEAST, 1.0)
)


@settings(deadline=None, max_examples=60)
@given(st.lists(FINDING, max_size=60), st.sets(st.integers(0, 60), max_size=5), st.integers(0, 80))
def test_every_queue_falls_names_each_frame_once_and_never_promises_more_than_was_found(
    listed: list[tuple[str, int, int, float]], opened: set[int], most: int
) -> None:
    of = together([found(kind, (layer, place, chance)) for kind, layer, place, chance in listed])
    queue = review.queue(of, opened=np.array(sorted(opened), np.int64), most=most)
    places = queue.place.tolist()
    assert len(places) == len(set(places))
    assert set(places) <= set(of.place.tolist()) - opened
    assert (np.diff(queue.gain[:most]) <= 1e-9).all()
    for place, gain in zip(places, queue.gain.tolist(), strict=True):
        alone = 1 - np.prod(1 - np.minimum(of.chance[of.place == place], 0.99))
        assert review.LEAST <= gain <= alone + 1e-9


@settings(deadline=None, max_examples=60)
@given(st.lists(FINDING, max_size=40), st.integers(1, 40))
def test_the_first_entries_do_not_depend_on_how_many_are_put_in_order(
    listed: list[tuple[str, int, int, float]], most: int
) -> None:
    of = together([found(kind, (layer, place, chance)) for kind, layer, place, chance in listed])
    whole, part = review.queue(of, most=100), review.queue(of, most=most)
    assert part.gain[:most].tolist() == pytest.approx(whole.gain[:most].tolist())
