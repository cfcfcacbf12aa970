"""`bench review` on drawn films: what counts as an error, and what the queue is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bench import reviewing
from app.bench.reviewing import GOOD, over
from app.errors import Refused
from app.worker.engines.fake import Fake
from tests.bench.test_tracking import ByColour, film, overlap

FRAMES = 20


def test_frames_that_break_in_a_film_are_the_first_to_be_opened(tmp_path: Path) -> None:
    result = reviewing.run([film(tmp_path, "moving", frames=FRAMES)], engine=ByColour())
    seeds = len(reviewing.SEEDS)
    damage = result["damage"]
    assert (damage["errors"], damage["frames"], damage["opened"]) == (seeds, seeds * FRAMES, seeds * 2)
    assert (damage["found"], damage["possible"], damage["at_random"]) == (1.0, 1.0, pytest.approx(0.1))
    assert result["gain_over_random_at_10"] == pytest.approx(10)
    assert result["gain_over_order_at_10"] == damage["found"] / max(damage["in_order"], 0.5 / seeds)
    assert result["tracker"] == {"errors": 0}  # this engine makes none


def test_a_tracker_that_stays_behind_is_wrong_from_where_too_little_is_covered(tmp_path: Path) -> None:
    result = reviewing.run([film(tmp_path, "moving", frames=FRAMES)], engine=Fake(tmp_path))
    wrong = sum(overlap(steps) < GOOD for steps in range(1, FRAMES))
    tracker = result["tracker"]
    assert (tracker["errors"], tracker["frames"], tracker["opened"]) == (wrong, FRAMES - 1, 2)
    assert tracker["possible"] == 2 / wrong
    assert 0 <= tracker["found"] <= tracker["possible"]


def test_runs_without_an_error_do_not_count() -> None:
    one = {
        "errors": 4,
        "frames": 40,
        "opened": 4,
        "found": 0.5,
        "in_order": 0.0,
        "at_random": 0.1,
        "possible": 1.0,
    }
    found = over([one, {"errors": 0}])
    assert found["over_random"] == pytest.approx(5)
    assert found["over_order"] == pytest.approx(
        4
    )  # in order nothing was found: half an error is taken as found
    assert over([{"errors": 0}]) == {"errors": 0}


def test_too_few_frames_with_masks_are_refused(tmp_path: Path) -> None:
    few = [film(tmp_path, "short", frames=5), film(tmp_path, "sparse", frames=FRAMES, masks={0, 9})]
    with pytest.raises(Refused):
        reviewing.run(few, engine=Fake(tmp_path))
