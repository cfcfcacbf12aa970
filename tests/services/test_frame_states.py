"""The state of many frames at once, and who may take it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict
from app.models import Frame
from app.services import frame_states, frames, history
from app.services.context import Context
from app.store import Store
from tests.services.test_history import context
from tests.store import rows


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with Store.open(tmp_path_factory.mktemp("states")) as store:
        yield context(store)


def scene(ctx: Context, count: int) -> tuple[str, str, list[Frame]]:
    """The id of a project, that of its asset, and the frames of that."""

    def write(cur: db.Cursor) -> tuple[str, str, list[Frame]]:
        project, asset, made = rows.scene(cur, count)
        db.assets.update(cur, replace(asset, frame_count=count), None)
        return project.id, asset.id, made

    return ctx.store.write(write)


def states(ctx: Context, asset_id: str) -> list[tuple[int, int, str]]:
    return ctx.store.read(lambda cur: db.frames.states(cur, asset_id))


def test_thousands_of_frames_are_one_small_edit_that_goes_both_ways(ctx: Context) -> None:
    project, asset, made = scene(ctx, 5000)
    for frame in made[:8:2]:
        frames.set_state(ctx, frame.id, "approved", expected_revision=None, actor="bob")
    before = states(ctx, asset)
    result = frame_states.set_range(ctx, asset, 0, 4999, "done", actor="ann")
    assert (result.changed, result.edit and result.edit.frame_id) == (5000, None)
    assert states(ctx, asset) == [(0, 5000, "done")]
    edit = ctx.store.read(lambda cur: db.edits.by_id(cur, result.edit.id if result.edit else ""))
    assert edit is not None
    assert edit.bulk == len(before) < 20
    history.undo(ctx, project, "ann")
    assert states(ctx, asset) == before
    history.redo(ctx, project, "ann")
    assert states(ctx, asset) == [(0, 5000, "done")]


def test_what_somebody_else_approved_since_is_not_taken_back(ctx: Context) -> None:
    project, asset, made = scene(ctx, 6)
    frame_states.set_range(ctx, asset, 1, 4, "done", actor="ann")
    frames.set_state(ctx, made[2].id, "approved", expected_revision=2, actor="bob")
    before = states(ctx, asset)
    with pytest.raises(Conflict, match="changed since"):
        history.undo(ctx, project, "ann")
    assert states(ctx, asset) == before


def test_frames_in_the_trash_keep_their_state(ctx: Context) -> None:
    _project, asset, _made = scene(ctx, 3)

    def discard(cur: db.Cursor) -> None:
        db.assets.update(cur, replace(db.assets.get(cur, asset), trashed_at=1.0), None)

    ctx.store.write(discard)
    with pytest.raises(Conflict, match="in the trash"):
        frame_states.set_range(ctx, asset, 0, 1, "done", actor="ann")
    assert states(ctx, asset) == [(0, 3, "todo")]
