"""Answers are kept until something is written, and not longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import store as db
from app.services.lasting import MARKED_ROOM, ROOM, Lasting
from app.store import Store
from tests.store import rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as made:
        yield made


def test_a_question_is_asked_once_until_something_is_written(store: Store) -> None:
    _, asset, frames = store.write(rows.scene)
    asked: list[int] = []

    def count(cur: db.Cursor) -> int:
        asked.append(1)
        return len(db.frames.region_runs(cur, asset.id))

    kept = Lasting(store)
    assert [kept.ask("runs", count) for _ in range(3)] == [0, 0, 0]
    assert len(asked) == 1
    store.write(lambda cur: db.regions.insert(cur, rows.region(frames[1].id)))
    assert [kept.ask("runs", count) for _ in range(3)] == [1, 1, 1]
    assert len(asked) == 2


def test_what_was_written_while_a_question_was_answered_is_seen_by_the_next(store: Store) -> None:
    _, asset, frames = store.write(rows.scene)
    kept = Lasting(store)

    def slow(cur: db.Cursor) -> int:
        found = len(db.frames.region_runs(cur, asset.id))
        if not found:
            store.write(lambda other: db.regions.insert(other, rows.region(frames[0].id)))
        return found

    assert kept.ask("runs", slow) == 0
    assert kept.ask("runs", slow) == 1


def test_only_the_newest_answers_are_kept(store: Store) -> None:
    kept = Lasting(store)
    asked: list[int] = []
    for number in (*range(ROOM + 1), ROOM, 0):
        kept.ask(number, lambda cur, number=number: asked.append(number))
    assert asked == [*range(ROOM + 1), 0]


def test_what_has_a_mark_outlives_writing_until_its_mark_is_another(store: Store) -> None:
    kept = Lasting(store)
    assert kept.recall("a", 1) is None
    kept.keep("a", 1, "old")
    store.write(rows.scene)
    assert (kept.recall("a", 1), kept.recall("a", 2), kept.recall("b", 1)) == ("old", None, None)
    kept.keep("a", 2, "new")
    assert (kept.recall("a", 1), kept.recall("a", 2)) == (None, "new")
    for number in range(MARKED_ROOM):
        kept.recall("a", 2)
        kept.keep(number, 1, number)
    assert (kept.recall("a", 2), kept.recall(0, 1), kept.recall(1, 1)) == ("new", None, 1)
