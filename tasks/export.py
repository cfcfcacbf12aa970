"""The job "export": a snapshot becomes files under `exports/<job id>/`.

| format | file |
|---|---|
| overlay-mp4, side-by-side-mp4, mask-video | see `tasks/export_video.py` |
| bundle | `<project>.jsonl`, or `<project>_bundle.zip` with the frames' images |
| all others | `<project>_<format>.zip`, see `app/formats/out` and `tasks/export_frames.py` |

One frame at a time, in constant memory. Run again after a kill it keeps what is finished; a video is encoded
anew. Files come into being whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from app.errors import Refused
from app.formats.out import FORMATS
from app.formats.out.names import plain_name
from app.formats.out.options import Options
from tasks import export_bundle, export_video
from tasks.channel import Channel
from tasks.export_frames import export_frames
from tasks.export_video import Work, Written
from tasks.snapshot import Snapshot


class ExportArgs(Struct, kw_only=True):
    """`end`: when the frame behind the last one is due, on the clock of the frames; None where there is none."""

    format: str
    data_dir: str
    out_dir: str
    input: str
    options: Options = field(default_factory=Options)
    end: float | None = None


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Write the files of an export.

    Returns {files: [{name, bytes, sha256}], frames, skipped, notes}. Raises Refused (nothing to export,
    classes that cannot be told apart, an unreadable frame), Cancelled, StorageFull.
    """
    try:
        asked = msgspec.convert(args, ExportArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The export is described wrongly: {exc}.") from exc
    if asked.format not in FORMATS:
        raise Refused(f"There is no export format {asked.format[:40]!r}.")
    snapshot = Snapshot(Path(asked.input))
    out = Path(asked.out_dir)
    out.mkdir(parents=True, exist_ok=True)
    for part in out.glob("*.part"):
        part.unlink()
    notes: list[str] = []
    if snapshot.lost:
        notes.append(f"{snapshot.lost} regions of classes that the template no longer has were left out.")
    whole = _WHOLE.get(asked.format)
    if whole:
        data, options = Path(asked.data_dir), asked.options
        names, done, skipped = whole(Work(channel, snapshot, out, data, options, asked.end, notes))
    else:
        names, done, skipped = export_frames(
            channel, snapshot, out, asked.format, asked.options, notes, Path(asked.data_dir)
        )
    channel.report(done, done, "Checking the files", now=True)
    files = [_described(out / name, channel) for name in names]
    return {"files": files, "frames": done, "skipped": skipped, "notes": notes}


# ── bundle ────────────────────────────────────────────────────────────


def _bundle(work: Work) -> Written:
    """`<project>.jsonl`, or with the frames' images `<project>_bundle.zip`."""
    channel, snapshot, out, media = work.channel, work.snapshot, work.out, work.options.media
    name = plain_name(snapshot.header.project.name)
    target = out / (f"{name}_bundle.zip" if media else f"{name}.jsonl")
    if not target.exists():
        part = target.with_name(target.name + ".part")
        write = export_bundle.write_zip if media else export_bundle.write_text
        try:
            write(channel, snapshot, part, work.data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    if not media:
        work.notes.append("The bundle is text without images: it restores where the same frames are at hand.")
    return [target.name], snapshot.frame_count, 0


# ── files ────────────────────────────────────────────────────────────


def _described(path: Path, channel: Channel) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(8 << 20):
            channel.check()
            digest.update(block)
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}


_WHOLE: dict[str, Callable[[Work], Written]] = {
    "overlay-mp4": export_video.overlay,
    "side-by-side-mp4": export_video.side_by_side,
    "mask-video": export_video.masks,
    "bundle": _bundle,
}
