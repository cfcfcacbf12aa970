"""The web process's end of a request that is answered by many replies. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Self

from app.errors import Unavailable

Reply = Any


class Interrupted(Unavailable):
    """The worker went away in the middle of a stream: what arrived is good, the rest must be asked for anew."""


class Stream:
    """The replies of a request that is answered by many, in order; ends with the worker's `Ended`.

    Iterating raises the PointillistError that the worker answered, or Interrupted. `close` stops the work.
    """

    def __init__(self, number: int, future: Future[Reply]) -> None:
        self.number = number
        """What `AddAnchor.track` refers to."""
        self._future = future
        self._replies: SimpleQueue[Reply | None] = SimpleQueue()
        future.add_done_callback(lambda _: self._replies.put(None))

    def put(self, reply: Reply) -> None:
        self._replies.put(reply)

    def __iter__(self) -> Iterator[Reply]:
        return self.replies()

    def replies(self, idle: Callable[[], None] | None = None, every_s: float = 0.25) -> Iterator[Reply]:
        """As iterating; `idle` is called whenever nothing came for `every_s` seconds."""
        while True:
            try:
                reply = self._replies.get(timeout=None if idle is None else every_s)
            except Empty:
                if idle is not None:
                    idle()
                continue
            if reply is None:
                break
            yield reply
        if self._future.cancelled():
            return
        self._future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self._future.done():
            self._future.cancel()
