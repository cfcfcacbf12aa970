"""Tracks into the database while they run: what the collector calls inside its transactions.

Regions appear frame by frame. The changes gather under one edit, which is recorded when the job ends, however
it ends; undoing it takes all of them back.
"""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import msgspec
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict
from app.models import Asset, ClassTemplate, Job, Region, Track, frame_id
from app.services import history
from app.services.bulk_edits import Recorder
from app.services.context import Context
from app.services.frame_runs import runs_of, union, without
from app.services.track_records import Begun, Record, Sources, Step, TrackArgs, args_of

TOLD_FRAMES = 50
"""More frames than these at a time are told as "all"."""


def on_records(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """Write what was found on some frames. Raises Conflict where it has no place any more."""
    args = args_of(job.args)
    asset, template = _place(cur, args)
    recorder = Recorder(cur, edit_of(cur, job))
    known = {c.id: c.name for c in template.classes}
    steps: list[Step] = []
    for record in msgspec.convert(records, list[Record]):
        if isinstance(record, Begun):
            for thing in record.objects:
                _begin(cur, job, recorder, thing, known)
        else:
            steps.append(record)
    _write(cur, recorder, asset, args, steps, known)


def on_tracked(cur: db.Cursor, job: Job, value: dict[str, Any]) -> None:
    """Of the regions that were found, `value` counts those that are there: approved frames took none."""
    value["regions"] = db.bulk.regions_added(cur, _edits(cur, job))
    _record(cur, job)


def on_stopped(cur: db.Cursor, job: Job) -> None:
    """Cancelled or failed: what was tracked stays, and is one step to undo."""
    _record(cur, job)


def tell(ctx: Context, job: Job, records: list[dict[str, Any]]) -> None:
    """Let every page know which frames changed; all of them where the job has ended or rests, for undo may
    change.
    """
    frames = [frame_id(job.asset_id or "", r["index"]) for r in records if r["type"] == "frame"]
    if job.finished_at is not None or job.state == "paused":
        news = {"frame_id": None, "actor": args_of(job.args).actor, "key": "", "job": job.id}
        ctx.events.publish("regions", news, job.project_id)
        return
    if len(frames) > TOLD_FRAMES:
        # Without the job: its edit can be taken back once it is recorded, at the end.
        ctx.events.publish("regions", {"frame_id": None, "actor": "", "key": ""}, job.project_id)
        return
    for frame in frames:
        ctx.events.publish("regions", {"frame_id": frame, "actor": "", "key": ""}, job.project_id)


def edit_of(cur: db.Cursor, job: Job) -> str:
    """The edit under which changes of the job gather: a job that was tried again makes another one."""
    return _edits(cur, job)[-1]


def undone(cur: db.Cursor, job: Job) -> bool:
    """Whether something that the job made was taken back."""
    for name in _edits(cur, job)[:-1]:
        last = db.edits.last_of_target(cur, name)
        if last is not None and last.kind == "undo":
            return True
    return False


def _edits(cur: db.Cursor, job: Job) -> list[str]:
    """The edits that the job recorded, and the one under which its changes gather now."""
    names: list[str] = []
    for n in count():
        names.append(job.id if not n else f"{job.id}-{n}")
        if db.edits.by_id(cur, names[-1]) is None:
            break
    return names


def _record(cur: db.Cursor, job: Job) -> None:
    args = args_of(job.args)
    edit = edit_of(cur, job)
    changes = db.bulk.count(cur, edit)
    if changes:
        history.record(
            cur,
            project_id=job.project_id,
            actor=args.actor,
            op_id=edit,
            kind=f"{job.kind}-objects",
            label=args.label,
            frame_id=None,
            changes=[],
            bulk=changes,
        )


def _place(cur: db.Cursor, args: TrackArgs) -> tuple[Asset, ClassTemplate]:
    asset = db.assets.find(cur, args.asset_id)
    if asset is None:
        raise Conflict("The asset was deleted meanwhile, so tracking ended.")
    project = db.projects.get(cur, asset.project_id)
    if asset.trashed_at is not None or project.trashed_at is not None:
        raise Conflict(
            "The asset was put into the trash meanwhile, so tracking ended. What was found is kept."
        )
    if project.status == "pending":
        project.status, project.updated_at = "wip", time.time()
        db.projects.update(cur, project, None)
    return asset, db.class_templates.get(cur, project.class_template_id)


def _begin(cur: db.Cursor, job: Job, recorder: Recorder, thing: Sources, known: dict[int, str]) -> None:
    """The track's row, and its id on the regions that it starts from."""
    if db.tracks.find(cur, thing.track_id) is None:
        number = db.tracks.count_of_class(cur, job.project_id, thing.class_id) + 1
        name = f"{known.get(thing.class_id, 'class')} {number}"
        recorder.insert_track(
            Track(id=thing.track_id, project_id=job.project_id, class_id=thing.class_id, name=name)
        )
    sources = db.regions.find_many(cur, thing.region_ids).values()
    before = [region for region in sources if region.track_id != thing.track_id]
    recorder.update(before, [replace(region, track_id=thing.track_id) for region in before])


def _write(
    cur: db.Cursor,
    recorder: Recorder,
    asset: Asset,
    args: TrackArgs,
    steps: list[Step],
    known: dict[int, str],
) -> None:
    frames = {frame_id(asset.id, step.index): step for step in steps}
    states = {frame.id: frame.state for frame in db.frames.of_ids(cur, list(frames))}
    if len(states) != len(frames):
        raise Conflict(
            "Frames of the asset were deleted meanwhile, so tracking ended. What was found is kept."
        )
    there: dict[str, list[Region]] = {}
    for region in db.regions.of_frames(cur, list(frames)):
        there.setdefault(region.frame_id, []).append(region)
    old: dict[str, Region] = {}
    new: dict[tuple[str, str | None], Region] = {}
    looked: dict[str, dict[int, bool]] = {}
    for step in steps:
        frame = frame_id(asset.id, step.index)
        if states[frame] == "approved" and not args.overwrite:
            continue
        mine = [region for region in there.get(frame, []) if region.track_id in step.tracks]
        kept = {region.track_id for region in mine if region.anchor}
        old |= {region.id: region for region in mine if region.track_id not in kept}
        found = {(frame, r.track_id): r for r in step.regions if r.track_id not in kept}
        seen = {track for _, track in found} | kept
        for track in step.tracks:
            # A walk back may follow in the same batch; what it found replaces what the walk before it found.
            new.pop((frame, track), None)
            looked.setdefault(track, {})[step.index] = track in seen
        new |= found
    gone = {region.class_id for region in new.values()} - known.keys()
    if gone:
        raise Conflict("The class was deleted meanwhile, so tracking ended. What was found before is kept.")
    recorder.delete(list(old.values()))
    recorder.insert(list(new.values()))
    for id, frames_of in looked.items():
        _note_lost(cur, recorder, asset.id, id, frames_of)


def _note_lost(
    cur: db.Cursor, recorder: Recorder, asset_id: str, track_id: str, looked: dict[int, bool]
) -> None:
    """Keep on which frames the object was not seen. `looked`: by frame index, whether it was."""
    track = db.tracks.find(cur, track_id)
    if track is None:
        return
    before = track.lost.get(asset_id, [])
    unseen = runs_of(index for index, seen in looked.items() if not seen)
    after = union([without(before, runs_of(looked)), unseen])
    if after != before:
        lost = (
            {**track.lost, asset_id: after}
            if after
            else {k: v for k, v in track.lost.items() if k != asset_id}
        )
        recorder.update_track(track, replace(track, lost=lost))
