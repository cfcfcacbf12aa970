"""What is measured when, and that figures of labels that changed meanwhile count as stale; in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, Refused
from app.models import Region, Run
from app.quality import Measured, Summary
from app.services import exports, measuring, metrics
from app.services.context import Paths
from app.services.lasting import Lasting
from app.smoothing import FLICKER_LIMIT
from app.stamps import ranks_of, stamp_of
from app.store import Store
from tasks.snapshot import Snapshot
from tests.store import rows


class Scene:
    """An asset with regions in a real store, and figures as the job would bring them."""

    def __init__(self, store: Store, count: int = 8) -> None:
        self.store = store
        # Figures need nothing else of a Context.
        self.ctx: Any = SimpleNamespace(store=store, lasting=Lasting(store))
        self.project, asset, self.frames = store.write(lambda cur: rows.scene(cur, count=count))
        self.asset = store.write(lambda cur: db.assets.update(cur, replace(asset, frame_count=count)))
        self.template = store.read(lambda cur: db.class_templates.get(cur, self.project.class_template_id))

    def label(self, *at: int) -> list[Region]:
        made = [rows.region(self.frames[index].id) for index in at]
        return self.store.write(lambda cur: db.regions.insert_many(cur, made))

    def bring(self, *at: int, warped: float | None = 1.0, **fields: Any) -> list[dict[str, Any]]:
        """Records of these frames as their regions are now."""

        def of(cur: db.Cursor, index: int) -> list[Region]:
            return list(db.regions.of_asset(cur, self.asset.id, max(0, index - 1), 2 if index else 1))

        ranks = ranks_of(self.template)
        records = []
        for index in at:
            stamp = msgspec.to_builtins(stamp_of(self.store.read(lambda cur, i=index: of(cur, i)), ranks))
            frame = Measured(asset_id=self.asset.id, frame_index=index, **stamp, **fields)
            row = [100, None, warped, warped, warped, warped, warped]
            both = [[0, "", *row], [1, "", *row], [1, "t" * 24, *row]]
            records.append({"frame": msgspec.to_builtins(frame), "rows": both})
        return records

    def collect(self, records: list[dict[str, Any]]) -> None:
        job = rows.job(self.project.id)
        self.store.write(lambda cur: measuring.on_records(cur, job, records))

    def stale(self) -> list[Run]:
        ranks = ranks_of(self.store.read(lambda cur: db.class_templates.get(cur, self.template.id)))
        return self.store.read(lambda cur: db.measures.stale_runs(cur, self.asset.id, ranks))

    def figures(self) -> metrics.AssetFigures:
        return metrics.figures(self.ctx, self.project.id).assets[0]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Store.open(tmp_path) as store:
        yield Scene(store)


def test_labelled_frames_and_those_behind_them_are_to_be_measured(scene: Scene) -> None:
    assert scene.stale() == []
    scene.label(1, 2, 5)
    assert scene.stale() == [(1, 3), (5, 2)]
    scene.collect(scene.bring(1, 2, 3, 5))
    assert scene.stale() == [(6, 1)]
    found = scene.figures()
    assert (found.frames, found.measured, found.stale) == (8, 4, 1)


def test_what_changed_between_the_snapshot_and_the_figures_is_stale_at_once(scene: Scene) -> None:
    first, second, _ = scene.label(1, 2, 5)
    brought = scene.bring(1, 2, 3, 5, 6, warped=0.5)
    scene.store.write(lambda cur: db.regions.update(cur, replace(second, area=second.area + 1)))
    scene.collect(brought)
    assert scene.stale() == [(2, 2)]
    found = scene.figures()
    assert (found.measured, found.stale, found.over_limit) == (3, 2, 5)
    assert metrics.curve(scene.ctx, scene.asset.id).stale == [(2, 2)]
    scene.store.write(lambda cur: db.regions.delete(cur, first.id))
    assert scene.stale() == [(1, 3)]
    scene.collect(scene.bring(1, 2, 3))
    assert scene.stale() == []


def test_a_project_in_the_trash_is_not_measured(scene: Scene) -> None:
    scene.label(1, 2)
    project = replace(scene.project, trashed_at=1.0)
    scene.store.write(lambda cur: db.projects.update(cur, project, None))
    with pytest.raises(Conflict, match="in the trash"):
        measuring.submit(scene.ctx, scene.project.id, measuring.NewMeasuring())


def test_other_priorities_make_every_figure_stale(scene: Scene) -> None:
    scene.label(1, 2)
    scene.collect(scene.bring(1, 2, 3))
    named = replace(scene.template, name="Other")
    named = scene.store.write(lambda cur: db.class_templates.update(cur, named))
    assert scene.stale() == []
    classes = [replace(known, priority=known.priority + 1) for known in named.classes]
    scene.store.write(lambda cur: db.class_templates.update(cur, replace(named, classes=classes)))
    assert scene.stale() == [(1, 3)]


def test_figures_are_replaced_and_those_of_an_asset_that_is_gone_are_dropped(scene: Scene) -> None:
    scene.label(1, 2)
    brought = scene.bring(1, 2, warped=0.25)
    scene.collect(brought)
    scene.collect(scene.bring(2, warped=0.75, cut=True, contested=4))
    found = scene.figures()
    assert (found.summary.frames, found.summary.warped_iou, found.over_limit) == (2, 0.5, 2)
    assert (found.cuts, found.contested, found.worst) == (1, 1, 1)
    assert [(row.class_id, row.frames) for row in found.classes] == [(1, 2)]
    assert [(row.track_id, row.name, row.warped_iou) for row in found.tracks] == [("t" * 24, "", 0.5)]
    scene.store.write(lambda cur: db.assets.delete(cur, scene.asset.id))
    scene.collect(brought)
    left = scene.store.read(lambda cur: db.measures.of_frames(cur, scene.asset.id, 0, 9))
    assert (left, metrics.figures(scene.ctx, scene.project.id).summary) == ([], Summary())


def test_a_curve_shows_the_worst_of_every_bucket_however_long_the_asset(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        scene = Scene(store, count=200)
        scene.collect([*scene.bring(*range(0, 200, 2), warped=0.95), *scene.bring(101, warped=0.1)])
        found = metrics.curve(scene.ctx, scene.asset.id, most=10)
        assert (found.step, len(found.warped)) == (20, 10)
        assert found.warped == [0.05] * 5 + [0.9] + [0.05] * 4
        piece = metrics.curve(scene.ctx, scene.asset.id, start=90, stop=109, most=5)
        assert (piece.step, piece.warped) == (4, [0.05, 0.05, 0.9, 0.05, 0.05])
        odd = metrics.curve(scene.ctx, scene.asset.id, class_id=1, start=101, stop=103)
        assert (odd.step, odd.warped, odd.area) == (1, [0.9, 0.05, None], [100, 100, None])
        assert odd.limit == FLICKER_LIMIT
        with pytest.raises(Refused, match="between the frame indices 0 and 199"):
            metrics.curve(scene.ctx, scene.asset.id, start=-1)


@pytest.mark.parametrize(
    ("labelled", "lost"),
    [
        ([], []),
        ([(0, 50)], []),
        ([(0, 10), (11, 10)], [(10, 1)]),
        ([(0, 1), (2, 1), (4, 1)], []),
        ([(0, 1), (10, 1), (20, 1)], []),
        ([(0, 4), (7, 3), (12, 9)], [(10, 2)]),
    ],
)
def test_a_gap_is_a_loss_where_more_is_labelled_on_both_sides(labelled: list[Run], lost: list[Run]) -> None:
    assert measuring.losses(labelled) == lost


def test_frames_are_shown_with_the_one_before_each() -> None:
    assert measuring.with_predecessors([(0, 2), (5, 1), (7, 3)]) == [(0, 2), (4, 6)]
    assert measuring.with_predecessors([]) == []


def test_a_snapshot_of_scattered_frames_holds_them_with_their_regions_and_no_others(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        scene = Scene(store, count=1200)
        scene.label(*range(0, 1200, 5))
        runs = measuring.with_predecessors([(0, 2), (499, 4), (700, 1), (1199, 1)])
        target = tmp_path / "input.jsonl"
        scene.ctx.paths = Paths(tmp_path)
        exports.write_snapshot(scene.ctx, scene.project.id, [scene.asset], target, {scene.asset.id: runs})
        snapshot = Snapshot(target)
        found = {e.frame.index: len(e.regions) for e in snapshot.frames(snapshot.sections[0])}
    assert list(found) == [0, 1, *range(498, 503), 699, 700, 1198, 1199]
    assert [index for index, regions in found.items() if regions] == [0, 500, 700]
