"""The work of the job `auto_label`, in two stages.

The engine worker writes a label map for each frame into the job folder, and each is left as a record. Where the
worker goes away, or the server does, the work goes on with the frames that have none. Then an import of the
label maps is queued, which makes regions of them as it does of ground truth, in one edit.

| file in the job folder | content |
|---|---|
| labels/<frame index>.png | the label map of a frame, 8-bit, values as in `LABEL_CLASSES` |
| labels/classes.json | what the values mean |
| partial.jsonl | one `Done` a line |
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from app import store as db
from app.errors import Conflict, NotFound, Refused, Unavailable
from app.models import Frame, Job
from app.services import engine_jobs, imports, maps
from app.services.context import Context
from app.services.presets import voc_colour
from app.services.stages import stage_id
from app.smoothing import Then
from app.worker import protocol, weights
from app.worker.label_classes import LABEL_CLASSES
from app.worker.replying import Interrupted
from tasks import channel as files
from tasks.channel import Channel, write_aside

STUCK = 3
"""How often the worker may go away without a further frame before the job is given up."""
BATCH = 500
"""Frames asked for at once."""


class AutoLabelArgs(Struct, kw_only=True):
    """As in `NewAutoLabel`, with everything decided. `name`: what the import is called."""

    asset_id: str
    engine: str
    start: int
    stop: int
    mapping: dict[str, int | None]
    new_classes: bool
    iou_target: float
    budget: int
    min_area: int
    regions: Literal["class", "piece"]
    existing: Literal["keep", "replace", "skip"]
    actor: str
    name: str
    then: Then = Then()


class Done(Struct, kw_only=True):
    """A frame whose label map is there. `values`: those that occur in it."""

    index: int
    values: list[int]


def run(ctx: Context, job: Job, channel: Channel) -> dict[str, Any]:
    """Label the frames, then queue the import. Returns {asset_id, engine, weights, frames, classes, import_job}:
    `classes` name → number of frames that have it, `import_job` the id of the import.

    Raises Refused where no frame has a class that becomes a region, Conflict, Unavailable, Cancelled.
    """
    args = msgspec.json.decode(job.args, type=AutoLabelArgs)
    folder = channel.folder / "labels"
    folder.mkdir(exist_ok=True)
    names = LABEL_CLASSES[args.engine]
    values = [{"name": name, "value": value} for value, name in enumerate(names)]
    write_aside(folder / "classes.json", msgspec.json.encode(values))
    frames = ctx.store.read(lambda cur: _frames(cur, args))
    done = _labelled(ctx, channel, args, frames, folder)
    seen = [0] * len(names)
    for found in done.values():
        for value in found:
            seen[value] += 1
    classes = {name: count for name, count in zip(names, seen, strict=True) if count}
    return {
        "asset_id": args.asset_id,
        "engine": args.engine,
        "weights": _weights(ctx, args.engine),
        "frames": len(done),
        "classes": classes,
        "import_job": _bring_in(ctx, job, args, folder, classes).id,
    }


def _frames(cur: db.Cursor, args: AutoLabelArgs) -> list[Frame]:
    frames: list[Frame] = []
    for start in range(args.start, args.stop + 1, BATCH):
        frames += db.frames.page(cur, args.asset_id, start, min(BATCH, args.stop + 1 - start))
    if len(frames) != args.stop - args.start + 1:
        raise Conflict("Frames of the asset were deleted meanwhile. Choose others.")
    return frames


def _labelled(
    ctx: Context, channel: Channel, args: AutoLabelArgs, frames: Sequence[Frame], folder: Path
) -> dict[int, list[int]]:
    """Frame index → the values of its label map, once all frames have theirs."""
    done = _past(channel.folder, folder)
    total, misses = len(frames), 0
    channel.kept = {"frames": len(done)}
    channel.report(len(done), total, f"waiting for {args.engine}", now=True)
    while todo := [frame for frame in frames if frame.index not in done][:BATCH]:
        before = len(done)
        message = protocol.Label(
            frames=[maps.frame_ref(ctx.paths, frame) for frame in todo],
            names=[_name(frame.index) for frame in todo],
            folder=str(folder.relative_to(ctx.paths.data)),
            engine=args.engine,
        )
        try:
            for reply in engine_jobs.replies(ctx, channel, message):
                # Frames come again where memory ran short on the way.
                if isinstance(reply, protocol.Labelled) and todo[reply.position].index not in done:
                    found = Done(index=todo[reply.position].index, values=reply.values)
                    channel.append(found)
                    done[found.index] = found.values
                    channel.kept["frames"] = len(done)
                    channel.report(len(done), total, f"frame {len(done)} of {total}")
            if len(done) < before + len(todo):
                raise Unavailable(f"The engine {args.engine} ended before the last frame. Try again.")
        except Interrupted:
            misses = 1 if len(done) > before else misses + 1
            if misses >= STUCK:
                index = next(frame.index for frame in todo if frame.index not in done)
                raise Unavailable(
                    f"The engine worker stopped {STUCK} times at frame {index}. "
                    "What was labelled is kept; nothing became a region yet."
                ) from None
    return done


def _past(job_folder: Path, folder: Path) -> dict[int, list[int]]:
    """What earlier executions labelled, as far as it is on disk."""
    done: dict[int, list[int]] = {}
    offset = 0
    while True:
        records, offset = files.read_partial(job_folder, offset)
        if not records:
            return done
        for found in msgspec.convert(records, list[Done]):
            if (folder / f"{_name(found.index)}.png").exists():
                done[found.index] = found.values


def _name(index: int) -> str:
    return f"{index:06d}"


def _weights(ctx: Context, engine: str) -> str:
    """The first 16 hex digits of the weights' SHA-256; "" where it has none."""
    found = weights.found(ctx.paths.data, engine)
    return "" if found is None else found.sha256[:16]


