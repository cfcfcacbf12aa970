"""Copy regions of another frame of the asset onto a frame, where they lie there, in the shape they have there."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from app import store as db
from app.errors import NotFound, Refused
from app.models import Asset, Certificate, Change, Edit, FrameId, Id, Region, frame_id, new_id, quantise
from app.services import annotate, history, maps
from app.services.context import Context
from app.services.frames import region_view
from app.services.track_records import id_from
from app.services.views import RegionsResult
from app.worker import protocol

TICK_S = 1e-6


class RegionCopies(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which regions to copy: those named, else all of the frame `from`, else of the frame before.

    `id`: the client's name for this edit; the same name twice is one edit.
    """

    source: FrameId | None = field(default=None, name="from")
    region_ids: Annotated[list[Id], Meta(max_length=annotate.MAX_REGIONS)] = field(default_factory=list)
    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{8,64}$")] | None = None


def copy(
    ctx: Context, target_id: str, wanted: RegionCopies, *, actor: str, op_id: str | None = None
) -> RegionsResult:
    """Put regions of another frame on a frame, in one edit, as outlines that need no engine.

    A copy is an anchor of its region's track where the frame has no region of that track, else it has no
    track. What covers no pixel, and what the frame has already in that class and shape, is left out.
    Raises NotFound; Refused where there is nothing to copy, for frames of another size or asset, and for
    regions whose class is gone; Unavailable (worker).
    """
    edit_id = op_id or wanted.id or new_id()
    done = ctx.store.read(lambda cur: db.edits.by_id(cur, edit_id))
    if done is not None:
        return _answer(ctx, target_id, done, created=False)
    target = maps.read_scene(ctx, target_id)
    source = _source(ctx, target, wanted)
    chosen = _chosen(source, wanted.region_ids)
    copies = _copies(ctx, source, chosen, target, edit_id, actor)

    def write(cur: db.Cursor, asset: Asset) -> tuple[Region | None, list[Change], str]:
        there = db.regions.of_frame(cur, target_id)
        if len(there) + len(copies) > annotate.MAX_REGIONS:
            raise Refused(f"A frame can hold {annotate.MAX_REGIONS} regions; these do not fit.")
        tracks = {region.track_id for region in there}
        for region in copies:
            if region.track_id in tracks:
                region.track_id = None
            db.regions.insert(cur, region)
        names = dict.fromkeys(annotate.class_name(cur, asset, region.class_id) for region in copies)
        label = next(iter(names)) if len(names) == 1 else f"{len(copies)} regions"
        return None, [annotate.change_of(None, region) for region in copies], label

    annotate.commit(ctx, target_id, "copy-regions", actor, edit_id, write)
    made = ctx.store.read(lambda cur: db.edits.by_id(cur, edit_id))
    assert made is not None
    return _answer(ctx, target_id, made, created=True)


def _source(ctx: Context, target: maps.Scene, wanted: RegionCopies) -> maps.Scene:
    if wanted.source is None and target.frame.index == 0:
        raise Refused("This is the first frame of the asset; there is none before it to copy from.")
    source_id = wanted.source or frame_id(target.asset.id, target.frame.index - 1)
    if source_id == target.frame.id:
        raise Refused("Regions are copied from another frame; this one has them already.")
    if source_id[:24] != target.asset.id:
        raise Refused("Regions can only be copied from a frame of the same asset.")
    source = maps.read_scene(ctx, source_id)
    size, other = (target.frame.width, target.frame.height), (source.frame.width, source.frame.height)
    if size != other:
        raise Refused(
            f"The frames differ in size ({other[0]} × {other[1]} px there, {size[0]} × {size[1]} px here), so "
            "its regions do not fit."
        )
    return source


def _chosen(source: maps.Scene, ids: list[str]) -> list[Region]:
    known = {region.id: region for region in source.regions}
    if any(id not in known for id in ids):
        raise NotFound("A region to copy is not on that frame any more.")
    chosen = [known[id] for id in dict.fromkeys(ids)] or source.regions
    if not chosen:
        raise Refused("That frame has no regions to copy.")
    classes = {c.id for c in source.template.classes}
    if any(region.class_id not in classes for region in chosen):
        raise Refused("The class of a region to copy is not in the class template any more.")
    return chosen


def _copies(
    ctx: Context, source: maps.Scene, chosen: list[Region], target: maps.Scene, edit_id: str, actor: str
) -> list[Region]:
    places = {region.id: position for position, region in enumerate(source.regions)}
    known = {c.id for c in source.template.classes}
    # Regions without a class are not drawn, so the specs leave them out.
    drawn = [region.id for region in source.regions if region.class_id in known]
    chosen = sorted(chosen, key=lambda region: places[region.id])
    reply = ctx.worker.request(
        protocol.Trace(
            frame=maps.frame_ref(ctx.paths, source.frame),
            regions=source.specs(),
            engine=source.project.engine,
            wanted=[drawn.index(region.id) for region in chosen],
        )
    )
    assert isinstance(reply, protocol.Traced)
    here = {(region.class_id, _shape(region)) for region in target.regions}
    now = time.time()
    copies, empty = [], 0
    for region, found in zip(chosen, reply.regions, strict=True):
        if found.geometry is None or not found.area:
            empty += 1
            continue
        made = Region(
            id=id_from(edit_id, region.id),
            frame_id=target.frame.id,
            class_id=region.class_id,
            geometry=quantise(found.geometry),
            track_id=region.track_id,
            certificate=msgspec.convert(found.certificate, Certificate, from_attributes=True),
            area=found.area,
            author=actor,
            # Regions are painted in the order of their age.
            created_at=now + len(copies) * TICK_S,
            updated_at=now,
            attributes=dict(region.attributes),
        )
        if (made.class_id, _shape(made)) not in here:
            copies.append(made)
    if not copies:
        raise Refused(
            "The regions to copy cover no pixel on their frame."
            if empty == len(chosen)
            else "This frame already has these regions."
        )
    return copies


def _shape(region: Region) -> bytes:
    return msgspec.json.encode(region.geometry.outline)


def _answer(ctx: Context, target_id: str, edit: Edit, *, created: bool) -> RegionsResult:
    scene = maps.read_scene(ctx, target_id)
    ids = {change.id for change in edit.changes}
    views = [region_view(r, order) for order, r in enumerate(scene.regions) if r.id in ids]
    return RegionsResult(regions=views, edit=history.view(edit), key=scene.key, created=created)
