"""What a stabilising job brings into the database, where a person was faster than the filter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict
from app.models import Asset, Certificate, Geometry, Job, Region, as_raw, frame_id, new_id
from app.services import bulk_edits, stabilising_results
from app.services.stabilising_results import UNTOLD
from app.smoothing import Smoothing
from app.store import Store
from tasks.stabilise_files import FrameChange, RegionChange, StabiliseArgs
from tests.store import rows

OLD = Geometry(outline=[[(1.0, 1.0), (9.0, 1.0), (9.0, 9.0)]])
NEW = Geometry(outline=[[(1.0, 1.0), (9.0, 1.0), (9.0, 5.0)]])
CERTIFICATE = Certificate(engine="outline", iou=0.99, boundary_f=1.0, target=0.98, exact=True)


class World:
    """Three frames with two regions each; of each frame the first region changes, the second goes, one comes."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        project, self.asset = store.write(self._rows)
        frames = [frame_id(self.asset.id, index) for index in range(3)]
        self.regions = [[self._region(frame), self._region(frame)] for frame in frames]
        self.added = [self._region(frame) for frame in frames]
        store.write(lambda cur: db.regions.insert_many(cur, [r for both in self.regions for r in both]))
        args = StabiliseArgs(
            job_id=new_id(),
            asset_id=self.asset.id,
            data_dir="",
            input="",
            start=0,
            stop=2,
            smoothing=Smoothing(),
            actor="ann",
            label="clip",
        )
        self.job = Job(id=args.job_id, project_id=project, kind="stabilise", title="S", args=as_raw(args))
        lines = [
            FrameChange(
                frame_id=frame,
                index=index,
                stamp=[(region.id, 1) for region in both],
                changed=[RegionChange(id=both[0].id, geometry=NEW, certificate=CERTIFICATE, area=16)],
                gone=[both[1].id],
                added=[self.added[index]],
            )
            for index, (frame, both) in enumerate(zip(frames, self.regions, strict=True))
        ]
        (folder / "changes.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def _rows(self, cur: db.Cursor) -> tuple[str, Asset]:
        template = db.class_templates.insert(cur, rows.template())
        project = db.projects.insert(cur, rows.project(template.id))
        asset = db.assets.insert(cur, replace(rows.asset(project.id), frame_count=3))
        db.frames.upsert_many(cur, rows.frames(asset.id, 3))
        return project.id, asset

    @staticmethod
    def _region(frame: str) -> Region:
        return Region(id=new_id(), frame_id=frame, class_id=1, geometry=OLD)

    def bring(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "changes": str(self.folder / "changes.jsonl"),
            "regions": 9,
            "skipped": 0,
            "truth": None,
            "changed": 3,
            "notes": [],
        }
        self.store.write(lambda cur: stabilising_results.on_stabilised(cur, self.job, value))
        return value

    def on(self, index: int) -> dict[str, Region]:
        frame = frame_id(self.asset.id, index)
        return {r.id: r for r in self.store.read(lambda cur: db.regions.of_frame(cur, frame))}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Store.open(tmp_path) as opened:
        yield World(opened, tmp_path)


def test_regions_change_come_and_go_in_one_edit_that_can_be_taken_back(world: World) -> None:
    value = world.bring()
    assert value == {"regions": 9, "skipped": 0, "truth": None, "changed": 3, "notes": []}
    for index, (changed, gone) in enumerate(world.regions):
        there = world.on(index)
        assert there.keys() == {changed.id, world.added[index].id}
        assert gone.id not in there
        now = there[changed.id]
        assert (now.geometry, now.certificate, now.area, now.anchor) == (NEW, CERTIFICATE, 16, False)
        assert now.revision == 2
        assert there[world.added[index].id].created_at > 0
    edit = world.store.read(lambda cur: db.edits.by_id(cur, world.job.id))
    assert edit is not None
    assert (edit.actor, edit.kind, edit.label, edit.bulk) == ("ann", "stabilise-labels", "clip", 9)
    world.store.write(lambda cur: bulk_edits.apply(cur, edit, backwards=True))
    for index, both in enumerate(world.regions):
        there = world.on(index)
        assert [(there[r.id].geometry, there[r.id].anchor) for r in both] == [(OLD, True)] * 2
        assert len(there) == 2


def test_frames_that_were_changed_or_approved_meanwhile_stay_as_they_are(world: World) -> None:
    def meanwhile(cur: db.Cursor) -> None:
        db.regions.update(cur, replace(world.regions[0][0], class_id=2), None)
        db.frames.set_state(cur, frame_id(world.asset.id, 1), "approved")

    world.store.write(meanwhile)
    before = [world.on(index) for index in range(3)]
    assert world.bring() == {"regions": 3, "skipped": 2, "truth": None, "changed": 1, "notes": [UNTOLD]}
    assert [world.on(0), world.on(1)] == before[:2]
    assert world.on(2) != before[2]


def test_a_region_that_came_meanwhile_keeps_its_frame_as_it_is(world: World) -> None:
    more = Region(id=new_id(), frame_id=frame_id(world.asset.id, 2), class_id=2, geometry=OLD)
    world.store.write(lambda cur: db.regions.insert(cur, more))
    assert world.bring() == {"regions": 6, "skipped": 1, "truth": None, "changed": 2, "notes": [UNTOLD]}
    assert world.on(2).keys() == {more.id, *(region.id for region in world.regions[2])}


def test_no_region_comes_of_a_class_that_was_deleted_meanwhile(world: World) -> None:
    def meanwhile(cur: db.Cursor) -> None:
        project = db.projects.get(cur, world.job.project_id)
        template = db.class_templates.get(cur, project.class_template_id)
        left = [one for one in template.classes if one.id != 1]
        db.class_templates.update(cur, replace(template, classes=left), None)

    world.store.write(meanwhile)
    before = [world.on(index) for index in range(3)]
    assert world.bring() == {"regions": 0, "skipped": 3, "truth": None, "changed": 0, "notes": [UNTOLD]}
    assert [world.on(index) for index in range(3)] == before


def test_an_asset_that_went_away_meanwhile_ends_the_job_with_a_sentence(world: World) -> None:
    world.store.write(lambda cur: db.assets.update(cur, replace(world.asset, trashed_at=1.0), None))
    with pytest.raises(Conflict, match="nothing was changed"):
        world.bring()
