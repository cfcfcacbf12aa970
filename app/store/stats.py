"""Counts for the dashboard and the library."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.store.cursor import Cursor

DASHBOARD = """
select
    (select count(*) from project where trashed_at is null) as projects,
    (select count(*) from project where trashed_at is null and status = 'pending') as pending,
    (select count(*) from project where trashed_at is null and status = 'wip') as wip,
    (select count(*) from project where trashed_at is null and status = 'complete') as complete,
    (select count(*) from asset where trashed_at is null) as assets,
    (select count(*) from frame) as frames,
    (select count(*) from frame where state <> 'todo') as done,
    (select count(*) from frame where state = 'approved') as approved,
    (select count(*) from region) as regions,
    (select count(*) from region where certified) as certified,
    (select count(*) from job where state = 'waiting') as jobs_waiting,
    (select count(*) from job where state = 'running') as jobs_running,
    (select count(*) from job where state = 'done') as jobs_done,
    (select count(*) from job where state = 'failed') as jobs_failed
"""
PROGRESS = """
with live as (
    select id, project_id from asset
    where trashed_at is null and list_contains($project_ids::varchar[], project_id)),
seen as (
    select live.project_id, count(*) as frames, count(*) filter (where frame.state <> 'todo') as done,
        count(*) filter (where frame.state = 'approved') as approved
    from frame join live on live.id = frame.asset_id group by live.project_id),
marked as (
    select live.project_id, count(*) as regions, count(*) filter (where region.certified) as certified
    from region join live on live.id = region.asset_id group by live.project_id)
select wanted.id, coalesce(frames, 0), coalesce(done, 0), coalesce(approved, 0), coalesce(regions, 0),
    coalesce(certified, 0)
from (select unnest($project_ids::varchar[]) as id) as wanted
left join seen on seen.project_id = wanted.id
left join marked on marked.project_id = wanted.id
"""
ASSET_PROGRESS = """
with live as (select id from asset where trashed_at is null and project_id = $project_id),
seen as (
    select asset_id, count(*) as frames, count(*) filter (where state <> 'todo') as done,
        count(*) filter (where state = 'approved') as approved
    from frame where asset_id in (select id from live) group by asset_id),
marked as (
    select asset_id, count(*) as regions, count(*) filter (where certified) as certified
    from region where asset_id in (select id from live) group by asset_id)
select live.id, coalesce(frames, 0), coalesce(done, 0), coalesce(approved, 0), coalesce(regions, 0),
    coalesce(certified, 0)
from live left join seen on seen.asset_id = live.id left join marked on marked.asset_id = live.id
"""
KEYS = ("frames", "done", "approved", "regions", "certified")


class Dashboard(Struct, kw_only=True):
    """`done` counts frames that are done or approved; projects in the trash do not count."""

    projects: int = 0
    pending: int = 0
    wip: int = 0
    complete: int = 0
    assets: int = 0
    frames: int = 0
    done: int = 0
    approved: int = 0
    regions: int = 0
    certified: int = 0
    jobs_waiting: int = 0
    jobs_running: int = 0
    jobs_done: int = 0
    jobs_failed: int = 0


def dashboard(cur: Cursor) -> Dashboard:
    row = cur.one(DASHBOARD)
    assert row is not None
    return Dashboard(**dict(zip(Dashboard.__struct_fields__, row, strict=True)))


def progress(cur: Cursor, project_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """{project id: {frames, done (or approved), approved, regions, certified}} without trashed assets."""
    if not project_ids:
        return {}
    rows = cur.all(PROGRESS, project_ids=list(dict.fromkeys(project_ids)))
    return {row[0]: dict(zip(KEYS, row[1:], strict=True)) for row in rows}


def asset_progress(cur: Cursor, project_id: str) -> dict[str, dict[str, int]]:
    """{asset id: {frames, done (or approved), approved, regions, certified}} without trashed assets."""
    rows = cur.all(ASSET_PROGRESS, project_id=project_id)
    return {row[0]: dict(zip(KEYS, row[1:], strict=True)) for row in rows}
