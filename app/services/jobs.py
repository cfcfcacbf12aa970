"""Jobs live in the database; Huey and `engine_jobs` only execute them. `collect.py` brings their results in.

A job is `waiting` until its first sign of life, then `running`, then done, failed or cancelled. Meanwhile it can
be `paused`: it rests, also over restarts, until it is resumed or cancelled. What it has done is in the database
and can be undone as a step of its own.

| kind | can be paused |
|---|---|
| track, find, auto_label, matte_alpha | yes; goes on behind the last frame |
| matte | yes; alphas go on behind the last frame, files that are not whole are written anew |
| extract, import_labels, stabilise | yes; goes on behind the last frame |
| export | where every frame is a file of its own or a line; a video or bundle is written in one go |
| stabilise, measure, score | yes; goes on behind the last frame |
| import_bundle, what_if, keep_truth | no |

Jobs that are paused do not count against `max_jobs`; resuming one is refused where as many wait or run.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from app import store as db
from app.errors import Conflict, NotFound, TooMany
from app.formats.out import FORMATS
from app.models import Job, JobKind, new_id
from app.services import engine_jobs, mask_drawing, stages
from app.services.context import Context
from tasks import channel
from tasks.queue import enqueue

ACTIVE = ("waiting", "running")
UNFINISHED = (*ACTIVE, "paused")
PAUSABLE: tuple[JobKind, ...] = (
    "track",
    "find",
    "auto_label",
    "extract",
    "import_labels",
    "export",
    "stabilise",
    "measure",
    "score",
    "matte",
    "matte_alpha",
)


def submit(
    ctx: Context,
    kind: JobKind,
    project_id: str,
    title: str,
    args: dict[str, Any],
    *,
    asset_id: str | None = None,
    id: str | None = None,
    parent_id: str | None = None,
) -> Job:
    """Write the job's row, then queue it. A job id that exists already is returned as it is (a retried request).

    `parent_id`: the job that this one is a stage of.
    """
    job = Job(
        id=id or new_id(),
        project_id=project_id,
        kind=kind,
        title=title,
        args=msgspec.Raw(msgspec.json.encode(args)),
        asset_id=asset_id,
        created_at=time.time(),
        heartbeat=time.time(),
        parent_id=parent_id,
    )

    def change(cur: db.Cursor) -> Job | None:
        try:
            return db.jobs.get(cur, job.id)
        except NotFound:
            pass
        if parent_id is None:
            _require_room(ctx, cur)
        db.jobs.insert(cur, job)
        return None

    existing = ctx.store.write(change)
    if existing is not None:
        return existing
    ctx.paths.job(job.id).mkdir(parents=True, exist_ok=True)
    start(ctx, job)
    stages.tell(ctx, job)
    return job


def start(ctx: Context, job: Job) -> None:
    """Have the job run by the consumer, or by this process where it needs the engine worker."""
    if engine_jobs.handles(job.kind):
        ctx.engine_line.put(job.id)
    elif mask_drawing.wanted(ctx, job.id):
        ctx.mask_line.put(job.id)
    else:
        enqueue(ctx.queue, job.kind, job.id, msgspec.json.decode(job.args))
    ctx.jobs_started.set()


def get(ctx: Context, job_id: str) -> Job:
    """The job with what its stage does now."""
    return ctx.store.read(lambda cur: stages.read(cur, job_id))


def listing(
    ctx: Context, *, project_id: str | None = None, states: tuple[str, ...] | None = None, limit: int = 200
) -> list[Job]:
    """The newest first; jobs of several stages once, as they are now."""

    def query(cur: db.Cursor) -> list[Job]:
        found = db.jobs.listing_whole(cur, project_id=project_id, states=states, limit=limit)
        later = db.jobs.stages(cur, [job.id for job in found])
        seen = [stages.whole(job, later.get(job.id, [])) for job in found]
        return [job for job in seen if states is None or job.state in states]

    return ctx.store.read(query)


def cancel(ctx: Context, job_id: str) -> Job:
    """Ask a job to stop. A waiting or paused job ends at once; a running one stops at its next frame and keeps
    what it has.
    """
    job = get(ctx, job_id)
    if job.state not in UNFINISHED:
        return job
    for id in {job_id, ctx.store.read(lambda cur: stages.read_current(cur, job_id)).id}:
        channel.request_cancel(ctx.paths.job(id))
    ctx.jobs_started.set()
    return get(ctx, job_id)


def pausable(job: Job) -> bool:
    """Whether a job of this kind can rest and go on where it was."""
    if job.kind == "export":
        format = FORMATS.get(msgspec.json.decode(job.args).get("format", ""))
        return format is not None and bool(format.module)
    return job.kind in PAUSABLE


def pause(ctx: Context, job_id: str) -> Job:
    """Ask a job to rest. A waiting job does so at once; a running one behind the frame that it is at.

    Raises Conflict for a job that has ended, and for one that cannot be paused.
    """
    job = ctx.store.read(lambda cur: stages.read_current(cur, job_id))
    if job.state == "paused":
        return get(ctx, job_id)
    if job.state not in ACTIVE:
        raise Conflict(f"The job is {job.state}; only a job that waits or runs can be paused.")
    if not pausable(job):
        raise Conflict("This job does its work in one go, so it cannot be paused. Cancel it instead.")
    channel.request_pause(ctx.paths.job(job.id))
    ctx.jobs_started.set()
    return get(ctx, job_id)


def resume(ctx: Context, job_id: str) -> Job:
    """Let a paused job go on where it was, behind those that wait already.

    For one that is not paused yet the pause is taken back. Raises Conflict for a job that has ended, TooMany.
    """

    def change(cur: db.Cursor) -> tuple[Job, bool]:
        job = stages.read_current(cur, job_id)
        folder = ctx.paths.job(job.id)
        if job.state not in UNFINISHED:
            raise Conflict(f"The job is {job.state}; only a paused job can be resumed.")
        if channel.cancel_requested(folder):
            return job, False
        if job.state == "paused":
            _require_room(ctx, cur)
        # In the transaction: the collector looks at the flag in one of its own when it takes in the pause.
        asked = channel.pause_requested(folder)
        if not channel.withdraw_pause(folder) and job.state != "paused":
            return job, asked and job.state == "waiting"
        return _go_on(ctx, cur, job), True

    job, again = ctx.store.write(change)
    if again:
        start(ctx, job)
        stages.tell(ctx, job)
    return get(ctx, job_id)


def _go_on(ctx: Context, cur: db.Cursor, job: Job) -> Job:
    """The row of a job that waits again after it was paused."""
    job.state, job.heartbeat, job.attempt, job.message = "waiting", time.time(), 0, ""
    job.collected = taken_in(ctx, job)
    return db.jobs.update(cur, job)


def taken_in(ctx: Context, job: Job) -> int:
    """Up to where the job's partial results are in the database, bytes; 0 where the job has to begin anew because
    they are lost, as after a backup was put back elsewhere.
    """
    return job.collected if channel.partial_size(ctx.paths.job(job.id)) >= job.collected else 0


def _require_room(ctx: Context, cur: db.Cursor) -> None:
    if len(db.jobs.unfinished(cur)) >= ctx.settings.max_jobs:
        raise TooMany(
            f"{ctx.settings.max_jobs} jobs already wait or run. Wait for one to finish, or cancel one."
        )


def retry(ctx: Context, job_id: str) -> Job:
    """Run a failed or cancelled job again; what it had finished is kept."""

    def change(cur: db.Cursor) -> Job:
        job = stages.read_current(cur, job_id)
        if job.state not in ("failed", "cancelled"):
            raise Conflict(f"The job is {job.state}; only a failed or cancelled job can be tried again.")
        channel.withdraw_cancel(ctx.paths.job(job_id))
        channel.reset(ctx.paths.job(job.id))
        job.state, job.reason, job.finished_at, job.attempt = "waiting", "", None, 0
        job.heartbeat = time.time()
        return db.jobs.update(cur, job)

    job = ctx.store.write(change)
    start(ctx, job)
    stages.tell(ctx, job)
    return get(ctx, job_id)


def file_of(ctx: Context, job_id: str, name: str) -> Path:
    """The path of a file that the job made.

    Raises NotFound for a name that the job did not report: names are looked up, never joined unseen.
    """
    job = get(ctx, job_id)
    result = msgspec.json.decode(job.result)
    files = (result or {}).get("files", []) if isinstance(result, dict) else []
    for entry in files:
        if entry.get("name") == name:
            path = ctx.paths.export(job_id) / name
            if path.is_file():
                return path
            raise NotFound(f"The file {name} was made but is no longer there. Run the export again.")
    raise NotFound("This job has no file of that name.")
