"""Stabilising: labels of an asset smoothed along time, looked at first or stored as one edit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from app import store as db
from app.errors import NotFound, Refused
from app.models import Asset, ClassTemplate, Id, Job, new_id
from app.services import exports, jobs, projects
from app.services.asset_ranges import frame_range, live_asset
from app.services.context import Context
from app.smoothing import METHODS, Method, Smoothing, check
from tasks.stabilise_files import CURVE, FILTERED, Curve, StabiliseArgs
from tasks.stabilise_spans import reach_of

MEMORY = 0.02
"""Frames before the range have a say in an exponential filter as long as their weight is more than this."""
KEPT = 3
"""Jobs of an asset whose maps are kept, a new one among them."""


class Stabiliser(Struct, kw_only=True):
    """A filter as `app.smoothing.METHODS` describes it."""

    id: str
    title: str
    parameter: Literal["window", "alpha"]
    least: float
    most: float
    step: float
    default: float


class NewStabilise(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to stabilise, and how (`app.smoothing.Smoothing`).

    `start`, `stop`: frame indices, both included; all frames where they are left out. `class_ids`, `track_ids`: of
    which pixels may come or go, all where both are empty. Approved frames stay as they are, and so do anchors
    unless `overwrite_anchors`: regions that are imported count as anchors, too. `preview`: change nothing, only
    show what would come. `from_job`: a preview of the same, whose maps are used. `iou_target`: how well outlines
    of regions give the smoothed masks back.
    """

    asset_id: Id
    start: Annotated[int, Meta(ge=0)] | None = None
    stop: Annotated[int, Meta(ge=0)] | None = None
    method: Annotated[str, Meta(max_length=40)] = "average"
    window: int = 7
    alpha: float = 0.3
    motion: bool = True
    evidence: bool = True
    class_ids: Annotated[list[int], Meta(max_length=1000)] = field(default_factory=list)
    track_ids: Annotated[list[Id], Meta(max_length=1000)] = field(default_factory=list)
    overwrite_anchors: bool = False
    preview: bool = False
    from_job: Id | None = None
    iou_target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.98
    id: Id | None = None
    """Of the job; the same twice is one job."""


def stabilisers() -> list[Stabiliser]:
    """The filters that there are, with the range of the parameter of each."""
    return [_stabiliser(id, method) for id, method in METHODS.items()]


def _stabiliser(id: str, method: Method) -> Stabiliser:
    return Stabiliser(
        id=id,
        title=method.title,
        parameter=method.parameter,
        least=method.least,
        most=method.most,
        step=method.step,
        default=method.default,
    )


def submit(
    ctx: Context, project_id: str, wanted: NewStabilise, *, actor: str, parent_id: str | None = None
) -> Job:
    """Queue the job. The same job id again answers with the job that there is.

    `parent_id`: the job that it is a stage of. Raises NotFound; Conflict for what lies in the trash; Refused, with
    what is allowed, for parameters out of their range, a class or track that is not there, and a range without
    neighbours or labels.
    """
    job_id = wanted.id or new_id()
    known = ctx.store.read(lambda cur: db.jobs.find(cur, job_id))
    if known is not None:
        return known
    smoothing = Smoothing(
        method=wanted.method,
        window=wanted.window,
        alpha=wanted.alpha,
        motion=wanted.motion,
        evidence=wanted.evidence,
    )
    check(smoothing)

    def query(cur: db.Cursor) -> tuple[Asset, ClassTemplate, list[str], Job | None]:
        project = projects.require_live(cur, project_id)
        template = db.class_templates.get(cur, project.class_template_id)
        asset = live_asset(cur, project_id, wanted.asset_id)
        tracks = [track.id for track in db.tracks.of_project(cur, project_id)]
        # Regions may name a track that has no row.
        last = asset.frame_count
        tracks += [id for id in wanted.track_ids if db.regions.counts_of_track(cur, asset.id, id, 0, last)[0]]
        other = db.jobs.find(cur, wanted.from_job) if wanted.from_job else None
        return asset, template, tracks, other

    asset, template, tracks, other = ctx.store.read(query)
    start, stop = frame_range(asset, wanted.start, wanted.stop)
    if start == stop:
        raise Refused("One frame has no neighbours to be smoothed with. Choose two frames or more.")
    _require("class", map(str, wanted.class_ids), [str(c.id) for c in template.classes])
    _require("track", wanted.track_ids, tracks)
    if wanted.from_job and (other is None or other.kind != "stabilise" or other.asset_id != asset.id):
        raise NotFound("There is no preview of this asset with that id.")
    if not ctx.store.read(lambda cur: db.frames.with_regions(cur, asset.id, start, stop + 1)):
        raise Refused("No frame of the range has a region yet, so there is nothing to stabilise.")
    ctx.require_space()
    _tidy(ctx, project_id, asset.id, other)
    before, behind = _around(smoothing)
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "input.jsonl"
    if not snapshot.exists():
        frames = range(max(0, start - before), min(asset.frame_count, stop + behind + 1))
        exports.write_snapshot(ctx, project_id, [asset], snapshot, frames)
    args = StabiliseArgs(
        job_id=job_id,
        asset_id=asset.id,
        data_dir=str(ctx.paths.data),
        input=str(snapshot),
        start=start,
        stop=stop,
        smoothing=smoothing,
        class_ids=wanted.class_ids,
        track_ids=wanted.track_ids,
        overwrite_anchors=wanted.overwrite_anchors,
        preview=wanted.preview,
        from_folder=str(ctx.paths.job(other.id)) if other is not None else "",
        iou_target=wanted.iou_target,
        actor=actor,
        label=asset.name,
    )
    verb = "Look at stabilising" if wanted.preview else "Stabilise"
    return jobs.submit(
        ctx,
        "stabilise",
        project_id,
        f"{verb}: {asset.name} ({METHODS[wanted.method].title.lower()})",
        msgspec.to_builtins(args),
        asset_id=asset.id,
        id=job_id,
        parent_id=parent_id,
    )


