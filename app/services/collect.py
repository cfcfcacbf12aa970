"""Brings what the consumer wrote into the database, exactly once, and notices jobs whose consumer died.

Partial results and the offset up to which they were read are committed in one transaction, so a crash of
the web process between two reads repeats nothing and loses nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from app import store as db
from app.errors import PointillistError, StorageFull, Unavailable
from app.models import Job
from app.services import (
    assets,
    bundles,
    chains,
    engine_jobs,
    import_results,
    jobs,
    mask_drawing,
    mattes,
    measuring,
    stabilising_results,
    stages,
    track_results,
    truth_scores,
    truths,
)
from app.services.context import Context
from tasks import channel

log = logging.getLogger("pointillist.jobs")

INTERVAL_S = 0.25
IDLE_S = 5.0
SILENT_S = 60.0
"""A running job without a sign of life for this long hangs: its consumer is killed and the job starts again."""
START_S = 3.0
"""How long a job may take from the queue to its first sign of life."""
KEPT = "It was cancelled; what was finished is kept."
ATTEMPTS = 10
"""How often a job is put back into the queue; one that gets no further is given up by the task side before."""

Partial = Callable[[db.Cursor, Job, list[dict[str, Any]]], None]
Finish = Callable[[db.Cursor, Job, dict[str, Any]], None]

ON_PARTIAL: dict[str, Partial] = {
    "extract": assets.on_frames,
    "import_bundle": bundles.on_records,
    "import_labels": import_results.on_records,
    "measure": measuring.on_records,
    "track": track_results.on_records,
    "find": track_results.on_records,
    "score": truth_scores.on_records,
}
ON_RESULT: dict[str, Finish] = {
    "stabilise": stabilising_results.on_stabilised,
    "extract": assets.on_extracted,
    "import_bundle": bundles.on_imported,
    "import_labels": import_results.on_imported,
    "track": track_results.on_tracked,
    "find": track_results.on_tracked,
    "keep_truth": truths.on_kept,
}
ON_STOPPED: dict[str, Callable[[db.Cursor, Job], None]] = {
    "extract": assets.on_stopped,
    "import_bundle": bundles.on_stopped,
    "import_labels": import_results.on_stopped,
    "track": track_results.on_stopped,
    "find": track_results.on_stopped,
}
ON_PAUSED: dict[str, Callable[[db.Cursor, Job], None]] = {
    "track": track_results.on_stopped,
    "find": track_results.on_stopped,
}
"""What has been done so far becomes a step to undo; what follows once it goes on is another one."""
TELL: dict[str, Callable[[Context, Job, list[dict[str, Any]]], None]] = {
    "stabilise": stabilising_results.tell,
    "import_labels": import_results.tell,
    "track": track_results.tell,
    "find": track_results.tell,
    "keep_truth": truths.tell,
    "matte": mattes.tell,
}
"""What pages must hear of after COMMIT, beside the job itself."""

FROM_SNAPSHOT = frozenset({"measure", "score", "keep_truth", "stabilise"})
"""Nobody reads the snapshot that these worked from once they are done; of long assets it is large."""


class Collector:
    """One thread of the web process that polls the folders of unfinished jobs."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._ctx.jobs_started.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            chains.resume(self._ctx)
        except Exception:
            log.exception("the next stages of jobs could not be begun")
        busy = True
        while not self._stop.is_set():
            self._ctx.jobs_started.wait(INTERVAL_S if busy else IDLE_S)
            self._ctx.jobs_started.clear()
            try:
                busy = collect(self._ctx)
            except Exception:
                log.exception("collecting the results of jobs failed; it is tried again")


