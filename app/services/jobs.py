"""Jobs live in the database; Huey and `engine_jobs` only execute them. `collect.py` brings their results in.

A job is `waiting` until its first sign of life, then `running`, then done, failed or cancelled.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from app import store as db
from app.errors import Conflict, NotFound, TooMany
from app.models import Job, JobKind, new_id
from app.services import engine_jobs, mask_drawing
from app.services.context import Context
from tasks import channel
from tasks.queue import enqueue

UNFINISHED = ("waiting", "running")


def submit(
    ctx: Context,
    kind: JobKind,
    project_id: str,
    title: str,
    args: dict[str, Any],
    *,
    asset_id: str | None = None,
    id: str | None = None,
) -> Job:
    """Write the job's row, then queue it. A job id that exists already is returned as it is (a retried request)."""
    job = Job(
        id=id or new_id(),
        project_id=project_id,
        kind=kind,
        title=title,
        args=msgspec.Raw(msgspec.json.encode(args)),
        asset_id=asset_id,
        created_at=time.time(),
        heartbeat=time.time(),
    )

    def change(cur: db.Cursor) -> Job | None:
        try:
            return db.jobs.get(cur, job.id)
        except NotFound:
            pass
        if len(db.jobs.unfinished(cur)) >= ctx.settings.max_jobs:
            raise TooMany(
                f"{ctx.settings.max_jobs} jobs already wait or run. Wait for one to finish, or cancel one."
            )
        db.jobs.insert(cur, job)
        return None

    existing = ctx.store.write(change)
    if existing is not None:
        return existing
    ctx.paths.job(job.id).mkdir(parents=True, exist_ok=True)
    start(ctx, job)
    ctx.events.publish("job", job, project_id)
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
    return ctx.store.read(lambda cur: db.jobs.get(cur, job_id))


def listing(
    ctx: Context, *, project_id: str | None = None, states: tuple[str, ...] | None = None, limit: int = 200
) -> list[Job]:
    return ctx.store.read(lambda cur: db.jobs.listing(cur, project_id=project_id, states=states, limit=limit))


def cancel(ctx: Context, job_id: str) -> Job:
    """Ask a job to stop. A waiting job ends at once; a running one stops at its next frame and keeps what it has."""
    job = get(ctx, job_id)
    if job.state not in UNFINISHED:
        return job
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    channel.request_cancel(folder)
    return get(ctx, job_id)


def retry(ctx: Context, job_id: str) -> Job:
    """Run a failed or cancelled job again; what it had finished is kept."""

    def change(cur: db.Cursor) -> Job:
        job = db.jobs.get(cur, job_id)
        if job.state not in ("failed", "cancelled"):
            raise Conflict(f"The job is {job.state}; only a failed or cancelled job can be tried again.")
        job.state, job.reason, job.finished_at, job.attempt = "waiting", "", None, 0
        job.heartbeat = time.time()
        return db.jobs.update(cur, job)

    channel.reset(ctx.paths.job(job_id))
    job = ctx.store.write(change)
    start(ctx, job)
    ctx.events.publish("job", job, job.project_id)
    return job


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
