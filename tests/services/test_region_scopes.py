"""Deleting part of a track, or all of it: what goes, what stays, and that one undo brings it all back."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, Refused
from app.models import Asset, Job, Project, Region, Run, Track, as_raw, frame_id, new_id
from app.services import history, region_scopes
from app.services.context import Context
from app.services.track_records import Sources, TrackArgs
from app.store import Store
from tests.services.test_history import context
from tests.store import rows

FRAMES = 10
LOST: list[Run] = [(1, 2), (4, 4)]


class Desk:
    """A track with regions on frames 0, 3, 5, 6 and 9, the first and last of them anchors; another beside it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.project: Project
        self.asset: Asset
        self.project, self.asset, frames = ctx.store.write(lambda cur: rows.scene(cur, FRAMES))
        self.other = rows.asset(self.project.id)
        self.track = replace(rows.track(self.project.id), lost={self.asset.id: LOST, self.other.id: LOST})
        beside = rows.track(self.project.id)
        self.regions = [self.region(self.asset, i, self.track, anchor=i in (0, 9)) for i in (0, 3, 5, 6, 9)]
        self.alone = replace(rows.region(frames[5].id), track_id=None)

        def write(cur: db.Cursor) -> None:
            db.assets.insert(cur, self.other)
            for track in (self.track, beside):
                db.tracks.insert(cur, track)
            more = [self.region(self.asset, i, beside) for i in range(FRAMES)]
            db.regions.insert_many(cur, [*self.regions, *more, self.alone])
            db.frames.set_state(cur, frames[6].id, "approved")

        ctx.store.write(write)

    @staticmethod
    def region(asset: Asset, index: int, track: Track, *, anchor: bool = False) -> Region:
        return replace(rows.region(frame_id(asset.id, index)), track_id=track.id, anchor=anchor, score=0.25)

    def seen(self) -> tuple[list[Region], list[Track]]:
        """All regions and tracks, but for their book-keeping."""

        def query(cur: db.Cursor) -> tuple[list[Region], list[Track]]:
            regions = list(db.regions.of_asset(cur, self.asset.id, 0, FRAMES))
            regions += db.regions.of_asset(cur, self.other.id, 0, FRAMES)
            tracks = db.tracks.of_project(cur, self.project.id)
            regions = sorted(regions, key=lambda region: region.id)
            return [replace(r, revision=0, updated_at=0.0) for r in regions], [
                replace(t, revision=0) for t in tracks
            ]

        return self.ctx.store.read(query)

    def left(self) -> tuple[list[int], Track | None]:
        """The frames that still show the track in its asset, and the track."""
        regions, tracks = self.seen()
        mine = [r for r in regions if r.track_id == self.track.id and r.frame_id.startswith(self.asset.id)]
        return sorted(int(r.frame_id[25:]) for r in mine), next(
            (track for track in tracks if track.id == self.track.id), None
        )

    def delete(self, scope: str, region: Region, **more: object) -> region_scopes.ScopeResult:
        options = {"expected_revision": None, "actor": "ann", **more}
        return region_scopes.delete(self.ctx, region.id, scope, **options)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with Store.open(tmp_path_factory.mktemp("scopes")) as store:
        yield context(store)


@pytest.fixture
def desk(ctx: Context) -> Desk:
    return Desk(ctx)


@pytest.mark.parametrize(
    ("scope", "left", "lost"),
    [
        ("onward", [0, 3], [(1, 2), (4, 1)]),
        ("backward", [6, 9], [(6, 2)]),
    ],
)
def test_part_of_a_track_goes_with_where_it_was_lost_and_comes_back_in_one_step(
    desk: Desk, scope: str, left: list[int], lost: list[Run]
) -> None:
    before = desk.seen()
    result = desk.delete(scope, desk.regions[2])
    assert (result.deleted, result.frames) == (3, 3)
    frames, track = desk.left()
    assert frames == left
    assert track is not None
    assert track.lost == {desk.asset.id: lost, desk.other.id: LOST}
    after = desk.seen()
    undone = history.undo(desk.ctx, desk.project.id, "ann")
    assert (undone.what, undone.frame_id) == ("Brought the regions of car 1 back.", None)
    assert desk.seen() == before
    history.redo(desk.ctx, desk.project.id, "ann")
    assert desk.seen() == after


def test_a_track_without_any_region_goes_as_a_whole_and_comes_back(desk: Desk) -> None:
    before = desk.seen()
    assert desk.delete("track", desk.regions[1]).deleted == 5
    assert desk.left() == ([], None)
    history.undo(desk.ctx, desk.project.id, "ann")
    assert desk.seen() == before


def test_a_track_that_has_regions_in_another_asset_stays(desk: Desk) -> None:
    there = desk.region(desk.other, 2, desk.track)
    desk.ctx.store.write(lambda cur: db.regions.insert(cur, there))
    desk.delete("track", desk.regions[1])
    frames, track = desk.left()
    assert frames == []
    assert track is not None
    assert track.lost == {desk.other.id: LOST}


def test_counts_say_what_each_scope_would_delete(desk: Desk) -> None:
    found = region_scopes.counts(desk.ctx, desk.regions[2].id)
    assert (found.frame, found.onward, found.backward, found.track) == (1, 3, 3, 5)
    assert found.anchors == region_scopes.ScopeCounts(frame=0, onward=1, backward=1, track=2)
    assert found.approved == region_scopes.ScopeCounts(frame=0, onward=1, backward=0, track=1)
    assert found.name == "car 1"
    alone = region_scopes.counts(desk.ctx, desk.alone.id)
    assert (alone.frame, alone.onward, alone.track, alone.track_id) == (1, 1, 1, None)


def test_a_repeated_request_deletes_nothing_more(desk: Desk) -> None:
    operation = new_id()
    first = desk.delete("onward", desk.regions[2], op_id=operation)
    before = desk.seen()
    again = desk.delete("onward", desk.regions[2], op_id=operation)
    assert (again.deleted, again.frames, again.edit) == (first.deleted, first.frames, first.edit)
    assert (first.created, again.created) == (True, False)
    assert desk.seen() == before


def test_a_stale_revision_and_a_region_without_track_are_refused(desk: Desk) -> None:
    before = desk.seen()
    with pytest.raises(Conflict, match="changed in the meantime"):
        desk.delete("track", desk.regions[2], expected_revision=7)
    with pytest.raises(Refused, match="belongs to no track"):
        desk.delete("track", desk.alone)
    assert desk.seen() == before


def test_nothing_is_deleted_while_a_job_tracks_the_object(desk: Desk) -> None:
    args = TrackArgs(
        asset_id=desk.asset.id,
        start=0,
        stop=9,
        direction="forward",
        engine="fake",
        overwrite=False,
        actor="ann",
        label="car",
        objects=[Sources(track_id=desk.track.id, class_id=1, region_ids=[])],
    )
    job = Job(
        id=new_id(), project_id=desk.project.id, kind="track", title="", state="paused", args=as_raw(args)
    )
    job = replace(job, asset_id=desk.asset.id)
    desk.ctx.store.write(lambda cur: db.jobs.insert(cur, job))
    with pytest.raises(Conflict, match="A job is tracking"):
        desk.delete("onward", desk.regions[2])
    desk.ctx.store.write(lambda cur: db.jobs.update(cur, msgspec.structs.replace(job, state="done")))
    assert desk.delete("onward", desk.regions[2]).deleted == 3
