"""Every table: what goes in comes out, revisions guard changes, and no query forgets a field."""

from __future__ import annotations

import re
from types import ModuleType

import duckdb
import msgspec
import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import new_id
from app.store import Store, integrity
from app.store.migrate import steps
from tests.store import rows

TABLES: list[ModuleType] = [
    db.projects,
    db.assets,
    db.frames,
    db.regions,
    db.class_templates,
    db.tracks,
    db.edits,
    db.jobs,
]
QUERIES = [
    (module, name)
    for module in [*TABLES, db.stats, integrity]
    for name in vars(module)
    if name.isupper() and isinstance(vars(module)[name], str)
]
PLAIN_ANSWERS = re.compile(
    r"COUNT|STATES|EXTENTS|WITH_REGIONS|LAST_(UN|RE)DOABLE|PROJECTS|REVISION|PROGRESS|MARK|DASHBOARD"
)

ANSWERS = [
    (module, name)
    for module, name in QUERIES
    if re.match(r"\s*(select|with)\s", vars(module)[name]) and not PLAIN_ANSWERS.search(name)
]
"""The queries that answer with whole rows, not with counts."""


@pytest.fixture(scope="module")
def schema() -> duckdb.DuckDBPyConnection:
    raw = duckdb.connect(":memory:")
    for step in steps():
        raw.execute(step.sql).fetchall()
    return raw


@pytest.mark.parametrize(("module", "name"), ANSWERS, ids=[f"{m.__name__[10:]}.{n}" for m, n in ANSWERS])
def test_every_query_that_answers_with_rows_has_the_fields_of_the_struct_in_order(
    schema: duckdb.DuckDBPyConnection, module: ModuleType, name: str
) -> None:
    sql = vars(module)[name]
    names = set(re.findall(r"\$(\w+)", sql))
    null = {key: [] if key == "states" else 0 if key == "limit" else None for key in names}
    described = schema.execute(sql, null) if null else schema.execute(sql)
    assert [column[0] for column in described.description or []] == list(module.CODEC.fields)


def test_the_columns_of_each_table_hold_every_field_of_its_struct(schema: duckdb.DuckDBPyConnection) -> None:
    for module in TABLES:
        name = re.sub("(?<!^)(?=[A-Z])", "_", module.CODEC.struct.__name__).lower()
        columns = {row[0] for row in schema.execute(f"describe {name}").fetchall()}
        assert set(module.CODEC.fields) <= columns, name


def test_statements_that_change_the_number_of_rows_begin_so_that_they_are_counted() -> None:
    for module, name in QUERIES:
        sql = vars(module)[name]
        if re.search(r"\b(insert into|delete from)\b", sql):
            assert re.match(r"\s*(insert into|delete from) \w+", sql), f"{module.__name__}.{name}"


def test_every_row_comes_back_as_it_was_stored(store: Store) -> None:
    def check(cur: db.Cursor) -> None:
        project, asset, frames = rows.scene(cur)
        assert db.projects.get(cur, project.id) == project
        assert db.assets.get(cur, asset.id) == asset
        assert db.frames.get(cur, frames[1].id) == frames[1]
        region = db.regions.insert(cur, rows.region(frames[0].id, certificate=rows.CERTIFICATE))
        assert db.regions.get(cur, region.id) == region
        template = db.class_templates.get(cur, project.class_template_id)
        assert template.classes[0].exported_value == 0
        track = db.tracks.insert(cur, rows.track(project.id))
        assert db.tracks.of_project(cur, project.id) == [track]
        job = db.jobs.insert(cur, rows.job(project.id))
        assert db.jobs.get(cur, job.id) == job
        edit = db.edits.append(cur, rows.edit(project.id, frame_id=frames[0].id))
        assert db.edits.by_id(cur, edit.id) == edit

    store.write(check)


@pytest.mark.parametrize("module", [db.projects, db.assets, db.frames, db.regions, db.tracks, db.jobs])
def test_an_unknown_id_is_not_found(store: Store, module: ModuleType) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        store.read(lambda cur: module.get(cur, "f" * 24))


def test_an_id_that_is_taken_is_a_conflict_and_nothing_of_the_change_stays(store: Store) -> None:
    project, _, frames = store.write(rows.scene)
    first = store.write(lambda cur: db.regions.insert(cur, rows.region(frames[0].id)))

    def again(cur: db.Cursor) -> None:
        db.tracks.insert(cur, rows.track(project.id))
        db.regions.insert(cur, first)

    with pytest.raises(Conflict, match="already exists"):
        store.write(again)
    assert store.read(lambda cur: db.tracks.of_project(cur, project.id)) == []


