"""Stabilised regions into the database: what the collector calls inside its transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict
from app.models import Job, Region
from app.services import history, projects
from app.services.bulk_edits import Recorder
from app.services.context import Context
from app.services.truth_sums import sums_of
from tasks.stabilise_files import FrameChange, StabiliseArgs, read_lines

BATCH = 500
"""Frames whose regions are held at a time."""
UNTOLD = "The figures after count frames as smoothed that stay as they are. Measure again for what is stored."


def on_stabilised(cur: db.Cursor, job: Job, value: dict[str, Any]) -> None:
    """Write what became of the regions, as one edit, and reckon with what was counted.

    A frame is left as it is, and counted as skipped, where its regions were changed, it was approved, or the class
    of a new region was deleted since the job began: new masks fit only what they were made of. Raises Conflict where
    the asset went away.
    """
    changes = value.pop("changes", "")
    value["truth"] = _truth(value["truth"])
    if not changes or db.edits.by_id(cur, job.id) is not None:
        return
    args = msgspec.json.decode(job.args, type=StabiliseArgs)
    project = projects.require_live(cur, job.project_id)
    classes = {one.id for one in db.class_templates.get(cur, project.class_template_id).classes}
    asset = db.assets.find(cur, args.asset_id)
    if asset is None or asset.trashed_at is not None:
        raise Conflict("The asset was put into the trash or deleted meanwhile, so nothing was changed.")
    recorder = Recorder(cur, job.id)
    written = value["skipped"] = 0
    lines = read_lines(Path(changes), FrameChange)
    while batch := list(islice(lines, BATCH)):
        written += _write(cur, recorder, batch, classes, value)
    value["regions"] = written
    if value["skipped"]:
        value["changed"] = max(0, value["changed"] - value["skipped"])
        value["notes"].append(UNTOLD)
    if recorder.count:
        history.record(
            cur,
            project_id=job.project_id,
            actor=args.actor,
            op_id=job.id,
            kind="stabilise-labels",
            label=args.label,
            frame_id=None,
            changes=[],
            bulk=recorder.count,
        )


def _truth(counted: dict[str, Any] | None) -> dict[str, Any] | None:
    """{frames, before, after}, mIoU of the frames that have hidden ground truth; None where none has."""
    if counted is None:
        return None
    before, after = (
        sums_of({(truth, found): pixels for truth, found, pixels in counted[side]}).miou
        for side in ("before", "after")
    )
    return {"frames": counted["frames"], "before": before, "after": after}


def tell(ctx: Context, job: Job, records: list[dict[str, Any]]) -> None:
    """Let every page know that all frames may have changed, once the job is done."""
    args = msgspec.json.decode(job.args, type=StabiliseArgs)
    if job.state == "done" and not args.preview:
        news = {"frame_id": None, "actor": args.actor, "key": "", "job": job.id}
        ctx.events.publish("regions", news, job.project_id)


def _write(
    cur: db.Cursor, recorder: Recorder, batch: list[FrameChange], classes: set[int], value: dict[str, Any]
) -> int:
    """Write the frames that are as they were; `classes`: those of the template.

    Returns how many regions changed, came or went.
    """
    ids = [line.frame_id for line in batch]
    states = {frame.id: frame.state for frame in db.frames.of_ids(cur, ids)}
    there: dict[str, dict[str, Region]] = {id: {} for id in ids}
    for region in db.regions.of_frames(cur, ids):
        there[region.frame_id][region.id] = region
    before: list[Region] = []
    after: list[Region] = []
    gone: list[Region] = []
    made: list[Region] = []
    now = time.time()
    for line in batch:
        regions = there[line.frame_id]
        revisions = {id: region.revision for id, region in regions.items()}
        orphaned = any(region.class_id not in classes for region in line.added)
        if orphaned or states.get(line.frame_id, "approved") == "approved" or revisions != dict(line.stamp):
            value["skipped"] += 1
            continue
        before += [regions[change.id] for change in line.changed]
        after += _changed(regions, line)
        gone += [regions[id] for id in line.gone]
        made += [replace(region, created_at=now, updated_at=now) for region in line.added]
    recorder.delete(gone)
    recorder.update(before, after)
    recorder.insert(made)
    return len(after) + len(gone) + len(made)


def _changed(regions: dict[str, Region], line: FrameChange) -> Iterator[Region]:
    for change in line.changed:
        yield replace(
            regions[change.id],
            geometry=change.geometry,
            certificate=change.certificate,
            area=change.area,
            # Nobody confirmed what the filter made of it.
            anchor=False,
        )
