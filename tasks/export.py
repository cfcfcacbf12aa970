"""The job "export": a snapshot becomes files under `exports/<job id>/`.

| format | file |
|---|---|
| overlay-mp4 | `<stem>_overlay.mp4` |
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
from app.formats.out.model import Options
from app.formats.out.names import plain_name
from app.formats.overlay import OverlayWriter, Painter, frame_times
from tasks import export_bundle
from tasks.channel import Channel
from tasks.export_frames import export_frames, read_notes, write_notes
from tasks.given_masks import GivenMasks, notes_of
from tasks.rendering import label_map, read_frame
from tasks.snapshot import Section, Snapshot


class ExportArgs(Struct, kw_only=True):
    format: str
    data_dir: str
    out_dir: str
    input: str
    options: Options = field(default_factory=Options)


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
        names, done, skipped = whole(channel, snapshot, out, asked, notes)
    else:
        names, done, skipped = export_frames(
            channel, snapshot, out, asked.format, asked.options, notes, Path(asked.data_dir)
        )
    channel.report(done, done, "Checking the files", now=True)
    files = [_described(out / name, channel) for name in names]
    return {"files": files, "frames": done, "skipped": skipped, "notes": notes}


Written = tuple[list[str], int, int]
"""Names of the files, frames written, frames skipped."""


# ── overlay video ────────────────────────────────────────────────────────────


def _overlay(channel: Channel, snapshot: Snapshot, out: Path, asked: ExportArgs, notes: list[str]) -> Written:
    sections = [section for section in snapshot.sections if section.frames]
    if len(sections) != 1:
        raise Refused("An overlay video is made of one asset with frames: choose which.")
    section = sections[0]
    target = out / f"{plain_name(section.asset.stem, 'frames')}_overlay.mp4"
    if not target.exists():
        part = target.with_name(target.name + ".part")
        times = frame_times(section.times, section.asset.fps)
        painter = Painter(
            snapshot.header.class_template.classes, asked.options.opacity, edges=asked.options.edges
        )
        given = GivenMasks(Path(asked.data_dir))
        try:
            with OverlayWriter(part, _size(snapshot, section), times) as writer:
                for done, entry in enumerate(snapshot.frames(section), 1):
                    channel.check()
                    image = read_frame(entry)
                    writer.add(painter.paint(image, label_map(entry, given, image) if entry.specs else None))
                    channel.report(done, section.frames)
            write_notes(out, notes_of(given.missing))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    notes.extend(read_notes(out))
    return [target.name], section.frames, 0


def _size(snapshot: Snapshot, section: Section) -> tuple[int, int]:
    """The size (width, height) of the video: that of the asset, or of its first frame."""
    if section.asset.width and section.asset.height:
        return section.asset.width, section.asset.height
    frame = next(snapshot.frames(section)).frame
    return frame.width, frame.height


# ── bundle ────────────────────────────────────────────────────────────


def _bundle(channel: Channel, snapshot: Snapshot, out: Path, asked: ExportArgs, notes: list[str]) -> Written:
    name = plain_name(snapshot.header.project.name)
    target = out / (f"{name}_bundle.zip" if asked.options.media else f"{name}.jsonl")
    if not target.exists():
        part = target.with_name(target.name + ".part")
        write = export_bundle.write_zip if asked.options.media else export_bundle.write_text
        write(channel, snapshot, part, Path(asked.data_dir))
        part.replace(target)
    if not asked.options.media:
        notes.append("The bundle is text without images: it restores where the same frames are at hand.")
    return [target.name], snapshot.frame_count, 0


# ── files ────────────────────────────────────────────────────────────


def _described(path: Path, channel: Channel) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(8 << 20):
            channel.check()
            digest.update(block)
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}


_WHOLE: dict[str, Callable[[Channel, Snapshot, Path, ExportArgs, list[str]], Written]] = {
    "overlay-mp4": _overlay,
    "bundle": _bundle,
}
