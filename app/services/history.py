"""Undo, redo and the journal. Everybody undoes their own last edit; what others changed since is never overwritten."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, NotFound
from app.i18n import gettext as _
from app.models import Asset, Change, ClassTemplate, Edit, Frame, Project, Region, Track, as_raw, new_id
from app.services import bulk_edits
from app.services.context import Context
from app.services.views import EditView

__all__ = ["EditView", "UndoResult", "listing", "possible", "record", "redo", "state", "undo", "view"]


class UndoResult(Struct, kw_only=True):
    """`what` is a sentence; `frame_id` says where to look."""

    edit: EditView
    what: str
    frame_id: str | None
    can_undo: bool
    can_redo: bool


class _Table(Struct):
    kind: type
    find: Callable[[db.Cursor, str], Any]
    insert: Callable[[db.Cursor, Any], Any]
    update: Callable[..., Any]
    delete: Callable[[db.Cursor, str], Any]


TABLES: dict[str, _Table] = {
    "region": _Table(Region, db.regions.find, db.regions.insert, db.regions.update, db.regions.delete),
    "frame": _Table(Frame, db.frames.find, db.frames.insert, db.frames.update, db.frames.delete),
    "track": _Table(Track, db.tracks.find, db.tracks.insert, db.tracks.update, db.tracks.delete),
    "project": _Table(Project, db.projects.find, db.projects.insert, db.projects.update, db.projects.delete),
    "asset": _Table(Asset, db.assets.find, db.assets.insert, db.assets.update, db.assets.delete),
    "class_template": _Table(
        ClassTemplate,
        db.class_templates.find,
        db.class_templates.insert,
        db.class_templates.update,
        db.class_templates.delete,
    ),
}

WORDS: dict[str, tuple[str, str]] = {
    "add-regions": ("Removed the regions of {label} again.", "Added the regions of {label} again."),
    "add-region": ("Removed the region {label} again.", "Added the region {label} again."),
    "change-region": ("Gave the region {label} its earlier shape.", "Changed the region {label} again."),
    "change-class": ("Gave the region its earlier class.", "Gave the region the class {label} again."),
    "delete-region": ("Brought the region {label} back.", "Deleted the region {label} again."),
    "delete-regions": ("Brought the regions of {label} back.", "Deleted the regions of {label} again."),
    "copy-regions": ("Removed the copies of {label} again.", "Copied {label} again."),
    "set-frame-states": ("Set the frames back to what they were.", "Set the frames to {label} again."),
    "set-frame-state": ("Set the frame back to what it was.", "Set the frame to {label} again."),
    "import-labels": ("Took the import {label} back.", "Imported {label} again."),
    "stabilise-labels": ("Took the smoothing of {label} back.", "Smoothed {label} again."),
    "hold-out": ("Brought the held out labels back.", "Held the labels out again."),
    "track-objects": ("Took the track of {label} back.", "Tracked {label} again."),
    "find-objects": ("Took back what was found: {label}.", "Found {label} again."),
    "change-project": ("Took the change of the project back.", "Changed the project again."),
    "confirm-region": ("The region {label} is no anchor any more.", "The region {label} is an anchor again."),
    "release-region": ("The region {label} is an anchor again.", "The region {label} is no anchor any more."),
    "change-attributes": ("Gave the region {label} its earlier attributes.", "Changed the attributes again."),
    "change-class-template": (
        "Took the change of the class template back.",
        "Changed the class template again.",
    ),
    "rename-class": ("Gave the class its earlier name: {label}.", "Renamed the class again: {label}."),
    "merge-class": ("Parted the classes again: {label}.", "Merged the classes again: {label}."),
    "split-class": ("Put the classes together again: {label}.", "Split the class again: {label}."),
    "delete-class": ("Brought the class {label} back.", "Deleted the class {label} again."),
}
"""Kind of edit → what undoing and what redoing it did, as sentences."""

BOOKKEEPING = {"revision", "updated_at"}
BACKGROUND = {"project", "asset", "frame"}
"""Tables that jobs write to without an edit."""


def record(
    cur: db.Cursor,
    *,
    project_id: str,
    actor: str,
    op_id: str,
    kind: str,
    label: str,
    frame_id: str | None,
    changes: list[Change],
    target: str | None = None,
    bulk: int = 0,
) -> Edit:
    """Append an edit in the transaction of the change itself. A repeated `op_id` answers with the first edit.

    `bulk`: how many changes `db.bulk` holds for the edit `op_id` beside `changes`.
    """
    known = db.edits.by_id(cur, op_id)
    if known is not None:
        return known
    return db.edits.append(
        cur,
        Edit(
            id=op_id,
            project_id=project_id,
            actor=actor,
            kind=kind,
            label=label,
            frame_id=frame_id,
            target=target,
            changes=changes,
            bulk=bulk,
        ),
    )


def undo(ctx: Context, project_id: str, actor: str, op_id: str | None = None) -> UndoResult:
    """Take the actor's own last edit back, whole or not at all.

    Raises NotFound when there is nothing to undo, Conflict when somebody changed the same thing since.
    """
    return _apply(ctx, project_id, actor, op_id, "undo")


def redo(ctx: Context, project_id: str, actor: str, op_id: str | None = None) -> UndoResult:
    return _apply(ctx, project_id, actor, op_id, "redo")


def possible(cur: db.Cursor, project_id: str, actor: str) -> tuple[bool, bool]:
    """Whether the actor can undo, and redo."""
    return (
        db.edits.last_undoable(cur, project_id, actor) is not None,
        db.edits.last_redoable(cur, project_id, actor) is not None,
    )


def state(ctx: Context, project_id: str, actor: str) -> tuple[bool, bool]:
    """Whether the actor can undo, and redo."""
    return ctx.store.read(lambda cur: possible(cur, project_id, actor))


def listing(ctx: Context, project_id: str, *, before: int | None = None, limit: int = 50) -> list[EditView]:
    def query(cur: db.Cursor) -> list[EditView]:
        _require_scope(cur, project_id)
        return [view(edit) for edit in db.edits.history(cur, project_id, before=before, limit=limit)]

    return ctx.store.read(query)


def view(edit: Edit) -> EditView:
    return EditView(
        id=edit.id,
        seq=edit.seq,
        kind=edit.kind,
        label=edit.label,
        frame_id=edit.frame_id,
        actor=edit.actor,
        at=edit.at,
    )


def _apply(ctx: Context, project_id: str, actor: str, op_id: str | None, kind: str) -> UndoResult:
    def write(cur: db.Cursor) -> tuple[UndoResult, list[Change] | None]:
        _require_scope(cur, project_id)
        repeated = db.edits.by_id(cur, op_id) if op_id else None
        if repeated is not None:
            return _result(cur, project_id, actor, repeated, kind), None
        find = db.edits.last_undoable if kind == "undo" else db.edits.last_redoable
        target = find(cur, project_id, actor)
        if target is None:
            raise NotFound(f"There is nothing of yours to {kind}.")
        _require_rest(cur, target)
        wanted = [_reverse(c) for c in reversed(target.changes)] if kind == "undo" else target.changes
        last = db.edits.last_of_target(cur, target.id) or target
        used: set[tuple[str, int]] = set()
        if target.bulk and kind == "undo":
            used = bulk_edits.apply(cur, target, backwards=True)
        changes = [_put(cur, change, _revision_of(last, change)) for change in wanted]
        if target.bulk and kind == "redo":
            used = bulk_edits.apply(cur, target, backwards=False)
        for change in changes:
            if change.table == "region" and (region := _row(TABLES["region"], change.after)) is not None:
                used.add((region.frame_id[:24], region.class_id))
        _require_classes(cur, used)
        edit = record(
            cur,
            project_id=project_id,
            actor=actor,
            op_id=op_id or new_id(),
            kind=kind,
            label=target.label,
            frame_id=target.frame_id,
            changes=changes,
            target=target.id,
        )
        return _result(cur, project_id, actor, edit, kind), changes

    result, done = ctx.store.write(write)
    if done is not None:
        what = {"frame_id": result.frame_id, "actor": actor, "key": "", "edit": result.edit}
        ctx.events.publish("regions", what, project_id)
        for change in done:
            if change.table == "frame" and (frame := _row(TABLES["frame"], change.after)) is not None:
                told = {"id": frame.id, "state": frame.state, "revision": frame.revision}
                ctx.events.publish("frame", told, project_id)
        if result.frame_id is None:
            ctx.events.publish("project", what, project_id)
    return result


def _require_scope(cur: db.Cursor, scope: str) -> None:
    """Raise NotFound unless `scope` is a project, or a class template, whose edits are a history of their own."""
    if db.class_templates.find(cur, scope) is None:
        db.projects.get(cur, scope)


def _require_rest(cur: db.Cursor, edit: Edit) -> None:
    """Raise Conflict where the edit is the part of a job's work before a pause, and the job has gone on since."""
    job = db.jobs.find(cur, edit.id.partition("-")[0]) if edit.bulk else None
    if job is not None and job.state in ("waiting", "running"):
        raise Conflict(
            f"The job “{job.title}” still adds to this. Pause or cancel it first, then take it back."
        )


