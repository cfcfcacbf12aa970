"""Copy the database file while this process holds it."""

from __future__ import annotations

import os
from pathlib import Path

CHUNK = 1 << 20


def wal_of(database: Path) -> Path:
    return database.with_name(database.name + ".wal")


def mark_of(database: Path) -> Path:
    """Where the high-water mark of a copy of the database lies."""
    return database.with_suffix(".hwm")


def copy_database(file: int, source: Path, target: Path) -> None:
    """Copy `source`, open for reading as descriptor `file`, and its write-ahead log to `target`.

    Reads through the given descriptor: opening and closing the database a second time in the process that
    holds it would drop DuckDB's lock on it. Written aside and renamed, so that a copy is whole or absent.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    wal = wal_of(source)
    if wal.exists() and wal.stat().st_size:
        log = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
        try:
            copy_descriptor(log, wal_of(target))
        finally:
            os.close(log)
    else:
        wal_of(target).unlink(missing_ok=True)
    copy_descriptor(file, target)


def copy_descriptor(source: int, target: Path) -> None:
    """Copy an open file from its beginning to `target`, aside and renamed, safe on the disk on return."""
    part = target.with_name(target.name + ".part")
    with part.open("wb") as out:
        offset = 0
        while body := os.pread(source, CHUNK, offset):
            out.write(body)
            offset += len(body)
        out.flush()
        os.fsync(out.fileno())
    part.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
