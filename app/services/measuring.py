"""Measuring how steady labels are: the job of the consumer, and what it found into the database.

What is measured belongs to the labels of the snapshot that the job works from. Rows carry its stamp, so frames
that changed meanwhile count as stale as soon as their figures are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from app import store as db
from app.errors import Refused
from app.i18n import gettext as _
from app.models import Asset, Id, Job, Run, new_id
from app.quality import Measure, Measured
from app.services import exports, jobs, projects
from app.services.asset_ranges import live_asset
from app.services.context import Context
from app.services.frame_runs import union
from app.stamps import ranks_of
from tasks.channel import write_aside


class NewMeasuring(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to measure: the frames whose labels, or those of the frame before, changed since; with `all`, all that
    are labelled. Of one asset or of all of them.
    """

    asset_id: Id | None = None
    all: bool = False
    id: Id | None = None


class _Plan(NamedTuple):
    """`frames`: by asset id, those to measure; `lost`: those that ought to have a region and have none."""

    name: str
    assets: list[Asset]
    frames: dict[str, list[Run]]
    lost: dict[str, list[Run]]


def submit(ctx: Context, project_id: str, wanted: NewMeasuring, *, parent_id: str | None = None) -> Job:
    """Queue the measuring; where nothing changed since the last one the job has nothing to do and ends.

    Raises NotFound, Conflict (an asset in the trash), Refused where nothing is labelled.
    """
    job_id = wanted.id or new_id()
    plan = ctx.store.read(lambda cur: _plan(cur, project_id, wanted))
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, list_ = folder / "input.jsonl", folder / "wanted.json"
    if not snapshot.exists():
        listed = {id: {"frames": runs, "lost": plan.lost[id]} for id, runs in plan.frames.items()}
        write_aside(list_, msgspec.json.encode(listed))
        shown = {id: with_predecessors(runs) for id, runs in plan.frames.items()}
        assets = [asset for asset in plan.assets if plan.frames.get(asset.id)]
        exports.write_snapshot(ctx, project_id, assets, snapshot, shown)
    return jobs.submit(
        ctx,
        "measure",
        project_id,
        _("Measure stability: %(name)s") % {"name": plan.name},
        {"data_dir": str(ctx.paths.data), "input": str(snapshot), "wanted": str(list_)},
        asset_id=wanted.asset_id,
        id=job_id,
        parent_id=parent_id,
    )


def on_records(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """Put the figures of frames in the place of older ones; those of assets that are gone are dropped."""
    by_asset: dict[str, tuple[list[Measured], list[Measure]]] = {}
    for record in records:
        frame = msgspec.convert(record["frame"], Measured)
        frames, rows = by_asset.setdefault(frame.asset_id, ([], []))
        frames.append(frame)
        rows += [
            Measure(
                asset_id=frame.asset_id,
                frame_index=frame.frame_index,
                class_id=class_id,
                track_id=track_id,
                area=area,
                change=change,
                iou=iou,
                dice=dice,
                warped_iou=warped_iou,
                warped_dice=warped_dice,
                boundary_f=boundary_f,
            )
            for class_id, track_id, area, change, iou, dice, warped_iou, warped_dice, boundary_f in record[
                "rows"
            ]
        ]
    for asset_id, (frames, rows) in by_asset.items():
        if db.assets.find(cur, asset_id) is not None:
            db.measures.store(cur, asset_id, frames, rows)


def with_predecessors(runs: Sequence[Run]) -> list[Run]:
    """The frames of the runs and the one before each."""
    return union([[(max(0, start - 1), length + min(1, start)) for start, length in runs]])


def losses(labelled: Sequence[Run]) -> list[Run]:
    """Frames that were lost rather than not labelled yet: gaps shorter than the labelled runs on both sides.

    Where key frames alone are labelled, the gaps between them are no losses.
    """
    return [
        (start + length, after - start - length)
        for (start, length), (after, next_length) in pairwise(labelled)
        if after - start - length < min(length, next_length)
    ]


def _plan(cur: db.Cursor, project_id: str, wanted: NewMeasuring) -> _Plan:
    projects.require_live(cur, project_id)
    if wanted.asset_id is not None:
        live_asset(cur, project_id, wanted.asset_id)
    project, assets = exports.selection(cur, project_id, wanted.asset_id)
    ranks = ranks_of(db.class_templates.get(cur, project.class_template_id))
    frames: dict[str, list[Run]] = {}
    lost: dict[str, list[Run]] = {}
    any_labelled = False
    for asset in assets:
        labelled = db.frames.region_runs(cur, asset.id)
        stale = db.measures.stale_runs(cur, asset.id, ranks)
        # The frame behind a labelled one is compared with it.
        behind = [(start, min(length + 1, asset.frame_count - start)) for start, length in labelled]
        frames[asset.id] = union([stale, behind]) if wanted.all else stale
        lost[asset.id] = losses(labelled)
        any_labelled |= bool(labelled)
    if not any_labelled and not any(frames.values()):
        raise Refused(_("Nothing is labelled yet, so there is nothing to measure."))
    return _Plan(project.name, assets, frames, lost)
