"""Charts: what is drawn where, what is left out, and what stands for many frames."""

from __future__ import annotations

import re

import pytest

from app.routes import charts


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_a_line_runs_from_the_bottom_to_the_top_through_the_middles_of_its_columns() -> None:
    assert points(charts.line([0.0, 0.5, 1.0, 7.0], 80, 26, 1.0)) == [(10, 23), (30, 13), (50, 3), (70, 3)]


def test_gaps_interrupt_a_line_and_a_lone_value_is_still_seen() -> None:
    path = charts.line([None, 0.5, None, 0.2, 0.1, None], 60, 20, 1.0)
    assert path.count("M") == 2
    assert path.count("L") == 1
    assert path.count("h0") == 1
    assert points(charts.lone([None, 0.5, None, 0.2, 0.1, None], 60, 20, 1.0)) == [(15, 10)]
    assert points(charts.lone([0.5], 60, 20, 1.0)) == [(30, 10)]
    assert charts.line([], 60, 20, 1.0) == charts.line([None], 60, 20, 1.0) == ""


def test_the_worst_of_each_part_is_kept_however_many_frames_there_are() -> None:
    values = [0.0] * 99_999 + [0.9]
    step, kept = charts.worst(values, 200)
    assert step == 500
    assert len(kept) == 200
    assert kept[-1] == 0.9
    assert charts.worst([None, None, 0.1], 2) == (2, [None, 0.1])
    assert charts.worst([], 5) == (1, [])


def test_the_limit_is_always_in_the_picture() -> None:
    calm = charts.curve([[0.01, 0.02]], limit=0.17, width=100, height=50)
    wild = charts.curve([[0.01, 0.95]], limit=0.17, width=100, height=50)
    assert (calm.top, wild.top) == (0.34, 1.0)
    assert 0 < calm.limit_y < wild.limit_y < 50
    assert calm.over == ""
    assert len(points(wild.over)) == 1


def test_points_know_their_frames_and_the_last_may_stand_for_fewer() -> None:
    found = charts.curve(
        [[0.1, None, 0.3]],
        limit=0.17,
        width=90,
        height=20,
        start=100,
        step=4,
        frames=9,
        cuts=[100, 104, 300],
        stale=[(104, 2)],
    )
    assert [(m.start, m.stop, m.value, m.over) for m in found.marks] == [
        (100, 104, 0.1, False),
        (104, 108, None, False),
        (108, 109, 0.3, True),
    ]
    assert (found.start, found.stop, found.worst) == (100, 109, 0.3)
    assert found.cuts == "M30 0V20"
    assert found.stale == [(30.0, 15.0)]


def test_bars_are_as_high_as_their_share_and_the_smallest_can_be_seen() -> None:
    found = charts.histogram([0, 1, 1000], [0.0, 0.9, 0.95, 1.0], target=0.95, width=90, height=100)
    assert [bar.height for bar in found.bins] == [0, 3, 100]
    assert [bar.below for bar in found.bins] == [True, True, False]
    assert found.total == 1001
    assert all(bar.y + bar.height == 100 for bar in found.bins)


@pytest.mark.parametrize(("part", "shade"), [(0, 0), (1, 1), (499, 5), (1000, 10)])
def test_what_is_there_is_never_as_pale_as_nothing(part: int, shade: int) -> None:
    assert charts.shade(part, 1000) == shade
