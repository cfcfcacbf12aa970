"""The job "import_bundle": a project bundle becomes the rows and the files of a new project.

The whole bundle is checked before anything is written; then the images are put beside their final place, the
rows into `records.jsonl` in the job folder, and the asset folders renamed. The web process writes all rows in
one transaction, so a bundle is restored whole or not at all. Every id is made anew from the new project's id:
a bundle can be restored twice, and beside the project it came from. Regions keep their order on a frame.

Images come from the bundle, or, where it is text alone, from assets of this data folder whose frames have the
same content (they are linked, not copied, where the disk can).
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field
from PIL import Image

from app.errors import Refused, StorageFull
from app.formats import bundle
from app.formats.frames import THUMB_QUALITY, THUMB_SIZE, ArrayPicture, content_hash, encode
from app.formats.images import read_image
from app.models import Asset, Frame, Id, Name, Project, Region, Track, frame_id
from tasks.channel import Channel


class ImportArgs(Struct, kw_only=True):
    """`project_id`: of the project that is to be made; `name`: its name, else the bundle's."""

    data_dir: str
    source: str
    project_id: Id
    name: Name | None = None


class Plan(Struct):
    """What the bundle holds, geometry left aside."""

    header: bundle.Header
    assets: list[bundle.AssetLine] = field(default_factory=list)
    frames: dict[str, list[bundle.FrameLine]] = field(default_factory=dict)
    tracks: int = 0
    regions: int = 0


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Check and unpack a bundle.

    Returns {records, project_id, assets, frames, tracks, regions}: `records` is the path of a JSONL file of
    {"type": class_template|project|asset|track|frame|region, "row": {…}}. Raises Refused (a sentence that
    names the line or the file), StorageFull or Cancelled; then nothing is left in the assets folder.
    """
    try:
        asked = msgspec.convert(args, ImportArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The import is described wrongly: {exc}.") from exc
    assets_dir = Path(asked.data_dir) / "assets"
    ids = NewIds(asked.project_id)
    with bundle.BundleFile(Path(asked.source)) as file:
        plan = _checked(channel, file)
        pictures = Pictures(file, assets_dir, plan)
        placed: list[Path] = []
        try:
            done, total = 0, sum(map(len, plan.frames.values()))
            for line in plan.assets:
                final = assets_dir / ids.of(line.id)
                part = assets_dir / f".{final.name}.part"
                for old in (part, final):
                    shutil.rmtree(old, ignore_errors=True)
                placed.append(part)
                for frame in plan.frames[line.id]:
                    channel.check()
                    pictures.put(frame, part)
                    done += 1
                    channel.report(done, total)
            records = channel.folder / "records.jsonl"
            _write_records(channel, file, records, asked, ids)
            for part in list(placed):
                final = part.with_name(part.name[1:-5])
                if part.exists():
                    part.replace(final)
                    placed.append(final)
        except BaseException:
            for folder in placed:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    return {
        "records": str(records),
        "project_id": asked.project_id,
        "assets": len(plan.assets),
        "frames": total,
        "tracks": plan.tracks,
        "regions": plan.regions,
    }


def _checked(channel: Channel, file: bundle.BundleFile) -> Plan:
    plan: Plan | None = None
    for line in _lines(channel, file):
        if isinstance(line, bundle.Header):
            plan = Plan(line)
        assert plan is not None
        if isinstance(line, bundle.AssetLine):
            plan.assets.append(line)
            plan.frames[line.id] = []
        elif isinstance(line, bundle.FrameLine):
            plan.frames[line.asset].append(line)
        elif isinstance(line, bundle.TrackLine):
            plan.tracks += 1
        elif isinstance(line, bundle.RegionLine):
            plan.regions += 1
    assert plan is not None
    for asset in plan.assets:
        frames = sorted(plan.frames[asset.id], key=lambda frame: frame.index)
        if [frame.index for frame in frames] != list(range(len(frames))):
            raise Refused(f"The frames of “{asset.name}” in the bundle are not numbered from 0 without gaps.")
        plan.frames[asset.id] = frames
    return plan


def _lines(channel: Channel, file: bundle.BundleFile) -> Iterator[bundle.Line]:
    with file.text() as text:
        for number, line in bundle.read(text):
            if number % 200 == 0:
                channel.check()
            yield line


class NewIds:
    """Ids that follow from the new project's id and the order of the bundle, and sort in that order.

    A repeated execution makes the same ids, and the restored project gives a bundle of the same order.
    """

    def __init__(self, project_id: str) -> None:
        self._salt = project_id.encode()
        self._order: dict[str, int] = {}
        self._ranks: dict[str, int] = {}

    def of(self, old: str) -> str:
        rank = self._order.setdefault(old, len(self._order))
        return hashlib.sha256(self._salt).hexdigest()[:16] + f"{rank:08x}"

    def of_frame(self, old: str) -> str:
        asset, _, index = old.partition("-")
        return f"{self.of(asset)}-{index}"

    def of_region(self, frame: str) -> str:
        """The next region of a frame; the ids sort as the regions come, which keeps their order."""
        rank = self._ranks.get(frame, 0)
        self._ranks[frame] = rank + 1
        return hashlib.sha256(self._salt + frame.encode()).hexdigest()[:16] + f"{rank:08x}"


class Pictures:
    """Where the images of the bundle's frames come from. Raises Refused on making when an asset has none."""

    def __init__(self, file: bundle.BundleFile, assets_dir: Path, plan: Plan) -> None:
        self._file = file
        self._sources: dict[str, Path | None] = {}
        for asset in plan.assets:
            frames = plan.frames[asset.id]
            names = [f"assets/{asset.id}/{frame.file}" for frame in frames]
            if all(name in file.media for name in names):
                self._sources[asset.id] = None
                continue
            folder = _twin(assets_dir, asset.id, frames[0])
            if folder is None:
                raise Refused(
                    f"The bundle holds no images for “{asset.name}”, and no asset here has the same frames. "
                    "Export the bundle with its images, or import the same source first."
                )
            self._sources[asset.id] = folder
        needed = sum(entry.file_size for entry in file.media.values())
        assets_dir.mkdir(parents=True, exist_ok=True)
        if needed > shutil.disk_usage(assets_dir).free:
            raise StorageFull(f"The images of the bundle need {needed / 1e9:.1f} GB, more than is free.")

    def put(self, frame: bundle.FrameLine, target: Path) -> None:
        """Place image and thumbnail of a frame under `target`; Refused when they are not what they claim."""
        for folder in ("frames", "thumbs"):
            (target / folder).mkdir(parents=True, exist_ok=True)
        source = self._sources[frame.asset]
        label = f"frame {frame.index}"
        if source is not None:
            _link(source / frame.file, target / frame.file, frame, label)
            if (source / frame.thumb).is_file():
                _hard(source / frame.thumb, target / frame.thumb)
                return
        else:
            data = self._file.image(f"assets/{frame.asset}/{frame.file}")
            _check_image(data, frame, label)
            (target / frame.file).write_bytes(data)
            small = f"assets/{frame.asset}/{frame.thumb}"
            if small in self._file.media:
                thumb = self._file.image(small)
                _size_of(thumb, f"the thumbnail of {label}")
                (target / frame.thumb).write_bytes(thumb)
                return
        picture = ArrayPicture(read_image(target / frame.file, label))
        (target / frame.thumb).write_bytes(encode(picture(THUMB_SIZE), "jpeg", THUMB_QUALITY))