def _require_classes(cur: db.Cursor, used: set[tuple[str, int]]) -> None:
    """Raise Conflict when a region came back with a class that its class template lost meanwhile.

    `used`: (asset, class) pairs.
    """
    for asset_id in {asset_id for asset_id, _class_id in used}:
        asset = db.assets.get(cur, asset_id)
        template = db.class_templates.get(cur, db.projects.get(cur, asset.project_id).class_template_id)
        known = {c.id for c in template.classes}
        if any(class_id not in known for other, class_id in used if other == asset_id):
            raise Conflict(
                f"A class of this edit is no longer in the class template {template.name}. "
                "Take that change of the class template back first."
            )


def _result(cur: db.Cursor, project_id: str, actor: str, edit: Edit, kind: str) -> UndoResult:
    target = db.edits.by_id(cur, edit.target) if edit.target else None
    undone, redone = WORDS.get(target.kind if target else "", ("Took it back.", "Did it again."))
    can_undo, can_redo = possible(cur, project_id, actor)
    return UndoResult(
        edit=view(edit),
        what=_(undone if kind == "undo" else redone).format(label=edit.label),
        frame_id=edit.frame_id,
        can_undo=can_undo,
        can_redo=can_redo,
    )


def _reverse(change: Change) -> Change:
    return Change(table=change.table, id=change.id, before=change.after, after=change.before)


