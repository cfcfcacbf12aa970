"""What a track brings into the database, where a person was faster than the worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app import store as db
from app.errors import Conflict
from app.models import Asset, Geometry, Job, Region, as_raw, frame_id, new_id
from app.services import bulk_edits, track_results
from app.services.track_records import Begun, Sources, Step, TrackArgs, id_from
from app.store import Store
from tests.store import rows

TRACK = id_from("a track")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


def region(asset: Asset, index: int, *, anchor: bool, class_id: int = 1) -> Region:
    frame = frame_id(asset.id, index)
    geometry = Geometry(outline=[[(1, 1), (9, 1), (9, 9)]])
    return Region(
        id=new_id(), frame_id=frame, class_id=class_id, geometry=geometry, track_id=TRACK, anchor=anchor
    )


def bring(store: Store, asset: Asset, job: Job, *records: Begun | Step) -> None:
    told = [msgspec.json.decode(msgspec.json.encode(record)) for record in records]
    store.write(lambda cur: track_results.on_records(cur, job, told))


def step(asset: Asset, index: int, **more: int) -> Step:
    found = region(asset, index, anchor=False, **more)
    return Step(leg=0, index=index, tracks=[TRACK], objects=[0], regions=[found])


def job_of(asset: Asset) -> Job:
    args = TrackArgs(
        asset_id=asset.id,
        start=0,
        stop=2,
        direction="forward",
        engine="fake",
        overwrite=False,
        actor="ann",
        label="car",
    )
    return Job(id=new_id(), project_id=asset.project_id, kind="track", title="Track", args=as_raw(args))


def test_an_anchor_that_came_meanwhile_stays_and_other_regions_of_the_track_give_way(store: Store) -> None:
    _project, asset, _frames = store.write(rows.scene)
    anchor, older = region(asset, 1, anchor=True), region(asset, 2, anchor=False)
    store.write(lambda cur: db.regions.insert_many(cur, [anchor, older]))
    job = job_of(asset)
    begun = Begun(objects=[Sources(track_id=TRACK, class_id=1, region_ids=[])])
    bring(store, asset, job, begun, step(asset, 0), step(asset, 1))
    last = step(asset, 2)
    bring(store, asset, job, last)
    ids = [frame_id(asset.id, index) for index in range(3)]
    found = store.read(lambda cur: db.regions.of_frames(cur, ids))
    mine = [r for r in found if r.track_id == TRACK]
    assert [r.frame_id for r in mine] == ids
    assert (mine[1].id, mine[2].id) == (anchor.id, last.regions[0].id)
    changes = store.read(lambda cur: next(db.bulk.batches(cur, job.id, 100)))
    assert [(c.table, bytes(c.after) == b"null") for c in changes] == [
        ("track", False),
        ("region", False),
        ("region", True),
        ("region", False),
    ]


def test_a_walk_back_replaces_the_walk_before_it_and_both_are_taken_back_at_once(store: Store) -> None:
    _project, asset, _frames = store.write(rows.scene)
    older = region(asset, 1, anchor=False)
    store.write(lambda cur: db.regions.insert_many(cur, [older]))
    job, frame = job_of(asset), frame_id(asset.id, 1)
    begun = Begun(objects=[Sources(track_id=TRACK, class_id=1, region_ids=[])])
    there, back = step(asset, 1), msgspec.structs.replace(step(asset, 1), leg=2)
    # In transactions of their own: what the first brought is deleted by the second, under the same edit.
    bring(store, asset, job, begun, there)
    bring(store, asset, job, back)
    store.write(lambda cur: track_results.on_tracked(cur, job, {}))

    def mine() -> list[str]:
        found = store.read(lambda cur: db.regions.of_frame(cur, frame))
        return [r.id for r in found if r.track_id == TRACK]

    assert mine() == [back.regions[0].id]
    edit = store.read(lambda cur: db.edits.by_id(cur, job.id))
    assert edit is not None
    store.write(lambda cur: bulk_edits.apply(cur, edit, backwards=True))
    assert mine() == [older.id]
    store.write(lambda cur: bulk_edits.apply(cur, edit, backwards=False))
    assert mine() == [back.regions[0].id]


def test_a_class_that_was_deleted_meanwhile_ends_the_track_with_a_sentence(store: Store) -> None:
    _project, asset, _frames = store.write(rows.scene)
    with pytest.raises(Conflict, match="class was deleted"):
        bring(store, asset, job_of(asset), step(asset, 0, class_id=999))


def test_an_asset_that_was_deleted_meanwhile_ends_the_track_with_a_sentence(store: Store) -> None:
    _project, asset, _frames = store.write(rows.scene)
    job = job_of(asset)
    store.write(lambda cur: db.assets.delete(cur, asset.id))
    with pytest.raises(Conflict, match="asset was deleted"):
        bring(store, asset, job, step(asset, 0))