def collect(ctx: Context) -> bool:
    """One round over all jobs that wait or run, and those to be cancelled while paused; False when none waits or
    runs.
    """
    unfinished, paused = ctx.store.read(
        lambda cur: (db.jobs.unfinished(cur), db.jobs.listing(cur, states=["paused"], limit=10_000))
    )
    queued: set[str] | None = None
    for job in unfinished:
        if _collect_one(ctx, job):
            continue
        if queued is None:
            queued = {task.args[1] for task in ctx.queue.pending()}
        _revive(ctx, job, queued)
    for job in paused:
        if channel.cancel_requested(ctx.paths.job(job.id)):
            _end(ctx, job, "cancelled", KEPT)
    return bool(unfinished)


def _collect_one(ctx: Context, job: Job) -> bool:
    """Take in what is new. Returns True when the job gave a sign of life in this round or has ended."""
    folder = ctx.paths.job(job.id)
    # Before the progress: where a flag is up and nothing has begun, nothing will begin.
    cancelled, paused = channel.cancel_requested(folder), channel.pause_requested(folder)
    # Before the partials: whatever precedes the result is on disk by then.
    result = channel.read_result(folder)
    progress = channel.read_progress(folder)
    records, offset = channel.read_partial(folder, job.collected)
    fresh = progress is not None and progress.at > job.heartbeat
    if result is not None and channel.read_partial(folder, offset)[0]:
        result = None  # more was left behind than one round takes in
    if result is None and not records and not fresh:
        if job.state == "waiting" and cancelled:
            _end(ctx, job, "cancelled", KEPT if job.done else "It was cancelled before it began.")
            return True
        if job.state == "waiting" and paused:
            _pause(ctx, job)
            return True
        return False

    def change(cur: db.Cursor) -> Job:
        row = db.jobs.get(cur, job.id)
        if row.state not in jobs.ACTIVE:
            return row
        if records and row.kind in ON_PARTIAL:
            ON_PARTIAL[row.kind](cur, row, records)
        row.collected = offset
        if progress is not None:
            if progress.done > row.done:
                row.attempt = 0  # it gets further: being interrupted often is no reason to give up
            row.done, row.total, row.rate, row.eta_s = (
                progress.done,
                progress.total,
                progress.rate,
                progress.eta_s,
            )
            row.message, row.heartbeat = progress.message, max(row.heartbeat, progress.at)
        if row.state == "waiting":
            row.state, row.started_at = "running", time.time()
        if result is not None:
            _finish(ctx, cur, row, result)
        return db.jobs.update(cur, row)

    try:
        row = ctx.store.write(change)
    except (Unavailable, StorageFull):
        raise  # the database, not this job: tried again in the next round
    except PointillistError as exc:
        _end(ctx, job, "failed", exc.sentence)
        return True
    except Exception:
        log.exception("what job %s brought cannot be stored", job.id)
        _end(
            ctx, job, "failed", "What it brought cannot be stored; nothing of it was kept. The log says more."
        )
        return True
    _publish(ctx, row, records)
    if row.state == "waiting" and result is not None:
        channel.withdraw_pause(folder)
        jobs.start(ctx, row)
    if row.state == "done":
        if row.kind in FROM_SNAPSHOT:
            (folder / "input.jsonl").unlink(missing_ok=True)
        chains.advance(ctx, row)
    if records or result is not None:
        ctx.events.publish("project", {"id": row.project_id}, row.project_id)
    return True


def _finish(ctx: Context, cur: db.Cursor, row: Job, result: channel.Result) -> None:
    folder = ctx.paths.job(row.id)
    if result.error == channel.PAUSED and not channel.cancel_requested(folder):
        if channel.pause_requested(folder):
            _rest(cur, row)
        else:  # the pause was taken back meanwhile
            row.state, row.heartbeat = "waiting", time.time()
        return
    row.finished_at = time.time()
    row.eta_s = None
    if result.ok:
        row.state = "done"
        if row.kind in ON_RESULT:
            ON_RESULT[row.kind](cur, row, result.value)
        row.result = msgspec.Raw(msgspec.json.encode(result.value))
        return
    row.state = "cancelled" if result.error in ("cancelled", channel.PAUSED) else "failed"
    row.reason = result.sentence or KEPT
    row.result = msgspec.Raw(msgspec.json.encode(result.value))
    if row.kind in ON_STOPPED:
        ON_STOPPED[row.kind](cur, row)


