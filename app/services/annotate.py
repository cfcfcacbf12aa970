"""Regions: accept a proposal into a class, change it, delete it. Every edit is journalled with the row.

The mask itself is never stored: the worker turns it into points (and an outline where points cannot give it
back) with a certificate, and only that is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import (
    Asset,
    Change,
    ClassDef,
    Edit,
    Project,
    Region,
    as_raw,
    new_id,
)
from app.services import attributes, history, maps, projects, prompts
from app.services.asset_ranges import live_asset
from app.services.context import Context
from app.services.frames import locate, region_view
from app.services.views import EditView, NewRegion, RegionPatch, RegionResult, RegionsResult
from app.worker import protocol

MAX_REGIONS = 10_000


def add(ctx: Context, frame_id: str, new: NewRegion, *, actor: str, op_id: str | None = None) -> RegionResult:
    """Make a region from prompts (or from an outline) and store it as points with a certificate.

    Repeating the call with the same region id or `op_id` changes nothing and answers as the first time.
    Raises NotFound, Refused (geometry off the frame, unknown class, empty mask), Unavailable (worker).
    """
    _check_id(new.id)
    repeated = _repeated(ctx, frame_id, new.id, op_id)
    if repeated is not None:
        return repeated
    current = maps.read_scene(ctx, frame_id)
    region = _made(ctx, current, new, actor)

    def write(cur: db.Cursor, asset: Asset) -> tuple[Region | None, list[Change], str]:
        if len(db.regions.of_frame(cur, frame_id)) >= MAX_REGIONS:
            raise Refused(f"A frame can hold {MAX_REGIONS} regions; this one is full.")
        db.regions.insert(cur, region)
        return region, [change_of(None, region)], class_name(cur, asset, region.class_id)

    return commit(ctx, frame_id, "add-region", actor, op_id, write)


def add_many(
    ctx: Context, frame_id: str, wanted: list[NewRegion], *, actor: str, op_id: str | None = None
) -> RegionsResult:
    """Make several regions of a frame in one edit: all of them or none.

    Each is certified beside those before it. Repeating the call changes nothing. Raises as `add` does.
    """
    if not wanted:
        raise Refused("Name at least one region to add.")
    if len({new.id for new in wanted}) != len(wanted):
        raise Refused("Every new region needs an id of its own.")
    for new in wanted:
        _check_id(new.id)
    repeated = _repeated(ctx, frame_id, wanted[0].id, op_id)
    if repeated is not None:
        scene = maps.read_scene(ctx, frame_id)
        ids = {new.id for new in wanted}
        views = [region_view(r, order) for order, r in enumerate(scene.regions) if r.id in ids]
        return RegionsResult(regions=views, edit=repeated.edit, key=scene.key, created=False)
    current = maps.read_scene(ctx, frame_id)
    made: list[Region] = []
    for new in wanted:
        made.append(_made(ctx, current, new, actor))
        current = current.with_region(made[-1])

    def write(cur: db.Cursor, asset: Asset) -> tuple[Region | None, list[Change], str]:
        if len(db.regions.of_frame(cur, frame_id)) + len(made) > MAX_REGIONS:
            raise Refused(f"A frame can hold {MAX_REGIONS} regions; these do not fit.")
        for region in made:
            _refuse_taken(cur, region.id)
            db.regions.insert(cur, region)
        return None, [change_of(None, region) for region in made], class_name(cur, asset, made[0].class_id)

    result = commit(ctx, frame_id, "add-regions", actor, op_id, write)
    scene = maps.read_scene(ctx, frame_id)
    ids = {region.id for region in made}
    views = [region_view(r, order) for order, r in enumerate(scene.regions) if r.id in ids]
    return RegionsResult(regions=views, edit=result.edit, key=result.key, created=result.created)


def _made(ctx: Context, current: maps.Scene, new: NewRegion, actor: str) -> Region:
    """The region that a request describes, certified but not stored."""
    prompts.check_geometry(new.geometry, current.frame)
    cls = _class_of(current, new.class_id)
    given = {a.name: a.default for a in cls.attributes} | new.attributes
    known = attributes.changed(cls, {}, given)
    accepted = prompts.accept(ctx, current, new.geometry, new.proposal, new.engine, without=None)
    now = time.time()
    return Region(
        id=new.id,
        frame_id=current.frame.id,
        class_id=new.class_id,
        geometry=accepted.geometry,
        track_id=new.track_id,
        certificate=accepted.certificate,
        area=accepted.area,
        author=actor,
        created_at=now,
        updated_at=now,
        attributes=known,
    )


def change(
    ctx: Context,
    region_id: str,
    patch: RegionPatch,
    *,
    expected_revision: int | None,
    actor: str,
    op_id: str | None = None,
) -> RegionResult:
    """Change class, geometry or attributes. New points are answered by the engine anew and certified.

    Raises Conflict (with the current row) when the revision is not the expected one.
    """
    region = get(ctx, region_id)
    frame_id = region.frame_id
    repeated = _repeated(ctx, frame_id, region_id, op_id, must_be_edit=True)
    if repeated is not None:
        return repeated
    check_revision(region, expected_revision)
    current = maps.read_scene(ctx, frame_id)
    accepted: protocol.Accepted | None = None
    if patch.geometry is not None:
        prompts.check_geometry(patch.geometry, current.frame)
        accepted = prompts.accept(
            ctx, current, patch.geometry, patch.proposal, patch.engine, without=region_id
        )
    class_id = region.class_id if patch.class_id is None else patch.class_id
    known = region.attributes
    if patch.class_id is not None or patch.attributes:
        known = attributes.changed(_class_of(current, class_id), known, patch.attributes or {})

    def write(cur: db.Cursor, asset: Asset) -> tuple[Region | None, list[Change], str]:
        before = db.regions.get(cur, region_id)
        check_revision(before, region.revision)
        after = msgspec.structs.replace(before, updated_at=time.time())
        if accepted is not None:
            after.geometry, after.certificate = accepted.geometry, accepted.certificate
            after.area, after.anchor = accepted.area, True
            after.score = after.agreement = None
        if patch.anchor is not None:
            after.anchor = patch.anchor
        after.class_id, after.attributes = class_id, known
        after = db.regions.update(cur, after, region.revision)
        return after, [change_of(before, after)], class_name(cur, asset, after.class_id)

    kind = (
        "change-attributes"
        if patch.anchor is None
        else "confirm-region"
        if patch.anchor
        else "release-region"
    )
    kind = kind if patch.class_id is None else "change-class"
    kind = "change-region" if patch.geometry is not None else kind
    return commit(ctx, frame_id, kind, actor, op_id, write)


def delete(
    ctx: Context, region_id: str, *, expected_revision: int | None, actor: str, op_id: str | None = None
) -> RegionResult:
    if op_id:
        done = ctx.store.read(lambda cur: db.edits.by_id(cur, op_id))
        if done is not None and done.frame_id:
            return RegionResult(
                region=None,
                edit=history.view(done),
                key=maps.read_scene(ctx, done.frame_id).key,
                created=False,
            )
    region = get(ctx, region_id)
    check_revision(region, expected_revision)

    def write(cur: db.Cursor, asset: Asset) -> tuple[Region | None, list[Change], str]:
        before = db.regions.get(cur, region_id)
        check_revision(before, expected_revision)
        db.regions.delete(cur, region_id)
        return None, [change_of(before, None)], class_name(cur, asset, before.class_id)

    return commit(ctx, region.frame_id, "delete-region", actor, op_id, write)


def get(ctx: Context, region_id: str) -> Region:
    return ctx.store.read(lambda cur: db.regions.get(cur, region_id))


def commit(
    ctx: Context,
    frame_id: str,
    kind: str,
    actor: str,
    op_id: str | None,
    write: Callable[[db.Cursor, Asset], tuple[Region | None, list[Change], str]],
) -> RegionResult:
    """Run one edit of a frame's regions and its journal entry in one transaction; tell everybody after COMMIT."""

    def transaction(cur: db.Cursor) -> tuple[RegionResult, Project]:
        frame, asset = locate(cur, frame_id)
        project = projects.require_live(cur, asset.project_id)
        done = db.edits.by_id(cur, op_id) if op_id else None
        if done is not None:
            scene = maps.scene(cur, frame, asset)
            return RegionResult(region=None, edit=history.view(done), key=scene.key, created=False), project
        live_asset(cur, project.id, asset.id)
        region, changes, label = write(cur, asset)
        project = projects.begin(cur, project)
        edit: Edit = history.record(
            cur,
            project_id=project.id,
            actor=actor,
            op_id=op_id or new_id(),
            kind=kind,
            label=label,
            frame_id=frame_id,
            changes=changes,
        )
        scene = maps.scene(cur, frame, asset)
        view = None
        if region is not None:
            order = next(i for i, r in enumerate(scene.regions) if r.id == region.id)
            view = region_view(scene.regions[order], order)
        return RegionResult(region=view, edit=history.view(edit), key=scene.key), project

    result, project = ctx.store.write(transaction)
    ctx.events.publish(
        "regions", {"frame_id": frame_id, "actor": actor, "key": result.key, "edit": result.edit}, project.id
    )
    return result


