from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from app.algo.compete import RegionSeeds, prepare_compete, render_points
from app.algo.distil import depth
from app.algo.distil_map import distil_owners
from tests import drawing


@pytest.mark.parametrize("budget", [12, 40])
def test_points_that_change_places_give_more_pixels_back(budget: int) -> None:
    image, labels = drawing.scene(0, 160, 120)
    rng = np.random.default_rng(2)
    blocks = rng.integers(0, 4, (12, 16)).repeat(10, axis=0).repeat(10, axis=1)
    owners = np.where(labels > 0, labels, blocks + 1).astype(np.int32)
    render = partial(render_points, prepare_compete(image))
    before = distil_owners(owners, 4, render, budget=budget)
    after = distil_owners(owners, 4, render, budget=budget, rounds=4)
    assert (after.winners == render([RegionSeeds(rows) for rows in after.points])).all()
    assert sum(map(len, after.points)) <= budget
    assert all(len(rows) for rows in after.points)
    assert (after.winners == owners).mean() >= (before.winners == owners).mean()
    for index, rows in enumerate(after.points, start=1):
        columns, lines = np.floor(rows[:, :2]).astype(int).T
        assert (owners[lines, columns] == index).all()


def test_depths_are_roots_of_whole_numbers_wherever_the_array_lies() -> None:
    rng = np.random.default_rng(4)
    mask = rng.random((90, 140)) < 0.97
    squares = np.square(depth(mask).astype(np.float64))
    assert np.abs(squares - np.rint(squares)).max() < 1e-3
    shifted = np.zeros((97, 153), bool)
    shifted[5:95, 7:147] = mask
    assert (depth(shifted)[5:95, 7:147] == depth(mask)).all()
