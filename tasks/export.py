"""The job "export": a snapshot becomes files under `exports/<job id>/`.

| format | file |
|---|---|
| palette-png, index-png, colour-png | `<project>_<format>.zip` of `<stem>_<index>.png`, and `classes.json` |
| overlay-mp4 | `<stem>_overlay.mp4` |
| bundle | `<project>.jsonl`, or `<project>_bundle.zip` with the frames' images |

One frame at a time, in constant memory. Run again after a kill it keeps what is finished: PNGs are written
aside, renamed, and packed only when all are there; a video is encoded anew. Files come into being whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from app.errors import Refused
from app.formats import label_png
from app.formats.overlay import OverlayWriter, Painter, frame_times
from app.models import ClassDef
from tasks import export_bundle
from tasks.channel import Channel, write_aside
from tasks.rendering import label_map, read_frame
from tasks.snapshot import FrameEntry, Section, Snapshot

Format = Literal["palette-png", "index-png", "colour-png", "overlay-mp4", "bundle"]

_MODES: dict[str, label_png.Mode] = {"palette-png": "palette", "index-png": "index", "colour-png": "colour"}
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Options(Struct, kw_only=True):
    """`unlabelled_value` None = 0 if it is free; `shared_values` lets classes merge (see `label_png`)."""

    unlabelled_value: int | None = None
    shared_values: bool = False
    only_labelled: bool = True
    opacity: float = 0.46
    edges: bool = True
    media: bool = False


class ExportArgs(Struct, kw_only=True):
    format: Format
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
    snapshot = Snapshot(Path(asked.input))
    out = Path(asked.out_dir)
    out.mkdir(parents=True, exist_ok=True)
    for part in out.glob("*.part"):
        part.unlink()
    notes: list[str] = []
    if snapshot.lost:
        notes.append(f"{snapshot.lost} regions of classes that the template no longer has were left out.")
    names, done, skipped = _WRITERS[asked.format](channel, snapshot, out, asked, notes)
    channel.report(done, done, "Checking the files", now=True)
    files = [_described(out / name, channel) for name in names]
    return {"files": files, "frames": done, "skipped": skipped, "notes": notes}


Written = tuple[list[str], int, int]
"""Names of the files, frames written, frames skipped."""


# ── label maps ────────────────────────────────────────────────────────────


def _label_maps(
    channel: Channel, snapshot: Snapshot, out: Path, asked: ExportArgs, notes: list[str]
) -> Written:
    mode = _MODES[asked.format]
    classes = snapshot.header.class_template.classes
    options = asked.options
    unlabelled = label_png.check_classes(
        classes, mode, options.unlabelled_value, shared=options.shared_values
    )
    total = sum(s.labelled if options.only_labelled else s.frames for s in snapshot.sections)
    if not total:
        raise Refused("No frame has a region yet. Label one first, or export the frames without regions too.")
    folder = out / ".frames"
    target = out / f"{plain_name(snapshot.header.project.name)}_{asked.format}.zip"
    classes_file = out / "classes.json"
    names = _frame_names(snapshot)
    skipped = snapshot.frame_count - total
    if skipped:
        notes.append(f"{skipped} frames without regions were left out.")
    if not target.exists():
        write_aside(classes_file, _classes_json(classes, mode, unlabelled))
        written = []
        channel.kept = {"frames": 0}
        for section, entry in _all_frames(snapshot):
            channel.check()
            if options.only_labelled and not entry.specs:
                continue
            name = names(section, entry)
            path = folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = label_map(entry)
                write_aside(
                    path,
                    label_png.encode(
                        pixels, classes, mode=mode, unlabelled=unlabelled, shared=options.shared_values
                    ),
                )
            written.append(name)
            channel.kept = {"frames": len(written)}
            channel.report(len(written), total)
        _pack(channel, target, [("classes.json", classes_file), *((name, folder / name) for name in written)])
    shutil.rmtree(folder, ignore_errors=True)
    return [target.name, classes_file.name], total, skipped


def _all_frames(snapshot: Snapshot) -> Iterator[tuple[Section, FrameEntry]]:
    for section in snapshot.sections:
        for entry in snapshot.frames(section):
            yield section, entry


def _frame_names(snapshot: Snapshot) -> Callable[[Section, FrameEntry], str]:
    """`<stem>_<index>.png`; several assets get a folder each, and equal stems are numbered."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for section in snapshot.sections:
        stem = plain_name(section.asset.stem, "frames")
        unique, number = stem, 2
        while unique.casefold() in taken:
            unique, number = f"{stem}-{number}", number + 1
        taken.add(unique.casefold())
        stems[section.asset.id] = unique
    several = len(snapshot.sections) > 1

    def name(section: Section, entry: FrameEntry) -> str:
        stem = stems[section.asset.id]
        plain = f"{stem}_{entry.frame.index:06d}.png"
        return f"{stem}/{plain}" if several else plain

    return name


def _classes_json(classes: list[ClassDef], mode: label_png.Mode, unlabelled: int) -> bytes:
    """What the pixels mean: how a class is written, and what unlabelled pixels are."""
    rows = [
        {
            "id": c.id,
            "name": c.name,
            "colour": c.colour,
            "value": c.exported_value,
            "priority": c.priority,
            "parent": c.parent,
        }
        for c in classes
    ]
    text = msgspec.json.encode({"mode": mode, "unlabelled": unlabelled, "classes": rows})
    return msgspec.json.format(text, indent=2) + b"\n"


def _pack(channel: Channel, target: Path, files: list[tuple[str, Path]]) -> None:
    """A zip of the files in this order, stored, without times: equal input, equal bytes."""
    part = target.with_name(target.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, path in files:
            channel.check()
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, path.read_bytes())
    part.replace(target)


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
        try:
            with OverlayWriter(part, _size(snapshot, section), times) as writer:
                for done, entry in enumerate(snapshot.frames(section), 1):
                    channel.check()
                    image = read_frame(entry)
                    writer.add(painter.paint(image, label_map(entry, image) if entry.specs else None))
                    channel.report(done, section.frames)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
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


def plain_name(text: str, otherwise: str = "project") -> str:
    """A text as part of a file name: letters, digits, dots, dashes; at most 80 characters."""
    plain = re.sub(r"[^\w.-]+", "_", text).strip("._-")
    return plain[:80] or otherwise


def _described(path: Path, channel: Channel) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(8 << 20):
            channel.check()
            digest.update(block)
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}


_WRITERS: dict[str, Callable[[Channel, Snapshot, Path, ExportArgs, list[str]], Written]] = {
    **dict.fromkeys(_MODES, _label_maps),
    "overlay-mp4": _overlay,
    "bundle": _bundle,
}
