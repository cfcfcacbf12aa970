"""Publish and subscribe inside the web process: services publish from any thread, SSE streams listen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct

QUEUE_LIMIT = 256


class Event(Struct):
    """`kind`: job, project, frame, regions, process or template; `data` is JSON."""

    kind: str
    data: bytes
    project_id: str | None = None


class Subscription:
    """A bounded queue on one event loop. A listener that does not read loses the oldest events, never memory."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_LIMIT)

    def push(self, event: Event) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, event)
        except RuntimeError:  # the loop of a client that just left is closed
            pass

    def _put(self, event: Event) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(event)

    async def next(self) -> Event:
        return await self._queue.get()


class Events:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()

    def publish(self, kind: str, data: Any, project_id: str | None = None) -> None:
        event = Event(kind, msgspec.json.encode(data), project_id)
        with self._lock:
            listeners = list(self._subscriptions)
        for listener in listeners:
            listener.push(event)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        subscription = Subscription(asyncio.get_running_loop())
        with self._lock:
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)
