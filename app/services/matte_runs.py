"""The work of the job `matte_alpha`: an engine of the worker makes the alphas of the targets, one after the other.

Every alpha is a file in the job folder and a record as soon as it is answered. Where the worker goes away, or the
server does, the work goes on with the frames that have none. The files are written by the next stage (`mattes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from app.errors import Refused, Unavailable
from app.matting import MatteParameters
from app.models import Job
from app.services import engine_jobs, maps
from app.services.context import Context
from app.services.frame_runs import runs_of
from app.services.matte_engines import FROM_FIRST
from app.services.matte_targets import sparse
from app.worker import protocol
from app.worker.replying import Interrupted
from tasks import channel as files
from tasks.channel import Channel
from tasks.matte_files import MatteArgs, Target, alpha_path
from tasks.snapshot import FrameEntry, Snapshot

STUCK = 3
"""How often the worker may go away without a further frame before the job is given up."""


class Alpha(Struct, kw_only=True):
    """A frame of a target, by their positions, whose alpha is on the disk. `settings`: as `Matted` says them."""

    target: int
    index: int
    settings: dict[str, str | int] = {}


class Leg(NamedTuple):
    """Frames of a target, side by side, that an engine is asked for at once. `first`: the index of the first of
    them; `anchors`: indices of those whose masks it gets.
    """

    frames: list[protocol.FrameRef]
    first: int
    anchors: frozenset[int]


def run(ctx: Context, job: Job, channel: Channel) -> dict[str, Any]:
    """Make the alphas. Returns {asset_id, engine, weights, frames, alphas}. Raises Refused, Unavailable, Cancelled."""
    args = msgspec.json.decode(job.args, type=MatteArgs)
    snapshot = Snapshot(Path(args.input))
    past = _past(channel.folder)
    legs = [
        (number, leg)
        for number, target in enumerate(args.targets)
        for leg in _legs(ctx, snapshot, target, args.engine.id)
    ]
    if not legs:
        raise Refused("None of the targets has a region on these frames any more.")
    total = sum(len(leg.frames) for _, leg in legs)
    channel.kept = {"asset_id": args.asset_id, "frames": len(past)}
    channel.report(len(past), total, f"waiting for {args.engine.id}", now=True)
    for number, leg in legs:
        _Walk(ctx, channel, args, snapshot, number, leg, past, total).run()
    settings = next((found for found in past.values() if found), {})
    return {
        "asset_id": args.asset_id,
        "engine": args.engine.id,
        "weights": args.engine.sha256[:16],
        "frames": args.stop - args.start + 1,
        "alphas": len(past),
        "settings": settings,
    }


def make_one(
    ctx: Context, input: Path, target: Target, engine: str, folder: Path, parameters: MatteParameters
) -> None:
    """The alpha of the one frame of a snapshot, for a preview, into a job folder. Raises Refused, Unavailable."""
    snapshot = Snapshot(input)
    legs = _legs(ctx, snapshot, target, engine)
    if not legs:
        raise Refused(f"“{target.name}” has no region on this frame.")
    place, anchors = alpha_path(folder, 0, 0).parent, _anchors(snapshot, target, legs[0])
    with ctx.worker.stream(_message(ctx, legs[0], anchors, engine, place, parameters, [])) as stream:
        for _reply in stream.replies():
            pass


def _legs(ctx: Context, snapshot: Snapshot, target: Target, engine: str) -> list[Leg]:
    """All frames at once where the engine follows an object from its anchors, else the runs that have masks."""
    frames: list[protocol.FrameRef] = []
    masked: list[int] = []
    confirmed: list[int] = []
    first = -1
    for entry in snapshot.frames(snapshot.sections[0]):
        first = entry.frame.index if first < 0 else first
        frames.append(maps.frame_ref(ctx.paths, entry.frame))
        if places := target.wanted(entry):
            masked.append(entry.frame.index)
            held = {region.id for region in entry.regions if region.anchor}
            if any(entry.specs[place].id in held for place in places):
                confirmed.append(entry.frame.index)
    if not masked:
        return []
    if engine in FROM_FIRST:
        return [Leg(frames, first, frozenset(sparse(confirmed) or masked[:1]))]
    return [
        Leg(frames[start - first : start - first + length], start, frozenset(range(start, start + length)))
        for start, length in runs_of(masked)
    ]


def _anchors(snapshot: Snapshot, target: Target, leg: Leg) -> list[protocol.TrackAnchor]:
    """The masks that an engine gets for a leg."""
    found = []
    for entry in snapshot.frames(snapshot.sections[0]):
        if entry.frame.index in leg.anchors:
            anchor = _anchor(entry, target, entry.frame.index - leg.first)
            if anchor is not None:
                found.append(anchor)
    return found


def _anchor(entry: FrameEntry, target: Target, position: int) -> protocol.TrackAnchor | None:
    """What an engine is told of a target on a frame; None where it has no region there."""
    wanted = target.wanted(entry)
    if not wanted:
        return None
    specs = [
        protocol.RegionSpec(
            id=spec.id,
            class_id=spec.class_id,
            priority=spec.priority,
            order=spec.order,
            geometry=spec.geometry,
            engine=spec.engine,
            weights=spec.weights,
        )
        for spec in entry.specs
    ]
    held = {region.id for region in entry.regions if region.anchor}
    return protocol.TrackAnchor(
        position=position,
        object=0,
        region=specs[wanted[0]],
        more=[specs[place] for place in wanted[1:]],
        others=[spec for place, spec in enumerate(specs) if place not in wanted],
        places=wanted,
        confirmed=any(specs[place].id in held for place in wanted),
    )


def _past(folder: Path) -> dict[tuple[int, int], dict[str, str | int]]:
    """What earlier executions made, as far as it is on the disk: (target, frame index) → settings."""
    done: dict[tuple[int, int], dict[str, str | int]] = {}
    offset = 0
    while True:
        records, offset = files.read_partial(folder, offset)
        if not records:
            return done
        for found in msgspec.convert(records, list[Alpha]):
            if alpha_path(folder, found.target, found.index).exists():
                done[found.target, found.index] = found.settings


def _message(
    ctx: Context,
    leg: Leg,
    anchors: list[protocol.TrackAnchor],
    engine: str,
    place: Path,
    parameters: MatteParameters,
    done: list[int],
) -> protocol.Matte:
    place.mkdir(parents=True, exist_ok=True)
    return protocol.Matte(
        frames=leg.frames,
        anchors=anchors,
        names=[alpha_path(place, 0, leg.first + at).stem for at in range(len(leg.frames))],
        folder=str(place.relative_to(ctx.paths.data)),
        start=0,
        stop=len(leg.frames) - 1,
        engine=engine,
        parameters=parameters,
        done=done,
    )


class _Walk:
    """One leg: asked of the worker until it is through, recorded frame by frame."""

    def __init__(
        self,
        ctx: Context,
        channel: Channel,
        args: MatteArgs,
        snapshot: Snapshot,
        target: int,
        leg: Leg,
        past: dict[tuple[int, int], dict[str, str | int]],
        total: int,
    ) -> None:
        self._ctx, self._channel, self._args = ctx, channel, args
        self._snapshot, self._target, self._leg = snapshot, target, leg
        self._past, self._total = past, total

    def run(self) -> None:
        misses = 0
        while left := list(self._left()):
            before = len(self._past)
            try:
                self._ask()
                if list(self._left()):
                    raise Unavailable(
                        f"The engine {self._args.engine.id} ended before the last frame. Try again."
                    )
            except Interrupted:
                misses = 1 if len(self._past) > before else misses + 1
                if misses >= STUCK:
                    raise Unavailable(
                        f"The engine worker stopped {STUCK} times at frame {self._leg.first + left[0]}. "
                        "The alphas that were made are kept."
                    ) from None

    def _left(self) -> Iterator[int]:
        """The positions whose alpha is not there yet."""
        for at in range(len(self._leg.frames)):
            if (self._target, self._leg.first + at) not in self._past:
                yield at

    def _ask(self) -> None:
        args, left = self._args, set(self._left())
        done = [at for at in range(len(self._leg.frames)) if at not in left]
        target = args.targets[self._target]
        anchors = _anchors(self._snapshot, target, self._leg)
        place = alpha_path(self._channel.folder, self._target, 0).parent
        message = _message(self._ctx, self._leg, anchors, args.engine.id, place, args.parameters, done)
        for reply in engine_jobs.replies(self._ctx, self._channel, message):
            if not isinstance(reply, protocol.Matted) or reply.position not in left:
                continue
            left.discard(reply.position)
            index = self._leg.first + reply.position
            self._channel.append(Alpha(target=self._target, index=index, settings=reply.settings))
            self._past[self._target, index] = reply.settings
            self._channel.kept["frames"] = len(self._past)
            count = len(self._past)
            self._channel.report(
                count, self._total, f"Alpha of {target.name}: frame {count} of {self._total}"
            )


engine_jobs.register("matte_alpha", run)
