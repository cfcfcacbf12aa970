"""Hidden ground truth: which frames have it, keeping labels as such, and letting it go.

It serves scoring only. Its maps are files of the asset (`tasks/truth_files.py`) that no page, export or bundle
reads; backups hold them as they hold the frames.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.i18n import gettext as _
from app.i18n import ngettext
from app.models import Asset, Id, Job, Run, frame_id, new_id
from app.quality import Truth
from app.services import exports, history, jobs, projects
from app.services.asset_ranges import live_asset
from app.services.bulk_edits import Recorder
from app.services.context import Context
from app.services.frame_runs import runs_of
from app.store.copying import sync_folder
from tasks import truth_files

BATCH = 500
LABELS = "labels"
"""`Truth.source` where it was kept from labels of the project."""
Index = Annotated[int, Meta(ge=0, le=999_999_999)]


class NewTruth(Struct, kw_only=True, forbid_unknown_fields=True):
    """Labels to keep as hidden ground truth: of `frames` (indices), or of `count` frames drawn at random.

    Drawn are frames that are done or approved and have no hidden ground truth yet; `seed` makes the draw repeatable.
    `hold_out`: take the regions of the frames away and set the frames to todo, as one edit. `unlabelled`: whether
    unlabelled pixels are known to be of no class ("background"), or do not count ("open").
    """

    asset_id: Id
    frames: Annotated[list[Index], Meta(max_length=1_000_000)] | None = None
    count: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    hold_out: bool = False
    unlabelled: Literal["background", "open"] = "background"
    id: Id | None = None


class TruthSource(Struct, kw_only=True):
    """`source`: the name of what was imported, or "labels" for labels of the project."""

    source: str
    actor: str
    frames: int
    created_at: float
    """Of the newest."""


class AssetTruth(Struct, kw_only=True):
    """`frames`: of the asset; `truths`: how many of them have hidden ground truth, `runs`: which; `objects`: how
    many of those tell objects apart.
    """

    asset_id: str
    name: str
    frames: int
    truths: int
    objects: int
    runs: list[Run]
    sources: list[TruthSource]


class TruthView(Struct, kw_only=True):
    """`frames`: with hidden ground truth, in all assets."""

    frames: int
    assets: list[AssetTruth]


class TruthDeleted(Struct, kw_only=True):
    frames: int
    what: str


def view(ctx: Context, project_id: str) -> TruthView:
    """Which frames of the project have hidden ground truth; assets in the trash are left out."""

    def query(cur: db.Cursor) -> TruthView:
        project = db.projects.get(cur, project_id)
        assets = db.assets.of_project(cur, project.id)
        found = [_of_asset(asset, rows) for asset in assets if (rows := db.truths.of_asset(cur, asset.id))]
        return TruthView(frames=sum(one.truths for one in found), assets=found)

    return ctx.store.read(query)


def _of_asset(asset: Asset, rows: Sequence[Truth]) -> AssetTruth:
    sources: dict[tuple[str, str], TruthSource] = {}
    for row in rows:
        known = sources.setdefault(
            (row.source, row.actor), TruthSource(source=row.source, actor=row.actor, frames=0, created_at=0.0)
        )
        known.frames += 1
        known.created_at = max(known.created_at, row.created_at)
    return AssetTruth(
        asset_id=asset.id,
        name=asset.name,
        frames=asset.frame_count,
        truths=len(rows),
        objects=sum(row.objects for row in rows),
        runs=runs_of(row.frame_index for row in rows),
        sources=list(sources.values()),
    )


def submit(ctx: Context, project_id: str, wanted: NewTruth, *, actor: str) -> Job:
    """Queue the job that keeps labels as hidden ground truth.

    Raises NotFound; Conflict for what lies in the trash; Refused for frames without labels, and where fewer frames
    can be drawn than are asked for.
    """
    job_id = wanted.id or new_id()
    try:
        return jobs.get(ctx, job_id)
    except NotFound:
        pass
    if (wanted.frames is None) == (wanted.count is None):
        raise Refused(_("Say which frames, or how many of them: one of the two."))
    seed = random.randrange(2**32) if wanted.seed is None else wanted.seed

    def query(cur: db.Cursor) -> tuple[Asset, list[int]]:
        projects.require_live(cur, project_id)
        asset = live_asset(cur, project_id, wanted.asset_id)
        if wanted.frames is not None:
            return asset, _chosen(cur, asset, wanted.frames)
        assert wanted.count is not None
        return asset, _drawn(cur, asset, wanted.count, seed)

    asset, indices = ctx.store.read(query)
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "input.jsonl"
    if not snapshot.exists():
        exports.write_snapshot(ctx, project_id, [asset], snapshot, {asset.id: runs_of(indices)})
    frames = f"{len(indices)} frame{'' if len(indices) == 1 else 's'} of {asset.name}"
    title = f"{'Hold out' if wanted.hold_out else 'Keep hidden'}: {frames}"
    return jobs.submit(
        ctx,
        "keep_truth",
        project_id,
        title,
        {
            "data_dir": str(ctx.paths.data),
            "input": str(snapshot),
            "unlabelled": wanted.unlabelled,
            "hold_out": wanted.hold_out,
            "seed": seed if wanted.frames is None else None,
            "actor": actor,
        },
        asset_id=asset.id,
        id=job_id,
    )


def _chosen(cur: db.Cursor, asset: Asset, frames: Sequence[int]) -> list[int]:
    """The frames, ascending. Raises Refused for one that is not there or holds nothing to keep."""
    indices = sorted(set(frames))
    if not indices:
        raise Refused(_("Name at least one frame."))
    if indices[-1] >= asset.frame_count:
        raise Refused(
            _("The asset has {n} frames, with the indices 0 to {last}; there is no frame {index}.").format(
                n=asset.frame_count, last=asset.frame_count - 1, index=indices[-1]
            )
            if asset.frame_count
            else _("The asset has no frames yet. Wait until they are extracted.")
        )
    labelled = db.frames.with_regions(cur, asset.id, indices[0], indices[-1] + 1).keys() | _settled(
        cur, asset
    )
    missing = [index for index in indices if index not in labelled]
    if missing:
        raise Refused(
            ngettext(
                "{n} of these frames has no label yet and is not done: the one with the index {index}.",
                "{n} of these frames have no label yet and are not done, the first has the index {index}.",
                len(missing),
            ).format(n=len(missing), index=missing[0])
        )
    return indices


def _drawn(cur: db.Cursor, asset: Asset, count: int, seed: int) -> list[int]:
    kept = {row.frame_index for row in db.truths.of_asset(cur, asset.id)}
    pool = sorted(_settled(cur, asset) - kept)
    if len(pool) < count:
        raise Refused(
            ngettext(
                "Only {n} frame is done or approved and has no hidden ground truth yet.",
                "Only {n} frames are done or approved and have no hidden ground truth yet.",
                len(pool),
            ).format(n=len(pool))
        )
    return sorted(random.Random(seed).sample(pool, count))


def _settled(cur: db.Cursor, asset: Asset) -> set[int]:
    """The frames that are done or approved."""
    return {
        index
        for start, length, state in db.frames.states(cur, asset.id)
        if state != "todo"
        for index in range(start, start + length)
    }


def delete(ctx: Context, project_id: str, *, asset_id: str | None, index: int | None) -> TruthDeleted:
    """Forget the hidden ground truth of a frame, an asset or the whole project, and the scores that came of it.

    Raises NotFound where there is none, Refused for a frame without its asset.
    """
    if index is not None and asset_id is None:
        raise Refused(_("Say which asset the frame belongs to."))

    def write(cur: db.Cursor) -> list[tuple[str, int]]:
        db.projects.get(cur, project_id)
        assets = [asset.id for asset in db.assets.of_project(cur, project_id)]
        if asset_id is not None:
            if asset_id not in assets:
                raise NotFound("The project has no such asset.")
            assets = [asset_id]
        gone = []
        for id in assets:
            frames = [row.frame_index for row in db.truths.of_asset(cur, id)]
            if index is not None:
                frames = [one for one in frames if one == index]
            db.truths.delete(cur, id, frames)
            gone += [(id, one) for one in frames]
        if not gone:
            raise NotFound(_("There is no hidden ground truth."))
        return gone

    gone = ctx.store.write(write)
    for id, one in gone:
        folder = truth_files.folder_of(ctx.paths.data, id)
        truth_files.map_path(folder, one).unlink(missing_ok=True)
        truth_files.objects_path(folder, one).unlink(missing_ok=True)
    ctx.events.publish("project", {"id": project_id}, project_id)
    return TruthDeleted(
        frames=len(gone),
        what=ngettext(
            "The hidden ground truth of {n} frame was deleted.",
            "The hidden ground truth of {n} frames was deleted.",
            len(gone),
        ).format(n=len(gone)),
    )


# What the collector calls inside its transaction


def on_kept(cur: db.Cursor, job: Job, value: dict[str, Any]) -> None:
    """The maps take their place; where frames are held out, their regions go as one edit."""
    args = msgspec.json.decode(job.args)
    ids = take_over(cur, Path(args["data_dir"]), Path(value["records"]), source=LABELS, actor=args["actor"])
    value["records"] = ""
    value["seed"] = args["seed"]
    value["runs"] = runs_of(int(id[25:]) for id in ids)
    if args["hold_out"] and ids:
        _hold_out(cur, job, ids, args["actor"])


def take_over(cur: db.Cursor, data: Path, records: Path, *, source: str, actor: str) -> list[str]:
    """Move the maps that a job wrote beside the frames, and list them. Returns the ids of the frames.

    Doing it twice is harmless. Raises Conflict, moving nothing, when a frame was deleted meanwhile.
    """
    kept = list(truth_files.read_kept(records))
    ids = [one.frame_id for one in kept]
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        if db.frames.count_of(cur, part) != len(part):
            raise Conflict("Frames were deleted meanwhile, so nothing of their ground truth was kept.")
    rows: dict[str, list[Truth]] = {}
    for one in kept:
        asset_id, index = one.frame_id[:24], int(one.frame_id[25:])
        folder = truth_files.folder_of(data, asset_id)
        folder.mkdir(parents=True, exist_ok=True)
        told = truth_files.objects_path(folder, index)
        if one.objects:
            _move(truth_files.staged_objects(records.parent, one.frame_id), told)
        else:
            told.unlink(missing_ok=True)
        _move(truth_files.staged_map(records.parent, one.frame_id), truth_files.map_path(folder, index))
        rows.setdefault(asset_id, []).append(
            Truth(asset_id=asset_id, frame_index=index, source=source[:200], objects=one.objects, actor=actor)
        )
    for asset_id, found in rows.items():
        sync_folder(truth_files.folder_of(data, asset_id))
        db.truths.store(cur, found)
    return ids


def _move(staged: Path, target: Path) -> None:
    """Where it was moved before the transaction was lost, it lies at its place already."""
    if staged.exists() or not target.exists():
        staged.replace(target)


def _hold_out(cur: db.Cursor, job: Job, ids: Sequence[str], actor: str) -> None:
    if db.edits.by_id(cur, job.id) is not None:
        return
    recorder = Recorder(cur, job.id)
    left = iter(ids)
    while part := list(islice(left, BATCH)):
        recorder.delete(db.regions.of_frames(cur, part))
    asset_id = ids[0][:24]
    for start, length in runs_of(int(id[25:]) for id in ids):
        found = db.frames.states_within(cur, asset_id, start, start + length - 1)
        runs = [run for run in found if run.state != "todo"]
        if runs:
            recorder.set_states(runs, "todo")
    if not recorder.count:
        return
    history.record(
        cur,
        project_id=job.project_id,
        actor=actor,
        op_id=job.id,
        kind="hold-out",
        label=str(len(ids)),
        frame_id=frame_id(asset_id, int(ids[0][25:])) if len(ids) == 1 else None,
        changes=[],
        bulk=recorder.count,
    )


def tell(ctx: Context, job: Job, records: list[dict[str, Any]]) -> None:
    """Let every page know that frames lost their labels."""
    args = msgspec.json.decode(job.args)
    if job.state == "done" and args["hold_out"]:
        news = {"frame_id": None, "actor": args["actor"], "key": "", "job": job.id}
        ctx.events.publish("regions", news, job.project_id)
