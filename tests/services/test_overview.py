"""What the Dashboard says of flicker and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from app import store as db
from app.models import Region
from app.quality import Measure, Measured
from app.store import Store
from tests.store import rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as made:
        yield made


def measured(asset_id: str, values: dict[int, float | None]) -> tuple[list[Measured], list[Measure]]:
    """Frames whose warped IoU is the value, and a class that never counts."""
    frames = [
        Measured(asset_id=asset_id, frame_index=at, regions=1, revisions=1, updated_at=0.0, ranks="")
        for at in values
    ]
    whole = [
        Measure(asset_id=asset_id, frame_index=at, class_id=0, area=9, warped_iou=value)
        for at, value in values.items()
    ]
    return frames, whole + [replace(row, class_id=1, warped_iou=0.0) for row in whole]


def test_flicker_runs_through_the_assets_of_a_project_and_keeps_the_worst(store: Store) -> None:
    def make(cur: db.Cursor) -> str:
        project, first, _frames = rows.scene(cur)
        second = rows.asset(project.id)
        db.assets.insert(cur, second)
        for asset, count in ((first, 4), (second, 6)):
            db.assets.update(cur, replace(db.assets.get(cur, asset.id), frame_count=count), None)
        db.measures.store(cur, first.id, *measured(first.id, {0: None, 1: 0.9, 2: 0.8, 3: 1.0}))
        db.measures.store(cur, second.id, *measured(second.id, {4: 0.5, 5: 0.95}))
        return project.id

    project = store.write(make)
    found = store.read(lambda cur: db.stats.flicker(cur, {project: 10}, 5, 0.17))[project]
    assert found.values == [pytest.approx(0.1), pytest.approx(0.2), None, None, pytest.approx(0.5)]
    assert (found.over, found.compared) == (2, 5)
    whole = store.read(lambda cur: db.stats.flicker(cur, {project: 10}, 100, 0.17))[project]
    assert whole.values[8] == pytest.approx(0.5)
    assert len(whole.values) == 10


def test_a_project_that_was_never_measured_has_no_flicker(store: Store) -> None:
    project, _asset, _frames = store.write(rows.scene)
    found = store.read(lambda cur: db.stats.flicker(cur, {project.id: 3}, 5, 0.17))[project.id]
    assert found.values == [None] * 3
    assert found.compared == 0
    assert store.read(lambda cur: db.stats.flicker(cur, {}, 5, 0.17)) == {}


def test_certificates_are_counted_between_edges_which_belong_upwards(store: Store) -> None:
    edges = (0.0, 0.9, 0.95, 1.0)

    def make(cur: db.Cursor) -> str:
        project, _asset, frames = rows.scene(cur)
        made: list[Region] = [
            replace(rows.region(frames[0].id), certificate=replace(rows.CERTIFICATE, iou=iou))
            for iou in (0.0, 0.5, 0.9, 0.949, 0.95, 0.97, 1.0)
        ]
        db.regions.insert_many(cur, [*made, replace(rows.region(frames[0].id), certificate=None)])
        return project.id

    project = store.write(make)
    found = store.read(lambda cur: db.stats.certificates(cur, project, edges))
    assert found.counts == [2, 2, 3]
    assert (found.regions, found.certified, found.without) == (8, 3, 1)
