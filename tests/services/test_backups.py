"""Backups of the data folder: whole while others work, and back again without losing what was there."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import store as db
from app.errors import NotFound, Refused, StoreDamaged, Unavailable
from app.models import Project, new_id
from app.quality import Truth
from app.services import backups, truths
from app.services.context import Context, Paths
from app.services.events import Events
from app.settings import load
from app.store import Store
from app.store.db import NAME
from tasks import truth_files
from tests.store import rows


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    """An open data folder with one asset of two files; no worker and no queue, which a backup does not need."""
    data = tmp_path / "data"
    nothing: Any = None
    with Store.open(data) as store:
        paths = Paths(data)
        paths.make()
        settings = load(None, data=data, min_free_gb=0.0)
        (paths.asset("a") / "frames").mkdir(parents=True)
        (paths.asset("a") / "frames" / "000000.jpg").write_bytes(b"picture")
        (paths.asset("a") / "source.mp4").write_bytes(b"video")
        (paths.asset("a") / "frames" / ".000001.jpg.part").write_bytes(b"half")
        yield Context(settings, paths, store, nothing, nothing, Events())


def add_project(store: Store) -> str:
    project = Project(id=new_id(), name="P", class_template_id="c" * 24)
    store.write(lambda cur: db.projects.insert(cur, project))
    return project.id


def projects_in(data: Path) -> set[str]:
    with Store.open(data) as store:
        return {project.id for project in store.read(db.projects.listing)}


def test_a_backup_holds_what_was_saved_before_it_and_finished_files_only(ctx: Context) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            add_project(ctx.store)

    before = {add_project(ctx.store) for _ in range(3)}
    other = threading.Thread(target=work)
    other.start()
    made = backups.make(ctx)
    stop.set()
    other.join()
    assert (made.files, made.bytes, made.linked) == (2, 12, 2)
    assert backups.listing(ctx.paths.data) == [made]
    assert before <= projects_in(Path(made.path))
    assert not list(ctx.paths.data.glob("backups/.*"))


def test_restore_brings_back_the_state_and_keeps_what_was_there(ctx: Context) -> None:
    data = ctx.paths.data
    kept = add_project(ctx.store)
    backups.make(ctx)
    late = add_project(ctx.store)
    (data / "assets/a/frames/000000.jpg").unlink()
    (data / "assets/a/source.mp4").unlink()
    (data / "assets/a/source.mp4").write_bytes(b"spoilt")
    (data / "assets/b").mkdir()
    (data / "queue.sqlite3").write_bytes(b"waiting")
    with pytest.raises(Unavailable, match="PID"):
        backups.restore(data, "latest")
    assert (data / "assets/b").exists()
    ctx.store.close()
    done = backups.restore(data, "latest")
    assert done.files == 2
    assert (data / "assets/a/frames/000000.jpg").read_bytes() == b"picture"
    assert (data / "assets/a/source.mp4").read_bytes() == b"video"
    assert not (data / "assets/b").exists()
    assert not (data / "queue.sqlite3").exists()
    assert projects_in(data) == {kept}
    aside = Path(done.aside)
    assert (aside / "assets/a/source.mp4").read_bytes() == b"spoilt"
    assert (aside / "assets/b").is_dir()
    assert projects_in(aside) == {kept, late}


def test_hidden_ground_truth_survives_its_deletion_in_a_backup(ctx: Context) -> None:
    data = ctx.paths.data
    project, asset, _frames = ctx.store.write(rows.scene)
    ctx.store.write(lambda cur: db.truths.store(cur, [Truth(asset_id=asset.id, frame_index=1, source="s")]))
    folder = truth_files.folder_of(data, asset.id)
    folder.mkdir(parents=True)
    truth_files.map_path(folder, 1).write_bytes(b"map")
    truth_files.objects_path(folder, 1).write_bytes(b"objects")
    backups.make(ctx)
    assert truths.delete(ctx, project.id, asset_id=asset.id, index=1).frames == 1
    assert list(folder.iterdir()) == []
    ctx.store.close()
    backups.restore(data, "latest")
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [b"objects", b"map"]
    with Store.open(data) as store:
        assert [row.frame_index for row in store.read(lambda cur: db.truths.of_asset(cur, asset.id))] == [1]


def test_a_backup_copied_elsewhere_restores_into_an_empty_folder(ctx: Context, tmp_path: Path) -> None:
    project = add_project(ctx.store)
    made = backups.make(ctx)
    shutil.copytree(made.path, tmp_path / "stick" / "copy")
    backups.restore(tmp_path / "new", str(tmp_path / "stick" / "copy"))
    assert projects_in(tmp_path / "new") == {project}
    assert (tmp_path / "new/assets/a/source.mp4").read_bytes() == b"video"


def test_an_incomplete_or_unknown_backup_is_refused_and_nothing_changes(ctx: Context, tmp_path: Path) -> None:
    made = backups.make(ctx)
    copy = shutil.copytree(made.path, tmp_path / "copy")
    (copy / "assets/a/source.mp4").unlink()
    target = tmp_path / "new"
    target.mkdir()
    for wanted, kind, sentence in (
        (str(copy), Refused, "1 files with 7 bytes instead of 2 with 12"),
        ("yesterday", NotFound, "There is no backup yesterday. There are: none"),
        ("latest", NotFound, "Make one with"),
    ):
        with pytest.raises(kind, match=sentence):
            backups.restore(target, wanted)
    (copy / backups.MANIFEST).write_bytes(b"{}")
    with pytest.raises(Refused, match=r"backup.json is damaged"):
        backups.restore(target, str(copy))
    (Path(made.path) / NAME).unlink()
    with pytest.raises(Refused, match=r"pointillist\.duckdb is missing"):
        backups.restore(target, made.path)
    assert list(target.iterdir()) == []


def test_rows_missing_from_a_backup_are_told_at_the_next_start(ctx: Context, tmp_path: Path) -> None:
    early = backups.make(ctx)
    add_project(ctx.store)
    late = backups.make(ctx)
    shutil.copy(Path(early.path) / NAME, Path(late.path) / NAME)
    backups.restore(tmp_path / "new", late.path)
    with pytest.raises(StoreDamaged, match="1 project"):
        Store.open(tmp_path / "new")


def test_a_backup_that_cannot_be_written_leaves_nothing(ctx: Context) -> None:
    (ctx.paths.data / "backups").write_bytes(b"in the way")
    with pytest.raises(Unavailable, match="could not be written"):
        backups.make(ctx)
    (ctx.paths.data / "backups").unlink()
    assert backups.make(ctx).files == 2
