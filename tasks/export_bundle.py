"""Writing a project bundle from a snapshot: the sorted text, alone or zipped with the frames' images."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from app.errors import Refused
from app.formats import bundle
from app.models import Track
from tasks.channel import Channel
from tasks.snapshot import FrameEntry, Section, Snapshot

_EPOCH = (1980, 1, 1, 0, 0, 0)


def lines(channel: Channel, snapshot: Snapshot) -> Iterator[bundle.Line]:
    """Every line of the bundle, in its canonical order. The snapshot's frames are read twice, not kept."""
    known = {c.id for c in snapshot.header.class_template.classes}
    tracks = sorted((t for t in snapshot.header.tracks if t.class_id in known), key=_of_track)
    track_ids = {track.id for track in tracks}
    sections = sorted(snapshot.sections, key=_of_section)
    yield bundle.header(snapshot.header.project, snapshot.header.class_template)
    for section in sections:
        yield bundle.asset_line(section.asset)
    for track in tracks:
        yield bundle.track_line(track)
    total, done = 2 * snapshot.frame_count, 0
    for entry in _frames(snapshot, sections):
        channel.check()
        yield bundle.frame_line(entry.frame)
        done += 1
        channel.report(done, total)
    for entry in _frames(snapshot, sections):
        channel.check()
        for region in sorted(entry.regions, key=lambda region: (region.created_at, region.id)):
            if region.class_id in known:
                line = bundle.region_line(region)
                line.track = line.track if line.track in track_ids else None
                yield line
        done += 1
        channel.report(done, total)


def write_text(channel: Channel, snapshot: Snapshot, target: Path, data: Path) -> None:
    """The text alone."""
    with target.open("wb") as file:
        for line in lines(channel, snapshot):
            file.write(bundle.encode(line))


def write_zip(channel: Channel, snapshot: Snapshot, target: Path, data: Path) -> None:
    """`project.jsonl` and the images of all frames and thumbnails, without times: equal input, equal bytes.

    Raises Refused, naming the frame, when an image is gone.
    """
    with zipfile.ZipFile(target, "w") as archive:
        with archive.open(_info(bundle.TEXT_NAME, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as text:
            for line in lines(channel, snapshot):
                text.write(bundle.encode(line))
        channel.report(snapshot.frame_count, 2 * snapshot.frame_count, "Packing the images")
        for section in sorted(snapshot.sections, key=_of_section):
            for entry in snapshot.frames(section):
                channel.check()
                for name in (entry.frame.file, entry.frame.thumb):
                    path = data / "assets" / section.asset.id / name
                    try:
                        content = path.read_bytes()
                    except OSError as exc:
                        raise Refused(
                            f"The image of frame {entry.frame.index} of “{section.asset.name}” cannot "
                            "be read; export the bundle without images, or import the asset again."
                        ) from exc
                    archive.writestr(_info(f"assets/{section.asset.id}/{name}", zipfile.ZIP_STORED), content)


def _of_section(section: Section) -> tuple[float, str, str, str]:
    """The place of an asset. Its id comes last: a restored project has others, and the order must be the same."""
    asset = section.asset
    return (asset.created_at, asset.stem, asset.name, asset.id)


def _of_track(track: Track) -> tuple[float, int, str, str]:
    return (track.created_at, track.class_id, track.name, track.id)


def _frames(snapshot: Snapshot, sections: list[Section]) -> Iterator[FrameEntry]:
    for section in sections:
        yield from snapshot.frames(section)


def _info(name: str, packing: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = packing
    info.external_attr = 0o644 << 16
    return info
