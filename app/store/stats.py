"""Counts for the dashboard and the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
FLICKER_COUNTS = """
with live as (
    select id, project_id,
        sum(frame_count) over (partition by project_id order by created_at, id) - frame_count as earlier,
        sum(frame_count) over (partition by project_id) as total
    from asset where trashed_at is null and list_contains($project_ids::varchar[], project_id))
select live.project_id,
    cast(((earlier + frame_index) * least(total, $most)) // greatest(total, 1) as integer) as part,
    max(1 - warped_iou), count(*) filter (1 - warped_iou > $limit), count(warped_iou)
from measure join live on live.id = measure.asset_id
where class_id = 0 and track_id = ''
group by all order by all
"""
CERTIFICATE_COUNTS = """
select case when certificate is null then -1
    else least(len($edges::double[]) - 2, len(list_filter($edges::double[], lambda edge: edge <= iou)) - 1) end as bin,
    count(*), count(*) filter (certified)
from (select certificate, certified, regexp_extract(certificate, '"iou":([^,}]+)', 1)::double as iou
    from region where asset_id in (select id from asset where project_id = $project_id and trashed_at is null))
group by all
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


class Flicker(Struct, kw_only=True):
    """Warped instability along the frames of a project, its assets one behind the other, oldest first.

    `values`: the worst of each part of the frames, None where none was measured; `over`: how many frames lie
    above the limit, of the `compared` ones that could be compared with the one before.
    """

    values: list[float | None]
    over: int = 0
    compared: int = 0


def flicker(cur: Cursor, frames: Mapping[str, int], most: int, limit: float) -> dict[str, Flicker]:
    """By project id, in at most `most` parts each. `frames`: how many each project has, by its id."""
    found = {id: Flicker(values=[None] * min(most, count)) for id, count in frames.items()}
    rows = cur.all(FLICKER_COUNTS, project_ids=list(frames), most=most, limit=limit) if frames else []
    for project_id, part, value, over, compared in rows:
        one = found[project_id]
        if part < len(one.values):
            one.values[part] = value
        one.over, one.compared = one.over + over, one.compared + compared
    return found


class Certificates(Struct, kw_only=True):
    """Regions of a project by the IoU of their certificate; `counts` between each two of the edges."""

    counts: list[int]
    regions: int = 0
    certified: int = 0
    without: int = 0


def certificates(cur: Cursor, project_id: str, edges: Sequence[float]) -> Certificates:
    """Count between ascending edges, of which the first is 0 and the last 1; each but the last belongs upwards."""
    found = Certificates(counts=[0] * (len(edges) - 1))
    for bin, count, certified in cur.all(CERTIFICATE_COUNTS, project_id=project_id, edges=list(edges)):
        found.regions, found.certified = found.regions + count, found.certified + certified
        if bin < 0:
            found.without += count
        else:
            found.counts[bin] += count
    return found
