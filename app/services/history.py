"""Undo, redo and the journal. Everybody undoes their own last edit; what others changed since is never overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from app import store as db
from app.errors import Conflict, NotFound
from app.models import Asset, Change, ClassTemplate, Edit, Frame, Project, Region, Track, new_id
from app.services.context import Context
from app.services.views import EditView

__all__ = ["EditView", "UndoResult", "listing", "possible", "record", "redo", "undo", "view"]


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
    "add-region": ("Removed the region {label} again.", "Added the region {label} again."),
    "change-region": ("Gave the region {label} its earlier shape.", "Changed the region {label} again."),
    "change-class": ("Gave the region its earlier class.", "Gave the region the class {label} again."),
    "delete-region": ("Brought the region {label} back.", "Deleted the region {label} again."),
    "set-frame-state": ("Set the frame back to what it was.", "Set the frame to {label} again."),
    "change-project": ("Took the change of the project back.", "Changed the project again."),
}
"""Kind of edit → what undoing and what redoing it did, as sentences."""

BOOKKEEPING = {"revision", "updated_at"}


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
) -> Edit:
    """Append an edit in the transaction of the change itself. A repeated `op_id` answers with the first edit."""
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


def listing(ctx: Context, project_id: str, *, before: int | None = None, limit: int = 50) -> list[EditView]:
    def query(cur: db.Cursor) -> list[EditView]:
        db.projects.get(cur, project_id)
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
    def write(cur: db.Cursor) -> tuple[UndoResult, bool]:
        db.projects.get(cur, project_id)
        repeated = db.edits.by_id(cur, op_id) if op_id else None
        if repeated is not None:
            return _result(cur, project_id, actor, repeated, kind), False
        find = db.edits.last_undoable if kind == "undo" else db.edits.last_redoable
        target = find(cur, project_id, actor)
        if target is None:
            raise NotFound(f"There is nothing of yours to {kind}.")
        changes = [_reverse(c) for c in reversed(target.changes)] if kind == "undo" else target.changes
        for change in changes:
            _put(cur, change)
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
        return _result(cur, project_id, actor, edit, kind), True

    result, done = ctx.store.write(write)
    if done:
        what = {"frame_id": result.frame_id, "actor": actor, "key": "", "edit": result.edit}
        ctx.events.publish("regions" if result.frame_id else "project", what, project_id)
    return result


def _result(cur: db.Cursor, project_id: str, actor: str, edit: Edit, kind: str) -> UndoResult:
    target = db.edits.by_id(cur, edit.target) if edit.target else None
    undone, redone = WORDS.get(target.kind if target else "", ("Took it back.", "Did it again."))
    can_undo, can_redo = possible(cur, project_id, actor)
    return UndoResult(
        edit=view(edit),
        what=(undone if kind == "undo" else redone).format(label=edit.label),
        frame_id=edit.frame_id,
        can_undo=can_undo,
        can_redo=can_redo,
    )


def _reverse(change: Change) -> Change:
    return Change(table=change.table, id=change.id, before=change.after, after=change.before)


def _put(cur: db.Cursor, change: Change) -> None:
    """Bring a row from `before` to `after`. Raises Conflict when it is not in the state `before` any more."""
    table = TABLES[change.table]
    current = table.find(cur, change.id)
    before, after = _row(table, change.before), _row(table, change.after)
    if _content(current) != _content(before):
        what = change.table.replace("_", " ")
        raise Conflict(
            f"The {what} was changed by somebody else since. Look at it before you take your edit back."
        )
    if after is None:
        table.delete(cur, change.id)
    elif current is None:
        after.revision += 1
        table.insert(cur, after)
    else:
        table.update(cur, after, None)


def _row(table: _Table, raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw, type=table.kind | None)


def _content(row: Any) -> dict[str, Any] | None:
    if row is None:
        return None
    return {k: v for k, v in msgspec.to_builtins(row).items() if k not in BOOKKEEPING}
