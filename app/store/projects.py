"""Projects."""

from __future__ import annotations

import time

from msgspec.structs import replace

from app.errors import NotFound, Refused
from app.models import Project
from app.store.cursor import Codec, Cursor, changed_meanwhile

CODEC = Codec(Project)

INSERT = """
insert into project (id, name, class_template_id, status, engine, revision, created_at, updated_at,
    trashed_at)
values ($id, $name, $class_template_id, $status, $engine, $revision, $created_at, $updated_at, $trashed_at)
"""
GET = """
select id, name, class_template_id, status, engine, revision, created_at, updated_at, trashed_at
from project where id = $id
"""
LISTING = """
select id, name, class_template_id, status, engine, revision, created_at, updated_at, trashed_at
from project
where (trashed_at is not null) = $trashed
  and ($status::varchar is null or status = $status)
  and contains(lower(name), lower($search))
order by case $sort when 'name' then lower(name) end,
         case $sort when 'oldest' then created_at when 'updated' then -updated_at else -created_at end,
         id desc
"""
UPDATE = """
update project set name = $name, class_template_id = $class_template_id, status = $status, engine = $engine,
    updated_at = $updated_at, trashed_at = $trashed_at, revision = revision + 1
where id = $id and ($expected::integer is null or revision = $expected)
returning revision
"""
DELETE = "delete from project where id = $id"
DELETE_TRUTHS = "delete from truth where asset_id in (select id from asset where project_id = $id)"
DELETE_SCORES = "delete from truth_score where asset_id in (select id from asset where project_id = $id)"
DELETE_MEASURES = "delete from measure where asset_id in (select id from asset where project_id = $id)"
DELETE_MEASURED = "delete from measured where asset_id in (select id from asset where project_id = $id)"
DELETE_SEEN = """
delete from seen where frame_id in (
    select frame.id from frame join asset on asset.id = frame.asset_id where asset.project_id = $id)
"""
DELETE_REGIONS = "delete from region where asset_id in (select id from asset where project_id = $id)"
DELETE_FRAMES = "delete from frame where asset_id in (select id from asset where project_id = $id)"
DELETE_ASSETS = "delete from asset where project_id = $id"
DELETE_TRACKS = "delete from track where project_id = $id"
DELETE_JOBS = "delete from job where project_id = $id"

SORTS = ("newest", "oldest", "name", "updated")


def insert(cur: Cursor, project: Project) -> Project:
    now = time.time()
    project = replace(project, created_at=project.created_at or now, updated_at=project.updated_at or now)
    cur.run(INSERT, **CODEC.params(project))
    return project


def find(cur: Cursor, id: str) -> Project | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> Project:
    project = find(cur, id)
    if project is None:
        raise NotFound(f"The project {id} does not exist.")
    return project


def listing(
    cur: Cursor,
    *,
    trashed: bool = False,
    search: str = "",
    status: str | None = None,
    sort: str = "newest",
) -> list[Project]:
    """Projects whose name contains `search`; `sort` is newest, oldest, name or updated."""
    if sort not in SORTS:
        raise Refused(f"Projects cannot be sorted by “{sort}”. Use one of: {', '.join(SORTS)}.")
    return CODEC.rows(cur.all(LISTING, trashed=trashed, search=search, status=status, sort=sort))


def update(cur: Cursor, project: Project, expected_revision: int | None = None) -> Project:
    """Store every field and bump the revision. Raises Conflict when the stored revision is another."""
    project = replace(project, updated_at=time.time())
    params = CODEC.params(project)
    for unused in ("revision", "created_at"):
        del params[unused]
    row = cur.one(UPDATE, **params, expected=expected_revision)
    if row is None:
        raise changed_meanwhile("The project", expected_revision, get(cur, project.id).revision)
    return replace(project, revision=row[0])


def delete(cur: Cursor, id: str) -> Project:
    """Remove the project with its assets, frames, regions, tracks and jobs; the journal stays."""
    project = get(cur, id)
    for statement in (
        DELETE_SCORES,
        DELETE_TRUTHS,
        DELETE_MEASURES,
        DELETE_MEASURED,
        DELETE_REGIONS,
        DELETE_SEEN,
        DELETE_FRAMES,
        DELETE_ASSETS,
        DELETE_TRACKS,
        DELETE_JOBS,
        DELETE,
    ):
        cur.run(statement, id=id)
    return project
