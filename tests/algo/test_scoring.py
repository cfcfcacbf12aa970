"""Counts of pixels, contours and objects against plain loops over pixels, and the best one-to-one assignment."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from app.algo import scoring
from app.algo.assignment import assign
from app.algo.measures import agreement
from app.algo.scoring import VOID
from app.quality import TruthCell, TruthObject, TruthScore
from app.services import truth_sums

SHAPE = (54, 72)


def blobs(rng: np.random.Generator, values: list[int]) -> np.ndarray:
    """A (54, 72) uint16 map of blocks of these values."""
    return rng.choice(values, (9, 12)).repeat(6, 0).repeat(6, 1).astype(np.uint16)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with void, what was found, and whose it is."""
    rng = np.random.default_rng(seed)
    truth = blobs(rng, [0, 1, 2, 700, VOID])
    found = np.where(rng.random(SHAPE) < 0.7, np.where(truth == VOID, 2, truth), blobs(rng, [0, 1, 2, 9]))
    return truth, found.astype(np.uint16), blobs(rng, [0, 1, 2])


@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_is_counted_once_in_its_cell_and_void_nowhere(seed: int) -> None:
    truth, found, owners = drawn(seed)
    naive: dict[tuple[int, int, int], int] = {}
    for own, row, column in zip(owners.ravel(), truth.ravel(), found.ravel(), strict=True):
        if row != VOID:
            cell = (int(own), int(row), int(column))
            naive[cell] = naive.get(cell, 0) + 1
    assert scoring.confusion_by(truth, found, owners) == [(*cell, naive[cell]) for cell in sorted(naive)]
    together: dict[tuple[int, int], int] = {}
    for (_own, row, column), pixels in naive.items():
        together[row, column] = together.get((row, column), 0) + pixels
    assert scoring.confusion(truth, found) == [(*cell, together[cell]) for cell in sorted(together)]


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_what_their_definitions_say(seed: int) -> None:
    truth, found, _owners = drawn(seed)
    cells = [TruthCell(truth=t, found=f, author="", pixels=n) for t, f, n in scoring.confusion(truth, found)]
    sums = truth_sums.sums_of(truth_sums.counts_of(cells))
    known = truth != VOID
    assert sums.pixels == known.sum()
    assert sums.pixel_accuracy == pytest.approx((truth == found)[known].mean())
    ious = []
    assert [row.class_id for row in sums.classes] == [1, 2, 9, 700]
    for row in sums.classes:
        mine, theirs = (truth == row.class_id) & known, (found == row.class_id) & known
        both = (mine & theirs).sum()
        assert (row.truth_px, row.found_px, row.both_px) == (mine.sum(), theirs.sum(), both)
        assert row.iou == pytest.approx(both / (mine | theirs).sum())
        assert row.precision == (pytest.approx(both / theirs.sum()) if theirs.any() else None)
        assert row.recall == (pytest.approx(both / mine.sum()) if mine.any() else None)
        if mine.any():
            ious.append(row.iou)
    assert sums.miou == pytest.approx(np.mean(ious))


@pytest.mark.parametrize("seed", range(3))
def test_contours_and_objects_agree_with_the_measures_of_whole_masks(seed: int) -> None:
    truth, found, _owners = drawn(seed)
    void = truth == VOID
    for class_id, f in scoring.contours(truth, found).items():
        assert f == pytest.approx(agreement(truth == class_id, found == class_id, void).f)
    seen = scoring.objects(np.where(void, 0, truth).astype(np.uint16), found, void)
    met = {(one.object, one.track): one for one in seen.meetings}
    for number in (1, 2, 700):
        for track in (1, 2, 9):
            whole = agreement(truth == number, found == track, void)
            one = met.get((number, track))
            assert (one.j, one.f) == pytest.approx((whole.j, whole.f)) if one else whole.both == 0


@pytest.mark.parametrize("seed", range(3))
def test_small_things_in_a_large_frame_are_judged_as_whole_masks_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = np.zeros((2, 90, 120), np.uint16)
    for number in (1, 2, 3):
        x, y = rng.integers(0, 100), rng.integers(0, 70)
        truth[y : y + 14, x : x + 12] = number
        x, y = x + rng.integers(-4, 5), y + rng.integers(-4, 5)
        found[max(0, y) : y + 13, max(0, x) : x + 15] = number
    met = {(one.object, one.track): one for one in scoring.objects(truth, found).meetings}
    fs = scoring.contours(truth, found)
    for number in np.unique(truth[truth > 0]).tolist():
        whole = agreement(truth == number, found == number)
        assert 0 < whole.f < 1 or whole.j > 0
        assert (met[number, number].j, met[number, number].f) == pytest.approx((whole.j, whole.f))
        assert fs[number] == pytest.approx(whole.f)