def _bring_in(ctx: Context, job: Job, args: AutoLabelArgs, folder: Path, classes: dict[str, int]) -> Job:
    """Queue the import of the label maps; done again, it is the same import."""
    names = LABEL_CLASSES[args.engine]
    mapping = {f"value:{value}": args.mapping.get(name) or 0 for value, name in enumerate(names)}
    new = {
        f"value:{value}": imports.NewClass(name=name, colour=voc_colour(value))
        for value, name in enumerate(names)
        if value and args.new_classes and name in classes and name not in args.mapping
    }
    if not new and not any(args.mapping.get(name) for name in classes):
        raise Refused(_nothing(args, [name for name in classes if name != names[0]]))
    wanted = imports.NewImport(
        id=stage_id(job, "import_labels"),
        dry_run=False,
        format="label-png",
        asset_id=args.asset_id,
        match="index",
        mapping={key: class_id for key, class_id in mapping.items() if key not in new},
        new_classes=new,
        remember=False,
        iou_target=args.iou_target,
        budget=args.budget,
        min_area=args.min_area,
        regions=args.regions,
        existing=args.existing,
    )
    try:
        return imports.submit(
            ctx,
            job.project_id,
            wanted,
            actor=args.actor,
            parent_id=job.id,
            ours=imports.LabelMaps(
                folder=folder, name=args.name, title=f"Make regions: {args.name}", author=args.engine
            ),
        )
    except NotFound as exc:
        raise Conflict(exc.sentence) from exc


def _nothing(args: AutoLabelArgs, classes: Sequence[str]) -> str:
    count = args.stop - args.start + 1
    frames = "the frame" if count == 1 else f"the {count} frames"
    if not classes:
        return f"The engine {args.engine} found none of its classes in {frames}, so there are no regions."
    return (
        f"What {args.engine} found in {frames} is mapped to no class: {', '.join(classes)}. "
        "Map one and start again."
    )


engine_jobs.register("auto_label", run)
