"""What is being loaded in the engine worker on a person's word, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from app.errors import PointillistError


class Loads:
    """Thread-safe; one per server. `failed` also remembers what the worker cannot: that it died of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[Any]] = {}
        self._failed: dict[str, str] = {}

    def running(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._running)

    def failed(self) -> dict[str, str]:
        """Engine → the sentence with which its last loading failed."""
        with self._lock:
            return dict(self._failed)

    def forget(self, engine: str) -> None:
        with self._lock:
            self._failed.pop(engine, None)

    def start(self, engine: str, submit: Callable[[], Future[Any]], changed: Callable[[], None]) -> bool:
        """Load unless it is loading already; `changed` is called, from any thread, when that has ended."""
        with self._lock:
            if engine in self._running:
                return False
            self._failed.pop(engine, None)
            future = self._running[engine] = submit()
        future.add_done_callback(lambda done: self._ended(engine, done, changed))
        return True

    def _ended(self, engine: str, done: Future[Any], changed: Callable[[], None]) -> None:
        error = None if done.cancelled() else done.exception()
        with self._lock:
            self._running.pop(engine, None)
            if isinstance(error, PointillistError):
                self._failed[engine] = error.sentence
        changed()
