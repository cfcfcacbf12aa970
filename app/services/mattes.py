"""Mattes: alphas of tracks, classes and regions on a range of frames, and the files that are made of them.

Engines of the consumer do all in one job. For those of the worker the alphas are a stage of their own
(`matte_runs`), and the files are the next one; a person sees one job.
"""

from __future__ import annotations

import re
import shutil
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from app import store as db
from app.errors import Refused
from app.matting import OUTPUTS, MatteParameters, check
from app.models import Asset, Id, Job, new_id
from app.services import exports, jobs, matte_engines, matte_targets, projects
from app.services.asset_ranges import frame_range, live_asset
from app.services.context import Context
from app.services.matte_targets import Found, MatteTarget
from app.worker import weights
from app.worker.protocol import EngineInfo
from tasks.matte_files import ALPHAS, STEADY, Engine, MatteArgs, plain

KEPT = 3
"""Jobs of an asset that ended early whose alphas are kept."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
BYTES: dict[str, float] = {
    "alpha-mp4": 0.04,
    "foreground-mp4": 0.08,
    "rgba-png": 1.0,
    "webm": 0.1,
    "prores": 0.8,
    "preview-mp4": 0.06,
}
"""What a kind of output takes, bytes for a pixel of the frames; a guide, on the high side."""
ALPHA_BYTES = 0.3
"""What the alphas take that a job keeps, likewise."""


class NewMatte(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to cut out, and into which files.

    `start`, `stop`: frame indices, both included; all frames where they are left out. `engine`: the one that suits
    best where it is left out. `outputs`: of `app.matting.OUTPUTS`. `background`: behind the foreground video.
    `sound`: keep that of the source where an output can have it.
    """

    asset_id: Id
    targets: list[MatteTarget]
    start: Annotated[int, Meta(ge=0)] | None = None
    stop: Annotated[int, Meta(ge=0)] | None = None
    engine: Annotated[str, Meta(max_length=50)] | None = None
    parameters: MatteParameters = field(default_factory=MatteParameters)
    outputs: Annotated[list[str], Meta(max_length=20)] = field(default_factory=lambda: ["alpha-mp4"])
    background: Annotated[str, Meta(max_length=40)] = "#00ff00"
    sound: bool = True
    id: Id | None = None
    """Of the job; the same twice is one job."""


class Plan(Struct, kw_only=True):
    """A wish that can be done, with everything decided. `end`: when the frame behind `stop` is due."""

    asset: Asset
    found: list[Found]
    start: int
    stop: int
    end: float | None
    engine: EngineInfo
    recommended: str
    why: str
    outputs: list[str]
    background: str

    @property
    def frames(self) -> int:
        return self.stop - self.start + 1

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.asset.width, self.asset.height

    @property
    def bytes(self) -> float:
        """What the files and the alphas take, roughly."""
        pixels = self.frames * self.size[0] * self.size[1] * len(self.found)
        return pixels * (ALPHA_BYTES + sum(BYTES[kind] for kind in self.outputs))


def submit(ctx: Context, project_id: str, wanted: NewMatte) -> Job:
    """Queue the job. The same job id again answers with the job that there is.

    Raises NotFound; Conflict for what lies in the trash; StorageFull; Refused, in words, as `plan` does, and for an
    engine that cannot run.
    """
    job_id = wanted.id or new_id()
    known = ctx.store.read(lambda cur: db.jobs.find(cur, job_id))
    if known is not None:
        return jobs.get(ctx, job_id)
    planned = plan(ctx, project_id, wanted)
    matte_engines.choose(ctx, planned.engine.id)
    ctx.require_space(int(planned.bytes))
    _tidy(ctx, project_id, planned.asset.id)
    args = MatteArgs(
        asset_id=planned.asset.id,
        data_dir=str(ctx.paths.data),
        out_dir=str(ctx.paths.export(job_id)),
        input=str(ctx.paths.job(job_id) / "input.jsonl"),
        start=planned.start,
        stop=planned.stop,
        targets=[one.target for one in planned.found],
        engine=made_by(ctx, planned.engine),
        parameters=wanted.parameters,
        outputs=planned.outputs,
        background=planned.background,
        sound=wanted.sound,
        end=planned.end,
    )
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "input.jsonl").exists():
        try:
            frames = range(planned.start, planned.stop + 1)
            exports.write_snapshot(ctx, project_id, [planned.asset], folder / "input.jsonl", frames)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    names = ", ".join(one.target.name for one in planned.found[:3]) + ", …" * (len(planned.found) > 3)
    return jobs.submit(
        ctx,
        "matte_alpha" if planned.engine.in_worker else "matte",
        project_id,
        f"Matte of {names}: {planned.asset.name} ({planned.engine.id})",
        plain(args),
        asset_id=planned.asset.id,
        id=job_id,
    )


