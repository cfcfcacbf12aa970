"""Talk to DuckDB in rows, and turn rows into Structs and back."""

from __future__ import annotations

import re
from typing import Any, Generic, TypeVar, get_type_hints

import duckdb
import msgspec
from msgspec import Struct

from app.errors import Conflict, PointillistError, StorageFull, Unavailable

S = TypeVar("S", bound=Struct)
Row = tuple[Any, ...]

CHANGES_ROWS = re.compile(r"\s*(?:insert into|delete from)\s+(\w+)")


class Cursor:
    """A DuckDB cursor of one thread, inside one transaction."""

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self.raw = raw
        self.touched: set[str] = set()
        """Tables that may have another number of rows than when the transaction began."""

    def all(self, sql: str, **params: Any) -> list[Row]:
        """Every row of the answer."""
        return self._execute(sql, params).fetchall()

    def one(self, sql: str, **params: Any) -> Row | None:
        """The first row, or None."""
        rows = self._execute(sql, params).fetchall()  # an unfinished answer would keep its transaction open
        return rows[0] if rows else None

    def columns(self, sql: str, **params: Any) -> dict[str, Any]:
        """Every row of the answer as one numpy array a column, masked where there are nulls: for many thousands."""
        return self._execute(sql, params).fetchnumpy()

    def run(self, sql: str, **params: Any) -> int:
        """Change rows; the number of rows changed. Raises Conflict when an id is already taken."""
        try:
            row = self.one(sql, **params)
        except duckdb.ConstraintException as exc:
            if "uplicate key" in str(exc):
                raise Conflict("Something with this id already exists. Reload and try again.") from exc
            raise
        return int(row[0]) if row else 0

    def _execute(self, sql: str, params: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        if changed := CHANGES_ROWS.match(sql):
            self.touched.add(changed[1])
        return self.raw.execute(sql, params) if params else self.raw.execute(sql)


class Codec(Generic[S]):
    """Rows ↔ Structs of one type. Columns come in the order of the fields; nested fields are JSON text."""

    def __init__(self, struct: type[S], *nested: str) -> None:
        self.struct = struct
        self.fields: tuple[str, ...] = struct.__struct_fields__
        hints = get_type_hints(struct, include_extras=True)
        self._nested = {self.fields.index(name): msgspec.json.Decoder(hints[name]) for name in nested}
        self._nested_names = nested

    def row(self, row: Row) -> S:
        values = list(row)
        for position, decoder in self._nested.items():
            if values[position] is not None:
                values[position] = decoder.decode(values[position])
        return self.struct(**dict(zip(self.fields, values, strict=True)))

    def rows(self, rows: list[Row]) -> list[S]:
        return [self.row(row) for row in rows]

    def params(self, value: S) -> dict[str, Any]:
        """The fields as $names."""
        params = {name: getattr(value, name) for name in self.fields}
        for name in self._nested_names:
            if params[name] is not None:
                params[name] = msgspec.json.encode(params[name]).decode()
        return params

    def columns(self, values: list[S] | tuple[S, ...]) -> dict[str, list[Any]]:
        """Many Structs as one list a field, for `unnest`: thousands of times faster than executemany."""
        rows = [self.params(value) for value in values]
        return {name: [row[name] for row in rows] for name in self.fields}


def translate(exc: BaseException) -> PointillistError | None:
    """The sentence for a failure of the storage under the database; None for anything else."""
    text = str(exc)
    if isinstance(exc, OSError | duckdb.Error) and (
        getattr(exc, "errno", None) == 28 or re.search(r"no space left|disk quota|file too large", text, re.I)
    ):
        return StorageFull("The disk of the data folder is full; the change was not saved. Free some space.")
    if isinstance(exc, duckdb.OutOfMemoryException):
        return Unavailable("The database ran out of memory; the change was not saved. Try a smaller step.")
    if (
        isinstance(exc, OSError | duckdb.IOException | duckdb.FatalException | duckdb.InternalException)
        or "Failed to commit: Could not" in text
    ):
        return Unavailable(
            "The disk under the data folder reported an error; the change was not saved. "
            "Check the disk, then try again.",
            cause=text.splitlines()[0][:300] if text else "",
        )
    return None


def changed_meanwhile(what: str, expected: int | None, found: int) -> Conflict:
    return Conflict(
        f"{what} was changed by somebody else in the meantime (revision {found}, not {expected}). "
        "Look at the new version and try again.",
        current_revision=found,
    )