def _revision_of(edit: Edit, change: Change) -> int:
    """The highest revision that the row had in `edit`, so that a row brought back goes on counting from there."""
    table = TABLES[change.table]
    rows = [
        _row(table, raw)
        for other in edit.changes
        if (other.table, other.id) == (change.table, change.id)
        for raw in (other.before, other.after)
    ]
    return max((row.revision for row in rows if row is not None), default=0)


def _put(cur: db.Cursor, change: Change, revision: int) -> Change:
    """Bring a row from `before` to `after`; what really happened, with the revisions it got.

    Raises Conflict when the row is not in the state `before` any more. A row with a trash goes there instead of
    being deleted, because what hangs on it could not be brought back.
    """
    table = TABLES[change.table]
    current = table.find(cur, change.id)
    before, after = _row(table, change.before), _row(table, change.after)
    has_trash = "trashed_at" in table.kind.__struct_fields__
    stored: Any = None
    if (
        before is None
        and after is not None
        and has_trash
        and getattr(current, "trashed_at", None) is not None
    ):
        stored = table.update(cur, replace(current, trashed_at=None), None)
    elif (before is None) != (current is None):
        raise _changed(change)
    elif before is None:
        if after is not None:
            stored = table.insert(cur, replace(after, revision=max(after.revision, revision) + 1))
    elif after is None and has_trash:
        stored = table.update(cur, replace(current, trashed_at=time.time()), None)
    elif after is None:
        if _content(current) != _content(before):
            raise _changed(change)
        table.delete(cur, change.id)
    else:
        stored = table.update(cur, _merged(change, current, before, after), None)
    return Change(table=change.table, id=change.id, before=as_raw(current), after=as_raw(stored))


def _merged(change: Change, current: Any, before: Any, after: Any) -> Any:
    """`current` with what the edit changed. Raises Conflict when somebody else changed that too.

    Background work writes progress and facts to some tables without an edit; there only the fields that the
    edit changed have to be as it left them.
    """
    now, old, new = _content(current), _content(before), _content(after)
    assert now is not None
    assert old is not None
    assert new is not None
    fields = [name for name in new if old[name] != new[name]] if change.table in BACKGROUND else list(new)
    if any(now[name] != old[name] for name in fields):
        raise _changed(change)
    return replace(current, **{name: getattr(after, name) for name in fields})


def _changed(change: Change) -> Conflict:
    what = change.table.replace("_", " ")
    return Conflict(
        f"The {what} was changed by somebody else since. Look at it before you take your edit back.",
        table=change.table,
        id=change.id,
    )


def _row(table: _Table, raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw, type=table.kind | None)


def _content(row: Any) -> dict[str, Any] | None:
    if row is None:
        return None
    return {k: v for k, v in msgspec.to_builtins(row).items() if k not in BOOKKEEPING}
