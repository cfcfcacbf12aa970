"""Begins the next stage of a job when one is done; see `stages.py`.

Called by the collector after COMMIT, and for all jobs of the last days when a server starts, so that a stage is not
lost where the server ended in between. A stage has one id, so that beginning it twice is harmless.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from app import store as db
from app.errors import PointillistError
from app.models import Job, JobKind
from app.services import jobs, mattes, measuring, stabilising, stages
from app.services.context import Context
from tasks import channel

log = logging.getLogger("pointillist.jobs")

BACK_S = 7 * 24 * 3600.0
"""How far back unfinished jobs are looked for when a server starts."""


def resume(ctx: Context) -> None:
    """Begin the stages that a server that ended did not begin any more."""
    since = time.time() - BACK_S
    done = ctx.store.read(lambda cur: db.jobs.finished_whole(cur, stages.STAGED, since))
    for job in done:
        advance(ctx, job)


def advance(ctx: Context, ended: Job) -> None:
    """Begin the stage that follows a job, or a stage of one, that is done; nothing where there is none."""

    def query(cur: db.Cursor) -> tuple[Job, list[Job]]:
        job = db.jobs.get(cur, ended.parent_id or ended.id)
        return job, db.jobs.stages(cur, [job.id]).get(job.id, [])

    job, later = ctx.store.read(query)
    made = {row.id for row in later}
    if any(row.state != "done" for row in (job, *later)):
        return
    kind = next((k for k in stages.stages_of(job)[1:] if stages.stage_id(job, k) not in made), None)
    if kind is None or kind not in _BEGIN:
        return
    try:
        if channel.cancel_requested(ctx.paths.job(job.id)):
            _end(ctx, job, kind, "cancelled", "It was cancelled; what was finished is kept.")
        else:
            _BEGIN[kind](ctx, job, stages.stage_id(job, kind))
    except PointillistError as exc:
        _end(ctx, job, kind, "failed", exc.sentence)
    except Exception:
        log.exception("the stage %s of the job %s could not be begun", kind, job.id)
        _end(ctx, job, kind, "failed", "It could not be begun. The log says more.")


def retry(ctx: Context, job_id: str) -> Job:
    """Run a failed or cancelled job again from the stage where it ended; what was finished is kept.

    Raises NotFound, and Conflict for a job that did not fail.
    """
    row = ctx.store.read(lambda cur: stages.read_current(cur, job_id))
    if (
        row.parent_id is None
        or row.state == "done"
        or row.started_at is not None
        or msgspec.json.decode(row.args)
    ):
        return jobs.retry(ctx, job_id)
    ctx.store.write(lambda cur: db.jobs.delete(cur, row.id))
    channel.withdraw_cancel(ctx.paths.job(row.parent_id))
    advance(ctx, ctx.store.read(lambda cur: db.jobs.get(cur, row.parent_id or "")))
    return jobs.get(ctx, job_id)


def _stabilise(ctx: Context, job: Job, id: str) -> None:
    args, then = msgspec.json.decode(job.args), stages.then_of(job)
    assert then.smoothing is not None
    wanted = stabilising.NewStabilise(
        asset_id=args["asset_id"],
        start=args["start"],
        stop=args["stop"],
        **msgspec.to_builtins(then.smoothing),
        id=id,
    )
    stabilising.submit(ctx, job.project_id, wanted, actor=args["actor"], parent_id=job.id)


def _measure(ctx: Context, job: Job, id: str) -> None:
    wanted = measuring.NewMeasuring(asset_id=msgspec.json.decode(job.args)["asset_id"], id=id)
    measuring.submit(ctx, job.project_id, wanted, parent_id=job.id)


def _matte(ctx: Context, job: Job, id: str) -> None:
    mattes.write_files(ctx, job, id)


_BEGIN: dict[JobKind, Callable[[Context, Job, str], None]] = {
    "stabilise": _stabilise,
    "measure": _measure,
    "matte": _matte,
}


def _end(ctx: Context, job: Job, kind: JobKind, state: str, reason: str) -> None:
    """Keep that a stage was not begun, and why."""
    now = time.time()
    row = Job(
        id=stages.stage_id(job, kind),
        project_id=job.project_id,
        kind=kind,
        title=job.title,
        state=state,  # pyright: ignore[reportArgumentType]
        reason=reason,
        asset_id=job.asset_id,
        created_at=now,
        finished_at=now,
        parent_id=job.id,
    )
    stages.tell(ctx, ctx.store.write(lambda cur: db.jobs.insert(cur, row)))
