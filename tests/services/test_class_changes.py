"""Changes of classes in use: the rule book and all regions together, counted first, and back again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import (
    AttributeDef,
    Change,
    ClassDef,
    ClassTemplate,
    MappingRule,
    Project,
    Region,
    Track,
    as_raw,
    new_id,
)
from app.services import class_changes, class_revisions, class_templates, history
from app.services.bulk_edits import BATCH
from app.services.class_changes import NewChange
from app.services.context import Context
from app.store import Store
from tests.services.test_history import context
from tests.store import rows

SIDE = AttributeDef(name="side", kind="choice", choices=["left", "right"])


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with Store.open(tmp_path_factory.mktemp("changes")) as store:
        yield context(store)


class Book:
    """A class template of five classes, two projects that use it, and regions and tracks of the class car."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.template = ClassTemplate(
            id=new_id(),
            name="Street",
            classes=[
                ClassDef(id=1, name="road", colour="#804080"),
                ClassDef(id=2, name="car", colour="#400080", parent=4, attributes=[SIDE], shortcut="c"),
                ClassDef(id=3, name="taxi", colour="#ffff00", parent=2),
                ClassDef(id=4, name="vehicle", colour="#000046"),
                ClassDef(id=5, name="van", colour="#0000ff"),
            ],
            rules=[MappingRule(kind="name", key="sedan", class_id=2), MappingRule(kind="value", key="255")],
        )
        self.projects: list[Project] = []
        self.frames: list[str] = []
        self.track = Track(id=new_id(), project_id="", class_id=2, name="car 1")
        ctx.store.write(self._fill)

    def _fill(self, cur: db.Cursor) -> None:
        db.class_templates.insert(cur, self.template)
        for name in ("North", "South"):
            project = db.projects.insert(cur, rows.project(self.template.id, name))
            asset = db.assets.insert(cur, rows.asset(project.id))
            images = rows.frames(asset.id, 2)
            db.frames.upsert_many(cur, images)
            self.projects.append(project)
            self.frames += [image.id for image in images]
        self.track = db.tracks.insert(cur, replace(self.track, project_id=self.projects[0].id))
        made = []
        for number, frame in enumerate(self.frames):
            side = {"side": "left"} if number % 2 else {}
            car = replace(rows.region(frame), class_id=2, track_id=self.track.id, attributes=side)
            made += [car, replace(rows.region(frame), class_id=1, track_id=None)]
        db.regions.insert_many(cur, made)

    def now(self) -> ClassTemplate:
        return class_templates.get(self.ctx, self.template.id)

    def regions(self) -> list[Region]:
        return self.ctx.store.read(
            lambda cur: [r for frame in self.frames for r in db.regions.of_frame(cur, frame)]
        )

    def classes(self) -> list[int]:
        return sorted(region.class_id for region in self.regions())

    def hash(self) -> str:
        """Of all that a person can see: everything but the book-keeping."""
        seen = [replace(region, revision=0, updated_at=0.0) for region in self.regions()]
        track = self.ctx.store.read(lambda cur: db.tracks.find(cur, self.track.id))
        template = replace(self.now(), revision=0, updated_at=0.0)
        return hashlib.sha256(
            msgspec.json.encode([seen, template, track and replace(track, revision=0)])
        ).hexdigest()

    def change(self, kind: str, class_id: int, expected: int, actor: str = "ann", **fields: Any) -> Any:
        wanted = NewChange(kind=kind, class_id=class_id, expected_regions=expected, **fields)  # pyright: ignore[reportArgumentType]
        return class_changes.apply(self.ctx, self.template.id, wanted, expected_revision=None, actor=actor)

    def undo(self, actor: str = "ann") -> history.UndoResult:
        return class_templates.undo(self.ctx, self.template.id, actor)

    def redo(self, actor: str = "ann") -> history.UndoResult:
        return class_templates.redo(self.ctx, self.template.id, actor)


@pytest.fixture
def book(ctx: Context) -> Book:
    return Book(ctx)


