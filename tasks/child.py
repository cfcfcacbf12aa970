"""A job in a process of its own: foreign bytes that crash, hang or bloat a decoder cost that job, nothing
else.

The parent (a thread of the consumer) holds the child's stdin. When the consumer dies, however it dies, the
pipe closes and the child ends; the job is resumed by the next consumer.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from tasks.channel import (
    Busy,
    Channel,
    cancel_requested,
    mark_interrupted,
    read_progress,
    read_result,
    stopping,
)

HANG_S = 60.0
"""A child that gave no sign of life for this long is killed."""
CANCEL_GRACE_S = 5.0
POLL_S = 0.05


def run(folder: Path, kind: str, args: dict[str, Any], *, memory_mb: int, hang_s: float = HANG_S) -> None:
    """Run one job in a child process and wait for it; a child that dies or hangs ends as a failed job."""
    if read_result(folder) is not None:
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4"}
    started = time.time()
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.child", str(folder), kind, str(memory_mb)],
        stdin=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(args) + b"\n")
        process.stdin.flush()
        hung = _watch(process, folder, started, hang_s)
    except BrokenPipeError:
        hung = False
    finally:
        process.stdin.close()
        if process.poll() is None:
            process.kill()
        code = process.wait()
    if read_result(folder) is None and not stopping.is_set():
        _bury(folder, code, hung)


def _watch(process: subprocess.Popen[bytes], folder: Path, started: float, hang_s: float) -> bool:
    """Wait for the child; True when it was given up as hung."""
    cancelled_at: float | None = None
    while True:
        try:
            process.wait(POLL_S)
            return False
        except subprocess.TimeoutExpired:
            pass
        if stopping.is_set():
            return False
        now = time.time()
        if cancelled_at is None and cancel_requested(folder):
            cancelled_at = now
        if cancelled_at is not None and now - cancelled_at > CANCEL_GRACE_S:
            return False
        progress = read_progress(folder)
        seen = max(started, progress.at if progress else 0.0)
        if now - seen > hang_s:
            return True


def _bury(folder: Path, code: int, hung: bool) -> None:
    """Write the end of a job whose child left none."""
    try:
        with Channel(folder, wait_s=2.0) as channel:
            if read_result(folder) is not None:
                return
            if cancel_requested(folder):
                channel.fail("The job was cancelled.", error="cancelled")
            elif hung:
                channel.fail("The work hung and was stopped; the file may be damaged.", error="hung")
            elif code < 0:
                name = (
                    signal.Signals(-code).name if -code in signal.Signals._value2member_map_ else str(-code)
                )
                channel.fail(
                    f"The program that reads the file crashed ({name}); the file may be damaged.",
                    error="crashed",
                )
            elif code > 0:
                channel.fail(f"The program that reads the file stopped with code {code}.", error="crashed")
    except Busy:
        return


def main(argv: list[str]) -> None:
    """The child: arguments are a line of JSON on stdin, which stays open as long as the parent lives."""
    folder, kind, memory_mb = Path(argv[1]), argv[2], int(argv[3])
    args = msgspec.json.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_parent, args=(folder,), daemon=True).start()
    limit = memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from tasks.queue import execute_here

    execute_here(folder, kind, args, wait_s=5.0)
    sys.stderr.flush()
    # Not a plain return: the thread below is inside a read, and there is nothing left to tidy.
    os._exit(0)


def _die_with_parent(folder: Path) -> None:
    while os.read(0, 65536):
        pass
    mark_interrupted(folder)
    os._exit(3)


if __name__ == "__main__":
    main(sys.argv)
