"""Runs of frames behave as the sets of frames that they stand for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.models import Run
from app.services.frame_runs import runs_of, union, without

Frames = st.sets(st.integers(0, 40))


def frames(runs: list[Run]) -> set[int]:
    found = [index for start, length in runs for index in range(start, start + length)]
    assert found == sorted(set(found))
    return set(found)


@given(Frames, Frames)
def test_union_and_difference_are_those_of_sets_in_as_few_runs_as_can_be(a: set[int], b: set[int]) -> None:
    assert frames(runs_of(a)) == a
    both = union([runs_of(a), runs_of(b)])
    assert frames(both) == a | b
    assert all(sum(one) < after[0] for one, after in pairwise(both))
    assert frames(without(runs_of(a), runs_of(b))) == a - b
