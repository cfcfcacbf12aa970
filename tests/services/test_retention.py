"""The files of old results go, those of the newest stay, and none goes while it is needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import store as db
from app.models import Job, JobState, new_id
from app.services import retention
from app.services.context import Context, Paths
from app.services.events import Events
from app.settings import Settings
from app.store import Store
from app.worker.client import WorkerClient
from tasks.queue import make_queue

NOW = time.time()


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    paths = Paths(tmp_path)
    paths.make()
    chosen = Settings(data=tmp_path, keep_results=2, keep_results_days=10)
    worker = WorkerClient(tmp_path / "nobody", b"")
    with Store.open(tmp_path) as store:
        yield Context(chosen, paths, store, worker, make_queue(tmp_path), Events())


def result(ctx: Context, days: float, state: JobState = "done") -> str:
    """A job that ended so many days ago, with one file."""
    job = Job(id=new_id(), project_id=new_id(), kind="export", title="t", state=state)
    job.finished_at = NOW - days * retention.DAY_S
    ctx.store.write(lambda cur: db.jobs.insert(cur, job))
    folder = ctx.paths.export(job.id)
    folder.mkdir()
    (folder / "labels.zip").write_bytes(b"x" * 10)
    return job.id


def there(ctx: Context) -> set[str]:
    return {folder.name for folder in ctx.paths.exports.iterdir()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.floats(0, 40), max_size=6, unique=True))
def test_old_results_go_but_for_the_newest(ctx: Context, ages: list[float]) -> None:
    made = {result(ctx, days): days for days in ages}
    gone = retention.sweep(ctx, now=NOW)
    newest = sorted(ages)[:2]
    assert set(gone) == {id for id, days in made.items() if days > 10 and days not in newest}
    assert there(ctx) == made.keys() - set(gone)
    for id in there(ctx):
        (ctx.paths.export(id) / "labels.zip").unlink()
        ctx.paths.export(id).rmdir()


def test_nothing_goes_while_it_is_sent_or_its_job_rests(ctx: Context) -> None:
    old = [result(ctx, days) for days in (20, 21, 22, 23)]
    resting = result(ctx, 30, "paused")
    with retention.sending(ctx.paths.export(old[3]) / "labels.zip"):
        assert retention.sweep(ctx, now=NOW) == [old[2]]
    assert there(ctx) == {old[0], old[1], old[3], resting}
    assert retention.sweep(ctx, now=NOW) == [old[3]]
    assert list(ctx.paths.trash.iterdir()) == []


def test_files_of_no_job_go_by_their_own_age_and_leftovers_at_once(ctx: Context) -> None:
    for days in (1, 2):
        result(ctx, days)
    stray = ctx.paths.export(new_id())
    stray.mkdir()
    os.utime(stray, (NOW - 11 * retention.DAY_S,) * 2)
    (ctx.paths.trash / "result-half").mkdir()
    assert retention.kept(ctx) == retention.Kept(results=3, files=2, bytes=20)
    assert retention.sweep(ctx, now=NOW) == [stray.name]
    assert list(ctx.paths.trash.iterdir()) == []
