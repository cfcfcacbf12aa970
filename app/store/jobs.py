"""Jobs. The rows are the truth about background work; the queue only executes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import replace

from app.errors import NotFound
from app.models import Job
from app.store.cursor import Codec, Cursor

CODEC = Codec(Job, "args", "result")

INSERT = """
insert into job (id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id)
values ($id, $project_id, $kind, $title, $state, $args, $done, $total, $rate, $eta_s, $message, $reason,
    $result,
    $attempt, $collected, $heartbeat, $asset_id, $created_at, $started_at, $finished_at, $revision,
    $parent_id)
"""
GET = """
select id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id
from job where id = $id
"""
LISTING = """
select id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id
from job
where ($project_id::varchar is null or project_id = $project_id)
  and ($states::varchar[] is null or list_contains($states::varchar[], state))
order by created_at desc, id desc limit $limit
"""
LISTING_WHOLE = """
select id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id
from job
where parent_id is null and ($project_id::varchar is null or project_id = $project_id)
  and ($states::varchar[] is null or list_contains($states::varchar[], state)
    or id in (select parent_id from job where list_contains($states::varchar[], state)))
order by created_at desc, id desc limit $limit
"""
STAGES = """
select id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id
from job where parent_id in (select unnest($ids::varchar[]))
order by created_at, id
"""
FINISHED_WHOLE = """
select id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id
from job where parent_id is null and state = 'done' and list_contains($kinds::varchar[], kind)
  and finished_at > $since
order by created_at, id
"""
UNFINISHED = """
select id, project_id, kind, title, state, args, done, total, rate, eta_s, message, reason, result,
    attempt, collected, heartbeat, asset_id, created_at, started_at, finished_at, revision,
    parent_id
from job where state in ('waiting', 'running')
order by created_at, id
"""
UPDATE = """
update job set project_id = $project_id, kind = $kind, title = $title, state = $state, args = $args,
    done = $done,
    total = $total, rate = $rate, eta_s = $eta_s, message = $message, reason = $reason, result = $result,
    attempt = $attempt, collected = $collected, heartbeat = $heartbeat, asset_id = $asset_id,
    started_at = $started_at, finished_at = $finished_at, revision = revision + 1
where id = $id
returning revision
"""
DELETE = "delete from job where id = $id"


def insert(cur: Cursor, job: Job) -> Job:
    job = replace(job, created_at=job.created_at or time.time())
    cur.run(INSERT, **CODEC.params(job))
    return job


def find(cur: Cursor, id: str) -> Job | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> Job:
    job = find(cur, id)
    if job is None:
        raise NotFound(f"The job {id} does not exist.")
    return job


def listing(
    cur: Cursor, *, project_id: str | None = None, states: Sequence[str] | None = None, limit: int = 100
) -> list[Job]:
    """Newest first."""
    wanted = None if states is None else list(states)
    return CODEC.rows(cur.all(LISTING, project_id=project_id, states=wanted, limit=limit))


def listing_whole(
    cur: Cursor, *, project_id: str | None = None, states: Sequence[str] | None = None, limit: int = 100
) -> list[Job]:
    """As `listing`, without the jobs that are stages of others, but with those of which a stage is in `states`."""
    wanted = None if states is None else list(states)
    return CODEC.rows(cur.all(LISTING_WHOLE, project_id=project_id, states=wanted, limit=limit))


def stages(cur: Cursor, ids: Sequence[str]) -> dict[str, list[Job]]:
    """The jobs that are stages of others, by the id of those, oldest first."""
    found: dict[str, list[Job]] = {}
    for row in CODEC.rows(cur.all(STAGES, ids=list(ids))):
        found.setdefault(row.parent_id or "", []).append(row)
    return found


def finished_whole(cur: Cursor, kinds: Sequence[str], since: float) -> list[Job]:
    """Jobs of these kinds that are done since then and are no stage of another, oldest first."""
    return CODEC.rows(cur.all(FINISHED_WHOLE, kinds=list(kinds), since=since))


def unfinished(cur: Cursor) -> list[Job]:
    """Waiting and running jobs, oldest first."""
    return CODEC.rows(cur.all(UNFINISHED))


def update(cur: Cursor, job: Job) -> Job:
    """Store every field and bump the revision."""
    params = CODEC.params(job)
    for unused in ("revision", "created_at", "parent_id"):
        del params[unused]
    row = cur.one(UPDATE, **params)
    if row is None:
        raise NotFound(f"The job {job.id} does not exist.")
    return replace(job, revision=row[0])


def delete(cur: Cursor, id: str) -> Job:
    job = get(cur, id)
    cur.run(DELETE, id=id)
    return job
