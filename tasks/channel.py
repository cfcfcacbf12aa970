"""The job folder `<data>/jobs/<job_id>/`: how a task tells the web process how far it is.

| file | written by | content |
|---|---|---|
| progress.json | task, atomically | `Progress`; `at` comes from the working thread, so a hang shows |
| partial.jsonl | task, append only | one JSON object a line, flushed; a torn last line does not count |
| result.json | task, atomically, once | `Result` |
| cancel | web | an empty flag file |
| pause | web | an empty flag file, there as long as the job is to rest |
| interrupted | task | an empty flag file: the last execution ended with its consumer |
| lock | task | an advisory lock: two executions of one job never overlap |
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from msgspec import Struct

from app.errors import Cancelled, StorageFull

T = TypeVar("T")

REPORT_EVERY_S = 0.2
INTERRUPTED = "interrupted"
PAUSED = "paused"
"""`Result.error` of an execution that ended because it was asked to pause: the job is not over."""
BEAT_EVERY_S = 1.0


class Progress(Struct, kw_only=True):
    """How far a task is. `rate` in units a second, `eta_s` in seconds, `at` wall time in seconds.

    `attempt` counts the executions since the job last got further than ever before; `high` is how far it
    had got before this execution began.
    """

    done: int = 0
    total: int = 0
    rate: float = 0.0
    eta_s: float | None = None
    message: str = ""
    pid: int = 0
    attempt: int = 0
    high: int = 0
    at: float = 0.0


class Result(Struct, kw_only=True):
    """How a task ended. `error` is a code ("cancelled", "paused" or the name of the error class), `sentence` is
    for people.

    After a cancel or a failure `value` may still say what was kept.
    """

    ok: bool
    value: Any = None
    error: str = ""
    sentence: str = ""
    at: float = 0.0


class Busy(Exception):
    """Another execution of the same job is still running."""


class Stopping(Exception):
    """Whoever runs the task is being shut down; the job stays unfinished and is resumed later."""


class Paused(Stopping):
    """The job was asked to pause; it goes on from what is on disk once it is resumed."""


stopping = threading.Event()
"""Set by the consumer when it must end; every `Channel.check` there then raises Stopping."""


def write_aside(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write `data` beside `path`, then rename over it: a reader never sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class Channel:
    """The task's side of a job folder. Use as a context manager: it holds the job's lock meanwhile.

    Raises Busy on entry when another execution holds the lock after `wait_s` seconds. `stop`: set by whoever
    runs the task when it must end.
    """

    def __init__(self, folder: Path, *, wait_s: float = 0.0, stop: threading.Event = stopping) -> None:
        self.folder = folder
        self._stop = stop
        self.kept: dict[str, Any] = {}
        """What exists on disk already; the task keeps it current, and a cancelled job reports it."""
        self._wait_s = wait_s
        self._lock = -1
        self._partial = -1
        self._progress = Progress()
        self._started = 0.0
        self._first_done: int | None = None
        self._last_report = 0.0
        self._cancel = folder / "cancel"
        self._pause = folder / "pause"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(self._lock)
                    self._lock = -1
                    raise Busy(self.folder.name) from None
                time.sleep(0.05)
        previous = read_progress(self.folder)
        attempt, high = 1, 0
        if previous is not None:
            attempt = 1 if previous.done > previous.high else previous.attempt + 1
            if (self.folder / INTERRUPTED).exists():
                attempt = max(1, attempt - 1)
            high = max(previous.high, previous.done)
        (self.folder / INTERRUPTED).unlink(missing_ok=True)
        self._progress = Progress(pid=os.getpid(), attempt=attempt, high=high)
        self._started = time.monotonic()
        if previous is not None:
            self._progress.done, self._progress.total = previous.done, previous.total
        self._write_progress()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in (self._partial, self._lock):
            if handle >= 0:
                os.close(handle)
        self._partial = self._lock = -1

    @property
    def attempt(self) -> int:
        """1 at first; grows each time an execution ended without a result and got no further."""
        return self._progress.attempt

    def report(self, done: int, total: int, message: str = "", *, now: bool = False) -> None:
        """Say how far the work is; written at most five times a second unless `now`."""
        clock = time.monotonic()
        if self._first_done is None:
            self._first_done, self._started = done, clock
        progress = self._progress
        progress.done, progress.total = done, total
        if message:
            progress.message = message
        elapsed = clock - self._started
        if elapsed > 0.05:
            progress.rate = (done - self._first_done) / elapsed
        progress.eta_s = (total - done) / progress.rate if progress.rate > 0 and total >= done else None
        if now or done >= total or clock - self._last_report >= REPORT_EVERY_S:
            self._write_progress()

    def check(self) -> None:
        """A sign of life between two units of work. Raises Cancelled or Paused when the web process asked for
        it, and Stopping.
        """
        if self._cancel.exists():
            raise Cancelled
        if self._pause.exists():
            raise Paused
        if self._stop.is_set():
            raise Stopping
        if time.monotonic() - self._last_report >= BEAT_EVERY_S:
            self._write_progress()

    def append(self, record: Any) -> None:
        """Add one partial result: anything that msgspec encodes."""
        if self._partial < 0:
            self._partial = os.open(
                self.folder / "partial.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600
            )
            _cut_torn_line(self._partial)
        _write_all(self._partial, msgspec.json.encode(record) + b"\n")

    def finish(self, value: Any) -> None:
        """The final word: it worked, with this value."""
        self._write_progress()
        self._end(Result(ok=True, value=value, at=time.time()))

    def hold(self) -> None:
        """The final word of this execution: the job rests, and what it has so far is on the disk."""
        self._write_progress()
        mark_interrupted(self.folder)
        self._end(Result(ok=False, error=PAUSED, at=time.time()))

    def fail(self, sentence: str, *, error: str = "failed", value: Any = None) -> None:
        """The final word: it did not work, for a reason that a person can read."""
        self._end(Result(ok=False, error=error, sentence=sentence, value=value, at=time.time()))

    def _end(self, result: Result) -> None:
        write_aside(self.folder / "result.json", msgspec.json.encode(result), durable=True)

    def _write_progress(self) -> None:
        self._last_report = time.monotonic()
        self._progress.at = time.time()
        with storage_errors():
            write_aside(self.folder / "progress.json", msgspec.json.encode(self._progress))


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a full disk into StorageFull with a sentence; other errors pass."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull("The disk is full: free some space, then resume the job.") from exc
        raise


def _write_all(handle: int, data: bytes) -> None:
    with storage_errors():
        while data:
            data = data[os.write(handle, data) :]


def _cut_torn_line(handle: int) -> None:
    """Remove what a killed writer left behind its last newline, so that the next record starts a line."""
    size = os.fstat(handle).st_size
    end = size
    while end:
        start = max(0, end - 65536)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end != size:
        os.ftruncate(handle, end)


def cut_lines(path: Path) -> None:
    """Remove a torn last line from a file of lines; a file that is not there is fine."""
    if path.exists():
        handle = os.open(path, os.O_RDWR)
        try:
            _cut_torn_line(handle)
        finally:
            os.close(handle)


def read_progress(folder: Path) -> Progress | None:
    """The last progress, or None before the first."""
    return _read(folder / "progress.json", Progress)


def read_result(folder: Path) -> Result | None:
    """How the task ended, or None while it has not."""
    return _read(folder / "result.json", Result)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read_partial(folder: Path, offset: int = 0, *, limit: int = 8 << 20) -> tuple[list[Any], int]:
    """The complete records after byte `offset`, at most about `limit` bytes of them, and the next offset."""
    try:
        with (folder / "partial.jsonl").open("rb") as file:
            file.seek(offset)
            data = file.read(limit)
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return [msgspec.json.decode(line) for line in data[:end].splitlines() if line], offset + end


def cut_partial(folder: Path, records: int) -> None:
    """Keep only the first `records` complete lines (a resume found the later ones unusable)."""
    path = folder / "partial.jsonl"
    if path.exists():
        lines = path.read_bytes().split(b"\n")[:-1][:records]
        write_aside(path, b"".join(line + b"\n" for line in lines))


def mark_interrupted(folder: Path) -> None:
    """Say that an execution ends because its consumer went away: that is not the fault of the file."""
    with contextlib.suppress(OSError):
        (folder / INTERRUPTED).touch()


def request_cancel(folder: Path) -> None:
    """Ask the task to stop; twice is the same as once, and before it began is fine too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cancel").touch()


