"""Answers that stay right until something is written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from app import store as db

T = TypeVar("T")

ROOM = 64
MARKED_ROOM = 512


class Lasting:
    """The newest answers to questions that take long with many frames; any commit makes all of them old.

    Several pages ask the same of an asset, and again whenever they are opened. From any thread.
    """

    def __init__(self, store: db.Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sequence = -1
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._marked: OrderedDict[Hashable, tuple[Hashable, Any]] = OrderedDict()

    def recall(self, key: Hashable, mark: Hashable) -> Any | None:
        """What was kept under `key` with the same `mark`; nobody may change it."""
        with self._lock:
            found, answer = self._marked.get(key, (None, None))
            if answer is None or found != mark:
                return None
            self._marked.move_to_end(key)
            return answer

    def keep(self, key: Hashable, mark: Hashable, answer: Any) -> None:
        """Keep what costs much more to make than to find out, by its mark, whether it is still right."""
        with self._lock:
            self._marked[key] = mark, answer
            self._marked.move_to_end(key)
            while len(self._marked) > MARKED_ROOM:
                self._marked.popitem(last=False)

    def ask(self, key: Hashable, question: Callable[[db.Cursor], T]) -> T:
        """The answer to a question about the store; nobody may change it. `key`: tells questions apart."""
        # Read before the snapshot is taken: an answer may be newer than it says, never older.
        sequence = self._store.sequence
        with self._lock:
            if sequence > self._sequence:
                self._kept.clear()
                self._sequence = sequence
            if sequence == self._sequence and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        answer = self._store.read(question)
        with self._lock:
            if sequence == self._sequence:
                self._kept[key] = answer
                while len(self._kept) > ROOM:
                    self._kept.popitem(last=False)
        return answer