def test_usage_counts_regions_frames_and_attributes_by_project(book: Book) -> None:
    usage = class_changes.usage(book.ctx, book.template.id, 2)
    assert (usage.regions, usage.frames, usage.tracks, usage.rules, usage.children) == (4, 4, 1, 1, 1)
    assert [(p.name, p.regions, p.frames, len(p.assets)) for p in usage.projects] == [
        ("North", 2, 2, 1),
        ("South", 2, 2, 1),
    ]
    assert usage.attributes == {"side": {"": 2, "left": 2}}
    assert class_templates.editing(book.ctx, book.template.id, "ann").usage == {1: 4, 2: 4}


MERGE: Callable[[Book], Any] = lambda book: book.change("merge", 2, 4, into=5)  # noqa: E731
CHANGES: dict[str, Callable[[Book], Any]] = {
    "rename": lambda book: book.change("rename", 2, 4, name="auto"),
    "merge": MERGE,
    "split by attribute": lambda book: book.change("split", 2, 2, name="l", attribute="side", value="left"),
    "split by asset": lambda book: book.change("split", 2, 2, name="n", asset_ids=[book.frames[0][:24]]),
    "split by ids": lambda book: book.change("split", 2, 1, name="one", region_ids=[one(book).id]),
    "delete into": lambda book: book.change("delete", 2, 4, into=1),
    "delete": lambda book: book.change("delete", 2, 4),
    "plain edit": lambda book: class_templates.update(
        book.ctx, book.template.id, name="Road book", expected_revision=None, actor="ann"
    ),
}


def one(book: Book) -> Region:
    return next(region for region in book.regions() if region.class_id == 2)


@pytest.mark.parametrize("kind", CHANGES)
def test_every_change_is_undone_and_redone_exactly(book: Book, kind: str) -> None:
    before = book.hash()
    CHANGES[kind](book)
    after = book.hash()
    assert after != before
    for _round in range(2):
        book.undo()
        assert book.hash() == before
        book.redo()
        assert book.hash() == after
    assert book.now().revision == 6


def test_a_merge_takes_regions_tracks_children_and_rules_along(book: Book) -> None:
    result = MERGE(book)
    now = book.now()
    assert (result.regions, result.class_id, result.can_undo) == (4, 5, True)
    assert book.classes() == [1, 1, 1, 1, 5, 5, 5, 5]
    assert [(c.id, c.parent) for c in now.classes] == [(1, None), (3, 5), (4, None), (5, None)]
    assert [(r.key, r.class_id) for r in now.rules] == [("sedan", 5), ("255", None), ("car", 5)]
    assert book.ctx.store.read(lambda cur: db.tracks.get(cur, book.track.id)).class_id == 5
    assert [e.kind for e in history.listing(book.ctx, book.template.id)] == ["merge-class"]


def test_a_class_merged_into_one_below_it_leaves_no_circle_of_parents(book: Book) -> None:
    book.change("merge", 2, 4, into=3)
    assert [(c.id, c.parent) for c in book.now().classes] == [(1, None), (3, 4), (4, None), (5, None)]


def test_a_deleted_class_takes_its_regions_tracks_and_rules_with_it(book: Book) -> None:
    book.change("delete", 2, 4)
    assert book.classes() == [1, 1, 1, 1]
    assert book.ctx.store.read(lambda cur: db.tracks.find(cur, book.track.id)) is None
    assert [r.key for r in book.now().rules] == ["255"]
    assert book.now().classes[1].parent == 4


def test_a_split_makes_a_class_beside_the_old_one_with_an_id_that_never_was(book: Book) -> None:
    book.change("delete", 5, 0)
    result = book.change("split", 2, 2, name="left car", attribute="side", value="left")
    made = book.now().classes[2]
    assert (made.id, made.name, made.priority, made.parent, made.shortcut) == (6, "left car", 0, 4, "")
    assert made.attributes == [SIDE]
    assert (result.class_id, book.classes()) == (6, [1, 1, 1, 1, 2, 2, 6, 6])
    track = book.ctx.store.read(lambda cur: db.tracks.get(cur, book.track.id))
    assert track.class_id == 2  # some of its regions stay