def curve(ctx: Context, job_id: str) -> Curve:
    """By frame: how steady the labels were, and are. Raises NotFound while it is not measured."""
    _job(ctx, job_id)
    try:
        return msgspec.json.decode((ctx.paths.job(job_id) / CURVE).read_bytes(), type=Curve)
    except (FileNotFoundError, msgspec.DecodeError) as exc:
        raise NotFound("The job has measured nothing yet, or its files are gone.") from exc


def map_of(ctx: Context, job_id: str, index: int, side: Literal["before", "after"]) -> Path:
    """The file with what a frame of the range showed before, or shows after the job, by layer.

    Its format is that of a frame's region map (`app.formats.map_file`), with layers in the place of regions. Raises
    NotFound.
    """
    args = msgspec.json.decode(_job(ctx, job_id).args, type=StabiliseArgs)
    if args.start <= index <= args.stop:
        folder = ctx.paths.job(job_id)
        changed = "smooth" if args.preview else "after"
        for name in ("before",) if side == "before" else (changed, "before"):
            path = folder / name / f"{index:06d}.gz"
            if path.is_file():
                return path
    raise NotFound("The job has no map of that frame, or its files are gone.")


def _job(ctx: Context, job_id: str) -> Job:
    job = jobs.get(ctx, job_id)
    if job.kind != "stabilise":
        raise NotFound("The job stabilised nothing.")
    return job


def _tidy(ctx: Context, project_id: str, asset_id: str, needed: Job | None) -> None:
    """Let go of the maps that older jobs of the asset left; what they measured stays."""
    states = ("done", "failed", "cancelled")
    rows = ctx.store.read(lambda cur: db.jobs.listing(cur, project_id=project_id, states=states, limit=1000))
    ended = [job for job in rows if job.kind == "stabilise" and job.asset_id == asset_id]
    for job in ended[KEPT - 1 :]:
        if needed is not None and job.id == needed.id:
            continue
        folder = ctx.paths.job(job.id)
        # First what says that the maps are whole, for a job may just be taking them over.
        (folder / FILTERED).unlink(missing_ok=True)
        for side in ("before", "smooth", "after"):
            shutil.rmtree(folder / side, ignore_errors=True)


def _around(smoothing: Smoothing) -> tuple[int, int]:
    """How many frames before and behind the range have a say."""
    reach = reach_of(smoothing)
    if METHODS[smoothing.method].parameter == "window":
        return reach, reach
    frames, weight = 1, 1 - smoothing.alpha
    while weight > MEMORY:
        frames, weight = frames + 1, weight * (1 - smoothing.alpha)
    return frames, reach


def _require(what: str, wanted: object, there: list[str]) -> None:
    missing = sorted(set(wanted) - set(there))  # pyright: ignore[reportArgumentType]
    if missing:
        raise Refused(f"The project has no {what} {', '.join(id[:40] for id in missing[:5])}.")
