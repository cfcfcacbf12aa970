"""The database: one writer thread, many readers, and a high-water mark that tells when rows are missing."""

from __future__ import annotations

import os
import queue
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

import duckdb
import msgspec

from app.errors import PointillistError, StoreDamaged, Unavailable
from app.store import highwater, integrity
from app.store.copying import copy_database, mark_of
from app.store.cursor import Cursor, translate
from app.store.highwater import HighWater, Mark
from app.store.migrate import Step, migrate, refuse_newer, steps, version_of

T = TypeVar("T")

NAME = "pointillist.duckdb"
IDLE_READERS = 8
MEMORY_LIMIT = "512MB"
THREADS = 2

BEGIN_READ = "begin transaction read only"
LOCK_DOWN = """
set enable_external_access = false;
set lock_configuration = true;
"""
COUNT_UP = "update high_water set sequence = $sequence, counts = $counts"
FIRST_MARK = "insert into high_water values (1, $store_id, 0, '{}') on conflict do nothing"


class Store:
    """The open database of a data folder. Only one process, and one Store in it, can hold it."""

    def __init__(self, folder: Path, water: HighWater, plan: Sequence[Step]) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._water = water
        self._plan = plan
        self._lock = threading.Lock()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._writing: duckdb.DuckDBPyConnection | None = None
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._busy: set[duckdb.DuckDBPyConnection] = set()
        self._generation = 0
        self._file = -1
        self._down: PointillistError | None = None
        self._closed = False
        self._queue: queue.SimpleQueue[tuple[Callable[[Cursor], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._connect()
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, folder: Path, *, plan: Sequence[Step] | None = None) -> Store:
        """Open or create the database of `folder` and bring its schema up to date.

        Raises Unavailable when another process holds it (naming the PID) or a newer release wrote it, and
        StoreDamaged when it cannot be read or rows are missing (`app.store.recovery` says what to do then).
        """
        folder.mkdir(parents=True, exist_ok=True)
        water = HighWater(folder / highwater.NAME)
        try:
            return cls(folder, water, steps() if plan is None else plan)
        except BaseException:
            water.close()
            raise

    @property
    def sequence(self) -> int:
        """The number of commits so far."""
        return self._mark.sequence

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at the moment, as a sentence; None when all is well."""
        return self._down.sentence if self._down else None

    def read(self, query: Callable[[Cursor], T]) -> T:
        """Run `query` on one consistent snapshot, from any thread, never waiting for the writer.

        `query` must use up what it fetches; a cursor is of no use afterwards.
        """
        for last in (False, True):
            generation = self._generation
            raw = self._borrow()
            try:
                raw.execute(BEGIN_READ).fetchall()
                answer = query(Cursor(raw))
                raw.commit()
            except duckdb.Error as exc:
                self._give_back(raw, spoilt=True)
                if not last and generation != self._generation:
                    continue
                problem = translate(exc)
                if problem is None:
                    raise
                self._queue.put((_nothing, Future()))  # the writer finds out whether to reopen
                raise Unavailable(
                    "The database cannot be read at the moment. Try again in a moment."
                ) from exc
            except BaseException:
                self._give_back(raw, spoilt=True)
                raise
            self._give_back(raw, spoilt=False)
            return answer
        raise AssertionError("unreachable")

    def write(self, change: Callable[[Cursor], T]) -> T:
        """Run `change` in the writer thread as one transaction; returns when it is safe on the disk.

        Any exception rolls everything back and is raised here. Raises StorageFull or Unavailable when the
        disk refuses: then the change is not acknowledged, and repeating it with the same ids is harmless.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("write inside write: pass the cursor on instead")
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("The server is stopping; the change was not saved.")
            self._queue.put((change, future))
        return future.result()

    def backup(self, target: Path) -> Path:
        """Copy the database, whole and consistent, to the file `target` while the server runs.

        Its high-water mark is written beside it (`mark_of`), so that the copy can be shown to be whole.
        """
        self.write(lambda cur: None)  # raises when the database is out of order

        def copy(cur: Cursor) -> None:
            copy_database(self._file, self.path, target)
            mark_of(target).unlink(missing_ok=True)
            water = HighWater(mark_of(target))
            try:
                water.write(self._mark)
            finally:
                water.close()

        future: Future[None] = Future()
        with self._lock:
            self._queue.put((_Outside(copy), future))
        future.result()
        return target

    def close(self) -> None:
        """Finish the waiting writes, write everything into the one file, and let go of it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._disconnect(checkpoint=True)
        self._water.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The writer thread

    def _serve(self) -> None:
        while (item := self._queue.get()) is not None:
            change, future = item
            try:
                answer = self._outside(change) if isinstance(change, _Outside) else self._commit(change)
            except BaseException as exc:
                future.set_exception(exc)
            else:
                future.set_result(answer)
            del item, change, future

    def _commit(self, change: Callable[[Cursor], T]) -> T:
        if self._writing is None:
            self._reopen()
        raw = self._writing
        assert raw is not None
        try:
            raw.begin()
            cur = Cursor(raw)
            answer = change(cur)
            mark = self._next_mark(cur)
            raw.commit()
        except BaseException as exc:
            problem = translate(exc) if isinstance(exc, duckdb.Error) else None
            self._recover(raw)
            if problem is None:
                raise
            raise problem from exc
        self._mark = mark
        try:
            self._water.write(mark)
        except OSError as exc:
            raise translate(exc) or exc from exc
        return answer

    def _next_mark(self, cur: Cursor) -> Mark:
        """Count this commit, inside of its transaction, with the real rows of the tables it touched."""
        touched = [table for table in integrity.COUNTS if table in cur.touched]
        counts = {**self._mark.counts, **integrity.count_rows(cur, touched)}
        mark = msgspec.structs.replace(self._mark, sequence=self._mark.sequence + 1, counts=counts)
        cur.run(COUNT_UP, sequence=mark.sequence, counts=msgspec.json.encode(counts).decode())
        return mark

    def _outside(self, action: _Outside) -> None:
        """Run between two transactions, after everything went into the one file."""
        if self._writing is None:
            self._reopen()
        raw = self._writing
        assert raw is not None
        try:
            raw.execute("checkpoint").fetchall()
            action.run(Cursor(raw))
        except (duckdb.Error, OSError) as exc:
            self._recover(raw)
            raise translate(exc) or exc from exc

    def _recover(self, raw: duckdb.DuckDBPyConnection) -> None:
        """Roll back; open the database anew where an error of the disk made the connection useless."""
        if self._roll_back(raw):
            return
        self._disconnect()
        try:
            self._reopen()
        except PointillistError:
            pass  # the next write tries again

    @staticmethod
    def _roll_back(raw: duckdb.DuckDBPyConnection) -> bool:
        """True when the connection can be used again."""
        try:
            raw.rollback()
        except duckdb.TransactionException:
            pass  # it did not begin, or COMMIT already ended it
        except duckdb.Error:
            return False
        try:
            raw.execute("select 1").fetchall()
        except duckdb.Error:
            return False
        return True

    def _reopen(self) -> None:
        try:
            self._connect()
        except PointillistError as exc:
            self._down = exc
            raise
        self._down = None

    # Connections

    def _connect(self) -> None:
        known = self._plan[-1].version
        mark = self._water.mark
        if mark is not None:
            refuse_newer(mark.schema, known)
            integrity.require_file(self.path, mark)
        try:
            root = duckdb.connect(
                str(self.path),
                config={
                    "memory_limit": MEMORY_LIMIT,
                    "threads": THREADS,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                },
            )
        except duckdb.Error as exc:
            raise _cannot_open(exc, self.path) from exc
        file = -1
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self._adopt(root, file, mark, known)
        except BaseException as exc:
            root.close()  # before the file: closing any descriptor of it drops DuckDB's lock
            with _closing_quietly():
                os.close(file)
            if problem := translate(exc):
                raise problem from exc
            raise

    def _adopt(self, root: duckdb.DuckDBPyConnection, file: int, mark: Mark | None, known: int) -> None:
        found = version_of(root)
        refuse_newer(found, known)
        integrity.check(Cursor(root), mark)
        if 0 < found < known:
            root.execute("checkpoint").fetchall()
            copy_database(
                file, self.path, self.folder / "backups" / f"before-{known:04d}-from-{found:04d}.duckdb"
            )
        migrate(root, self._plan)
        root.execute(FIRST_MARK, {"store_id": secrets.token_hex(8)}).fetchall()
        root.execute(LOCK_DOWN).fetchall()
        cur = Cursor(root)
        inside = integrity.mark_inside(cur, known)
        assert inside is not None
        inside.counts = integrity.count_rows(cur, list(integrity.COUNTS))
        if mark is None or inside.sequence > mark.sequence or mark.schema != known:
            self._water.write(inside)
        with self._lock:
            self._root, self._writing, self._file, self._mark = root, root.cursor(), file, inside
            self._generation += 1

    def _disconnect(self, *, checkpoint: bool = False) -> None:
        with self._lock:
            root, self._root = self._root, None
            writing, self._writing = self._writing, None
            readers = [*self._idle, *self._busy]
            self._idle.clear()
            self._generation += 1
        if writing is not None and checkpoint:
            with _closing_quietly():
                writing.execute("checkpoint").fetchall()
        for raw in (*readers, writing, root):
            if raw is not None:
                with _closing_quietly():
                    raw.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _borrow(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._root is None:
                raise self._down or Unavailable("The database is closed; the server is stopping.")
            raw = self._idle.pop() if self._idle else self._root.cursor()
            self._busy.add(raw)
            return raw

    def _give_back(self, raw: duckdb.DuckDBPyConnection, *, spoilt: bool) -> None:
        with self._lock:
            self._busy.discard(raw)
            if not spoilt and self._root is not None and len(self._idle) < IDLE_READERS:
                self._idle.append(raw)
                return
        with _closing_quietly():
            raw.close()


class _Outside:
    def __init__(self, run: Callable[[Cursor], None]) -> None:
        self.run = run

    def __call__(self, cur: Cursor) -> None:
        self.run(cur)


class _closing_quietly:  # noqa: N801
    """What is thrown away may complain; nobody is left to tell."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, duckdb.Error | OSError)


def _nothing(cur: Cursor) -> None:
    cur.one("select 1")


def _cannot_open(exc: duckdb.Error, path: Path) -> Exception:
    text = str(exc)
    if "lock" in text.lower() and (match := re.search(r"PID (\d+)", text)):
        return Unavailable(
            f"The database {path} is open in another process (PID {match[1]}). Stop that process first.",
            pid=match[1],
        )
    if (problem := translate(exc)) and problem.status == 507:
        return problem
    return StoreDamaged(
        f"The database {path} cannot be opened: {text.splitlines()[0][:300]} "
        "Restore a backup, or accept the loss of what cannot be read.",
        kind="unreadable",
    )
