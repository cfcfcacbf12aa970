"""The consumer process: `python -m tasks.consumer --data DIR` executes jobs from the queue file.

It never touches the database. Its supervisor holds its stdin; when that closes, or on SIGTERM or SIGINT, it
ends promptly: unfinished jobs keep what is on disk and are resumed when they are put into the queue again.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from huey.consumer import Consumer

from tasks.channel import stopping
from tasks.queue import make_queue

GRACE_S = 2.0
NICENESS = 5


class PatientConsumer(Consumer):
    """Huey's consumer without its signal handlers: here a signal, and the end of stdin, mean "end now"."""

    def _set_signal_handlers(self) -> None:
        def end(signum: int, frame: object) -> None:
            self.stop_flag.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)


def main(argv: list[str] | None = None) -> int:
    """Run until stopped; the exit status is 0 after a stop that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.consumer", description="Executes Pointillist's jobs."
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--workers", type=int, default=2, help="jobs executed at the same time")
    parser.add_argument("--no-lifeline", action="store_true", help="go on when stdin is closed")
    options = parser.parse_args(argv)

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    # Editing must not wait for extraction: the scheduler prefers the web process and the engine worker.
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    queue = make_queue(options.data.resolve())
    consumer = PatientConsumer(
        queue, workers=options.workers, periodic=False, initial_delay=0.05, max_delay=0.2, backoff=1.15
    )
    if not options.no_lifeline:
        threading.Thread(target=_watch_lifeline, args=(consumer.stop_flag,), daemon=True).start()
    print("consumer ready", file=sys.stderr, flush=True)
    consumer.run()
    # Threads that are inside a job see this at their next check; what does not end in time is killed with us.
    stopping.set()
    for _, thread in consumer.worker_threads:
        thread.join(GRACE_S / options.workers)
    sys.stderr.flush()
    os._exit(0)


def _watch_lifeline(stop_flag: threading.Event) -> None:
    """End the consumer when whoever started it is gone."""
    with contextlib.suppress(OSError):
        while os.read(0, 65536):
            pass
    stop_flag.set()


if __name__ == "__main__":
    sys.exit(main())