def test_a_renamed_class_still_answers_to_its_old_name_and_can_be_renamed_back(book: Book) -> None:
    book.change("rename", 5, 0, name="lorry")
    assert [(r.key, r.class_id) for r in book.now().rules[2:]] == [("van", 5)]
    book.change("rename", 5, 0, name="van")
    assert [(r.key, r.class_id) for r in book.now().rules[2:]] == [("lorry", 5)]


@pytest.mark.parametrize("kind", [k for k in CHANGES if k not in ("plain edit", "split by ids")])
def test_a_change_is_refused_whole_when_the_count_is_no_longer_what_was_shown(book: Book, kind: str) -> None:
    extra = replace(rows.region(book.frames[1]), class_id=2, attributes={"side": "left"})
    if kind == "split by asset":
        extra = replace(extra, id=new_id(), frame_id=book.frames[0])
    book.ctx.store.write(lambda cur: db.regions.insert(cur, extra))
    before = book.hash()
    with pytest.raises(Conflict, match="now, not") as caught:
        CHANGES[kind](book)
    assert caught.value.extra == {"regions": 3 if "split" in kind else 5}
    assert book.hash() == before
    with pytest.raises(NotFound, match="nothing of yours"):
        book.undo()


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("merge", {"into": 2}, "into itself"),
        ("merge", {}, "Choose the class"),
        ("rename", {"name": "ROAD\u202e"}, "nothing"),
        ("rename", {"name": "road"}, "same name: road"),
        ("split", {"name": "x"}, "Say which regions"),
        ("split", {"name": "x", "asset_ids": [], "attribute": "side"}, "Say which regions"),
        ("split", {"name": "road", "asset_ids": []}, "same name"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    book: Book, kind: str, fields: dict[str, Any], says: str
) -> None:
    if says == "nothing":
        assert book.change(kind, 2, 4, **fields).template.classes[1].name == "ROAD"
        return
    with pytest.raises(Refused, match=says):
        book.change(kind, 2, 4, **fields)


def test_a_class_or_template_that_does_not_exist_is_not_found(book: Book) -> None:
    with pytest.raises(NotFound):
        book.change("delete", 99, 0)
    with pytest.raises(NotFound):
        class_changes.usage(book.ctx, book.template.id, 99)
    for wrong in (new_id(), book.projects[0].id):
        with pytest.raises(NotFound, match="class template"):
            class_templates.undo(book.ctx, wrong, "ann")


def test_rules_that_would_go_round_in_a_circle_stop_a_merge(book: Book) -> None:
    chain = [
        MappingRule(kind="name", key="van", class_id=1),
        MappingRule(kind="name", key="road", class_id=2),
    ]
    class_templates.update(book.ctx, book.template.id, rules=chain, expected_revision=None, actor="ann")
    with pytest.raises(Refused, match="circle: road → van → road"):
        MERGE(book)
    assert book.classes() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_undo_of_a_merge_keeps_what_was_changed_of_the_regions_since(book: Book) -> None:
    moved = one(book)
    MERGE(book)
    now = book.ctx.store.read(lambda cur: db.regions.get(cur, moved.id))
    book.ctx.store.write(
        lambda cur: db.regions.update(cur, replace(now, area=7, attributes={"side": "right"}))
    )
    book.undo()
    back = book.ctx.store.read(lambda cur: db.regions.get(cur, moved.id))
    assert (back.class_id, back.area, back.attributes) == (2, 7, {"side": "right"})


def test_undo_of_a_merge_is_refused_whole_when_one_region_has_another_class_since(book: Book) -> None:
    moved = one(book)
    MERGE(book)
    now = book.ctx.store.read(lambda cur: db.regions.get(cur, moved.id))
    book.ctx.store.write(lambda cur: db.regions.update(cur, replace(now, class_id=1)))
    before = book.hash()
    with pytest.raises(Conflict, match="changed since"):
        book.undo()
    assert book.hash() == before


