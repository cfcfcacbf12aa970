"""The engines that are loaded and the frames that are prepared for them, both bounded by memory.

Engines load when they are first asked and stay; the least recently used one is unloaded when memory runs short.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from app.errors import PointillistError, Refused, Unavailable
from app.worker import memory
from app.worker.caches import ByteLru
from app.worker.engines import Ask, Engine, Prompt, Purpose
from app.worker.protocol import FrameRef, Resident

WIDE = "text"
"""The tier whose entries are several times larger than the others'; it may hold half of the cache."""
SPARE = 0.1
"""Share of a device's free memory, beside what an engine is said to need, that loading must leave."""

FrameKey = tuple[str, str, str]
"""Engine, hash of the frame, tier."""


class Frames:
    """What engines computed once per frame: two tiers of one budget, the wide entries and all others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lean: ByteLru[FrameKey, Any] = ByteLru(limit, _bytes_of)
        self._wide: ByteLru[FrameKey, Any] = ByteLru(limit // 2, _bytes_of)

    @property
    def bytes(self) -> int:
        return self._lean.bytes + self._wide.bytes

    def get(self, key: FrameKey) -> Any:
        return self._of(key).get(key)

    def __contains__(self, key: FrameKey) -> bool:
        return key in self._of(key)

    def put(self, key: FrameKey, value: Any, protect: Collection[FrameKey] = ()) -> None:
        self._of(key).put(key, value, protect=protect)
        self._lean.limit = max(self._limit // 2, self._limit - self._wide.bytes)
        self._lean.trim()

    def drop(self, engine: str | None = None) -> None:
        """Forget everything, or what one engine made."""
        for cache in (self._lean, self._wide):
            cache.drop(lambda key: engine is None or key[0] == engine)

    def _of(self, key: FrameKey) -> ByteLru[FrameKey, Any]:
        return self._wide if key[2] == WIDE else self._lean


class Residents:
    """Used by the working thread; `listing`, `failed` and `bytes` by any."""

    def __init__(
        self,
        load: Callable[[str], Engine],
        needs_mb: Callable[[str], int],
        read: Callable[[FrameRef], Any],
        *,
        cache_bytes: int,
        memory_bytes: int = 0,
    ) -> None:
        """`load`: makes an engine; `needs_mb`: what it is said to take; `memory_bytes`: what all models together
        may take, 0 = what the device has.
        """
        self._load, self._needs_mb, self._read = load, needs_mb, read
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._memory_bytes = memory_bytes
        self.frames = Frames(cache_bytes)
        self.failed: dict[str, str] = {}
        """Engine → the sentence with which its last loading failed."""
        self.slowest_s: dict[str, float] = {}
        """Engine → seconds of its slowest preparation but the first, which pays for starting up."""
        self._at_work: Counter[str] = Counter()

    def __contains__(self, name: str) -> bool:
        return name in self._engines

    def listing(self) -> list[Resident]:
        return [
            Resident(engine=name, device=engine.device, weights=engine.weights, bytes=engine.nbytes())
            for name, engine in list(self._engines.items())
        ]

    def get(self, name: str) -> Engine:
        """The engine, loaded if need be. Raises Refused, Unavailable, OutOfMemory."""
        if name not in self._engines:
            self._make_room_for(name)
            try:
                try:
                    self._engines[name] = self._load(name)
                except MemoryError:
                    if not self._unload_others(name):
                        raise
                    self._engines[name] = self._load(name)
            except PointillistError as exc:
                self.failed[name] = exc.sentence
                raise
            except MemoryError as exc:
                sentence = f"There is not enough memory to load the engine {name}."
                self.failed[name] = sentence
                raise Unavailable(sentence) from exc
            self.failed.pop(name, None)
            self._start_up(self._engines[name])
            self._keep_budget(name)
        self._engines.move_to_end(name)
        return self._engines[name]

    @contextlib.contextmanager
    def working(self, name: str) -> Iterator[Engine]:
        """The engine, loaded if need be, and kept while the block lasts, whatever is asked meanwhile."""
        engine = self.get(name)
        self._at_work[name] += 1
        try:
            yield engine
        finally:
            self._at_work[name] -= 1

    def unload(self, name: str) -> None:
        """Let an engine and what it prepared go; one that is not loaded is fine. Raises Refused while it works."""
        if self._at_work[name]:
            raise Refused(f"The engine {name} is at work; wait for its job to end, or cancel it.")
        self.failed.pop(name, None)
        self.frames.drop(name)
        engine = self._engines.pop(name, None)
        if engine is not None:
            engine.close()
            del engine
            memory.give_back()

    def prepared(self, name: str, frame: FrameRef, purpose: Purpose) -> Any:
        """What the engine made of the frame, made now if need be."""
        found = self.at_hand(name, frame, purpose)
        return self.prepare(name, frame, purpose) if found is None else found

    def at_hand(self, name: str, frame: FrameRef, purpose: Purpose) -> Any:
        """What was prepared for the purpose and is still kept, or None."""
        if name not in self._engines:
            return None
        for tier in self._engines[name].tiers[purpose]:
            found = self.frames.get((name, frame.hash, tier))
            if found is not None:
                return found
        return None

    def prepare(
        self, name: str, frame: FrameRef, purpose: Purpose, protect: Sequence[tuple[FrameRef, str]] = ()
    ) -> Any:
        """Prepare a frame and keep it, unless that would cost one of `protect` its place."""
        engine = self.get(name)
        tier = engine.tiers[purpose][0]
        started = time.monotonic()
        made = engine.prepare(self._read(frame) if engine.reads_frames else None, tier)
        taken = time.monotonic() - started
        self.slowest_s[name] = max(self.slowest_s[name], taken) if name in self.slowest_s else 0.0
        others = {(engine_id, other.hash, tier) for other, engine_id in protect} - {(name, frame.hash, tier)}
        self.frames.put((name, frame.hash, tier), made, protect=others)
        return made

    def relieve(self, name: str, attempt: int) -> bool:
        """Make memory free after an engine ran out of it: smaller batches first, then caches and the other engines.

        False where nothing is left to try.
        """
        engine = self._engines.get(name)
        if attempt == 0 and engine is not None and engine.shrink():
            memory.give_back()
            return True
        if attempt <= 1:
            self.frames.drop()
            self._unload_others(name)
            memory.give_back()
            return True
        return False

    def _start_up(self, engine: Engine) -> None:
        """Let a GPU load its kernels now, while loading is waited for, rather than on a person's first click."""
        if engine.device == "cpu" or "segment" not in engine.tiers:
            return
        prepared = engine.prepare(np.zeros((64, 64, 3), np.uint8), engine.tiers["segment"][0])
        point = Prompt(np.array([[32.5, 32.5, 1.0, 0.0]]))
        engine.segment(prepared, Ask((64, 64), point))

    def _make_room_for(self, name: str) -> None:
        """Unload the least recently used engines until what `name` is said to need is free."""
        needed = int(self._needs_mb(name) * 1e6 * (1 + SPARE))
        for other in self._idle(name):
            free = memory.free_bytes(next(reversed(self._engines.values())).device)
            if not free or free >= needed:
                return
            self.unload(other)

    def _keep_budget(self, name: str) -> None:
        """Unload the least recently used others while the measured models exceed the budget."""
        for other in self._idle(name) if self._memory_bytes else []:
            if sum(engine.nbytes() for engine in self._engines.values()) <= self._memory_bytes:
                return
            self.unload(other)

    def _unload_others(self, name: str) -> bool:
        others = self._idle(name)
        for other in others:
            self.unload(other)
        return bool(others)

    def _idle(self, name: str) -> list[str]:
        """The engines but `name` that are not at work, the least recently used first."""
        return [other for other in self._engines if other != name and not self._at_work[other]]


def _bytes_of(prepared: Any) -> int:
    return int(prepared.nbytes)
