"""Exports: a snapshot of what is to be exported is written first, then the consumer works from that alone.

The snapshot pins one revision of the class template and of every region, so that edits made meanwhile do not
mix into the result.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from app import store as db
from app.errors import NotFound, Refused
from app.formats.out import FORMATS, Format
from app.formats.out.options import Options
from app.i18n import gettext as _
from app.models import Asset, Frame, Job, Project, Region, Run, new_id
from app.services import jobs, maps, mask_drawing
from app.services.asset_ranges import frame_range, live_asset
from app.services.context import Context
from app.services.views import NewExport, SoundView
from tasks import channel
from tasks.queue import enqueue

__all__ = ["FORMATS", "Format", "sound", "submit"]

BATCH = 500
LEAST_SIDE = 64
LISTEN_S = 10.0
_SOUNDS: dict[tuple[str, int, int], str] = {}
"""(path, bytes, time of change) of a source → the codec of its sound, "" where it has none."""
_SPLIT = re.compile(r"[A-Za-z0-9_-]{0,40}")


def submit(ctx: Context, project_id: str, wanted: NewExport, *, actor: str) -> Job:
    """Queue an export. Raises Refused for an unknown format, options that cannot be, or nothing to export."""
    format = FORMATS.get(wanted.format)
    if format is None:
        raise Refused(f"There is no export format {wanted.format[:40]!r}. Formats: {', '.join(FORMATS)}.")
    if wanted.unlabelled_value is not None and not 0 <= wanted.unlabelled_value <= 65535:
        raise Refused("The value for unlabelled pixels must lie between 0 and 65535.")
    if not _SPLIT.fullmatch(wanted.split):
        raise Refused("The name of the part must be letters, digits, - and _, at most 40 of them.")
    job_id = wanted.id or new_id()
    piece = ctx.store.read(lambda cur: _piece(cur, project_id, format, wanted))
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "input.jsonl"
    if not snapshot.exists():
        write_snapshot(ctx, project_id, piece.assets, snapshot, piece.frames)
    return jobs.submit(
        ctx,
        "export",
        project_id,
        f"Export {format.title}: {piece.project.name}",
        {
            "format": wanted.format,
            "data_dir": str(ctx.paths.data),
            "out_dir": str(ctx.paths.export(job_id)),
            "input": str(snapshot),
            "options": {name: getattr(wanted, name) for name in Options.__struct_fields__},
            "end": piece.end,
        },
        id=job_id,
    )


class _Piece(NamedTuple):
    """What an export is made of. `end`: when the frame behind `frames` is due."""

    project: Project
    assets: list[Asset]
    frames: range | None
    end: float | None


def _piece(cur: db.Cursor, project_id: str, format: Format, wanted: NewExport) -> _Piece:
    project, assets = selection(cur, project_id, wanted.asset_id)
    assets_with_frames = [a for a in assets if a.frame_count]
    if not assets_with_frames:
        raise Refused("There is no frame to export yet. Import a video first.")
    if "one-asset" not in format.options:
        return _Piece(project, assets, None, None)
    if len(assets) > 1:
        raise Refused("A video is made of one asset: choose which.")
    if 0 < wanted.max_side < LEAST_SIDE:
        raise Refused(f"The longer side of the video must be at least {LEAST_SIDE} px; 0 keeps its own size.")
    template = db.class_templates.get(cur, project.class_template_id)
    _known("class", map(str, wanted.class_ids), (str(c.id) for c in template.classes))
    _known("track", wanted.track_ids, (track.id for track in db.tracks.of_project(cur, project_id)))
    start, stop = frame_range(assets[0], wanted.start, wanted.stop)
    behind = db.frames.page(cur, assets[0].id, stop + 1, 1)
    return _Piece(project, assets, range(start, stop + 1), behind[0].pts if behind else None)


def _known(what: str, ids: Iterable[str], there: Iterable[str]) -> None:
    missing = sorted(set(ids) - set(there))
    if missing:
        raise Refused(f"The project has no {what} {', '.join(id[:40] for id in missing[:5])}.")


def selection(cur: db.Cursor, project_id: str, asset_id: str | None) -> tuple[Project, list[Asset]]:
    """The project with all its assets, or with the one that is named. Raises NotFound."""
    project = db.projects.get(cur, project_id)
    assets = db.assets.of_project(cur, project_id)
    if asset_id is not None:
        assets = [a for a in assets if a.id == asset_id]
        if not assets:
            raise NotFound("The project has no such asset.")
    return project, assets


def write_snapshot(
    ctx: Context,
    project_id: str,
    assets: list[Asset],
    target: Path,
    frames: range | Mapping[str, Sequence[Run]] | None = None,
) -> None:
    """One header line, then per asset one line and one line per frame with its regions, in order.

    And beside it which masks have to be drawn before the job, if any. `frames`: indices, or by asset its frames as
    runs; None = all.
    """
    part = target.with_suffix(".part")
    gaps = mask_drawing.Gaps(ctx.paths, target.parent)
    encode = msgspec.json.encode
    with part.open("wb") as file:

        def read(cur: db.Cursor) -> None:
            project = db.projects.get(cur, project_id)
            template = db.class_templates.get(cur, project.class_template_id)
            tracks = db.tracks.of_project(cur, project_id)
            header = {"type": "header", "project": project, "class_template": template, "tracks": tracks}
            file.write(encode(header) + b"\n")
            for asset in assets:
                file.write(encode({"type": "asset", "asset": asset}) + b"\n")
                for frame, regions in _frames(cur, asset, frames):
                    specs = maps.region_specs(template, regions)
                    gaps.add(frame, specs)
                    line = {
                        "type": "frame",
                        "frame": frame,
                        "image": str(ctx.paths.asset(asset.id) / frame.file),
                        "regions": regions,
                        "specs": specs,
                    }
                    file.write(encode(line) + b"\n")

        ctx.store.read(read)
        file.flush()
        os.fsync(file.fileno())
    gaps.close()
    part.replace(target)


def _frames(
    cur: db.Cursor, asset: Asset, frames: range | Mapping[str, Sequence[Run]] | None
) -> Iterator[tuple[Frame, list[Region]]]:
    if isinstance(frames, Mapping):
        spans = [range(start, start + length) for start, length in frames.get(asset.id, ())]
    else:
        spans = [frames or range(asset.frame_count)]
    # Thousands of short runs are read like the long one that they lie in.
    for _block, part in groupby(chain.from_iterable(spans), lambda index: index // BATCH):
        wanted = set(part)
        start, count = min(wanted), max(wanted) + 1 - min(wanted)
        regions: dict[str, list[Region]] = {}
        for region in db.regions.of_asset(cur, asset.id, start, count):
            regions.setdefault(region.frame_id, []).append(region)
        for frame in db.frames.page(cur, asset.id, start, count):
            if frame.index in wanted:
                yield frame, regions.get(frame.id, [])


def sound(ctx: Context, project_id: str, asset_id: str) -> SoundView:
    """Whether a video of the asset can have sound; the consumer looks, once for each source."""
    asset = ctx.store.read(lambda cur: live_asset(cur, project_id, asset_id))
    source = ctx.paths.asset(asset.id) / asset.source
    if asset.kind != "video":
        return SoundView(available=False, sentence=_("Images have no sound."))
    try:
        facts = source.stat()
    except OSError:
        return SoundView(available=False, sentence=_("The source is no longer at hand."))
    key = (str(source), facts.st_size, facts.st_mtime_ns)
    if key not in _SOUNDS:
        found = _listen(ctx, source)
        if found is None:
            return SoundView(available=True)
        _SOUNDS[key] = found
        while len(_SOUNDS) > 500:
            _SOUNDS.pop(next(iter(_SOUNDS)))
    codec = _SOUNDS[key]
    return SoundView(
        available=bool(codec), sentence="" if codec else _("This asset has no sound."), codec=codec
    )


def _listen(ctx: Context, source: Path) -> str | None:
    """The codec of the sound, "" where there is none, None where the consumer does not say in time."""
    look_id = new_id()
    folder = ctx.paths.job(look_id)
    folder.mkdir(parents=True)
    enqueue(ctx.queue, "sound", look_id, {"source": str(source)})
    deadline = time.monotonic() + LISTEN_S
    while (result := channel.read_result(folder)) is None:
        if time.monotonic() > deadline:
            channel.request_cancel(folder)
            return None
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)
    return str(result.value["codec"]) if result.ok and result.value else ""
