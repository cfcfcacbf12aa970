"""The queue: which job kinds exist, how one is put into the queue, and how it is executed.

Huey only executes; jobs themselves live in the database of the web process, which puts a job back into the
queue when its heartbeat stops. Executing a job twice is therefore harmless: a finished one is left alone, a
running one is locked, an unfinished one goes on from what is on disk.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from huey import SqliteHuey
from huey.registry import Message

from app.errors import Cancelled, PointillistError
from tasks import child
from tasks.channel import (
    Busy,
    Channel,
    Paused,
    Stopping,
    mark_interrupted,
    read_result,
    stopping,
    storage_errors,
)

KINDS: dict[str, str] = {
    "extract": "tasks.extract:run",
    "export": "tasks.export:run",
    "import_bundle": "tasks.import_bundle:run",
    "import_labels": "tasks.import_labels:run",
    "keep_truth": "tasks.keep_truth:run",
    "matte": "tasks.matte:run",
    "matte_preview": "tasks.matte_preview:run",
    "measure": "tasks.measure:run",
    "probe": "tasks.probing:run",
    "score": "tasks.score:run",
    "sound": "tasks.sound:run",
    "stabilise": "tasks.stabilise:run",
    "what_if": "tasks.what_if:run",
}
"""Job kind → "module:function"; the function is `run(channel, args) -> value`, imported when first needed."""

ISOLATED: dict[str, int] = {"extract": 4096, "probe": 4096, "sound": 4096, "import_labels": 8192}
"""Kinds that decode foreign bytes run in a process of their own, with this address space in MiB."""

MAX_ATTEMPTS = 3
"""A job that ended this often without a result and without getting further is given up."""

_JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")

Run = Callable[[Channel, dict[str, Any]], Any]


class MsgspecSerializer:
    """Queue payloads as MessagePack, so that reading a queue file can never run code (a pickle could)."""

    def serialize(self, data: Any) -> bytes:
        return msgspec.msgpack.encode({"message": data} if isinstance(data, Message) else {"value": data})

    def deserialize(self, data: bytes) -> Any:
        found = msgspec.msgpack.decode(data, type=dict[str, Any])
        return Message(*found["message"]) if "message" in found else found.get("value")


class Queue(SqliteHuey):
    """The Huey of one data folder; `run_job` is its only task."""

    def __init__(self, data: Path, *, immediate: bool = False) -> None:
        self.data = data
        super().__init__(
            "pointillist",
            filename=str(data / "queue.sqlite3"),
            results=False,
            serializer=MsgspecSerializer(),
            immediate=immediate,
        )
        self.run_job = self.task(name="run_job")(self._run_job)

    def _run_job(self, kind: str, job_id: str, args: dict[str, Any]) -> None:
        execute(self.data, kind, job_id, args)


def make_queue(data: Path, *, immediate: bool = False) -> Queue:
    """Open (or make) the queue of the data folder; the file can be read by its owner only.

    A damaged queue file is set aside and made anew: nothing is lost, because jobs live in the database. With
    `immediate` a job runs inside `enqueue` (tests, and the command line with no server).
    """
    data.mkdir(parents=True, exist_ok=True)
    path = data / "queue.sqlite3"
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)
    try:
        return Queue(data, immediate=immediate)
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError):
            raise
        path.replace(path.with_name("queue.sqlite3.damaged"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return Queue(data, immediate=immediate)


def job_folder(data: Path, job_id: str) -> Path:
    """Where task and web meet. Raises ValueError for an id that is no plain name."""
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError(f"{job_id!r} is not a job id")
    return data / "jobs" / job_id


def enqueue(queue: Queue, kind: str, job_id: str, args: dict[str, Any]) -> None:
    """Put a job into the queue. `args` must be plain data (it travels as MessagePack)."""
    if kind not in KINDS:
        raise ValueError(f"There is no job kind {kind!r}.")
    job_folder(queue.data, job_id).mkdir(parents=True, exist_ok=True)
    queue.run_job(kind, job_id, args)


def execute(data: Path, kind: str, job_id: str, args: dict[str, Any]) -> None:
    """Run one job to its result, in a process of its own where its kind asks for that. Never raises."""
    folder = job_folder(data, job_id)
    try:
        if kind in ISOLATED:
            child.run(folder, kind, args, memory_mb=ISOLATED[kind])
        else:
            execute_here(folder, kind, args)
    except Exception:
        # The boundary of the consumer: whatever happens, its thread lives on and the job has an end.
        traceback.print_exc(file=sys.stderr)
        with contextlib.suppress(Exception):
            Channel(folder).fail(
                "The job could not be started. The log of the server says why.", error="crashed"
            )


def execute_here(folder: Path, kind: str, args: dict[str, Any], *, wait_s: float = 0.0) -> None:
    """Run one job in this process: the function of its kind, and its end as result.json. Never raises."""
    perform(folder, lambda channel: function_of(kind)(channel, args), wait_s=wait_s)


def perform(
    folder: Path,
    work: Callable[[Channel], Any],
    *,
    wait_s: float = 0.0,
    stop: threading.Event = stopping,
) -> None:
    """Do the work of one job and write its end as result.json: what `work` returned, or why it ended.

    Does nothing where the job has ended already or is being done. Errors of `work` are never raised.
    """
    if read_result(folder) is not None:
        return
    try:
        with Channel(folder, wait_s=wait_s, stop=stop) as channel:
            if read_result(folder) is None:
                _run(channel, work)
    except Busy:
        return


def _run(channel: Channel, work: Callable[[Channel], Any]) -> None:
    if channel.attempt > MAX_ATTEMPTS:
        channel.fail(
            f"The work stopped {MAX_ATTEMPTS} times at the same place; the file may be damaged.",
            error="crashed",
        )
        return
    try:
        channel.check()
        with storage_errors():
            value = work(channel)
        channel.finish(value)
    except Cancelled:
        channel.fail("The job was cancelled.", error="cancelled", value=channel.kept or None)
    except Paused:
        channel.hold()
    except Stopping:
        mark_interrupted(channel.folder)
    except PointillistError as exc:
        channel.fail(exc.sentence, error=type(exc).__name__, value=channel.kept or None)
    except MemoryError:
        channel.fail(
            "There was not enough memory for this file.", error="MemoryError", value=channel.kept or None
        )
    except Exception as exc:
        traceback.print_exc(file=sys.stderr)
        channel.fail(
            f"The job failed because of an error in the program ({type(exc).__name__}). The log says more.",
            error="crashed",
            value=channel.kept or None,
        )


def function_of(kind: str) -> Run:
    """The function behind a job kind. Raises KeyError for an unknown kind."""
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)
