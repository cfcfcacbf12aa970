"""Numbered migrations: app/store/migrations/NNNN_name.sql, each applied once, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
from msgspec import Struct

from app.errors import Unavailable
from app.store.cursor import Cursor

FOLDER = Path(__file__).with_name("migrations")

HAS_VERSION = "select count(*) from duckdb_tables() where table_name = 'schema_version' and not internal"
CREATE_VERSION = (
    "create table if not exists schema_version (version integer primary key, applied_at double not null)"
)
VERSION = "select coalesce(max(version), 0) from schema_version"
SET_VERSION = "insert into schema_version (version, applied_at) values ($version, $at)"


class Step(Struct, frozen=True):
    version: int
    name: str
    sql: str


def steps() -> list[Step]:
    """The migrations of this release, in order."""
    files = sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Step(int(file.name[:4]), file.stem, file.read_text("utf-8")) for file in files]


def version_of(raw: duckdb.DuckDBPyConnection) -> int:
    """The schema of an open database; 0 when it is new."""
    if not _single(raw, HAS_VERSION):
        return 0
    return _single(raw, VERSION)


def refuse_newer(found: int, known: int) -> None:
    """Raise Unavailable when a database was written by a newer release."""
    if found > known:
        raise Unavailable(
            f"The data folder was written by a newer release (schema {found}; this release knows {known}). "
            "Nothing was changed. Start the newer release, or use another data folder.",
            schema=found,
            known=known,
        )


def migrate(raw: duckdb.DuckDBPyConnection, plan: Sequence[Step]) -> None:
    """Apply the steps that are missing. A failure or a kill leaves the last finished step."""
    current = version_of(raw)
    for step in plan:
        if step.version <= current:
            continue
        raw.begin()
        try:
            raw.execute(CREATE_VERSION).fetchall()
            raw.execute(step.sql).fetchall()
            raw.execute(SET_VERSION, {"version": step.version, "at": time.time()}).fetchall()
            raw.commit()
        except BaseException:
            raw.rollback()
            raise


def _single(raw: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = Cursor(raw).one(sql)
    return int(row[0]) if row else 0
