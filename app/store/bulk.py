"""The changes of edits that touch thousands of rows, numbered from 0, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from app.models import Change
from app.store.cursor import Cursor

BATCH = 2000

INSERT = """
insert into bulk_change (edit_id, number, "table", id, before, after)
select $edit_id, unnest($number::bigint[]), unnest($table::varchar[]), unnest($id::varchar[]),
    unnest($before::varchar[]), unnest($after::varchar[])
"""
COUNT = "select count(*) from bulk_change where edit_id = $edit_id"
ADDED = """
select count(*) from bulk_change join region on region.id = bulk_change.id
where edit_id in (select unnest($edit_ids::varchar[])) and "table" = 'region' and before = 'null'
"""
PAGE = """
select "table", id, before, after from bulk_change
where edit_id = $edit_id and number >= $start and number < $stop order by number
"""


def add(cur: Cursor, edit_id: str, start: int, changes: Sequence[Change]) -> int:
    """Append changes as the numbers from `start` on; returns the next free number."""
    if changes:
        cur.run(
            INSERT,
            edit_id=edit_id,
            number=list(range(start, start + len(changes))),
            table=[change.table for change in changes],
            id=[change.id for change in changes],
            before=[bytes(change.before).decode() for change in changes],
            after=[bytes(change.after).decode() for change in changes],
        )
    return start + len(changes)


def count(cur: Cursor, edit_id: str) -> int:
    """How many changes are kept for the edit."""
    row = cur.one(COUNT, edit_id=edit_id)
    return row[0] if row else 0


def regions_added(cur: Cursor, edit_ids: Sequence[str]) -> int:
    """How many regions the edits added that are there still."""
    row = cur.one(ADDED, edit_ids=list(edit_ids))
    return row[0] if row else 0


def batches(cur: Cursor, edit_id: str, count: int, *, backwards: bool = False) -> Iterator[list[Change]]:
    """The `count` changes of an edit in batches; `backwards` from the last to the first."""
    starts = range(0, count, BATCH)
    for start in reversed(starts) if backwards else starts:
        rows = cur.all(PAGE, edit_id=edit_id, start=start, stop=start + BATCH)
        changes = [
            Change(
                table=table,
                id=id,
                before=msgspec.Raw(before.encode()),
                after=msgspec.Raw(after.encode()),
            )
            for table, id, before, after in rows
        ]
        yield changes[::-1] if backwards else changes