def test_undo_is_refused_after_somebody_else_changed_the_rule_book(book: Book) -> None:
    MERGE(book)
    class_templates.update(book.ctx, book.template.id, name="Other", expected_revision=None, actor="bob")
    with pytest.raises(Conflict, match="class template was changed by somebody else"):
        book.undo("ann")
    book.undo("bob")
    book.undo("ann")
    assert book.classes() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_region_does_not_come_back_with_a_class_that_is_gone(book: Book) -> None:
    lost = one(book)

    def delete(cur: db.Cursor) -> None:
        db.regions.delete(cur, lost.id)
        change = Change(table="region", id=lost.id, before=as_raw(lost), after=as_raw(None))
        history.record(
            cur, project_id=book.projects[0].id, actor="ann", op_id=new_id(), kind="delete-region",
            label="car", frame_id=lost.frame_id, changes=[change],
        )  # fmt: skip

    book.ctx.store.write(delete)
    book.change("merge", 2, 3, into=5)
    with pytest.raises(Conflict, match="no longer in the class template Street"):
        history.undo(book.ctx, book.projects[0].id, "ann")
    book.undo()
    history.undo(book.ctx, book.projects[0].id, "ann")
    assert book.classes() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_the_same_operation_twice_is_one_change(book: Book) -> None:
    wanted = NewChange(kind="merge", class_id=2, expected_regions=4, into=5)
    op = new_id()
    for _again in range(2):
        result = class_changes.apply(
            book.ctx, book.template.id, wanted, expected_revision=1, actor="ann", op_id=op
        )
        assert (result.template.revision, result.edit.id) == (2, op)


def test_a_merge_of_more_regions_than_a_batch_is_one_edit(book: Book) -> None:
    many = [replace(rows.region(book.frames[0]), class_id=5, track_id=None) for _i in range(BATCH + 10)]
    book.ctx.store.write(lambda cur: db.regions.insert_many(cur, many))
    before = book.hash()
    book.change("merge", 5, BATCH + 10, into=2)
    assert book.classes().count(2) == BATCH + 14
    book.undo()
    assert book.hash() == before


def test_revisions_say_in_words_what_changed_and_can_be_brought_back(book: Book) -> None:
    first = book.now()
    MERGE(book)
    classes = [replace(c, colour="#123456", priority=5) if c.id == 1 else c for c in book.now().classes[::-1]]
    class_templates.update(book.ctx, book.template.id, classes=classes, expected_revision=2, actor="ann")
    found = class_revisions.detail(book.ctx, book.template.id, 1)
    assert found.template == first
    assert found.differences == [
        "car was deleted.",
        "taxi: parent car → van.",
        "road: colour #804080 → #123456.",
        "road: priority 0 → 5.",
        "The order of the classes, which decides between equal priorities, changed.",
        "The rule sedan → van is new in what it leads to.",
        "The rule car → van was added.",
    ]
    listed = class_revisions.listing(book.ctx, book.template.id)
    assert [(r.revision, r.classes, r.current) for r in listed] == [
        (3, 4, True),
        (2, 4, False),
        (1, 5, False),
    ]
    back = class_revisions.restore(book.ctx, book.template.id, 1, expected_revision=3, actor="ann")
    assert (back.classes, back.rules, back.revision) == (first.classes, first.rules, 4)
    assert class_revisions.detail(book.ctx, book.template.id, 1).differences == []


def test_a_revision_that_lacks_a_class_in_use_is_not_brought_back(book: Book) -> None:
    book.change("split", 2, 2, name="left car", attribute="side", value="left")
    with pytest.raises(Conflict, match="2 regions have the class left car"):
        class_revisions.restore(book.ctx, book.template.id, 1, expected_revision=None, actor="ann")
