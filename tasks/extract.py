"""The job "extract": a source becomes the frames of an asset."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from app.errors import Cancelled, Refused, StorageFull
from app.formats import archive, video
from app.formats.frames import FrameRecord, FrameWriter, verified
from app.models import Sampling
from tasks.channel import Channel, Paused, cut_partial, read_partial

SOURCES = {"video": video.extract, "images": archive.extract_images, "zip": archive.extract_images}


class ExtractArgs(msgspec.Struct, kw_only=True):
    """`asset_dir` receives frames/ and thumbs/; the job is refused below `min_free_gb` of free disk."""

    asset_dir: str
    source: str
    kind: str
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    min_free_gb: float = 0.0


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Extract frames; every one is appended to the channel as a `FrameRecord` when its files are in place.

    Returns `Summary` as a dict. Run again after a kill it verifies what is there by hash and goes on;
    frames that were finished before a cancel stay. Raises Refused, StorageFull, Cancelled or Stopping.
    """
    try:
        asked = msgspec.convert(args, ExtractArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The way of sampling is wrong: {exc}.") from exc
    if asked.kind not in SOURCES:
        raise Refused(f"“{asked.kind}” is not a kind of source.")
    folder = Path(asked.asset_dir)
    kept = _resume(channel, folder)
    channel.kept = {"frames": kept}
    guard = _DiskGuard(folder, asked.min_free_gb)

    def emit(record: FrameRecord) -> None:
        channel.append(record)
        channel.kept["frames"] = record.index + 1

    def check() -> None:
        channel.check()
        guard.check()

    writer = FrameWriter(
        folder, form=asked.sampling.format, max_side=asked.sampling.max_side, emit=emit, kept=kept
    )
    try:
        summary = SOURCES[asked.kind](
            Path(asked.source),
            asked.sampling,
            writer,
            on_progress=lambda done, total: channel.report(done, total),
            check=check,
        )
    except (Cancelled, Paused):
        # What is already in the encoders becomes frames too: files and records stay in step.
        writer.drain()
        raise
    finally:
        writer.close()
        _sweep(folder, writer.emitted)
    channel.report(summary.frames, summary.frames, now=True)
    # One flush for all frames: a file each would cost more than the encoding.
    os.sync()
    return msgspec.to_builtins(summary)


def _resume(channel: Channel, folder: Path) -> int:
    """How many frames of an earlier execution are sound; the records of the others are forgotten."""
    lines, offset = read_partial(channel.folder)
    while True:
        more, after = read_partial(channel.folder, offset)
        if after == offset:
            break
        lines, offset = lines + more, after
    records = msgspec.convert(lines, list[FrameRecord])
    kept = verified(folder, records, channel.check)
    if kept < len(records):
        cut_partial(channel.folder, kept)
    return kept


def _sweep(folder: Path, frames: int) -> None:
    """Remove files that have no record: half written ones, and those after the last frame."""
    for name in ("frames", "thumbs"):
        for path in (folder / name).iterdir():
            if path.suffix == ".part" or not path.stem.isdecimal() or int(path.stem) >= frames:
                path.unlink(missing_ok=True)


class _DiskGuard:
    """Looks at the free disk once a second."""

    def __init__(self, folder: Path, min_free_gb: float) -> None:
        self.folder = folder
        self.least = int(min_free_gb * (1 << 30))
        self._next = 0.0

    def check(self) -> None:
        """Raises StorageFull when less than the least is free."""
        if self.least and time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            place = self.folder if self.folder.exists() else self.folder.parent
            if shutil.disk_usage(place).free < self.least:
                raise StorageFull(
                    f"Less than {self.least / (1 << 30):.2g} GiB of disk is free: "
                    "free some space, then resume the job."
                )
