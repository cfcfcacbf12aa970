"""Backups of the whole data folder: made while the server runs, put back while none does.

`backups/<time>/` holds a copy of the database, its high-water mark, and the assets with their hidden ground truth.
Files of assets are replaced, never changed, so they are hard links where the disk can: a backup takes little space
and time. Against a broken disk copy the folder elsewhere; the copy can be restored as well.

The database is copied first: whatever its rows refer to is still there when the assets are linked after it.
Label maps, exports, logs and the queue are not in a backup: they follow from what is.
"""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from app.errors import NotFound, Refused, StorageFull, Unavailable
from app.services.context import Context
from app.store import recovery
from app.store.copying import mark_of, sync_folder
from app.store.db import NAME
from app.store.highwater import saved_mark

MANIFEST = "backup.json"
FORMAT = 1
TREES = ("assets", "trash")
QUEUE = ("queue.sqlite3", "queue.sqlite3-wal", "queue.sqlite3-shm")
LATEST = "latest"


class Backup(Struct, kw_only=True):
    """`files`, `bytes`: of the assets. `linked`: how many of the files share their space with the original."""

    name: str
    path: str
    made_at: float
    release: str
    sequence: int
    files: int = 0
    bytes: int = 0
    linked: int = 0
    format: int = FORMAT


class Restored(Struct, kw_only=True):
    """`aside`: where everything lies that was replaced. `files`: those that were put back."""

    name: str
    made_at: float
    aside: str
    files: int


def make(ctx: Context) -> Backup:
    """Back up the data folder; returns when it is whole on the disk. Others go on working meanwhile.

    Raises StorageFull or Unavailable; then nothing of it is left.
    """
    ctx.require_space(ctx.store.path.stat().st_size)
    folder = ctx.paths.data / "backups"
    made_at = time.time()
    name = f"{time.strftime('%Y%m%dT%H%M%S', time.localtime(made_at))}-{secrets.token_hex(2)}"
    final, part = folder / name, folder / f".{name}.part"
    try:
        part.mkdir(parents=True)
        ctx.store.backup(part / NAME)
        mark = saved_mark(mark_of(part / NAME))
        assert mark is not None
        release = version("pointillist")
        backup = Backup(name=name, path=str(final), made_at=made_at, release=release, sequence=mark.sequence)
        for tree in TREES:
            for source in _files(ctx.paths.data / tree):
                _keep(backup, source, part / source.relative_to(ctx.paths.data))
        (part / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(backup)) + b"\n")
        sync_folder(part)
        part.replace(final)
        sync_folder(folder)
    except OSError as exc:
        shutil.rmtree(part, ignore_errors=True)
        kind = StorageFull if exc.errno in (errno.ENOSPC, errno.EDQUOT) else Unavailable
        raise kind(f"The backup could not be written: {exc.strerror or exc}.") from exc
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return backup


def listing(data: Path) -> list[Backup]:
    """The backups of a data folder, the newest first; damaged ones are left out."""
    found = []
    for manifest in (data / "backups").glob(f"*/{MANIFEST}"):
        try:
            found.append(_read(manifest.parent))
        except (NotFound, Refused):
            continue
    return sorted(found, key=lambda backup: (backup.made_at, backup.name), reverse=True)


def restore(data: Path, wanted: str) -> Restored:
    """Put a backup back; everything that it replaces is moved to `backups/damaged-…`, nothing is thrown away.

    `wanted`: its name, the path of its folder, or `latest`. Assets made after the backup are moved aside with
    the database that knows them. Raises NotFound, Refused for an incomplete backup, and Unavailable when a
    process holds the data folder; then nothing was changed. The caller holds the lock of the folder.
    """
    folder = _folder(data, wanted)
    backup = _read(folder)
    _require_whole(folder, backup)
    data.mkdir(parents=True, exist_ok=True)
    aside = recovery.restore(data, folder / NAME)
    try:
        put = _put_back(data, folder, aside)
    except OSError as exc:
        raise Unavailable(
            f"The restore stopped: {exc.strerror or exc}. What was there before lies in {aside}. Put that right "
            "and restore once more."
        ) from exc
    return Restored(name=backup.name, made_at=backup.made_at, aside=str(aside), files=put)


def _put_back(data: Path, folder: Path, aside: Path) -> int:
    """Everything but the database; returns how many files were put back. Doing it twice is harmless."""
    kept = {path.name for path in (folder / "assets").glob("*")}
    for asset in sorted((data / "assets").glob("*")):
        if asset.name not in kept:
            _move(asset, aside / "assets" / asset.name)
    put = 0
    for tree in TREES:
        for source in _files(folder / tree):
            relative = source.relative_to(folder)
            target = data / relative
            if _same(source, target):
                continue
            if target.exists():
                _move(target, aside / relative)
            _copy(source, target)
            put += 1
    # What waited in the queue belongs to the state before; unfinished jobs of the backup are queued anew.
    for name in QUEUE:
        if (data / name).exists():
            _move(data / name, aside / name)
    return put


def _folder(data: Path, wanted: str) -> Path:
    if wanted == LATEST:
        known = listing(data)
        if not known:
            raise NotFound(f"There is no backup in {data / 'backups'}. Make one with: pointillist backup")
        return data / "backups" / known[0].name
    for folder in (Path(wanted), data / "backups" / Path(wanted).name):
        if (folder / MANIFEST).is_file():
            return folder
    names = ", ".join(backup.name for backup in listing(data)) or "none"
    raise NotFound(f"There is no backup {wanted}. There are: {names}.")


def _read(folder: Path) -> Backup:
    try:
        backup = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Backup)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Refused(f"The backup {folder} cannot be read: its {MANIFEST} is damaged.") from exc
    if backup.format > FORMAT:
        raise Refused(f"The backup {folder} was made by a newer release ({backup.release:.40}).")
    return backup


def _require_whole(folder: Path, backup: Backup) -> None:
    missing = [name for name in (NAME, mark_of(folder / NAME).name) if not (folder / name).is_file()]
    if missing:
        raise Refused(f"The backup {folder} is incomplete: {', '.join(missing)} is missing.")
    sizes = [path.stat().st_size for tree in TREES for path in _files(folder / tree)]
    if (len(sizes), sum(sizes)) != (backup.files, backup.bytes):
        raise Refused(
            f"The backup {folder} is incomplete: {len(sizes)} files with {sum(sizes)} bytes instead of "
            f"{backup.files} with {backup.bytes}."
        )


def _files(folder: Path) -> Iterator[Path]:
    """The finished files below a folder, sorted; links and what is still being written are left out."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(base) / name
            if not name.startswith(".") and not name.endswith(".part") and not path.is_symlink():
                yield path


def _keep(backup: Backup, source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
        backup.linked += 1
    except FileNotFoundError:
        return  # an asset that was cancelled or cleaned up meanwhile
    except OSError:
        shutil.copyfile(source, target)
    backup.files += 1
    backup.bytes += target.stat().st_size


def _same(source: Path, target: Path) -> bool:
    try:
        return os.path.samefile(source, target) or filecmp.cmp(source, target, shallow=False)
    except FileNotFoundError:
        return False


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)
    part.replace(target)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
