"""The high-water mark: what the database must hold, kept outside of the database.

A write-ahead log that lost its tail opens without complaint, so each commit is also counted in a small file
of its own. The file has two slots written in turn, each with a checksum: a torn write never costs both;
a third block names the process that holds the store.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from pathlib import Path

import msgspec
from msgspec import Struct

from app.errors import StoreDamaged, Unavailable

NAME = "pointillist.hwm"
SLOT = 1024
SIZE = 3 * SLOT
HOLDER = 2 * SLOT


class Mark(Struct, kw_only=True):
    """`sequence` = number of commits; `counts` = rows of each table after that commit."""

    store_id: str
    sequence: int
    schema: int
    counts: dict[str, int] = {}


def saved_mark(path: Path) -> Mark | None:
    """The mark in a copy of the sidecar, which is neither locked nor changed; None without one."""
    try:
        return _newest(path.read_bytes())
    except FileNotFoundError:
        return None


def _newest(body: bytes) -> Mark | None:
    marks: list[Mark] = []
    for slot in (body[:SLOT], body[SLOT:HOLDER]):
        size = int.from_bytes(slot[4:8], "little")
        text = slot[8 : 8 + size]
        if size and zlib.crc32(text) == int.from_bytes(slot[:4], "little"):
            marks.append(msgspec.json.decode(text, type=Mark))
    return max(marks, key=lambda mark: mark.sequence, default=None)


class HighWater:
    """The open sidecar. Holding it is holding the store: a second holder is refused."""

    def __init__(self, path: Path) -> None:
        """Open and lock. Raises Unavailable naming the PID of the holder, StoreDamaged when unreadable."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                pid = os.pread(self._fd, 32, HOLDER).strip(b"\0 \n").decode("ascii", "replace") or "unknown"
                raise Unavailable(
                    f"The data folder {path.parent} is already open in another process (PID {pid}). "
                    "Stop that process first, or use its address.",
                    pid=pid,
                ) from exc
            self.mark = self._read()
            if os.fstat(self._fd).st_size < SIZE:
                os.ftruncate(self._fd, SIZE)
                os.pwrite(self._fd, os.pread(self._fd, SIZE, 0).ljust(SIZE, b"\0"), 0)
            os.pwrite(self._fd, str(os.getpid()).encode().ljust(32, b"\0"), HOLDER)
            os.fsync(self._fd)
        except BaseException:
            os.close(self._fd)
            raise

    def _read(self) -> Mark | None:
        mark = _newest(os.pread(self._fd, HOLDER, 0))
        if mark is None and os.pread(self._fd, HOLDER, 0).strip(b"\0"):
            raise StoreDamaged(
                f"The high-water mark {self.path.name} cannot be read, so it cannot be shown that no work is "
                "missing. Restore a backup, or accept the database as it is.",
                kind="mark",
            )
        return mark

    def write(self, mark: Mark) -> None:
        """Overwrite the older slot and return when it is on the disk."""
        text = msgspec.json.encode(mark)
        body = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
        if len(body) > SLOT:
            raise ValueError("the mark does not fit its slot")
        os.pwrite(self._fd, body.ljust(SLOT, b"\0"), SLOT * (mark.sequence % 2))
        os.fdatasync(self._fd)
        self.mark = mark

    def reset(self, mark: Mark | None) -> None:
        """Forget both slots, then write `mark`: only for a deliberate restore or accepted loss."""
        os.pwrite(self._fd, bytes(HOLDER), 0)
        os.fdatasync(self._fd)
        self.mark = None
        if mark is not None:
            self.write(mark)

    def close(self) -> None:
        os.close(self._fd)
