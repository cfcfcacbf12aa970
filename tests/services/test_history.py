"""Undo and redo: everybody their own edits, whole or not at all, over restarts, with revisions that only grow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, NotFound
from app.models import Asset, Change, Frame, Project, Region, as_raw, new_id
from app.services import history
from app.services.context import Context, Paths
from app.services.events import Events
from app.settings import Settings
from app.store import Store
from tests.store import rows

ACTORS = ("ann", "bob")
QUICK = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])


def context(store: Store) -> Context:
    """Undo needs the store and the events; no worker and no queue take part."""
    return Context(Settings(), Paths(store.folder), store, None, None, Events())  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with Store.open(tmp_path_factory.mktemp("history")) as store:
        yield context(store)


class Desk:
    """One project and two people who edit the regions of its first frame."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.project: Project
        self.asset: Asset
        self.frames: list[Frame]
        self.project, self.asset, self.frames = ctx.store.write(rows.scene)
        self.frame = self.frames[0].id

    def regions(self) -> list[Region]:
        return self.ctx.store.read(lambda cur: db.regions.of_frame(cur, self.frame))

    def hash(self) -> str:
        """Of all that a person can see: everything but the book-keeping."""
        seen = [replace(region, revision=0, updated_at=0.0) for region in self.regions()]
        states = self.ctx.store.read(lambda cur: db.frames.states(cur, self.asset.id))
        name = self.ctx.store.read(lambda cur: db.projects.get(cur, self.project.id)).name
        return hashlib.sha256(msgspec.json.encode([seen, states, name])).hexdigest()

    def edit(
        self, actor: str, kind: str, work: Callable[[db.Cursor], list[Change]], op_id: str | None = None
    ) -> str:
        def write(cur: db.Cursor) -> str:
            edit = history.record(
                cur,
                project_id=self.project.id,
                actor=actor,
                op_id=op_id or new_id(),
                kind=kind,
                label="road",
                frame_id=self.frame,
                changes=work(cur),
            )
            return edit.id

        return self.ctx.store.write(write)

    def add(self, actor: str) -> Region:
        region = replace(rows.region(self.frame), author=actor)

        def work(cur: db.Cursor) -> list[Change]:
            return [change(None, db.regions.insert(cur, region))]

        self.edit(actor, "add-region", work)
        return region

    def move(self, actor: str, id: str, x: float) -> str:
        def work(cur: db.Cursor) -> list[Change]:
            before = db.regions.get(cur, id)
            geometry = rows.region(self.frame, x=x).geometry
            return [change(before, db.regions.update(cur, replace(before, geometry=geometry)))]

        return self.edit(actor, "change-region", work)

    def delete(self, actor: str, id: str) -> str:
        return self.edit(actor, "delete-region", lambda cur: [change(db.regions.delete(cur, id), None)])

    def set_state(self, actor: str, index: int, state: str) -> str:
        def work(cur: db.Cursor) -> list[Change]:
            before = db.frames.by_index(cur, self.asset.id, index)
            return [change(before, db.frames.set_state(cur, before.id, state))]

        return self.edit(actor, "set-frame-state", work)

    def undo(self, actor: str, op_id: str | None = None) -> history.UndoResult:
        return history.undo(self.ctx, self.project.id, actor, op_id)

    def redo(self, actor: str, op_id: str | None = None) -> history.UndoResult:
        return history.redo(self.ctx, self.project.id, actor, op_id)


def change(before: Any, after: Any) -> Change:
    table = (
        "frame"
        if isinstance(before or after, Frame)
        else "project"
        if isinstance(before, Project)
        else "region"
    )
    return Change(table=table, id=(before or after).id, before=as_raw(before), after=as_raw(after))


@pytest.fixture
def desk(ctx: Context) -> Desk:
    return Desk(ctx)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(ACTORS),
        st.sampled_from(["add", "move", "delete", "state"]),
        st.integers(0, 5),
        st.integers(0, 60),
    ),
    max_size=14,
)


def perform(desk: Desk, actor: str, what: str, which: int, value: int) -> bool:
    """One edit; False when there is no region to edit."""
    regions = desk.regions()
    if what == "state":
        desk.set_state(actor, which % 3, ("todo", "done", "approved")[value % 3])
    elif what == "add":
        desk.add(actor)
    elif not regions:
        return False
    elif what == "move":
        desk.move(actor, regions[which % len(regions)].id, value / 4)
    else:
        desk.delete(actor, regions[which % len(regions)].id)
    return True