def test_a_stale_revision_is_refused_and_a_current_one_grows(store: Store) -> None:
    project, asset, frames = store.write(rows.scene)
    region = store.write(lambda cur: db.regions.insert(cur, rows.region(frames[0].id)))
    track = store.write(lambda cur: db.tracks.insert(cur, rows.track(project.id)))
    template = store.read(lambda cur: db.class_templates.get(cur, project.class_template_id))
    for module, row in (
        (db.projects, project),
        (db.assets, asset),
        (db.frames, frames[0]),
        (db.regions, region),
        (db.tracks, track),
        (db.class_templates, template),
    ):
        changed = store.write(lambda cur, m=module, r=row: m.update(cur, r, 1))
        assert changed.revision == 2
        assert store.read(lambda cur, m=module, r=row: m.get(cur, r.id)) == changed
        with pytest.raises(Conflict, match="revision 2, not 1") as refused:
            store.write(lambda cur, m=module, r=row: m.update(cur, r, 1))
        assert refused.value.extra["current_revision"] == 2


def test_older_revisions_of_a_class_template_can_still_be_read(store: Store) -> None:
    first = store.write(lambda cur: db.class_templates.insert(cur, rows.template()))
    second = store.write(lambda cur: db.class_templates.update(cur, replace(first, name="New"), 1))
    assert store.read(lambda cur: db.class_templates.revisions(cur, first.id)) == [first, second]
    assert store.read(lambda cur: db.class_templates.at_revision(cur, first.id, 1)).name == "Street"
    with pytest.raises(NotFound, match="no revision 7"):
        store.read(lambda cur: db.class_templates.at_revision(cur, first.id, 7))


def test_collecting_frames_twice_keeps_state_and_revision(store: Store) -> None:
    _, asset, frames = store.write(rows.scene)
    store.write(lambda cur: db.frames.set_state(cur, frames[1].id, "done", 1))
    store.write(lambda cur: db.frames.upsert_many(cur, [replace(frame, hash="new") for frame in frames]))
    again = store.read(lambda cur: db.frames.by_index(cur, asset.id, 1))
    assert (again.state, again.revision, again.hash) == ("done", 2, "new")
    assert store.read(lambda cur: db.frames.count(cur, asset.id)) == 3


def test_states_and_regions_of_frames_come_as_runs_and_counts(store: Store) -> None:
    _, asset, frames = store.write(lambda cur: rows.scene(cur, 8))

    def mark(cur: db.Cursor) -> None:
        for index, state in ((2, "done"), (3, "done"), (5, "approved")):
            db.frames.set_state(cur, frames[index].id, state)
        db.regions.insert_many(cur, [rows.region(frames[i].id) for i in (3, 4, 4, 6)])

    store.write(mark)
    assert store.read(lambda cur: db.frames.states(cur, asset.id)) == [
        (0, 2, "todo"),
        (2, 2, "done"),
        (4, 1, "todo"),
        (5, 1, "approved"),
        (6, 2, "todo"),
    ]
    assert store.read(lambda cur: db.frames.with_regions(cur, asset.id)) == {3: 1, 4: 2, 6: 1}
    assert store.read(lambda cur: db.frames.with_regions(cur, asset.id, 4, 6)) == {4: 2}
    assert store.read(lambda cur: db.frames.region_runs(cur, asset.id)) == [(3, 2), (6, 1)]
    assert [f.index for f in store.read(lambda cur: db.frames.page(cur, asset.id, 5, 2))] == [5, 6]
    found = store.read(lambda cur: list(db.regions.of_asset(cur, asset.id, 4, 2)))
    assert [region.frame_id for region in found] == [frames[4].id] * 2


def test_a_page_of_frames_is_a_window_so_that_a_gap_repeats_no_frame(store: Store) -> None:
    _, asset, frames = store.write(lambda cur: rows.scene(cur, 8))
    store.write(lambda cur: db.frames.delete(cur, frames[2].id))
    pages = store.read(lambda cur: [db.frames.page(cur, asset.id, start, 3) for start in (0, 3, 6, 9)])
    assert [[frame.index for frame in page] for page in pages] == [[0, 1], [3, 4, 5], [6, 7], []]
    states = store.read(lambda cur: db.frames.states(cur, asset.id))
    assert states == [(0, 2, "todo"), (3, 5, "todo")]


def test_regions_of_a_frame_come_oldest_first_whatever_their_ids(store: Store) -> None:
    _, _, frames = store.write(rows.scene)
    made = [replace(rows.region(frames[0].id), created_at=at) for at in (3.0, 1.0, 2.0)]
    store.write(lambda cur: db.regions.insert_many(cur, made))
    found = store.read(lambda cur: db.regions.of_frame(cur, frames[0].id))
    assert [region.created_at for region in found] == [1.0, 2.0, 3.0]


def test_ten_thousand_regions_are_added_in_one_change_and_counted_by_class(store: Store) -> None:
    project, asset, frames = store.write(rows.scene)
    many = [replace(rows.region(frames[i % 3].id), class_id=1 + i % 2) for i in range(10_000)]
    store.write(lambda cur: db.regions.insert_many(cur, many))
    by_class = store.read(lambda cur: db.regions.counts_by_class(cur, frames[0].id))
    assert by_class == {1: 1667, 2: 1667}
    template = project.class_template_id
    assert store.read(lambda cur: db.regions.count_of_class(cur, template, 2)) == 5000
    assert sum(store.read(lambda cur: db.frames.with_regions(cur, asset.id)).values()) == 10_000