def write_files(ctx: Context, job: Job, id: str) -> Job:
    """Queue the files of a job whose alphas an engine of the worker made, as its next stage with this id."""
    args = msgspec.json.decode(job.args, type=MatteArgs)
    args.alphas = str(ctx.paths.job(job.id))
    args.settings = msgspec.json.decode(job.result)["settings"]
    return jobs.submit(
        ctx, "matte", job.project_id, job.title, plain(args), asset_id=job.asset_id, id=id, parent_id=job.id
    )


def tell(ctx: Context, job: Job, records: list[dict[str, Any]]) -> None:
    """Let go of the alphas of a job whose files are written."""
    if job.state == "done":
        _forget(ctx, job)


def _tidy(ctx: Context, project_id: str, asset_id: str) -> None:
    """Let go of the alphas of jobs of the asset that ended early, but for the newest, which may be tried again."""
    states = ("failed", "cancelled")
    rows = ctx.store.read(lambda cur: db.jobs.listing(cur, project_id=project_id, states=states, limit=1000))
    ended = [job for job in rows if job.kind in ("matte", "matte_alpha") and job.asset_id == asset_id]
    for job in ended[KEPT:]:
        _forget(ctx, job)


def _forget(ctx: Context, job: Job) -> None:
    for folder in {ctx.paths.job(job.id), ctx.paths.job(job.parent_id or job.id)}:
        for name in (ALPHAS, STEADY):
            shutil.rmtree(folder / name, ignore_errors=True)


def plan(ctx: Context, project_id: str, wanted: NewMatte) -> Plan:
    """Decide everything that a wish leaves open; the engine may be one that cannot run yet.

    Raises NotFound; Conflict for what lies in the trash; Refused for an engine, output, colour or parameter that
    cannot be, a range outside the asset, and a target without a region in it.
    """
    check(wanted.parameters)
    if not wanted.outputs:
        raise Refused("Choose at least one output.")
    for kind in wanted.outputs:
        if kind not in OUTPUTS:
            raise Refused(f"There is no output {kind[:40]!r}. Outputs: {', '.join(OUTPUTS)}.")
    background = colour_of(wanted.background)

    def query(cur: db.Cursor) -> tuple[Asset, int, int, list[Found], float | None]:
        project = projects.require_live(cur, project_id)
        asset = live_asset(cur, project_id, wanted.asset_id)
        start, stop = frame_range(asset, wanted.start, wanted.stop)
        template = db.class_templates.get(cur, project.class_template_id)
        found = matte_targets.find(cur, project_id, asset, template, wanted.targets, start, stop)
        behind = db.frames.page(cur, asset.id, stop + 1, 1)
        return asset, start, stop, found, behind[0].pts if behind else None

    asset, start, stop, found, end = ctx.store.read(query)
    every = all(not matte_targets.missing(one.there, start, stop) for one in found)
    classes = sorted({name for one in found for name in one.classes})
    recommended, why = matte_engines.recommended(ctx, classes, every=every)
    return Plan(
        asset=asset,
        found=found,
        start=start,
        stop=stop,
        end=end,
        engine=matte_engines.info_of(ctx, wanted.engine or recommended),
        recommended=recommended,
        why=why,
        outputs=list(dict.fromkeys(wanted.outputs)),
        background=background,
    )


def colour_of(text: str) -> str:
    """A colour as "#rrggbb", lower case. Raises Refused."""
    if not _COLOUR.fullmatch(text):
        raise Refused(f"{text[:40]!r} is no colour. Write it like #00ff00.")
    return text.lower()


def made_by(ctx: Context, info: EngineInfo) -> Engine:
    """An engine as it is named in the files. The SHA-256 of its weights is computed where it is not known yet."""
    there = weights.found(ctx.settings.data, info.id) if info.weights else None
    return Engine(
        id=info.id,
        name=info.name,
        licence=info.licence,
        licence_url=info.licence_url,
        weights=there.path.name if there is not None else "",
        weights_licence=matte_engines.weights_licence(info),
        weights_licence_url=info.weights_licence_url or info.licence_url,
        sha256=there.sha256 if there is not None else "",
    )
