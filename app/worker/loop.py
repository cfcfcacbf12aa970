"""The worker process: takes requests from the web's connection, lets engines work, answers.

One thread works (engines such as torch want to be built and used in one thread), one accepts and reads, one
waits for the end of stdin. A request that fails is answered with a sentence; the worker goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import cv2
import msgspec

from app.errors import BadRequest, Cancelled, Unavailable
from app.worker import protocol, weights
from app.worker.answers import Answers
from app.worker.inbox import Inbox, Item
from app.worker.protocol import Message

log = logging.getLogger("pointillist.worker")

IDLE_S = 0.3
"""Neighbours of the open frame are prepared when nothing was asked for this long."""


class Line:
    """One connection of a web process. Sending to one that is gone is harmless."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        data = protocol.encode(message)
        with self._lock, contextlib.suppress(OSError):
            self._connection.send_bytes(data)

    def messages(self) -> Iterator[Message]:
        """Requests until the other side is gone."""
        while True:
            try:
                data = self._connection.recv_bytes(protocol.MAX_MESSAGE)
            except (EOFError, OSError):
                return
            try:
                yield protocol.decode_request(data)
            except msgspec.DecodeError as exc:
                number = protocol.number_of(data)
                if number:
                    self.send(protocol.failure(number, BadRequest(f"The request cannot be read: {exc}.")))
                else:
                    log.warning("%d bytes that are no message: %s", len(data), exc)


class Loop:
    def __init__(self, data: Path, *, cache_mb: int = 1024, memory_mb: int = 0, fake: bool = False) -> None:
        self.inbox = Inbox()
        self._line: Line | None = None
        self.answers = Answers(data, cache_bytes=cache_mb << 20, memory_bytes=memory_mb << 20, fake=fake)
        self._hello = protocol.Hello(
            pid=os.getpid(), version=protocol.VERSION, engines=weights.infos(data, fake=fake)
        )

    def listen(self, listener: Listener) -> None:
        """Serve one web process after the other; what was prepared is kept between them. Runs in its own
        thread.
        """
        while True:
            try:
                connection = listener.accept()
            except (AuthenticationError, EOFError, OSError):
                continue
            with contextlib.closing(connection):
                line = Line(connection)
                line.send(self._hello)
                self._line = line
                for message in line.messages():
                    self._receive(message, line)
                self._line = None
                self.inbox.forget(line)

    def _receive(self, message: Message, line: Line) -> None:
        match message:
            case protocol.Ping():
                line.send(self.answers.status(message.request, len(self.inbox)))
            case protocol.AddAnchor():
                self.answers.add_anchor(message)
            case protocol.Cancel():
                self.inbox.cancel(message.request, line)
            case _:
                self.inbox.put(message, line)

    def work(self) -> None:
        """Answer for ever. Runs in the main thread."""
        while True:
            item = self.inbox.take()
            if item is not None:
                self._serve(item)
            elif (warm := self.inbox.next_warm()) is not None:
                self._warm(*warm)

    def _warm(self, frame: protocol.FrameRef, engine: str, is_open: bool) -> None:
        if not is_open:
            urgent = self.inbox.take(timeout=IDLE_S)
            if urgent is not None:
                self.inbox.warm_again(frame, engine)
                self._serve(urgent)
                return
            if not self.inbox.wants(frame):
                return
        protect = [] if is_open else self.inbox.warm_set()
        try:
            allow_s = self.answers.warm_allow_s(engine, is_open=is_open)
            if not allow_s:
                return
            line = self._line
            if line is not None:
                # A click that arrives meanwhile has to wait: that is no hang.
                line.send(protocol.Working(allow_s=allow_s))
            self.answers.warm(frame, engine, protect)
        except Exception:
            # A click on this frame will meet the same error and report it.
            log.warning("frame %s could not be prepared", frame.id, exc_info=True)

    def _serve(self, item: Item) -> None:
        """Answer one request; more urgent ones are served between its steps."""
        try:
            self._steps_with_memory(item)
        except Cancelled:
            pass
        except MemoryError:
            exc = Unavailable("There was not enough memory for this frame. Try again, or import it smaller.")
            item.line.send(protocol.failure(item.message.request, exc))
        except Exception as exc:
            failed = protocol.failure(item.message.request, exc)
            if failed.status == 500:
                log.exception("%s failed", type(item.message).__name__)
            item.line.send(failed)
        finally:
            self.inbox.done(item)

    def _steps_with_memory(self, item: Item) -> None:
        """Try with ever more free memory. Raises MemoryError where nothing is left to try."""
        attempt = 0
        while True:
            try:
                return self._steps(item)
            except MemoryError:
                if not self.answers.relieve(item.message, attempt):
                    raise
                attempt += 1

    def _steps(self, item: Item) -> None:
        def check() -> None:
            if item.cancelled.is_set():
                raise Cancelled

        with contextlib.closing(self.answers.answer(item.message, check)) as steps:
            for reply in steps:
                if reply is not None:
                    item.line.send(reply)
                check()
                served = False
                while (urgent := self.inbox.take(before=item.priority)) is not None:
                    self._serve(urgent)
                    served = True
                if served and isinstance(reply, protocol.Working):
                    # The answer to the urgent one ended the patience that was asked for.
                    item.line.send(reply)


def run(
    socket: Path,
    data: Path,
    authkey: bytes,
    *,
    cache_mb: int = 1024,
    memory_mb: int = 0,
    fake: bool = False,
    lifeline: bool = True,
) -> None:
    """The worker's life: listen on `socket` (AF_UNIX), work, until stdin ends. Does not return."""
    cv2.setNumThreads(max(1, min(4, (os.cpu_count() or 2) - 1)))
    if lifeline:
        threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    loop = Loop(data.resolve(), cache_mb=cache_mb, memory_mb=memory_mb, fake=fake)
    # A predecessor that was killed left its socket behind.
    socket.unlink(missing_ok=True)
    listener = Listener(str(socket), family="AF_UNIX", backlog=4, authkey=authkey)
    threading.Thread(target=loop.listen, args=(listener,), name="reader", daemon=True).start()
    loop.work()


def _end_with_parent() -> None:
    with contextlib.suppress(OSError, ValueError):
        while sys.stdin.buffer.read(65536):
            pass
    os._exit(0)
