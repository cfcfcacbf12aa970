"""How long the files of results stay: those of the newest jobs, and the others until they are old.

Results are what exports and mattes wrote into `exports/<job id>/`; they follow from the labels and can be made
again. A file that is being sent, and the files of a job that has not ended, are never touched.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from app import store as db
from app.services import stages
from app.services.context import Context
from app.services.jobs import UNFINISHED

log = logging.getLogger("pointillist.jobs")

EVERY_S = 3600.0
DAY_S = 24 * 3600.0
_GOING = "result-"

_lock = threading.Lock()
_sent: Counter[Path] = Counter()
"""Folders of results from which files are being sent, and how many."""


class Kept(Struct, kw_only=True):
    """What lies in the folder of results."""

    results: int = 0
    files: int = 0
    bytes: int = 0


@contextmanager
def sending(path: Path) -> Iterator[None]:
    """While a file of a result is read, its folder stays."""
    with _lock:
        _sent[path.parent] += 1
    try:
        yield
    finally:
        with _lock:
            _sent[path.parent] -= 1
            if not _sent[path.parent]:
                del _sent[path.parent]


def kept(ctx: Context) -> Kept:
    """What the files of results take now."""
    found = Kept()
    for folder in _folders(ctx):
        found.results += 1
        for top, _dirs, names in os.walk(folder):
            for name in names:
                found.files += 1
                try:
                    found.bytes += (Path(top) / name).lstat().st_size
                except OSError:
                    found.files -= 1
    return found


def sweep(ctx: Context, *, now: float | None = None) -> list[str]:
    """Delete the results that the rule does not keep; returns the ids of their jobs.

    The rule: `keep_results` of the newest stay however old they are; of the others those that are older than
    `keep_results_days` go, none where that is 0.
    """
    for left in ctx.paths.trash.glob(f"{_GOING}*"):  # of a server that ended while it deleted
        shutil.rmtree(left, ignore_errors=True)
    days = ctx.settings.keep_results_days
    if not days:
        return []
    before = (now or time.time()) - days * DAY_S

    def query(cur: db.Cursor) -> dict[str, float]:
        ages = {}
        for folder in _folders(ctx):
            job = db.jobs.find(cur, folder.name)
            if job is None:
                ages[folder.name] = folder.stat().st_mtime
            elif (whole := stages.read(cur, job.id)).state not in UNFINISHED:
                ages[folder.name] = whole.finished_at or whole.created_at
        return ages

    ages = ctx.store.read(query)
    newest = sorted(ages, key=lambda name: ages[name], reverse=True)
    return [
        name for name in newest[ctx.settings.keep_results :] if ages[name] < before and _delete(ctx, name)
    ]


def _folders(ctx: Context) -> list[Path]:
    try:
        return [folder for folder in ctx.paths.exports.iterdir() if folder.is_dir()]
    except OSError:
        return []


def _delete(ctx: Context, name: str) -> bool:
    folder = ctx.paths.export(name)
    with _lock:
        if any(sent == folder or folder in sent.parents for sent in _sent):
            return False
        # Out of reach at once, so that nobody is sent half of it.
        gone = ctx.paths.trash / f"{_GOING}{name}"
        try:
            folder.rename(gone)
        except OSError:
            log.exception("the files of the job %s cannot be deleted", name)
            return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


class Keeper:
    """The thread that sweeps when the server starts, and every hour."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            try:
                gone = sweep(self._ctx)
                if gone:
                    log.info("the files of %d results were deleted: they were old", len(gone))
            except Exception:
                log.exception("old results could not be deleted; it is tried again")
            if self._stop.wait(EVERY_S):
                return
