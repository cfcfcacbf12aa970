"""What a matte would take, before it is begun: time, memory, how it is cut, and what is missing."""

from __future__ import annotations

import os

from msgspec import Struct

from app import matte_memory
from app.i18n import gettext as _
from app.matting import MatteParameters
from app.models import Run
from app.services import matte_targets, mattes
from app.services.context import Context
from app.services.matte_engines import FROM_FIRST, weights_licence
from app.services.mattes import NewMatte, Plan
from app.worker import weights

LONG_S = 600.0
"""From how many seconds on the time is pointed out."""
CORES, SHARED = 4, 0.75
"""Cores that the consumer uses for a matte at most, and which share of them helps."""
WRITERS, WRITER = 8, 40.0
"""Files written at once at most, and bytes that one takes for a pixel of a frame."""
LARGE = 1e9
"""From how many bytes on the size of the files is pointed out."""


class TargetEstimate(Struct, kw_only=True):
    """A target on the frames of the range. `there`: frames with a region of it; `missing`: those without, as runs;
    `anchors`: indices of frames where a person confirmed a region.
    """

    name: str
    there: int
    missing: list[Run]
    anchors: list[int]


class Estimate(Struct, kw_only=True):
    """`seconds`, `memory_mb`: None where nobody measured it; `chunks`: of the range; `tiles`: of a frame; `limits`:
    what a person should know before it begins, in sentences.
    """

    frames: int
    targets: list[TargetEstimate]
    engine: str
    available: bool
    reason: str
    step: str
    seconds: float | None
    memory_mb: int | None
    bytes: int
    chunks: int
    tiles: int
    recommended: str
    why: str
    licence: str
    licence_url: str
    weights_licence: str
    limits: list[str]


def estimate(ctx: Context, project_id: str, wanted: NewMatte) -> Estimate:
    """Raises as `mattes.plan` does; an engine that cannot run yet is no error."""
    plan = mattes.plan(ctx, project_id, wanted)
    info = plan.engine
    need = needed(plan, wanted.parameters)
    targets = [
        TargetEstimate(
            name=one.target.name,
            there=sum(length for _start, length in one.there),
            missing=matte_targets.missing(one.there, plan.start, plan.stop),
            anchors=one.anchors,
        )
        for one in plan.found
    ]
    seconds = None if need.seconds is None else need.seconds * len(targets)
    if seconds is not None and not info.in_worker:
        seconds /= max(1.0, min(CORES, os.cpu_count() or 1) * SHARED)
    memory = need.memory
    if memory is not None and not info.in_worker:
        writers = min(WRITERS, len(plan.outputs) * len(targets))
        memory += round(writers * WRITER * plan.size[0] * plan.size[1])
    return Estimate(
        frames=plan.frames,
        targets=targets,
        engine=info.id,
        available=info.available,
        reason=info.reason,
        step=info.step,
        seconds=seconds,
        memory_mb=None if memory is None else round(memory / 2**20),
        bytes=int(plan.bytes),
        chunks=need.chunks,
        tiles=need.tiles,
        recommended=plan.recommended,
        why=plan.why,
        licence=info.licence,
        licence_url=info.licence_url,
        weights_licence=weights_licence(info),
        limits=_limits(plan, wanted.parameters, need, targets, seconds, memory),
    )


def needed(plan: Plan, parameters: MatteParameters) -> matte_memory.Need:
    """What one target takes."""
    anchors = max((len(matte_targets.sparse(one.anchors)) for one in plan.found), default=1)
    return matte_memory.need(
        plan.engine.id, plan.size, plan.frames, parameters, anchors=max(1, anchors), gpu=weights.gpu_seen()
    )


def _limits(
    plan: Plan,
    parameters: MatteParameters,
    need: matte_memory.Need,
    targets: list[TargetEstimate],
    seconds: float | None,
    memory: int | None,
) -> list[str]:
    info, (width, height) = plan.engine, plan.size
    said: list[str] = []
    for one in targets:
        if one.missing:
            count = sum(length for _start, length in one.missing)
            told = (
                _("%(name)s has no mask on %(count)s of %(frames)s frames; the engine follows it there.")
                if info.id in FROM_FIRST
                else _("%(name)s has no mask on %(count)s of %(frames)s frames; their alpha will be 0.")
            )
            said.append(told % {"name": one.name, "count": count, "frames": plan.frames})
    if need.tiles > 1:
        said.append(
            _(
                "Frames of %(width)s×%(height)s px are larger than what the engine was trained with: each is done in "
                "%(tiles)s tiles."
            )
            % {"width": width, "height": height, "tiles": need.tiles}
        )
    if need.chunks > 1:
        said.append(
            _("%(frames)s frames are done in %(chunks)s chunks of %(chunk)s, with an overlap of %(overlap)s.")
            % {
                "frames": plan.frames,
                "chunks": need.chunks,
                "chunk": parameters.chunk,
                "overlap": parameters.overlap,
            }
        )
    if info.id == "matanyone" and matte_memory.capped(plan.size) != plan.size:
        seen = matte_memory.capped(plan.size)
        said.append(
            _("The engine sees the frames at %(width)s×%(height)s px; alpha is enlarged to their own size.")
            % {"width": seen[0], "height": seen[1]}
        )
    if info.note:
        said.append(info.note)
    if seconds is not None and seconds > LONG_S:
        said.append(
            _("This takes about %(minutes)s minutes. It can be paused, and goes on after a restart.")
            % {"minutes": round(seconds / 60)}
        )
    there = _memory()
    if memory is not None and there and not info.in_worker and memory > there:
        said.append(
            _("It needs about %(needed).1f GB of memory; this machine has %(there).1f GB.")
            % {"needed": memory / 1e9, "there": there / 1e9}
        )
    if plan.bytes > LARGE:
        said.append(_("The files take up to %(size).0f GB.") % {"size": plan.bytes / 1e9})
    return said


def _memory() -> int:
    """Bytes of memory of this machine; 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
