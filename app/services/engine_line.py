"""Jobs that wait for the engine worker, in the order in which they were submitted."""

from __future__ import annotations

import threading


class Line:
    """Thread-safe; one per server. A job stays in the line until it is `done`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: list[str] = []
        self._closed = False

    def put(self, job_id: str) -> None:
        """Join at the end; one that waits already keeps its place."""
        with self._changed:
            if job_id not in self._ids:
                self._ids.append(job_id)
                self._changed.notify_all()

    def has(self, job_id: str) -> bool:
        """Whether the job waits or runs."""
        with self._changed:
            return job_id in self._ids

    def first(self) -> str | None:
        """Wait for a job; it stays in the line. None once the line is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._ids or self._closed)
            return None if self._closed else self._ids[0]

    def done(self, job_id: str) -> None:
        with self._changed:
            self._ids.remove(job_id)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
