"""Delete a region together with others of its track: from its frame on, up to its frame, or everywhere in the asset.

All of it is one edit, so one undo brings everything back: the regions, their anchors, and where the track was lost.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, Refused
from app.models import Edit, Region, Track, new_id
from app.services import annotate, history, projects
from app.services.bulk_edits import Recorder
from app.services.context import Context
from app.services.frame_runs import without
from app.services.frames import locate
from app.services.track_records import args_of, id_from
from app.services.views import EditView

Scope = Literal["frame", "onward", "backward", "track"]
PAGE = 2000
"""Regions that are held at a time."""
MAX_FOUND = 1000
"""Objects of a search by text that are looked through."""


class ScopeCounts(Struct, kw_only=True):
    """How many regions there are in a scope."""

    frame: int
    onward: int
    backward: int
    track: int


class ScopesView(Struct, kw_only=True):
    """What deleting a region in each scope would delete: regions; of these, those that a person confirmed, and
    those on approved frames. All scopes are 1 for a region without a track.
    """

    frame: int
    onward: int
    backward: int
    track: int
    anchors: ScopeCounts
    approved: ScopeCounts
    track_id: str | None
    name: str
    """Of the track; empty without one."""


class ScopeResult(Struct, kw_only=True):
    """`created` is False when the request was a retry."""

    deleted: int
    frames: int
    edit: EditView
    created: bool = True


def counts(ctx: Context, region_id: str) -> ScopesView:
    """What deleting the region in each scope would delete. Raises NotFound."""

    def query(cur: db.Cursor) -> ScopesView:
        region = db.regions.get(cur, region_id)
        frame, _asset = locate(cur, region.frame_id)
        one = db.regions.TrackPart(1, 1, int(region.anchor), int(frame.state == "approved"))
        onward = backward = whole = one
        track = db.tracks.find(cur, region.track_id) if region.track_id else None
        if region.track_id:
            onward, backward, whole = (
                db.regions.counts_of_track(cur, frame.asset_id, region.track_id, *_span(frame.index, scope))
                for scope in ("onward", "backward", "track")
            )
        parts = {"frame": one, "onward": onward, "backward": backward, "track": whole}
        return ScopesView(
            **{scope: part.regions for scope, part in parts.items()},
            anchors=ScopeCounts(**{scope: part.anchors for scope, part in parts.items()}),
            approved=ScopeCounts(**{scope: part.approved for scope, part in parts.items()}),
            track_id=region.track_id,
            name=track.name if track else "",
        )

    return ctx.store.read(query)


def delete(
    ctx: Context,
    region_id: str,
    scope: Literal["onward", "backward", "track"],
    *,
    expected_revision: int | None,
    actor: str,
    op_id: str | None = None,
) -> ScopeResult:
    """Delete the regions of the region's track on its asset, also on approved frames, as one edit.

    Repeating the call with the same `op_id` changes nothing. Raises NotFound; Conflict when the region's
    revision is not the expected one, for a project in the trash, and while a job tracks the object; Refused
    for a region without a track.
    """

    def write(cur: db.Cursor) -> tuple[ScopeResult, str]:
        done = db.edits.by_id(cur, op_id) if op_id else None
        if done is not None:
            return _repeated(cur, done), done.project_id
        region = db.regions.get(cur, region_id)
        annotate.check_revision(region, expected_revision)
        track_id = region.track_id
        if track_id is None:
            raise Refused("The region belongs to no track, so it can only be deleted on its own frame.")
        frame, asset = locate(cur, region.frame_id)
        project = projects.require_live(cur, asset.project_id)
        _refuse_while_tracked(cur, project.id, asset.id, track_id)
        edit_id = op_id or new_id()
        recorder = Recorder(cur, edit_id)
        start, stop = _span(frame.index, scope)
        frames: set[str] = set()
        while found := db.regions.of_track(cur, asset.id, track_id, start, stop, PAGE):
            recorder.delete(found)
            frames.update(one.frame_id for one in found)
        deleted = recorder.count
        track = db.tracks.find(cur, track_id)
        if track is not None:
            _shorten(cur, recorder, track, asset.id, start, stop)
        edit = history.record(
            cur,
            project_id=project.id,
            actor=actor,
            op_id=edit_id,
            kind="delete-regions",
            label=track.name if track else annotate.class_name(cur, asset, region.class_id),
            frame_id=None,
            changes=[],
            bulk=recorder.count,
        )
        return ScopeResult(deleted=deleted, frames=len(frames), edit=history.view(edit)), project.id

    result, project_id = ctx.store.write(write)
    if result.created:
        news = {"frame_id": None, "actor": actor, "key": "", "edit": result.edit}
        ctx.events.publish("regions", news, project_id)
    return result


def _span(index: int, scope: str) -> tuple[int, int]:
    """First and last frame index of a scope, both included."""
    return (0 if scope != "onward" else index), (db.frames.MAX_INDEX if scope != "backward" else index)


def _shorten(cur: db.Cursor, recorder: Recorder, track: Track, asset_id: str, start: int, stop: int) -> None:
    """Forget where the track was lost from `start` to `stop`; the track itself where no region is left."""
    if not db.regions.count_in_track(cur, track.id):
        recorder.delete_track(track)
        return
    lost = dict(track.lost)
    kept = without(lost.pop(asset_id, []), [(start, stop - start + 1)])
    if kept:
        lost[asset_id] = kept
    if lost != track.lost:
        recorder.update_track(track, replace(track, lost=lost))


def _refuse_while_tracked(cur: db.Cursor, project_id: str, asset_id: str, track_id: str) -> None:
    """Raise Conflict while a job writes to the track: it would go on filling what was deleted."""
    live = db.jobs.listing(cur, project_id=project_id, states=["waiting", "running", "paused"])
    for job in live:
        if job.asset_id != asset_id or job.kind not in ("track", "find"):
            continue
        tracks = {thing.track_id for thing in args_of(job.args).objects}
        if job.kind == "find":
            tracks = {id_from(job.id, "object", number) for number in range(MAX_FOUND)}
        if track_id in tracks:
            raise Conflict("A job is tracking this object now. Wait for it, or cancel it first.")


def _repeated(cur: db.Cursor, done: Edit) -> ScopeResult:
    frames: list[str] = []
    for changes in db.bulk.batches(cur, done.id, done.bulk):
        frames += [
            msgspec.json.decode(change.before, type=Region).frame_id
            for change in changes
            if change.table == "region"
        ]
    return ScopeResult(deleted=len(frames), frames=len(set(frames)), edit=history.view(done), created=False)