@QUICK
@given(operations=OPERATIONS)
def test_undoing_everything_leads_to_the_beginning_and_redoing_to_the_end(
    ctx: Context, operations: list[tuple[str, str, int, int]]
) -> None:
    desk = Desk(ctx)
    start = desk.hash()
    done = [operation for operation in operations if perform(desk, *operation)]
    end = desk.hash()
    for actor, *_ in reversed(done):
        desk.undo(actor)
    assert desk.hash() == start
    assert not any(
        ctx.store.read(lambda cur, a=a: history.possible(cur, desk.project.id, a))[0] for a in ACTORS
    )
    for actor, *_ in done:
        desk.redo(actor)
    assert desk.hash() == end
    assert not any(
        ctx.store.read(lambda cur, a=a: history.possible(cur, desk.project.id, a))[1] for a in ACTORS
    )


class TwoPeople(RuleBasedStateMachine):
    """Two people edit the same regions and undo and redo at will, beside a model of what each could take back."""

    ctx: Context

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.ctx)
        self.undoable: dict[str, list[str]] = {actor: [] for actor in ACTORS}
        self.redoable: dict[str, list[str]] = {actor: [] for actor in ACTORS}
        self.revisions: dict[str, int] = {}

    @rule(
        actor=st.sampled_from(ACTORS),
        what=st.sampled_from(["add", "move", "delete", "state"]),
        which=st.integers(0, 5),
        value=st.integers(0, 60),
    )
    def edits(self, actor: str, what: str, which: int, value: int) -> None:
        if perform(self.desk, actor, what, which, value):
            self.undoable[actor].append(self.newest().id)
            self.redoable[actor].clear()

    @rule(actor=st.sampled_from(ACTORS))
    def takes_back(self, actor: str) -> None:
        self.step(actor, self.desk.undo, self.undoable[actor], self.redoable[actor])

    @rule(actor=st.sampled_from(ACTORS))
    def does_again(self, actor: str) -> None:
        self.step(actor, self.desk.redo, self.redoable[actor], self.undoable[actor])

    def step(
        self, actor: str, act: Callable[[str], history.UndoResult], source: list[str], target: list[str]
    ) -> None:
        before, newest = self.desk.hash(), self.newest()
        if not source:
            with pytest.raises(NotFound, match="nothing of yours"):
                act(actor)
            return
        try:
            result = act(actor)
        except Conflict:
            assert (self.desk.hash(), self.newest()) == (before, newest), "a refusal changed something"
            return
        assert self.newest().target == source[-1]
        target.append(source.pop())
        assert (result.can_undo, result.can_redo) == (bool(self.undoable[actor]), bool(self.redoable[actor]))

    def newest(self) -> Any:
        found = self.desk.ctx.store.read(lambda cur: db.edits.history(cur, self.desk.project.id, limit=1))
        return found[0] if found else None

    @invariant()
    def revisions_never_fall(self) -> None:
        for region in self.desk.regions():
            assert region.revision >= self.revisions.get(region.id, 0)
            self.revisions[region.id] = region.revision


def test_two_people_can_edit_undo_and_redo_in_any_order(ctx: Context) -> None:
    machine = type("Machine", (TwoPeople,), {"ctx": ctx})
    run_state_machine_as_test(machine, settings=settings(QUICK, stateful_step_count=20))  # pyright: ignore


def test_a_row_that_was_brought_back_never_has_a_revision_it_had_before(desk: Desk) -> None:
    region = desk.add("ann")
    desk.move("ann", region.id, 5.0)
    seen = {1, 2}
    for _ in range(3):
        for act in (desk.undo, desk.undo, desk.redo, desk.redo):
            act("ann")
            for now in desk.regions():
                assert now.revision not in seen
                seen.add(now.revision)


def test_a_deleted_region_comes_back_under_its_id_with_a_newer_revision(desk: Desk) -> None:
    region = desk.add("ann")
    desk.delete("ann", region.id)
    result = desk.undo("ann")
    (back,) = desk.regions()
    assert (back.id, back.geometry, back.author) == (region.id, region.geometry, "ann")
    assert back.revision > region.revision
    assert result.what == "Brought the region road back."
    assert (result.frame_id, result.can_undo, result.can_redo) == (desk.frame, True, True)


