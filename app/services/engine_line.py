"""Jobs that wait for the engine worker, in the order in which they were submitted."""

from __future__ import annotations

import threading


class Line:
    """Thread-safe; one per server. A job stays in the line until it is `done`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._at_work: str | None = None
        self._closed = False

    def put(self, job_id: str) -> None:
        """Join at the end; one that waits already keeps its place."""
        with self._changed:
            if job_id not in self._waiting:
                self._waiting.append(job_id)
                self._changed.notify_all()

    def leave(self, job_id: str) -> None:
        """Wait no longer; for a job that is at work, or is not here, nothing happens."""
        with self._changed:
            if job_id in self._waiting:
                self._waiting.remove(job_id)

    def has(self, job_id: str) -> bool:
        """Whether the job waits or runs."""
        with self._changed:
            return job_id in self._waiting or job_id == self._at_work

    def first(self) -> str | None:
        """Wait for a job; it stays in the line. None once the line is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._at_work = self._waiting.pop(0)
            return self._at_work

    def done(self) -> None:
        """The job that was given out last has had its turn."""
        with self._changed:
            self._at_work = None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
