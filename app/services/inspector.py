"""The fusion inspector: who wins a pixel and who is beaten there, and what other priorities would change."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from app import store as db
from app.errors import Refused
from app.models import Asset, Certificate, ClassDef, ClassTemplate, Id, Job, Region, new_id
from app.services import exports, jobs, maps
from app.services.context import Context
from app.worker import protocol

Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Decided = Literal["none", "alone", "priority", "order", "region"]
"""What decided a pixel: nobody claims it, one region does, the priority, the order of the classes in the
template, or (both of one class) the order of the regions."""


class Claimant(Struct, kw_only=True):
    """A region that covers the pixel. `order`: position of its class in the template; `area` of its whole mask
    in px, also where it is beaten; `value`: the number of its class in exported index PNGs.
    """

    region_id: str
    class_id: int
    name: str
    colour: str
    priority: int
    order: int
    value: int
    area: int
    points: int
    outline: bool
    track_id: str | None
    certificate: Certificate | None


class Inspection(Struct, kw_only=True):
    """Pixel (x, y): column and row. `losers`: best first. `value`: what an index PNG holds there, None where
    it has to be chosen at export.
    """

    frame_id: str
    x: int
    y: int
    label: str
    value: int | None
    winner: Claimant | None
    losers: list[Claimant]
    decided: Decided
    reason: str


class Repricing(Struct, kw_only=True, forbid_unknown_fields=True):
    """Other priorities (class id → priority; the rest keep theirs) and, if wanted, another order of all classes."""

    priorities: dict[int, Priority] = field(default_factory=dict)
    order: list[int] | None = None
    asset_id: Id | None = None
    """Of a job: only the frames of this asset."""
    id: Id | None = None
    """Of a job: its id, so that a repeated request starts one job."""


class Balance(Struct, kw_only=True):
    class_id: int
    gained: int
    lost: int


class WhatIf(Struct, kw_only=True):
    """What would change on one frame. `moves`: (class before, class after, pixels), 0 = unlabelled; `gains`:
    the changed pixels by the class they go to.
    """

    frame_id: str
    pixels: int
    area: int
    classes: list[Balance]
    moves: list[tuple[int, int, int]]
    gains: list[protocol.Gain]


def inspect(ctx: Context, frame_id: str, x: float, y: float) -> Inspection:
    """Who covers the pixel that holds the point (x, y). Raises Refused for a point off the frame."""
    scene = maps.read_scene(ctx, frame_id)
    frame = scene.frame
    if not (math.isfinite(x) and math.isfinite(y)):
        raise Refused("The place to inspect must be given by two numbers.")
    if not (0 <= x < frame.width and 0 <= y < frame.height):
        raise Refused(f"({x:g}, {y:g}) lies outside the frame of {frame.width}×{frame.height} px.")
    specs = scene.specs()
    column, row = int(x), int(y)
    hits = protocol.Inspected(hits=[], areas=[])
    if specs:
        hits = ctx.worker.request(
            protocol.Inspect(
                frame=maps.frame_ref(ctx.paths, frame),
                regions=specs,
                engine=scene.project.engine,
                x=column,
                y=row,
            )
        )
        assert isinstance(hits, protocol.Inspected)
    rows = {region.id: region for region in scene.regions}
    classes = {known.id: known for known in scene.template.classes}
    found = [
        _claimant(rows[specs[index].id], classes[specs[index].class_id], specs[index], area)
        for index, area in zip(hits.hits, hits.areas, strict=True)
    ]
    winner, losers = (found[0], found[1:]) if found else (None, [])
    decided, reason = _reason(winner, losers)
    taken = {known.exported_value for known in scene.template.classes}
    return Inspection(
        frame_id=frame.id,
        x=column,
        y=row,
        label="unlabelled" if winner is None else winner.name,
        value=winner.value if winner is not None else None if 0 in taken else 0,
        winner=winner,
        losers=losers,
        decided=decided,
        reason=reason,
    )


def what_if(ctx: Context, frame_id: str, wanted: Repricing) -> WhatIf:
    """What other priorities would change on one frame. Raises Refused where they do not fit the template."""
    scene = maps.read_scene(ctx, frame_id)
    ranks = ranks_of(scene.template, wanted)
    specs = scene.specs()
    reply = protocol.Repriced(moves=[], gains=[])
    if specs:
        reply = ctx.worker.request(
            protocol.WhatIf(
                frame=maps.frame_ref(ctx.paths, scene.frame),
                regions=specs,
                engine=scene.project.engine,
                ranks=ranks,
            )
        )
        assert isinstance(reply, protocol.Repriced)
    sums: dict[int, Balance] = {}
    for source, target, pixels in reply.moves:
        sums.setdefault(source, Balance(class_id=source, gained=0, lost=0)).lost += pixels
        sums.setdefault(target, Balance(class_id=target, gained=0, lost=0)).gained += pixels
    return WhatIf(
        frame_id=frame_id,
        pixels=sum(pixels for _, _, pixels in reply.moves),
        area=scene.frame.width * scene.frame.height,
        classes=sorted(sums.values(), key=lambda row: row.class_id),
        moves=sorted(reply.moves, key=lambda row: -row[2]),
        gains=reply.gains,
    )


def submit(ctx: Context, project_id: str, wanted: Repricing) -> Job:
    """Queue the same question for all frames; the job's result is what `tasks.what_if.run` returns."""

    def query(cur: db.Cursor) -> tuple[str, ClassTemplate, list[Asset]]:
        project, assets = exports.selection(cur, project_id, wanted.asset_id)
        return project.name, db.class_templates.get(cur, project.class_template_id), assets

    name, template, assets = ctx.store.read(query)
    ranks = ranks_of(template, wanted)
    if not any(asset.frame_count for asset in assets):
        raise Refused("There is no frame to look at yet. Import a video first.")
    ctx.require_space()
    job_id = wanted.id or new_id()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "input.jsonl"
    if not snapshot.exists():
        exports.write_snapshot(ctx, project_id, assets, snapshot)
    args = {
        "data_dir": str(ctx.paths.data),
        "input": str(snapshot),
        "ranks": [(id, *rank) for id, rank in ranks.items()],
    }
    return jobs.submit(
        ctx,
        "what_if",
        project_id,
        f"What other priorities would change: {name}",
        args,
        asset_id=wanted.asset_id,
        id=job_id,
    )


