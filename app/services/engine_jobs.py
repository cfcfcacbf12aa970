"""Jobs that need the engine worker. A thread of the web process runs them, which alone is connected to it.

The thread leaves the same files in the job folder as a task of the consumer, so the collector brings both in
alike. One job runs at a time; the others wait in the order in which they were submitted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from app import store as db
from app.errors import Unavailable
from app.models import Job, JobKind
from app.services.context import Context
from app.worker import protocol
from tasks import queue
from tasks.channel import Channel

log = logging.getLogger("pointillist.jobs")

Run = Callable[[Context, Job, Channel], Any]
"""Does the work of a job and returns its result; raises as a task of the consumer does."""

_RUNS: dict[str, Run] = {}


def register(kind: JobKind, run: Run) -> None:
    """Let `run` do the jobs of this kind. Called when the module of `run` is imported."""
    _RUNS[kind] = run


def handles(kind: str) -> bool:
    return kind in _RUNS


def replies(ctx: Context, channel: Channel, message: protocol.Stream) -> Iterator[Any]:
    """The replies of the worker to a request that is answered by many.

    Gives signs of life while it waits. Raises Cancelled, Paused and Stopping as `Channel.check` does, what the
    worker answered, and `Interrupted` when the worker went away.
    """
    with ctx.worker.stream(message) as stream:
        for reply in stream.replies(idle=channel.check):
            channel.check()
            yield reply


class Runner:
    """The thread that runs engine jobs. After a stop an unfinished job is taken up again by the next server."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="engine-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._ctx.engine_line.close()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        line = self._ctx.engine_line
        while (job_id := line.first()) is not None:
            try:
                self._run(job_id)
            except Exception:
                log.exception("the job %s could not be run; it is tried again", job_id)
            line.done()
            self._ctx.jobs_started.set()

    def _run(self, job_id: str) -> None:
        job = self._ctx.store.read(lambda cur: db.jobs.find(cur, job_id))
        if job is None or job.state not in ("waiting", "running"):
            return
        run = _RUNS[job.kind]

        def work(channel: Channel) -> Any:
            try:
                return run(self._ctx, job, channel)
            except Unavailable:
                channel.check()  # while the server stops, the worker is away: that is no failure of the job
                raise

        queue.perform(self._ctx.paths.job(job_id), work, stop=self._stop)