def cancel_requested(folder: Path) -> bool:
    return (folder / "cancel").exists()


def request_pause(folder: Path) -> None:
    """Ask the task to rest; twice is the same as once, and before it began is fine too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pause").touch()


def pause_requested(folder: Path) -> bool:
    return (folder / "pause").exists()


def withdraw_pause(folder: Path) -> bool:
    """Make a job that rests, or is about to, startable again; how far it is stays known.

    Returns whether it has to be started again, because an execution ended for the pause.
    """
    (folder / "pause").unlink(missing_ok=True)
    result = read_result(folder)
    if result is None or result.error != PAUSED:
        return False
    (folder / "result.json").unlink(missing_ok=True)
    return True


def partial_size(folder: Path) -> int:
    """Bytes of partial results that are on disk; 0 where there are none."""
    try:
        return (folder / "partial.jsonl").stat().st_size
    except FileNotFoundError:
        return 0


def reset(folder: Path) -> None:
    """Make an ended job startable again: forget its result, its flags and its count of attempts."""
    for name in ("result.json", "cancel", "pause", "progress.json"):
        (folder / name).unlink(missing_ok=True)


def withdraw_cancel(folder: Path) -> None:
    """Take back that the job is to be cancelled, where it does not run."""
    (folder / "cancel").unlink(missing_ok=True)
