"""Exports: a snapshot of what is to be exported is written first, then the consumer works from that alone.

The snapshot pins one revision of the class template and of every region, so that edits made meanwhile do not
mix into the result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app import store as db
from app.errors import NotFound, Refused
from app.formats.out import FORMATS, Format
from app.models import Asset, Frame, Job, Project, Region, new_id
from app.services import jobs, maps, mask_drawing
from app.services.context import Context
from app.services.views import NewExport

__all__ = ["FORMATS", "Format", "submit"]

BATCH = 500
_SPLIT = re.compile(r"[A-Za-z0-9_-]{0,40}")


def submit(ctx: Context, project_id: str, wanted: NewExport, *, actor: str) -> Job:
    """Queue an export. Raises Refused for an unknown format or a project with nothing to export."""
    format = FORMATS.get(wanted.format)
    if format is None:
        raise Refused(f"There is no export format {wanted.format[:40]!r}. Formats: {', '.join(FORMATS)}.")
    if not 0 <= wanted.opacity <= 1:
        raise Refused("The opacity must lie between 0 and 1.")
    if wanted.unlabelled_value is not None and not 0 <= wanted.unlabelled_value <= 65535:
        raise Refused("The value for unlabelled pixels must lie between 0 and 65535.")
    if not _SPLIT.fullmatch(wanted.split):
        raise Refused("The name of the part must be letters, digits, - and _, at most 40 of them.")
    job_id = wanted.id or new_id()
    project, assets = ctx.store.read(lambda cur: selection(cur, project_id, wanted.asset_id))
    if not any(a.frame_count for a in assets):
        raise Refused("There is no frame to export yet. Import a video first.")
    if "one-asset" in format.options and len(assets) > 1:
        raise Refused("An overlay video is made of one asset: choose which.")
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "input.jsonl"
    if not snapshot.exists():
        write_snapshot(ctx, project_id, assets, snapshot)
    return jobs.submit(
        ctx,
        "export",
        project_id,
        f"Export {format.title}: {project.name}",
        {
            "format": wanted.format,
            "data_dir": str(ctx.paths.data),
            "out_dir": str(ctx.paths.export(job_id)),
            "input": str(snapshot),
            "options": {
                "unlabelled_value": wanted.unlabelled_value,
                "shared_values": wanted.shared_values,
                "only_labelled": wanted.only_labelled,
                "opacity": wanted.opacity,
                "edges": wanted.edges,
                "media": wanted.media,
                "objects": wanted.objects,
                "split": wanted.split,
            },
        },
        id=job_id,
    )


def selection(cur: db.Cursor, project_id: str, asset_id: str | None) -> tuple[Project, list[Asset]]:
    """The project with all its assets, or with the one that is named. Raises NotFound."""
    project = db.projects.get(cur, project_id)
    assets = db.assets.of_project(cur, project_id)
    if asset_id is not None:
        assets = [a for a in assets if a.id == asset_id]
        if not assets:
            raise NotFound("The project has no such asset.")
    return project, assets


def write_snapshot(ctx: Context, project_id: str, assets: list[Asset], target: Path) -> None:
    """One header line, then per asset one line and one line per frame with its regions, in order.

    And beside it which masks have to be drawn before the job, if any.
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
                for frame, regions in _frames(cur, asset):
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


def _frames(cur: db.Cursor, asset: Asset) -> Iterator[tuple[Frame, list[Region]]]:
    start = 0
    while True:
        frames = db.frames.page(cur, asset.id, start, BATCH)
        if not frames:
            return
        regions: dict[str, list[Region]] = {}
        for region in db.regions.of_asset(cur, asset.id, start, BATCH):
            regions.setdefault(region.frame_id, []).append(region)
        for frame in frames:
            yield frame, regions.get(frame.id, [])
        start += BATCH