def _repeated(
    ctx: Context, frame_id: str, region_id: str, op_id: str | None, *, must_be_edit: bool = False
) -> RegionResult | None:
    """The answer to a request that was already carried out, or None."""

    def query(cur: db.Cursor) -> tuple[Edit | None, maps.Scene] | None:
        done = db.edits.by_id(cur, op_id) if op_id else None
        frame, asset = locate(cur, frame_id)
        scene = maps.scene(cur, frame, asset)
        exists = any(r.id == region_id for r in scene.regions)
        if done is None and (must_be_edit or not exists):
            if not must_be_edit:
                _refuse_taken(cur, region_id)
            return None
        return done, scene

    found = ctx.store.read(query)
    if found is None:
        return None
    done, scene = found
    order = next((i for i, r in enumerate(scene.regions) if r.id == region_id), None)
    edit = (
        history.view(done)
        if done
        else EditView(id="", seq=0, kind="add-region", label="", frame_id=frame_id, actor="", at=0.0)
    )
    region = None if order is None else region_view(scene.regions[order], order)
    return RegionResult(region=region, edit=edit, key=scene.key, created=False)


def _refuse_taken(cur: db.Cursor, region_id: str) -> None:
    try:
        db.regions.get(cur, region_id)
    except NotFound:
        return
    raise Conflict("That region id is already in use on another frame. Make a new id.")