def test_two_that_lie_far_apart_do_not_meet_and_an_empty_frame_counts_nothing() -> None:
    truth, found = np.zeros((2, 300, 400), np.uint16)
    truth[10:40, 10:40], found[200:240, 300:340] = 3, 5
    seen = scoring.objects(truth, found)
    assert (seen.truth, seen.found, seen.meetings) == ({3: 900}, {5: 1600}, [])
    nothing = np.full((4, 4), VOID, np.uint16)
    assert scoring.confusion(nothing, np.zeros((4, 4), np.uint16)) == []
    assert scoring.contours(nothing, np.ones((4, 4), np.uint16)) == {}


def test_a_pixel_belongs_to_the_author_of_its_region_and_an_unlabelled_one_to_the_main_author() -> None:
    winners = np.array([[1, 1, 2], [2, 2, 0], [3, 0, 0]], np.uint16)
    assert scoring.author_map(winners, [1, 4, 4]).tolist() == [[1, 1, 4], [4, 4, 4], [4, 4, 4]]
    # Both have three pixels of the frame: the lower number is it.
    assert scoring.author_map(winners, [4, 1, 4]).tolist() == [[4, 4, 1], [1, 1, 1], [4, 1, 1]]
    assert scoring.author_map(np.zeros((1, 2), np.uint16), []).tolist() == [[0, 0]]


@pytest.mark.parametrize("seed", range(20))
def test_the_assignment_has_the_largest_sum_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gains = {
        (int(a), f"t{b}"): float(rng.integers(1, 9))
        for a in range(rng.integers(1, 5))
        for b in range(rng.integers(1, 5))
        if rng.random() < 0.6
    }
    pairs = assign(gains)
    assert len(set(pairs.values())) == len(pairs)
    columns = [f"t{b}" for b in range(4)] + [""] * 4
    best = max(sum(gains.get((a, b), 0.0) for a, b in enumerate(order)) for order in permutations(columns, 4))
    assert sum(gains[pair] for pair in pairs.items()) == best


def frame(index: int, *objects: tuple[str, str, int, int, int, float]) -> TruthScore:
    rows = [
        TruthObject(object=name, class_id=1, track_id=track, both=both, truth=own, found=found, boundary_f=f)
        for name, track, both, own, found, f in objects
    ]
    stamp = {"regions": 0, "revisions": 0, "updated_at": 0.0, "ranks": "", "truth_at": 0.0}
    return TruthScore(asset_id="a" * 24, frame_index=index, objects=rows, **stamp)  # pyright: ignore


def test_objects_and_tracks_are_paired_over_the_whole_asset_and_judged_where_either_is_seen() -> None:
    rows = [
        # On the first frame the wrong track covers more of the dog; over all frames it is the other one's.
        frame(
            0, ("dog", "t1", 40, 100, 50, 0.5), ("dog", "t2", 60, 100, 70, 0.7), ("cat", "t2", 5, 10, 70, 0.1)
        ),
        frame(1, ("dog", "t1", 100, 100, 100, 1.0), ("", "t2", 0, 0, 30, 0.0)),
        frame(2, ("dog", "t1", 100, 100, 100, 1.0), ("cat", "", 0, 20, 0, 0.0)),
        frame(3, ("", "t1", 0, 0, 9, 0.0)),
        frame(4, ("bird", "", 0, 9, 0, 0.0)),
    ]
    bird, cat, dog = truth_sums.tracks_of(rows)
    assert (dog.object, dog.track_id, dog.frames) == ("dog", "t1", 4)
    assert dog.j == pytest.approx((40 / 110 + 1 + 1 + 0) / 4)
    assert dog.f == pytest.approx((0.5 + 1 + 1 + 0) / 4)
    assert dog.jf == pytest.approx((dog.j + dog.f) / 2)
    assert (cat.track_id, cat.frames) == ("t2", 3)
    assert cat.j == pytest.approx(5 / 75 / 3)
    assert (bird.track_id, bird.frames, bird.jf) == (None, 1, 0)


def test_a_track_that_covers_everything_is_not_the_one_of_a_small_object() -> None:
    rows = [frame(0, ("dog", "all", 100, 100, 9000, 0.1), ("dog", "close", 90, 100, 95, 0.9))]
    assert truth_sums.tracks_of(rows)[0].track_id == "close"
