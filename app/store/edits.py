"""The journal of edits: append-only. What is undone follows from the journal, so it survives stops."""

from __future__ import annotations

import time

from msgspec.structs import replace

from app.models import Edit
from app.store.cursor import Codec, Cursor

CODEC = Codec(Edit, "changes")

APPEND = """
insert into edit (seq, id, project_id, actor, kind, label, frame_id, target, changes, reversible, "at",
    bulk)
values ((select coalesce(max(seq), 0) + 1 from edit), $id, $project_id, $actor, $kind, $label, $frame_id,
    $target,
    $changes, $reversible, $at, $bulk)
returning seq
"""
BY_ID = """
select seq, id, project_id, actor, kind, label, frame_id, target, changes, "at", bulk from edit where id = $id
"""
HISTORY = """
select seq, id, project_id, actor, kind, label, frame_id, target, changes, "at", bulk
from edit
where project_id = $project_id
  and ($before::bigint is null or seq < $before)
  and ($actor::varchar is null or actor = $actor)
order by seq desc limit $limit
"""
LAST_OF_TARGET = """
select seq, id, project_id, actor, kind, label, frame_id, target, changes, "at", bulk
from edit where target = $target order by seq desc limit 1
"""
# An edit is undone when the latest entry that targets it is an undo.
LAST_UNDOABLE = """
with mine as (
    select seq, id, kind, target, reversible from edit where project_id = $project_id and actor = $actor),
fate as (select target, arg_max(kind, seq) as kind from mine where target is not null group by target)
select mine.id from mine left join fate on fate.target = mine.id
where mine.target is null and mine.reversible and fate.kind is distinct from 'undo'
order by mine.seq desc limit 1
"""
# Undone edits are redone in the order they were made; an edit made after an undo ends what it offered.
LAST_REDOABLE = """
with mine as (
    select seq, id, kind, target, reversible from edit where project_id = $project_id and actor = $actor),
fate as (
    select target, arg_max(kind, seq) as kind,
        max(seq) as seq from mine where target is not null group by target),
fresh as (select coalesce(max(seq), 0) as seq from mine where target is null and reversible)
select mine.id from mine join fate on fate.target = mine.id
where fate.kind = 'undo' and fate.seq > (select seq from fresh)
order by mine.seq limit 1
"""


def append(cur: Cursor, edit: Edit) -> Edit:
    """Add an entry; returns it with `seq` and `at`. Entries without changes cannot be undone."""
    edit = replace(edit, at=edit.at or time.time())
    params = CODEC.params(edit)
    del params["seq"]
    row = cur.one(APPEND, **params, reversible=bool(edit.changes) or edit.bulk > 0)
    assert row is not None
    return replace(edit, seq=row[0])


def by_id(cur: Cursor, id: str) -> Edit | None:
    """The entry made under this operation id, so that a retried request has one effect."""
    row = cur.one(BY_ID, id=id)
    return None if row is None else CODEC.row(row)


def history(
    cur: Cursor, project_id: str, *, before: int | None = None, limit: int = 50, actor: str | None = None
) -> list[Edit]:
    """Newest first, older than the entry with `seq` = before."""
    return CODEC.rows(cur.all(HISTORY, project_id=project_id, before=before, limit=limit, actor=actor))


def last_of_target(cur: Cursor, target: str) -> Edit | None:
    """The latest undo or redo of an edit."""
    row = cur.one(LAST_OF_TARGET, target=target)
    return None if row is None else CODEC.row(row)


def last_undoable(cur: Cursor, project_id: str, actor: str) -> Edit | None:
    """The actor's own last edit that is not undone."""
    row = cur.one(LAST_UNDOABLE, project_id=project_id, actor=actor)
    return None if row is None else by_id(cur, row[0])


def last_redoable(cur: Cursor, project_id: str, actor: str) -> Edit | None:
    """The actor's own edit that the next redo brings back."""
    row = cur.one(LAST_REDOABLE, project_id=project_id, actor=actor)
    return None if row is None else by_id(cur, row[0])