def _check_id(region_id: str) -> None:
    try:
        int(region_id, 16)
    except ValueError:
        region_id = ""
    if len(region_id) != 24 or region_id != region_id.lower():
        raise Refused("The id of a new region must have 24 lower-case hexadecimal digits.")


def check_revision(region: Region, expected: int | None) -> None:
    """Raise Conflict, with the current row, where another revision was expected."""
    if expected is not None and region.revision != expected:
        raise Conflict(
            f"The region was changed in the meantime (revision {region.revision}, yours was {expected}). "
            "Look at it again, then repeat your edit.",
            current=msgspec.to_builtins(region_view(region, 0)),
        )


def _class_of(current: maps.Scene, class_id: int) -> ClassDef:
    for c in current.template.classes:
        if c.id == class_id:
            return c
    raise Refused(f"The class template has no class with the id {class_id}.")


def class_name(cur: db.Cursor, asset: Asset, class_id: int) -> str:
    """The name of a class in the class template of the asset's project."""
    project = db.projects.get(cur, asset.project_id)
    template = db.class_templates.get(cur, project.class_template_id)
    return next((c.name for c in template.classes if c.id == class_id), f"class {class_id}")


def change_of(before: Region | None, after: Region | None) -> Change:
    """What an edit did to a region; one of the two may be None."""
    row = after or before
    assert row is not None
    return Change(
        table="region",
        id=row.id,
        before=as_raw(before),
        after=as_raw(after),
    )
