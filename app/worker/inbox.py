"""The worker's queue: clicks before batch work, cancellation, and the frames to warm."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from app.worker import protocol
from app.worker.protocol import Message

PRIORITY: dict[type[Message], int] = {
    protocol.Predict: 0,
    protocol.Accept: 1,
    protocol.Trace: 1,
    protocol.Render: 2,
    protocol.Inspect: 2,
    protocol.WhatIf: 2,
    protocol.LabelPng: 3,
    protocol.Forget: 3,
    protocol.LoadEngine: 4,
    protocol.UnloadEngine: 4,
}
BATCH = 5
"""Priority of every request that is not interactive."""


@dataclass
class Item:
    """A request, the connection it came by, and whether it is still wanted."""

    message: Message
    line: Any
    priority: int
    cancelled: threading.Event = field(default_factory=threading.Event)


class Inbox:
    """Filled by the reader thread, emptied by the working thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._current: list[Item] = []
        self._warm: list[tuple[protocol.FrameRef, str]] = []
        self._warm_all: list[tuple[protocol.FrameRef, str]] = []

    def __len__(self) -> int:
        return len(self._items)

    def put(self, message: Message, line: Any) -> None:
        with self._changed:
            if isinstance(message, protocol.Warm):
                self._warm_all = [(frame, message.engine) for frame in message.frames]
                self._warm = list(self._warm_all)
            else:
                if isinstance(message, protocol.Forget):
                    self._warm_all, self._warm = [], []
                self._items.append(Item(message, line, PRIORITY.get(type(message), BATCH)))
            self._changed.notify()

    def cancel(self, request: int, line: Any) -> None:
        """Drop a queued request, or mark the one at work."""
        with self._changed:
            for item in [*self._items, *self._current]:
                if item.message.request == request and item.line is line:
                    item.cancelled.set()
            self._items = [item for item in self._items if not item.cancelled.is_set()]

    def forget(self, line: Any) -> None:
        """Its connection is gone: nobody waits for these answers."""
        with self._changed:
            for item in [*self._items, *self._current]:
                if item.line is line:
                    item.cancelled.set()
            self._items = [item for item in self._items if item.line is not line]

    def take(self, *, before: int | None = None, timeout: float | None = None) -> Item | None:
        """The most urgent item, the oldest first among equals; None where there is none.

        before: only items more urgent than this priority, without waiting. timeout: seconds to wait, None for
        ever; the wait ends early where there is something to warm and no `timeout` was given.
        """
        with self._changed:
            if before is None:
                self._changed.wait_for(
                    lambda: bool(self._items) or (timeout is None and bool(self._warm)), timeout
                )
            wanted = [item for item in self._items if before is None or item.priority < before]
            if not wanted:
                return None
            item = min(wanted, key=lambda found: found.priority)
            self._items.remove(item)
            self._current.append(item)
            return item

    def done(self, item: Item) -> None:
        with self._changed:
            self._current.remove(item)

    def next_warm(self) -> tuple[protocol.FrameRef, str, bool] | None:
        """(frame, engine, whether it is the open one) that should be prepared next."""
        with self._changed:
            if not self._warm:
                return None
            frame, engine = self._warm.pop(0)
            return frame, engine, bool(self._warm_all) and self._warm_all[0][0] is frame

    def warm_again(self, frame: protocol.FrameRef, engine: str) -> None:
        """Something more urgent came: this frame is still to be prepared, unless a new Warm arrived
        meanwhile.
        """
        with self._changed:
            if any(found is frame for found, _ in self._warm_all):
                self._warm.insert(0, (frame, engine))

    def wants(self, frame: protocol.FrameRef) -> bool:
        """Whether the newest Warm still asks for this frame."""
        with self._changed:
            return any(found is frame for found, _ in self._warm_all)

    def warm_set(self) -> list[tuple[protocol.FrameRef, str]]:
        with self._changed:
            return list(self._warm_all)
