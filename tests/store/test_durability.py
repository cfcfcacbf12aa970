"""What was acknowledged survives kills; what is missing is never silent; what cannot be used is refused."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import store as db
from app.errors import Conflict, StoreDamaged, Unavailable
from app.store import Store, recovery
from app.store.copying import wal_of
from app.store.db import NAME
from app.store.highwater import NAME as MARK
from app.store.highwater import SIZE, HighWater
from app.store.migrate import Step, steps
from tests.store import rows

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20


@contextmanager
def writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process that writes into `folder`; killed with SIGKILL on leaving."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def acknowledged(folder: Path, count: int) -> list[str]:
    """Let a writer acknowledge at least `count` edits, kill it, and return all ids it acknowledged."""
    with writer(folder) as process:
        assert process.stdout is not None
        ids = [process.stdout.readline().strip() for _ in range(count)]
        process.kill()
        rest = process.stdout.read()
    return ids + rest.split("\n")[:-1]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose process was killed, so that its last changes are only in the write-ahead log."""
    folder = tmp_path_factory.mktemp("crashed")
    with Store.open(folder) as store:
        store.write(rows.scene)
    acknowledged(folder, 20)
    assert wal_of(folder / NAME).stat().st_size > 0
    return folder


@pytest.fixture
def damaged(crashed: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(crashed, tmp_path / "data"))


def edits_in(folder: Path) -> set[str]:
    with Store.open(folder) as store:
        return {edit.id for edit in store.read(lambda cur: db.edits.history(cur, "p", limit=100_000))}


def test_no_acknowledged_edit_is_lost_by_kill_9(tmp_path: Path) -> None:
    rng = random.Random(5)
    promised: list[str] = []
    for _ in range(KILLS):
        promised += acknowledged(tmp_path, rng.randrange(1, 12))
    found = edits_in(tmp_path)
    assert found >= set(promised)
    assert len(found) <= len(promised) + KILLS, "a kill leaves at most one edit that nobody was told about"