def test_people_take_back_their_own_edits_only(desk: Desk) -> None:
    mine, theirs = desk.add("ann"), desk.add("bob")
    desk.undo("ann")
    assert [region.id for region in desk.regions()] == [theirs.id]
    with pytest.raises(NotFound):
        desk.undo("ann")
    with pytest.raises(NotFound):
        desk.redo("bob")
    desk.redo("ann")
    assert {region.id for region in desk.regions()} == {mine.id, theirs.id}


def test_what_somebody_else_changed_since_is_not_overwritten(desk: Desk) -> None:
    region = desk.add("ann")
    desk.move("ann", region.id, 5.0)
    desk.move("bob", region.id, 9.0)
    before = desk.hash()
    with pytest.raises(Conflict, match="region was changed by somebody else") as refused:
        desk.undo("ann")
    assert refused.value.extra["id"] == region.id
    assert desk.hash() == before
    desk.undo("bob")
    desk.undo("ann")
    assert desk.regions()[0].geometry == region.geometry


def test_an_edit_of_many_rows_is_undone_whole_or_not_at_all(desk: Desk) -> None:
    first, second = desk.add("bob"), desk.add("bob")

    def both(cur: db.Cursor) -> list[Change]:
        return [
            change(db.regions.delete(cur, first.id), None),
            change(db.regions.delete(cur, second.id), None),
        ]

    desk.edit("ann", "delete-many", both)
    # Somebody makes one of the ids anew: the other must not come back alone.
    taken = replace(second, author="bob")
    desk.edit("bob", "add-region", lambda cur: [change(None, db.regions.insert(cur, taken))])
    with pytest.raises(Conflict):
        desk.undo("ann")
    assert [region.id for region in desk.regions()] == [second.id]
    desk.undo("bob")
    desk.undo("ann")
    assert len(desk.regions()) == 2


def test_a_new_edit_ends_what_could_be_redone(desk: Desk) -> None:
    desk.add("ann")
    desk.undo("ann")
    desk.add("ann")
    with pytest.raises(NotFound):
        desk.redo("ann")
    assert not desk.undo("ann").can_undo


def test_a_repeated_operation_has_one_effect(desk: Desk) -> None:
    op = new_id()
    first = desk.edit("ann", "set-frame-state", lambda cur: [], op)
    again = desk.edit("ann", "set-frame-state", lambda cur: [], op)
    assert first == again == op
    desk.add("ann")
    desk.add("ann")
    op = new_id()
    result = desk.undo("ann", op)
    assert desk.undo("ann", op) == result
    assert len(desk.regions()) == 1
    assert result.edit.id == op


def test_undo_of_a_frame_keeps_what_background_work_wrote_meanwhile(desk: Desk) -> None:
    desk.set_state("ann", 0, "done")
    fresh = replace(desk.frames[0], hash="new")
    desk.ctx.store.write(lambda cur: db.frames.upsert_many(cur, [fresh]))
    desk.undo("ann")
    frame = desk.ctx.store.read(lambda cur: db.frames.get(cur, desk.frame))
    assert (frame.state, frame.hash) == ("todo", "new")


def test_undoing_the_making_of_a_project_puts_it_into_the_trash(desk: Desk) -> None:
    made = Change(table="project", id=desk.project.id, before=as_raw(None), after=as_raw(desk.project))
    desk.edit("ann", "add-project", lambda cur: [made])
    desk.undo("ann")
    project = desk.ctx.store.read(lambda cur: db.projects.get(cur, desk.project.id))
    assert project.trashed_at is not None
    assert desk.ctx.store.read(lambda cur: db.frames.count(cur, desk.asset.id)) == 3
    desk.redo("ann")
    assert desk.ctx.store.read(lambda cur: db.projects.get(cur, desk.project.id)).trashed_at is None


def test_undo_and_redo_go_on_after_a_restart(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        desk = Desk(context(store))
        region = desk.add("ann")
        desk.move("ann", region.id, 5.0)
        moved = desk.hash()
        desk.undo("ann")
    with Store.open(tmp_path) as store:
        desk.ctx = context(store)
        assert not desk.redo("ann").can_redo
        assert desk.hash() == moved
        desk.undo("ann")
        desk.undo("ann")
        assert desk.regions() == []
        assert [e.kind for e in history.listing(desk.ctx, desk.project.id)][:3] == ["undo", "undo", "redo"]