def _publish(ctx: Context, row: Job, records: list[dict[str, Any]]) -> None:
    stages.tell(ctx, row)
    if row.kind in TELL:
        TELL[row.kind](ctx, row, records)


def _rest(cur: db.Cursor, row: Job) -> None:
    row.state, row.rate, row.eta_s, row.attempt = "paused", 0.0, None, 0
    if row.kind in ON_PAUSED:
        ON_PAUSED[row.kind](cur, row)


def _pause(ctx: Context, job: Job) -> None:
    """Take in the pause of a job that is not at work."""

    def change(cur: db.Cursor) -> Job:
        row = db.jobs.get(cur, job.id)
        if row.state not in jobs.ACTIVE or not channel.pause_requested(ctx.paths.job(job.id)):
            return row
        _rest(cur, row)
        return db.jobs.update(cur, row)

    row = ctx.store.write(change)
    if row.state == "paused":
        ctx.engine_line.leave(row.id)
    _publish(ctx, row, [])


def _end(ctx: Context, job: Job, state: str, reason: str) -> None:
    def change(cur: db.Cursor) -> Job:
        row = db.jobs.get(cur, job.id)
        row.state, row.reason, row.finished_at = state, reason, time.time()  # pyright: ignore[reportAttributeAccessIssue]
        if row.kind in ON_STOPPED:
            ON_STOPPED[row.kind](cur, row)
        return db.jobs.update(cur, row)

    row = ctx.store.write(change)
    # The database took no more of what an engine job brought, so its work can end.
    if engine_jobs.handles(row.kind):
        channel.request_cancel(ctx.paths.job(job.id))
    _publish(ctx, row, [])
    ctx.events.publish("project", {"id": row.project_id}, row.project_id)


def _revive(ctx: Context, job: Job, queued: set[str]) -> None:
    """Decide about a job that shows nothing new: still waiting its turn, orphaned by a dead consumer, or hung."""
    if job.id in queued or ctx.engine_line.has(job.id) or ctx.mask_line.has(job.id):
        return
    folder = ctx.paths.job(job.id)
    on_engine = engine_jobs.handles(job.kind)
    if on_engine and channel.read_result(folder) is not None:
        return  # it ended since this round began
    progress = channel.read_progress(folder)
    if progress is not None and job.state == "waiting" and progress.at < job.heartbeat:
        progress = None  # of an execution before it was put into the queue again
    now = time.time()
    if job.state == "waiting" and now - job.heartbeat < START_S:
        return  # just taken from the queue: its process is starting
    if on_engine or mask_drawing.wanted(ctx, job.id):
        reason = "The server was stopped."
    elif progress is None:
        reason = "The consumer took it and died before it began."
    elif not _alive(progress.pid):
        reason = "The consumer that worked on it died."
    elif abs(now - progress.at) > SILENT_S:
        log.warning(
            "job %s gave no sign of life for %.0f s; its consumer is restarted", job.id, now - progress.at
        )
        _kill(progress.pid)
        reason = f"It gave no sign of life for {SILENT_S:.0f} seconds."
    else:
        return
    if channel.cancel_requested(folder):
        _end(ctx, job, "cancelled", KEPT)
        return
    if channel.pause_requested(folder):
        _pause(ctx, job)
        return
    if job.attempt + 1 >= ATTEMPTS:
        _end(ctx, job, "failed", f"{reason} It was tried {ATTEMPTS} times. What was finished is kept.")
        return

    def change(cur: db.Cursor) -> Job:
        row = db.jobs.get(cur, job.id)
        row.attempt += 1
        row.heartbeat = now
        row.state = "waiting"
        row.message = f"{reason} It starts again."
        row.collected = jobs.taken_in(ctx, row)
        return db.jobs.update(cur, row)

    row = ctx.store.write(change)
    jobs.start(ctx, row)
    stages.tell(ctx, row)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
