"""What to do when `Store.open` raised StoreDamaged: restore a backup, or accept the loss. No server may run.

Either way everything that was there is first moved to `backups/damaged-…`; nothing is thrown away.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import duckdb
import msgspec

from app.errors import NotFound, StoreDamaged
from app.store import highwater, integrity
from app.store.copying import copy_descriptor, mark_of, sync_folder, wal_of
from app.store.cursor import Cursor
from app.store.db import COUNT_UP, NAME
from app.store.highwater import HighWater


def backups(folder: Path) -> list[Path]:
    """The backups of a data folder, newest first."""
    return sorted(
        (folder / "backups").glob("*.duckdb"),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
        reverse=True,
    )


def restore(folder: Path, backup: Path) -> Path:
    """Put `backup` in the place of the database; returns the folder where the old files lie now.

    With the mark that a backup has beside it, the next start tells when rows of the backup are missing.
    Raises NotFound when there is no such backup, Unavailable when a process holds the data folder.
    """
    if not backup.is_file():
        raise NotFound(f"There is no backup {backup}.")
    with _held(folder) as water:
        aside = _set_aside(folder, move=True)
        for source, target in ((wal_of(backup), wal_of(folder / NAME)), (backup, folder / NAME)):
            if source.exists():
                _copy(source, target)
        water.reset(highwater.saved_mark(mark_of(backup)))
    return aside


def accept_loss(folder: Path) -> Path:
    """Go on with the rows that are there; returns the folder where a copy of the old files lies.

    What cannot be opened at all is moved there, and the next start begins with an empty database.
    """
    with _held(folder) as water:
        aside = _set_aside(folder, move=False)
        try:
            _recount(folder / NAME)
        except duckdb.Error:
            _drop(wal_of(folder / NAME))
            try:
                _recount(folder / NAME)
            except duckdb.Error:
                _drop(folder / NAME)
        water.reset(None)
    return aside


def _recount(path: Path) -> None:
    """Let the database's own mark agree with the rows that are there."""
    if not path.exists():
        return
    with duckdb.connect(str(path)) as raw:
        cur = Cursor(raw)
        mark = integrity.mark_inside(cur, 0)
        if mark is not None:
            counts = integrity.count_rows(cur, list(integrity.COUNTS))
            cur.run(COUNT_UP, sequence=mark.sequence + 1, counts=msgspec.json.encode(counts).decode())


class _held:  # noqa: N801
    """The sidecar, also where its marks cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / highwater.NAME

    def __enter__(self) -> HighWater:
        try:
            self._water = HighWater(self._path)
        except StoreDamaged:
            _copy(self._path, self._path.with_name(f"{highwater.NAME}.unreadable"))
            self._path.unlink()
            self._water = HighWater(self._path)
        return self._water

    def __exit__(self, *_: object) -> None:
        self._water.close()


def _set_aside(folder: Path, *, move: bool) -> Path:
    aside = folder / "backups" / f"damaged-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09d}"
    aside.mkdir(parents=True)
    database = folder / NAME
    for path in (database, wal_of(database), folder / highwater.NAME):
        if path.exists():
            _copy(path, aside / path.name)
    if move:
        _drop(wal_of(database))
        _drop(database)
    return aside


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    try:
        copy_descriptor(descriptor, target)
    finally:
        os.close(descriptor)


def _drop(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
