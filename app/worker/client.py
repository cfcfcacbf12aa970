"""The web process's handle on the engine worker: connects for ever, answers by futures, restarts a hung
worker.

The watchdog knows one rule: while a request waits, the worker must give a sign of life every `timeout_s`
seconds (a step that takes longer is announced by `Working`). Otherwise it is killed; the supervisor starts
another, and what waited is asked once more. Imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from app.errors import PointillistError, Unavailable
from app.worker import protocol
from app.worker.protocol import EngineInfo, Message
from app.worker.replying import Interrupted, Stream

log = logging.getLogger("pointillist.web")

RECONNECT_S = 10.0
ATTEMPTS = 2
POLL_S = 0.05

Reply = Any


class WorkerState(Struct):
    """`reason` is a sentence where the state is not ready."""

    state: Literal["ready", "restarting", "missing"]
    pid: int | None = None
    reason: str = ""


@dataclass(eq=False)
class Waiting:
    message: Message
    future: Future[Reply]
    since: float
    """When it was last sent, or submitted where it could not be sent yet."""
    attempts: int = 0
    stream: Stream | None = None


class WorkerClient:
    """Thread-safe. `start` connects in the background; requests made before that wait for it."""

    def __init__(
        self,
        address: Path | str,
        authkey: bytes,
        *,
        timeout_s: float = 8.0,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        self._address = str(address)
        self._authkey = authkey
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._lock = threading.Condition()
        self._send_lock = threading.Lock()
        self._connection: Any = None
        self._waiting: dict[int, Waiting] = {}
        self._last = 0
        self._lost_at = time.monotonic()
        self._heard_until = 0.0
        self._warm: protocol.Warm | None = None
        self._state = WorkerState("restarting", None, "The engine worker is starting.")
        self._engines: list[EngineInfo] = []
        self._listeners: list[Callable[[WorkerState], None]] = []
        self._closed = threading.Event()

    def start(self) -> None:
        for target in (self._connect, self._watch):
            threading.Thread(target=target, name=f"worker-{target.__name__}", daemon=True).start()

    def close(self) -> None:
        """Stop; whoever waits gets Unavailable."""
        self._closed.set()
        with self._lock:
            connection, waiting = self._connection, list(self._waiting.values())
            self._waiting.clear()
            self._lock.notify_all()
        if connection is not None:
            _hang_up(connection)
        for entry in waiting:
            _fail(entry.future, Unavailable("The server is stopping."))

    def state(self) -> WorkerState:
        return self._state

    def engines(self) -> list[EngineInfo]:
        """As the worker announced them; empty until it was there once."""
        return list(self._engines)

    def on_state(self, callback: Callable[[WorkerState], None]) -> Callable[[], None]:
        """Call `callback` (from a background thread) on every change; returns a function that ends this."""
        with self._lock:
            self._listeners.append(callback)

        def off() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._listeners.remove(callback)

        return off

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────

    def submit(self, message: Message) -> Future[Reply]:
        """Ask; the future holds the reply or a PointillistError. Cancelling it stops the work in the
        worker.
        """
        return self._submit(message, None)[0]

    def stream(self, message: protocol.Stream) -> Stream:
        """Ask for what is answered by many replies."""
        return cast(Stream, self._submit(message, Stream)[1])

    def tell(self, message: protocol.AddAnchor | protocol.Forget) -> None:
        """Say what is not answered; lost where the worker is away."""
        with self._lock:
            connection = self._connection
        if connection is not None:
            self._send(connection, message)

    def _submit(self, message: Message, kind: type[Stream] | None) -> tuple[Future[Reply], Stream | None]:
        future: Future[Reply] = Future()
        with self._lock:
            self._last += 1
            number = self._last
            stream = None if kind is None else kind(number, future)
            if self._closed.is_set():
                _fail(future, Unavailable("The server is stopping."))
                return future, stream
            asked = msgspec.structs.replace(message, request=number)
            self._waiting[number] = Waiting(asked, future, time.monotonic(), stream=stream)
            connection = self._connection
            self._lock.notify_all()
        future.add_done_callback(lambda done: self._cancelled(number) if done.cancelled() else None)
        if connection is not None:
            self._send(connection, asked)
        return future, stream

    def request(self, message: Message, timeout: float = 120.0) -> Reply:
        """Ask and wait. Raises the PointillistError that the worker answered, or Unavailable."""
        future = self.submit(message)
        try:
            return future.result(timeout)
        except FutureTimeout:
            future.cancel()
            raise Unavailable("The engine took too long; try again.") from None
        except CancelledError:
            raise Unavailable("The request was cancelled.") from None

    def warm(self, message: protocol.Warm) -> None:
        """Tell the worker which frames come next; after a restart it is told again."""
        with self._lock:
            self._warm = message
            connection = self._connection
        if connection is not None:
            self._send(connection, message)

    def _cancelled(self, number: int) -> None:
        with self._lock:
            entry = self._waiting.pop(number, None)
            connection = self._connection
        if entry is not None and connection is not None:
            self._send(connection, protocol.Cancel(request=number))

    def _send(self, connection: Any, message: Message) -> None:
        # A connection that just broke is noticed by its reader, which sends again what waits.
        with self._send_lock, contextlib.suppress(OSError, ValueError):
            connection.send_bytes(protocol.encode(message))

    # ── the connection ──────────────────────────────────────────────────────────────────────────────

    def _connect(self) -> None:
        while not self._closed.is_set():
            try:
                connection = Client(self._address, family="AF_UNIX", authkey=self._authkey)
            except (OSError, EOFError, AuthenticationError):
                self._closed.wait(POLL_S)
                continue
            with contextlib.closing(connection):
                reason = self._read(connection)
            self._lost(reason)

    def _read(self, connection: Any) -> str:
        """Serve a connection until it ends; returns why it ended."""
        pid: int | None = None
        while not self._closed.is_set():
            try:
                reply = protocol.decode_reply(connection.recv_bytes(protocol.MAX_MESSAGE))
            except (EOFError, OSError):
                return "The engine worker stopped and is being started again."
            except msgspec.DecodeError:
                log.exception("a reply of the worker cannot be read")
                return "The engine worker speaks another version; restart Pointillist."
            match reply:
                case protocol.Hello():
                    if reply.version != protocol.VERSION:
                        self._closed.wait(1.0)
                        return "The engine worker is of another version; restart Pointillist."
                    pid = reply.pid
                    self._ready(connection, reply)
                case protocol.Working():
                    self._heard(reply.allow_s)
                case _:
                    self._answer(reply, pid)
        return "The server is stopping."

    def _ready(self, connection: Any, hello: protocol.Hello) -> None:
        with self._lock:
            self._connection = connection
            self._engines = hello.engines
            now = time.monotonic()
            self._heard_until = now
            waiting = list(self._waiting.values())
            for entry in waiting:
                entry.since = now
            messages = [entry.message for entry in waiting]
            if self._warm is not None:
                messages.append(self._warm)
            self._lock.notify_all()
        self._say(WorkerState("ready", hello.pid))
        for message in messages:
            self._send(connection, message)

    def _heard(self, allow_s: float = 0.0) -> None:
        with self._lock:
            self._heard_until = time.monotonic() + allow_s
            self._lock.notify_all()

    def _answer(self, reply: Reply, pid: int | None) -> None:
        if not isinstance(reply, protocol.Pong):  # a Pong comes from the reader, also while the engine hangs
            self._heard()
        with self._lock:
            entry = self._waiting.get(reply.request)
            goes_on = (
                entry is not None
                and entry.stream is not None
                and not isinstance(reply, (protocol.Failed, protocol.Ended))
            )
            if not goes_on:
                self._waiting.pop(reply.request, None)
        if goes_on and entry is not None and entry.stream is not None:
            entry.stream.put(reply)
            return
        if entry is None or not entry.future.set_running_or_notify_cancel():
            return
        if isinstance(reply, protocol.Failed):
            entry.future.set_exception(protocol.error_of(reply))
        else:
            entry.future.set_result(reply)

    def _lost(self, reason: str) -> None:
        with self._lock:
            self._connection = None
            self._lost_at = time.monotonic()
            dead = []
            for number, entry in list(self._waiting.items()):
                entry.attempts += 1
                if entry.stream is not None or entry.attempts >= ATTEMPTS:
                    dead.append(self._waiting.pop(number))
            self._lock.notify_all()
        self._say(WorkerState("restarting", None, reason))
        for entry in dead:
            if entry.stream is not None:
                _fail(entry.future, Interrupted("The engine worker stopped in the middle of it."))
                continue
            _fail(
                entry.future,
                Unavailable(
                    "The engine stopped twice on this request; it was given up. Hand tools keep working."
                ),
            )

    def _say(self, state: WorkerState) -> None:
        with self._lock:
            self._state = state
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(state)
            except Exception:
                log.exception("a listener of the worker's state failed")

    # ── the watchdog ────────────────────────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                now = time.monotonic()
                due = self._due()
                if due is None or due > now:
                    self._lock.wait(None if due is None else due - now)
                    continue
                pid, connected = self._state.pid, self._connection is not None
                late = [] if connected else [n for n, e in self._waiting.items() if self._give_up(e) <= now]
                given_up = [self._waiting.pop(number) for number in late]
                if connected:
                    # Not again before the death is noticed.
                    self._heard_until = now + self._reconnect_s
            if connected and pid is not None:
                log.warning("the engine worker gave no sign of life for %g s: killed", self._timeout_s)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not connected:
                reason = "The engine worker does not start; hand tools keep working. The log says why."
                if self._state.state != "missing":
                    self._say(WorkerState("missing", None, reason))
                for entry in given_up:
                    _fail(entry.future, Unavailable(reason))

    def _due(self) -> float | None:
        """When the watchdog must act next; the lock is held."""
        if self._connection is None:
            times = [self._give_up(entry) for entry in self._waiting.values()]
            if self._state.state != "missing":
                times.append(self._lost_at + self._reconnect_s)
            return min(times, default=None)
        oldest = min((entry.since for entry in self._waiting.values()), default=None)
        return None if oldest is None else max(oldest, self._heard_until) + self._timeout_s

    def _give_up(self, entry: Waiting) -> float:
        return max(entry.since, self._lost_at) + self._reconnect_s


def _fail(future: Future[Reply], error: PointillistError) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def _hang_up(connection: Any) -> None:
    """Wake a thread that blocks in reading `connection` (closing it from here would not)."""
    with contextlib.suppress(OSError):
        twin = socket.socket(fileno=os.dup(connection.fileno()))
        with contextlib.closing(twin):
            twin.shutdown(socket.SHUT_RDWR)