def test_deleting_a_project_takes_everything_but_its_journal(store: Store) -> None:
    project, _, frames = store.write(rows.scene)
    other, _, _ = store.write(rows.scene)

    def fill(cur: db.Cursor) -> None:
        db.regions.insert(cur, rows.region(frames[0].id))
        db.tracks.insert(cur, rows.track(project.id))
        db.jobs.insert(cur, rows.job(project.id))
        db.edits.append(cur, rows.edit(project.id))
        db.projects.delete(cur, project.id)

    store.write(fill)
    counts = store.read(lambda cur: integrity.count_rows(cur, list(integrity.COUNTS)))
    assert (counts["project"], counts["asset"], counts["frame"]) == (1, 1, 3)
    assert (counts["region"], counts["track"], counts["job"], counts["edit"]) == (0, 0, 0, 1)
    assert store.read(lambda cur: db.projects.listing(cur)) == [other]


def test_projects_are_searched_filtered_and_sorted(store: Store) -> None:
    def fill(cur: db.Cursor) -> None:
        for at, name in enumerate(("beta", "Alpha", "gamma"), 1):
            db.projects.insert(cur, replace(rows.project(new_id(), name), created_at=at, updated_at=9 - at))

    store.write(fill)

    def names(**wanted: str) -> list[str]:
        return [p.name for p in store.read(lambda cur: db.projects.listing(cur, **wanted))]  # pyright: ignore

    assert names() == ["gamma", "Alpha", "beta"]
    assert names(sort="oldest") == ["beta", "Alpha", "gamma"]
    assert names(sort="name") == ["Alpha", "beta", "gamma"]
    assert names(sort="updated") == ["beta", "Alpha", "gamma"]
    assert names(search="ALP") == ["Alpha"]
    assert names(search="%") == []
    assert names(status="complete") == []
    with pytest.raises(Refused, match="cannot be sorted"):
        names(sort="size")


def test_jobs_are_listed_by_state_and_unfinished_ones_oldest_first(store: Store) -> None:
    def fill(cur: db.Cursor) -> None:
        for at, state in enumerate(("running", "done", "waiting"), 1):
            db.jobs.insert(cur, replace(rows.job("p", state), created_at=float(at)))

    store.write(fill)
    listed = store.read(lambda cur: db.jobs.listing(cur, states=["done", "waiting"], limit=9))
    assert [job.state for job in listed] == ["waiting", "done"]
    unfinished = store.read(db.jobs.unfinished)
    assert [job.state for job in unfinished] == ["running", "waiting"]
    after = store.write(lambda cur: db.jobs.update(cur, replace(unfinished[0], state="failed", reason="x")))
    assert after.revision == 2
    assert [job.state for job in store.read(db.jobs.unfinished)] == ["waiting"]


def test_progress_and_dashboard_count_frames_regions_and_certificates(store: Store) -> None:
    project, asset, frames = store.write(lambda cur: rows.scene(cur, 4))

    def fill(cur: db.Cursor) -> None:
        db.frames.set_state(cur, frames[0].id, "done")
        db.frames.set_state(cur, frames[1].id, "approved")
        poor = msgspec.structs.replace(rows.CERTIFICATE, iou=0.5)
        for certificate in (None, poor, rows.CERTIFICATE):
            db.regions.insert(cur, rows.region(frames[0].id, certificate=certificate))

    store.write(fill)
    expected = {"frames": 4, "done": 2, "approved": 1, "regions": 3, "certified": 1}
    missing = dict.fromkeys(expected, 0)
    found = store.read(lambda cur: db.stats.progress(cur, [project.id, "x"]))
    assert found == {project.id: expected, "x": missing}
    assert store.read(lambda cur: db.stats.asset_progress(cur, project.id)) == {asset.id: expected}
    assert store.read(db.stats.dashboard).certified == 1
    store.write(lambda cur: db.assets.update(cur, replace(asset, trashed_at=1.0)))
    assert store.read(lambda cur: db.stats.progress(cur, [project.id])) == {project.id: missing}


def test_the_journal_counts_on_without_a_gap_and_pages_backwards(store: Store) -> None:
    for _ in range(5):
        store.write(lambda cur: db.edits.append(cur, rows.edit("p")))
    store.write(lambda cur: db.edits.append(cur, rows.edit("p", actor="bob")))

    def page(**wanted: object) -> list[int]:
        return [e.seq for e in store.read(lambda cur: db.edits.history(cur, "p", **wanted))]  # pyright: ignore

    assert page(limit=2) == [6, 5]
    assert page(before=5, limit=2) == [4, 3]
    assert page(actor="bob") == [6]
