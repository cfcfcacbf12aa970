"""Masks that a job of the consumer needs and only the engine worker can draw: drawn before the job is queued.

Normally none are missing, for accepting a region and showing a frame leave its masks behind. They are after the
cache was deleted, or a backup or bundle came from elsewhere. What is missing stands in a file beside the job's
snapshot, so that the next server goes on with it. What cannot be drawn the job draws with `classic`, and says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from app import mask_key
from app import store as db
from app.errors import PointillistError
from app.models import Frame, Job
from app.services import maps, stages
from app.services.context import Context, Paths
from app.worker import protocol, registry, weights
from tasks import channel
from tasks.queue import enqueue

log = logging.getLogger("pointillist.jobs")

NAME = "masks.jsonl"
FRUITLESS = 3
"""Frames in a row that may give no mask before the rest is left to the stand-in."""
FRAME_S = 600.0
TELL_EVERY_S = 1.0


class Wanted(Struct, kw_only=True):
    """A frame and its regions whose masks are missing."""

    frame: protocol.FrameRef
    regions: list[protocol.RegionSpec]


_decoder = msgspec.json.Decoder(Wanted)


class Gaps:
    """Writes down which masks are missing while a snapshot is made; no file where none are."""

    def __init__(self, paths: Paths, folder: Path) -> None:
        self._paths = paths
        self._target = folder / NAME
        self._part = self._target.with_suffix(".part")
        self._file: BinaryIO | None = None
        self._weights: dict[str, str | None] = {}

    def add(self, frame: Frame, specs: Sequence[protocol.RegionSpec]) -> None:
        missing = [spec for spec in specs if self._missing(frame, spec)]
        if missing:
            if self._file is None:
                self._file = self._part.open("wb")
            wanted = Wanted(frame=maps.frame_ref(self._paths, frame), regions=missing)
            self._file.write(msgspec.json.encode(wanted) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._part.replace(self._target)

    def _missing(self, frame: Frame, spec: protocol.RegionSpec) -> bool:
        if mask_key.competes(spec.engine):
            return False
        key = mask_key.key_of(frame.hash, spec.geometry, spec.engine, spec.weights)
        return not mask_key.path_of(self._paths.data, key).exists() and self._could(spec)

    def _could(self, spec: protocol.RegionSpec) -> bool:
        """Whether the engine that certified the region seems to be here, with those weights."""
        if spec.engine not in self._weights:
            entry = registry.TABLE.get(spec.engine)
            info = None if entry is None else weights.info_of(entry, self._paths.data)
            self._weights[spec.engine] = info.sha256[:16] if info is not None and info.available else None
        return self._weights[spec.engine] in ("", spec.weights)


def wanted(ctx: Context, job_id: str) -> bool:
    """Whether masks are to be drawn before the job can be queued."""
    return (ctx.paths.job(job_id) / NAME).exists()


def draw_now(ctx: Context, job_id: str) -> None:
    """Draw what is missing for a job that somebody waits for; what cannot be drawn is left to the stand-in."""
    path = ctx.paths.job(job_id) / NAME
    for line in _lines(path):
        asked = _decoder.decode(line)
        try:
            ctx.worker.request(
                protocol.Render(frame=asked.frame, regions=asked.regions, engine="classic"), timeout=FRAME_S
            )
        except PointillistError as exc:
            log.warning("masks of frame %s cannot be drawn: %s", asked.frame.id, exc.sentence)
            break
    path.unlink(missing_ok=True)


class MaskDrawer:
    """The thread that draws what is missing, one job after the other, and then queues the job."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mask-drawer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._ctx.mask_line.close()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        line = self._ctx.mask_line
        while (job_id := line.first()) is not None:
            try:
                self._draw(job_id)
            except PointillistError as exc:
                log.warning("masks for the job %s are left to the stand-in: %s", job_id, exc.sentence)
            except Exception:
                log.exception("masks for the job %s are left to the stand-in", job_id)
            if not self._stop.is_set() and not channel.pause_requested(self._ctx.paths.job(job_id)):
                self._queue(job_id)
            line.done()
            self._ctx.jobs_started.set()

    def _draw(self, job_id: str) -> None:
        path = self._ctx.paths.job(job_id) / NAME
        total = sum(1 for _ in _lines(path))
        fruitless, told_at = 0, 0.0
        for number, line in enumerate(_lines(path)):
            if self._stop.is_set() or fruitless >= FRUITLESS:
                return
            if channel.cancel_requested(path.parent) or channel.pause_requested(path.parent):
                return
            if time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                self._tell(job_id, f"Drawing masks that are missing: frame {number + 1} of {total}")
            asked = _decoder.decode(line)
            try:
                reply = self._ctx.worker.request(
                    protocol.Render(frame=asked.frame, regions=asked.regions, engine="classic"),
                    timeout=FRAME_S,
                )
            except PointillistError as exc:
                log.warning("masks of frame %s cannot be drawn: %s", asked.frame.id, exc.sentence)
                fruitless += 1
            else:
                fruitless = fruitless + 1 if reply.substituted else 0

    def _tell(self, job_id: str, message: str) -> None:
        def change(cur: db.Cursor) -> Job:
            row = db.jobs.get(cur, job_id)
            row.message = message
            return db.jobs.update(cur, row)

        row = self._ctx.store.write(change)
        stages.tell(self._ctx, row)

    def _queue(self, job_id: str) -> None:
        (self._ctx.paths.job(job_id) / NAME).unlink(missing_ok=True)
        job = self._ctx.store.read(lambda cur: db.jobs.find(cur, job_id))
        if job is not None and job.state == "waiting":
            enqueue(self._ctx.queue, job.kind, job.id, msgspec.json.decode(job.args))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return