def _twin(assets_dir: Path, asset_id: str, first: bundle.FrameLine) -> Path | None:
    """The folder of an asset whose first frame has the same content, the one of the same id preferred."""
    folders = [assets_dir / asset_id]
    if assets_dir.is_dir():
        folders += sorted(p for p in assets_dir.iterdir() if p.is_dir() and not p.name.startswith("."))
    for folder in folders:
        try:
            if content_hash((folder / first.file).read_bytes()) == first.hash:
                return folder
        except OSError:
            continue
    return None


def _link(source: Path, target: Path, frame: bundle.FrameLine, label: str) -> None:
    try:
        data = source.read_bytes()
    except OSError as exc:
        raise Refused(f"The bundle holds no images, and the image of {label} is not here either.") from exc
    _check_image(data, frame, label)
    _hard(source, target)


def _hard(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _check_image(data: bytes, frame: bundle.FrameLine, label: str) -> None:
    if content_hash(data) != frame.hash:
        raise Refused(f"The image of {label} is not the one that the bundle was made with.")
    if _size_of(data, label) != (frame.width, frame.height):
        raise Refused(f"The image of {label} is not of the size {frame.width}×{frame.height} px as stated.")


def _size_of(data: bytes, label: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise Refused(f"The file of {label} in the bundle is not a JPEG or PNG image.") from exc


def _write_records(
    channel: Channel, file: bundle.BundleFile, target: Path, asked: ImportArgs, ids: NewIds
) -> None:
    part = target.with_name(target.name + ".part")
    now = time.time()
    with part.open("wb") as out:
        pending: list[tuple[float, str, bundle.RegionLine]] = []

        def write(kind: str, row: Struct) -> None:
            out.write(msgspec.json.encode({"type": kind, "row": row}) + b"\n")

        def flush() -> None:
            # Ids are given in the order that the regions have on their frame.
            for _, _, line in sorted(pending, key=lambda item: item[:2]):
                write("region", _region(line, ids))
            pending.clear()

        for line in _lines(channel, file):
            if isinstance(line, bundle.Header):
                template = bundle.template_of(line, ids.of(line.class_template.id), now)
                write("class_template", template)
                write("project", _project(line, template.id, asked, now))
            elif isinstance(line, bundle.AssetLine):
                write("asset", _asset(line, asked.project_id, ids, now))
            elif isinstance(line, bundle.TrackLine):
                write("track", _track(line, asked.project_id, ids))
            elif isinstance(line, bundle.FrameLine):
                write("frame", _frame(line, ids))
            else:
                if pending and pending[-1][2].frame != line.frame:
                    flush()
                pending.append((line.created_at, line.id, line))
        flush()
    part.replace(target)


def _project(line: bundle.Header, template_id: str, asked: ImportArgs, now: float) -> Project:
    old = line.project
    return Project(
        id=asked.project_id,
        name=asked.name or old.name,
        class_template_id=template_id,
        status=old.status,
        engine=old.engine,
        created_at=old.created_at or now,
        updated_at=now,
    )


def _asset(line: bundle.AssetLine, project_id: str, ids: NewIds, now: float) -> Asset:
    own = ("id", "created_at")
    shared = {name: getattr(line, name) for name in line.__struct_fields__ if name not in own}
    made = line.created_at or now
    return Asset(id=ids.of(line.id), project_id=project_id, source="", created_at=made, **shared)


def _track(line: bundle.TrackLine, project_id: str, ids: NewIds) -> Track:
    return Track(
        id=ids.of(line.id),
        project_id=project_id,
        class_id=line.class_id,
        name=line.name,
        created_at=line.created_at,
        lost={ids.of(asset): runs for asset, runs in line.lost.items()},
    )


def _frame(line: bundle.FrameLine, ids: NewIds) -> Frame:
    shared = {name: getattr(line, name) for name in line.__struct_fields__ if name != "asset"}
    asset_id = ids.of(line.asset)
    return Frame(id=frame_id(asset_id, line.index), asset_id=asset_id, **shared)


def _region(line: bundle.RegionLine, ids: NewIds) -> Region:
    frame = ids.of_frame(line.frame)
    return Region(
        id=ids.of_region(frame),
        frame_id=frame,
        class_id=line.class_id,
        geometry=bundle.geometry_of(line),
        track_id=None if line.track is None else ids.of(line.track),
        anchor=line.anchor,
        certificate=line.certificate,
        area=line.area,
        author=line.author,
        created_at=line.created_at,
        updated_at=line.created_at,
        attributes=line.attributes,
        score=line.score,
        agreement=line.agreement,
    )