def test_rows_survive_close_and_reopen_without_a_log(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        project, _, _ = store.write(rows.scene)
        sequence = store.sequence
    assert not wal_of(tmp_path / NAME).exists()
    with Store.open(tmp_path) as store:
        assert store.sequence == sequence
        assert store.read(lambda cur: db.projects.get(cur, project.id)) == project


def test_an_undamaged_crash_opens(damaged: Path) -> None:
    assert len(edits_in(damaged)) >= 20


def test_a_deleted_log_is_reported_with_the_number_of_missing_changes(damaged: Path) -> None:
    wal_of(damaged / NAME).unlink()
    with pytest.raises(StoreDamaged, match=r"saved changes are gone.*edits of the history") as refused:
        Store.open(damaged)
    assert refused.value.extra["lost_changes"] >= 20  # pyright: ignore[reportOperatorIssue]
    with pytest.raises(StoreDamaged):  # and it stays so until somebody decides
        Store.open(damaged)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_log_is_reported(damaged: Path, part: float) -> None:
    log = wal_of(damaged / NAME)
    body = log.read_bytes()
    log.write_bytes(body[: int(len(body) * part)])
    with pytest.raises(StoreDamaged):
        Store.open(damaged)


def test_a_flipped_byte_anywhere_in_the_log_is_reported_or_harmless(crashed: Path, tmp_path: Path) -> None:
    size = wal_of(crashed / NAME).stat().st_size
    whole = edits_in(Path(shutil.copytree(crashed, tmp_path / "whole")))
    reported = 0
    for round, position in enumerate(random.Random(3).sample(range(size), 24)):
        folder = Path(shutil.copytree(crashed, tmp_path / str(round)))
        body = bytearray(wal_of(folder / NAME).read_bytes())
        body[position] ^= 0x5A
        wal_of(folder / NAME).write_bytes(body)
        try:
            assert edits_in(folder) == whole, f"byte {position} made rows vanish in silence"
        except StoreDamaged:
            reported += 1
    assert reported >= 20


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_database_that_is_missing_or_empty_is_not_replaced_by_a_new_one(damaged: Path, state: str) -> None:
    wal_of(damaged / NAME).unlink()
    (damaged / NAME).unlink()
    if state == "empty":
        (damaged / NAME).touch()
    with pytest.raises(StoreDamaged, match=f"is {state}.*1 project, 1 asset, 3 frames"):
        Store.open(damaged)
    assert (damaged / NAME).exists() == (state == "empty")


def test_a_corrupt_block_is_reported(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.write(rows.scene)
    body = bytearray((tmp_path / NAME).read_bytes())
    for position in range(0, len(body), 4096):
        body[position + 100] ^= 0xFF
    (tmp_path / NAME).write_bytes(body)
    with pytest.raises(StoreDamaged, match="cannot be opened"):
        Store.open(tmp_path)


def test_the_database_of_another_folder_is_noticed(damaged: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with Store.open(other) as store:
        store.write(rows.scene)
    wal_of(damaged / NAME).unlink()
    shutil.copy(other / NAME, damaged / NAME)
    with pytest.raises(StoreDamaged, match="replaced by another"):
        Store.open(damaged)


def test_a_torn_mark_falls_back_to_the_one_before_it_and_garbage_is_reported(damaged: Path) -> None:
    water = HighWater(damaged / MARK)
    assert water.mark is not None
    slot = 1024 * (water.mark.sequence % 2)
    water.close()
    body = bytearray((damaged / MARK).read_bytes())
    body[slot + 20] ^= 1
    (damaged / MARK).write_bytes(body)
    assert len(edits_in(damaged)) >= 20
    (damaged / MARK).write_bytes(b"\x07" * SIZE)
    with pytest.raises(StoreDamaged, match="high-water mark"):
        Store.open(damaged)


def test_a_commit_whose_mark_was_not_written_any_more_is_kept(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.write(rows.scene)
        before = (tmp_path / MARK).read_bytes()
        store.write(lambda cur: db.edits.append(cur, rows.edit("p")))
    (tmp_path / MARK).write_bytes(before)
    assert len(edits_in(tmp_path)) == 1


def test_the_loss_can_be_accepted_and_the_old_files_are_kept(damaged: Path) -> None:
    wal_of(damaged / NAME).unlink()
    kept = recovery.accept_loss(damaged)
    assert (kept / NAME).exists()
    with Store.open(damaged) as store:
        assert len(store.read(db.projects.listing)) == 1
        store.write(rows.scene)
    with Store.open(damaged) as store:
        assert len(store.read(db.projects.listing)) == 2


def test_what_cannot_be_opened_at_all_is_set_aside_when_the_loss_is_accepted(damaged: Path) -> None:
    (damaged / NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreDamaged):
        Store.open(damaged)
    kept = recovery.accept_loss(damaged)
    assert (kept / NAME).read_bytes().startswith(b"not a database")
    with Store.open(damaged) as store:
        assert store.read(db.projects.listing) == []


def test_a_backup_made_while_others_write_can_be_restored(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        before = store.write(lambda cur: db.edits.append(cur, rows.edit("p")))
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                store.write(lambda cur: db.edits.append(cur, rows.edit("p")))

        others = [threading.Thread(target=work) for _ in range(2)]
        for thread in others:
            thread.start()
        backup = store.backup(tmp_path / "backups" / "now.duckdb")
        stop.set()
        for thread in others:
            thread.join()
        after = store.write(lambda cur: db.edits.append(cur, rows.edit("p")))
        with pytest.raises(Unavailable, match="PID"):  # the copy did not drop the lock
            recovery.restore(tmp_path, backup)
    assert recovery.backups(tmp_path) == [backup]
    recovery.restore(tmp_path, backup)
    found = edits_in(tmp_path)
    assert before.id in found
    assert after.id not in found


def test_a_second_process_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with writer(tmp_path) as process, pytest.raises(Unavailable, match=rf"PID {process.pid}\b"):
        Store.open(tmp_path)


def test_a_second_store_in_the_same_process_is_refused(store: Store) -> None:
    with pytest.raises(Unavailable, match="already open"):
        Store.open(store.folder)


def test_a_folder_of_a_newer_release_is_refused_untouched(damaged: Path) -> None:
    newer = [*steps(), Step(9, "0009_future", "create table future (a integer)")]
    with Store.open(damaged, plan=newer) as store:
        store.write(lambda cur: db.edits.append(cur, rows.edit("p")))
    before = {
        path.name: path.read_bytes() for path in damaged.iterdir() if path.is_file() and path.name != MARK
    }
    with pytest.raises(Unavailable, match=r"newer release \(schema 9; this release knows \d+\)"):
        Store.open(damaged)
    assert {path.name: path.read_bytes() for path in damaged.iterdir() if path.name in before} == before
    (damaged / MARK).unlink()
    with pytest.raises(Unavailable, match="newer release"):
        Store.open(damaged)


def test_a_migration_keeps_the_rows_and_leaves_a_backup_of_the_old_schema(damaged: Path) -> None:
    newer = [*steps(), Step(9, "0009_future", "alter table track add column note varchar default 'x'")]
    with Store.open(damaged, plan=newer) as store:
        assert store.read(lambda cur: cur.one("select count(*) from project")) == (1,)
        store.read(lambda cur: cur.all("select note from track"))
    (backup,) = recovery.backups(damaged)
    recovery.restore(damaged, backup)
    with Store.open(damaged) as store:
        assert len(store.read(db.projects.listing)) == 1


def test_a_migration_that_fails_leaves_the_old_schema_usable(damaged: Path) -> None:
    half = Step(9, "0009_half", "alter table track add column note varchar; select * from absent")
    with pytest.raises(Exception, match="absent"):
        Store.open(damaged, plan=[*steps(), half])
    with Store.open(damaged) as store:
        store.write(rows.scene)
        assert "note" not in str(store.read(lambda cur: cur.all("describe track")))


def test_a_migration_killed_half_way_is_done_at_the_next_start(damaged: Path) -> None:
    slow = """
import sys
from pathlib import Path
from app.store import Store
from app.store.migrate import Step, steps
print("start", flush=True)
sql = "create table wide as select range as a, repeat('x', 200) as b from range(3000000)"
Store.open(Path(sys.argv[1]), plan=[*steps(), Step(9, "wide", sql)])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", slow, str(damaged)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "start\n"
        while not recovery.backups(damaged) and process.poll() is None:
            pass  # the backup is the last thing before the step begins
        process.kill()
    again = [*steps(), Step(9, "wide", "create table if not exists wide (a integer)")]
    with Store.open(damaged, plan=again) as store:
        assert len(store.read(db.projects.listing)) == 1
        store.read(lambda cur: cur.all("select count(*) from wide"))


def test_a_failed_change_rolls_everything_back_and_the_next_one_works(store: Store) -> None:
    def fail(cur: db.Cursor) -> None:
        rows.scene(cur)
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        store.write(fail)
    assert store.read(db.projects.listing) == []
    store.write(rows.scene)
    assert len(store.read(db.projects.listing)) == 1


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match="read-only"):
        store.read(rows.scene)
    assert store.read(db.projects.listing) == []


def test_the_database_reaches_no_file_beside_itself(store: Store) -> None:
    with pytest.raises(Exception, match="disabled"):
        store.read(lambda cur: cur.all("select * from read_text('/etc/hostname')"))
    with pytest.raises(Exception, match="locked"):
        store.read(lambda cur: cur.all("set enable_external_access = true"))


def test_readers_see_whole_changes_while_writers_write(store: Store) -> None:
    _, _, frames = store.write(rows.scene)
    errors: list[BaseException] = []
    writing = threading.Event()
    writing.set()

    def write() -> None:
        for _ in range(25):
            pair = [rows.region(frames[0].id) for _ in range(2)]
            store.write(lambda cur, p=pair: db.regions.insert_many(cur, p))

    def read() -> None:
        try:
            while writing.is_set():
                assert len(store.read(lambda cur: db.regions.of_frame(cur, frames[0].id))) % 2 == 0
        except BaseException as exc:
            errors.append(exc)

    readers = [threading.Thread(target=read) for _ in range(6)]
    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    writing.clear()
    for thread in readers:
        thread.join()
    assert errors == []
    assert len(store.read(lambda cur: db.regions.of_frame(cur, frames[0].id))) == 200


def test_of_many_who_change_the_same_revision_one_wins(store: Store) -> None:
    project, _, _ = store.write(rows.scene)
    outcome: list[str] = []

    def change() -> None:
        try:
            store.write(lambda cur: db.projects.update(cur, project, 1))
            outcome.append("won")
        except Conflict:
            outcome.append("lost")

    threads = [threading.Thread(target=change) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome) == ["lost"] * 7 + ["won"]


def test_a_closed_store_refuses_with_a_sentence(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        pass
    for use in (store.read, store.write):
        with pytest.raises(Unavailable, match="stopping"):
            use(db.projects.listing)


def test_a_write_inside_a_write_is_a_mistake_not_a_deadlock(store: Store) -> None:
    with pytest.raises(RuntimeError, match="write inside write"):
        store.write(lambda cur: store.write(db.projects.listing))
