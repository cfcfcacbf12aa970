"""The engine that knows only anchors: where it answers, and with what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.errors import Refused
from app.worker.engines import Anchor, Plan, Seen
from app.worker.engines.interpolate import Interpolate

SHAPE = (60, 120)


def square(x: int, size: int = 12) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[20 : 20 + size, x : x + size] = True
    return mask


def walked(
    anchors: list[Anchor], start: int = 0, stop: int = 9, **later: Anchor
) -> dict[int, dict[int, Seen]]:
    """What is reported on each position, by object. `later`: an anchor that arrives while the walk is there."""

    def more() -> list[Anchor]:
        arrived = later.pop(f"at{len(found)}", None)
        return [] if arrived is None else [arrived]

    def unused(*_: object) -> None:
        raise AssertionError("it looks at no picture")

    found: dict[int, dict[int, Seen]] = {}
    plan = Plan(10, SHAPE, start, stop, anchors, prepared=unused, image=unused, more=more)
    for step in Interpolate(Path()).track(plan):
        if step is not None:
            position, seen = step
            found[position] = {one.object: one for one in seen}
    return found


def test_an_object_is_reported_between_its_anchors_and_nowhere_else() -> None:
    found = walked([Anchor(2, 7, square(10), 3), Anchor(6, 7, square(50), 3)])
    assert list(found) == list(range(10))
    assert [position for position, seen in found.items() if seen] == [2, 3, 4, 5, 6]
    for position in range(2, 7):
        assert np.array_equal(found[position][7].mask, square(10 * position - 10))
        assert found[position][7].class_id == 3
    assert [found[position][7].score for position in (2, 6)] == [1.0, 1.0]


def test_a_walk_back_finds_the_same() -> None:
    anchors = [Anchor(1, 0, square(10)), Anchor(5, 0, square(70, 24)), Anchor(8, 0, square(20))]
    there, back = walked(anchors), walked(anchors[::-1], 9, 0)
    assert list(back) == list(range(9, -1, -1))
    for position in range(1, 9):
        assert np.array_equal(there[position][0].mask, back[position][0].mask)
        assert there[position][0].score == back[position][0].score


def test_an_anchor_that_arrives_on_the_way_bends_it() -> None:
    anchors = [Anchor(0, 0, square(10)), Anchor(8, 0, square(10))]
    found = walked(anchors, at3=Anchor(6, 0, square(40)))
    assert np.array_equal(found[2][0].mask, square(10))
    assert np.array_equal(found[3][0].mask, square(25))
    assert np.array_equal(found[6][0].mask, square(40))


def test_a_shape_that_changes_much_is_uncertain() -> None:
    long = np.zeros(SHAPE, bool)
    long[28:30, 5:115] = True
    found = walked([Anchor(0, 0, square(50, 30)), Anchor(8, 0, long)])
    assert found[4][0].score < 0.5 < found[1][0].score


def test_without_two_anchors_it_says_what_is_missing() -> None:
    empty = np.zeros(SHAPE, bool)
    with pytest.raises(Refused, match="needs two anchors"):
        walked([Anchor(2, 0, square(10)), Anchor(6, 0, empty), Anchor(6, 1, square(30))])
