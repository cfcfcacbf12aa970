"""What the worker remembers, bounded by bytes: prepared frames, proposals, winner maps."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from app.algo.fuse import bounding_box

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteLru(Generic[K, V]):
    """The least recently used entry goes first when the bytes exceed `limit`; the newest entry always
    stays.
    """

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self.limit = limit
        self.bytes = 0
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The entry, now the most recently used, or None."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: K, value: V, *, protect: Collection[K] = ()) -> bool:
        """Keep `value`. Entries of `protect` are not evicted for it: without room it is not kept, and False
        returned.
        """
        size = self._size(value)
        old = self._entries.pop(key, None)
        if old is not None:
            self.bytes -= self._size(old)
        if protect:
            free = self.limit - sum(self._size(self._entries[k]) for k in protect if k in self._entries)
            if size > free:
                return False
        self._entries[key] = value
        self.bytes += size
        self.trim(protect={key, *protect})
        return True

    def trim(self, *, protect: Collection[K] = ()) -> None:
        """Evict until the bytes are within the limit; the newest entry and those of `protect` stay."""
        newest = next(reversed(self._entries), None)
        for victim in [k for k in self._entries if k != newest and k not in protect]:
            if self.bytes <= self.limit:
                break
            self.bytes -= self._size(self._entries.pop(victim))

    def drop(self, wanted: Callable[[K], bool]) -> None:
        """Forget the entries whose key is `wanted`."""
        for key in [k for k in self._entries if wanted(k)]:
            self.bytes -= self._size(self._entries.pop(key))

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0


@dataclass(frozen=True, eq=False)
class Proposal:
    """A mask offered for a frame: its crop at (x, y), packed with rows padded to bytes."""

    id: str
    frame: str
    shape: tuple[int, int]
    engine: str
    x: int
    y: int
    w: int
    h: int
    area: int
    bits: bytes
    memory: Any = None
    """What the engine wants back when the mask is corrected."""

    @classmethod
    def of(cls, mask: np.ndarray, frame: str, engine: str, memory: Any = None) -> Proposal | None:
        """Pack an (H, W) bool mask; None where it is empty."""
        box = bounding_box(mask)
        if box is None:
            return None
        x0, y0, x1, y1 = box
        crop = mask[y0:y1, x0:x1]
        bits = np.packbits(crop, axis=1).tobytes()
        shape = (int(mask.shape[0]), int(mask.shape[1]))
        area = int(np.count_nonzero(crop))
        return cls(secrets.token_hex(12), frame, shape, engine, x0, y0, x1 - x0, y1 - y0, area, bits, memory)

    @property
    def nbytes(self) -> int:
        return len(self.bits) + 200 + int(getattr(self.memory, "nbytes", 0))

    def mask(self) -> np.ndarray:
        """The (H, W) bool mask."""
        out = np.zeros(self.shape, bool)
        rows = np.frombuffer(self.bits, np.uint8).reshape(self.h, -1)
        out[self.y : self.y + self.h, self.x : self.x + self.w] = np.unpackbits(rows, axis=1, count=self.w)
        return out
