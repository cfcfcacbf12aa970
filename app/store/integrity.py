"""Compare what the database holds with what it must hold."""

from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec

from app.errors import StoreDamaged
from app.store.cursor import Cursor
from app.store.highwater import Mark

HAS_MARK = "select count(*) from duckdb_tables() where table_name = 'high_water' and not internal"
MARK = "select store_id, sequence, counts from high_water"
COUNTS = {
    "project": "select count(*) from project",
    "asset": "select count(*) from asset",
    "frame": "select count(*) from frame",
    "region": "select count(*) from region",
    "class_template": "select count(*) from class_template",
    "class_template_revision": "select count(*) from class_template_revision",
    "track": "select count(*) from track",
    "edit": "select count(*) from edit",
    "bulk_change": "select count(*) from bulk_change",
    "job": "select count(*) from job",
    "truth": "select count(*) from truth",
}
WORDS = {
    "project": ("project", "projects"),
    "asset": ("asset", "assets"),
    "frame": ("frame", "frames"),
    "region": ("region", "regions"),
    "class_template": ("class template", "class templates"),
    "class_template_revision": ("class template revision", "class template revisions"),
    "track": ("track", "tracks"),
    "edit": ("edit of the history", "edits of the history"),
    "bulk_change": ("change of a large edit", "changes of large edits"),
    "job": ("job", "jobs"),
    "truth": ("frame of hidden ground truth", "frames of hidden ground truth"),
}
ADVICE = "Nothing was changed. Restore a backup, or accept the loss."


def mark_inside(cur: Cursor, schema: int) -> Mark | None:
    """The mark that the database itself holds; None when it is new."""
    has = cur.one(HAS_MARK)
    row = cur.one(MARK) if has and has[0] else None
    if row is None:
        return None
    return Mark(
        store_id=row[0],
        sequence=row[1],
        schema=schema,
        counts=msgspec.json.decode(row[2], type=dict[str, int]),
    )


def count_rows(cur: Cursor, tables: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in tables:
        try:
            row = cur.one(COUNTS[table])
        except duckdb.CatalogException:
            row = None
        counts[table] = row[0] if row else 0
    return counts


def require_file(path: Path, mark: Mark) -> None:
    """Raise StoreDamaged when there is no database file although commits were made."""
    size = path.stat().st_size if path.exists() else -1
    if mark.sequence > 0 and size <= 0:
        state = "is missing" if size < 0 else "is empty (0 bytes)"
        raise StoreDamaged(
            f"The database {path.name} {state}, although {mark.sequence:,} changes were saved in it "
            f"({_list(mark.counts)}). {ADVICE}",
            kind="missing",
            lost_changes=mark.sequence,
            lost_rows=mark.counts,
        )


def check(cur: Cursor, mark: Mark | None) -> None:
    """Raise StoreDamaged, counting what is missing, unless the database holds what `mark` and itself say."""
    inside = mark_inside(cur, 0)
    if mark is not None and mark.sequence > 0:
        if inside is not None and inside.store_id != mark.store_id:
            raise StoreDamaged(
                "The database is not the one that this data folder was used with: it was replaced by another "
                f"with {inside.sequence:,} changes, where {mark.sequence:,} were saved. {ADVICE}",
                kind="replaced",
            )
        if inside is None or inside.sequence < mark.sequence:
            lost = mark.sequence - (inside.sequence if inside else 0)
            found = count_rows(cur, list(mark.counts))
            raise _missing(mark.counts, found, lost)
    if inside is not None:
        found = count_rows(cur, list(inside.counts))
        if found != inside.counts:
            raise _missing(inside.counts, found, 0)


def _missing(expected: dict[str, int], found: dict[str, int], lost_changes: int) -> StoreDamaged:
    fewer = {table: count - found[table] for table, count in expected.items() if count > found[table]}
    more = {table: found[table] - count for table, count in expected.items() if count < found[table]}
    changes = f"the last {lost_changes:,} saved changes are gone" if lost_changes else "rows are not as saved"
    if lost_changes == 1:
        changes = "the last saved change is gone"
    parts = [f"The database lost work: {changes}"]
    if fewer:
        parts.append(f"; missing: {_list(fewer)}")
    if more:
        parts.append(f"; deleted rows that came back: {_list(more)}")
    return StoreDamaged(
        f"{''.join(parts)}. {ADVICE}",
        kind="rows",
        lost_changes=lost_changes,
        lost_rows=fewer,
        revived_rows=more,
    )


def _list(counts: dict[str, int]) -> str:
    words = [
        f"{count:,} {WORDS[table][count != 1]}" for table, count in counts.items() if count and table in WORDS
    ]
    return ", ".join(words) or "no rows"