def ranks_of(template: ClassTemplate, wanted: Repricing) -> dict[int, tuple[int, int]]:
    """Class id → (priority, position) after the change. Raises Refused for classes that the template lacks."""
    known = [c.id for c in template.classes]
    missing = sorted(wanted.priorities.keys() - set(known))
    if missing:
        raise Refused(f"The class template has no class {missing[0]}.")
    order = known if wanted.order is None else wanted.order
    if sorted(order) != sorted(known):
        raise Refused("The order must name every class of the template once.")
    places = {class_id: place for place, class_id in enumerate(order)}
    return {c.id: (wanted.priorities.get(c.id, c.priority), places[c.id]) for c in template.classes}


def _claimant(region: Region, known: ClassDef, spec: protocol.RegionSpec, area: int) -> Claimant:
    return Claimant(
        region_id=region.id,
        class_id=known.id,
        name=known.name,
        colour=known.colour,
        priority=spec.priority,
        order=spec.order,
        value=known.exported_value,
        area=area,
        points=len(region.geometry.points),
        outline=bool(region.geometry.outline),
        track_id=region.track_id,
        certificate=region.certificate,
    )


def _reason(winner: Claimant | None, losers: list[Claimant]) -> tuple[Decided, str]:
    if winner is None:
        return "none", "No region covers this pixel."
    if not losers:
        return "alone", "No other region covers this pixel."
    best = losers[0]
    if winner.priority != best.priority:
        return (
            "priority",
            f"{winner.name} has the higher priority, {winner.priority} against {best.priority}.",
        )
    if winner.class_id != best.class_id:
        return "order", (
            f"{winner.name} and {best.name} have the same priority; the class later in the template wins."
        )
    return "region", "Both regions are of the same class; the later one is named."
