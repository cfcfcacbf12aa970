"""A matte on one frame, to look at: small files that are not kept for long.

The consumer makes them in a hidden job, as it looks for sound; an engine of the worker makes the alpha before.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from app import store as db
from app.errors import NotFound, Refused, Unavailable
from app.matting import MatteParameters, check
from app.models import Asset, Frame, new_id
from app.services import exports, mask_drawing, matte_engines, matte_runs, matte_targets, projects
from app.services.asset_ranges import live_asset
from app.services.context import Context
from app.services.matte_targets import Found, MatteTarget
from tasks import channel
from tasks.queue import enqueue

KEPT = 8
"""Previews whose files are there."""
PATIENCE_S = 180.0
NAMES = ("alpha", "rgba", "trimap")


class NewPreview(Struct, kw_only=True, forbid_unknown_fields=True):
    """`target`, `engine`, `parameters`: as in `NewMatte`; `engine`: the one that suits best where it is left out."""

    target: MatteTarget
    engine: Annotated[str, Meta(max_length=50)] | None = None
    parameters: MatteParameters = field(default_factory=MatteParameters)


class Preview(Struct, kw_only=True):
    """Addresses of the images, all of the size of the frame in pixels. `ms`: what the consumer needed for them."""

    alpha: str
    rgba: str
    trimap: str
    width: int
    height: int
    ms: float
    engine: str
    notes: list[str]


def make(ctx: Context, frame_id: str, wanted: NewPreview) -> Preview:
    """The matte of a target on one frame; waits for it.

    Raises NotFound; Conflict for what lies in the trash; Refused for a target without a region on the frame, or that
    others cover, a parameter out of its range, an engine that cannot run; Unavailable where it takes too long.
    """
    check(wanted.parameters)

    def query(cur: db.Cursor) -> tuple[Asset, Frame, str, Found]:
        frame = db.frames.get(cur, frame_id)
        project = projects.require_live(cur, db.assets.get(cur, frame.asset_id).project_id)
        asset = live_asset(cur, project.id, frame.asset_id)
        template = db.class_templates.get(cur, project.class_template_id)
        at = frame.index
        (found,) = matte_targets.find(cur, project.id, asset, template, [wanted.target], at, at)
        return asset, frame, project.id, found

    asset, frame, project_id, found = ctx.store.read(query)
    suits, _why = matte_engines.recommended(ctx, found.classes, every=True)
    engine = matte_engines.choose(ctx, wanted.engine or suits)
    preview_id = new_id()
    folder, out = ctx.paths.job(preview_id), _folder(ctx) / preview_id
    folder.mkdir(parents=True)
    out.mkdir(parents=True)
    try:
        _tidy(ctx)
        snapshot = folder / "input.jsonl"
        exports.write_snapshot(ctx, project_id, [asset], snapshot, range(frame.index, frame.index + 1))
        mask_drawing.draw_now(ctx, preview_id)
        if engine.in_worker:
            matte_runs.make_one(ctx, snapshot, found.target, engine.id, folder, wanted.parameters)
        args = {
            "input": str(snapshot),
            "data_dir": str(ctx.paths.data),
            "out_dir": str(out),
            "target": msgspec.to_builtins(found.target),
            "engine": engine.id,
            "parameters": msgspec.to_builtins(wanted.parameters),
            "alphas": str(folder) if engine.in_worker else "",
        }
        enqueue(ctx.queue, "matte_preview", preview_id, args)
        value = _wait(folder)
    except BaseException:
        channel.request_cancel(folder)
        shutil.rmtree(out, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    alpha, rgba, trimap = (f"/api/v1/matte-previews/{preview_id}/{name}.png" for name in NAMES)
    return Preview(alpha=alpha, rgba=rgba, trimap=trimap, engine=engine.id, **value)


def file_of(ctx: Context, preview_id: str, name: str) -> Path:
    """A file of a preview. Raises NotFound for one that is gone, or never was."""
    path = _folder(ctx) / preview_id / name
    if name in [f"{known}.png" for known in NAMES] and path.is_file():
        return path
    raise NotFound("The preview is no longer there. Make it again.")


def _folder(ctx: Context) -> Path:
    return ctx.paths.maps.parent / "matte-previews"


def _wait(folder: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while (result := channel.read_result(folder)) is None:
        if time.monotonic() > deadline:
            raise Unavailable("Other jobs keep the consumer busy. Try again when one of them has ended.")
        time.sleep(0.02)
    if not result.ok:
        raise Refused(result.sentence)
    return result.value


def _tidy(ctx: Context) -> None:
    """Take away the oldest previews, and what an interrupted one left."""
    there = sorted((path for path in _folder(ctx).iterdir()), key=lambda path: path.name)
    for path in there[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(ctx.paths.job(path.name), ignore_errors=True)
