"""Frames. Their ids follow from asset and index, so that collecting a frame twice changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from app.errors import NotFound
from app.models import Frame, FrameRun, frame_id
from app.store.cursor import Codec, Cursor, changed_meanwhile

CODEC = Codec(Frame)
MAX_INDEX = (1 << 31) - 1

UPSERT_MANY = """
insert into frame (id, asset_id, index, source_index, pts, width, height, hash, file, thumb, state, revision,
    name)
select unnest($id::varchar[]), unnest($asset_id::varchar[]), unnest($index::integer[]),
    unnest($source_index::bigint[]), unnest($pts::double[]), unnest($width::integer[]),
        unnest($height::integer[]),
    unnest($hash::varchar[]), unnest($file::varchar[]), unnest($thumb::varchar[]), unnest($state::varchar[]),
    unnest($revision::integer[]), unnest($name::varchar[])
on conflict (id) do update set source_index = excluded.source_index, pts = excluded.pts,
    width = excluded.width,
    height = excluded.height, hash = excluded.hash, file = excluded.file, thumb = excluded.thumb,
    name = excluded.name
"""
GET = """
select id, asset_id, index, source_index, pts, width, height, hash, file, thumb, state, revision, name
from frame where id = $id
"""
PAGE = """
select id, asset_id, index, source_index, pts, width, height, hash, file, thumb, state, revision, name
from frame where asset_id = $asset_id and index >= $start and index < $start + $limit
order by index
"""
OF_IDS = """
select id, asset_id, index, source_index, pts, width, height, hash, file, thumb, state, revision, name
from frame where id in (select unnest($ids::varchar[]))
order by asset_id, index
"""
COUNT = "select count(*) from frame where asset_id = $asset_id"
COUNT_OF = "select count(*) from frame where id in (select unnest($ids::varchar[]))"
UPDATE = """
update frame set source_index = $source_index, pts = $pts, width = $width, height = $height, hash = $hash,
    file = $file, thumb = $thumb, name = $name, state = $state, revision = revision + 1
where id = $id and ($expected::integer is null or revision = $expected)
returning revision
"""
SET_STATES = """
update frame set state = new.state, revision = revision + 1
from (select unnest(range(start, start + length)) as index, state
      from (select unnest($start::bigint[]) as start, unnest($length::bigint[]) as length,
                unnest($state::varchar[]) as state)) as new
where frame.asset_id = $asset_id and frame.index = new.index
"""
COUNT_IN_STATES = """
select count(*) from frame
join (select unnest(range(start, start + length)) as index, state
      from (select unnest($start::bigint[]) as start, unnest($length::bigint[]) as length,
                unnest($state::varchar[]) as state)) as run on frame.index = run.index
where frame.asset_id = $asset_id and frame.state = run.state
"""
STATES_WITHIN = """
select min(index), count(*), state
from (select index, state, index - row_number() over (partition by state order by index) as run
      from frame where asset_id = $asset_id and index >= $start and index <= $stop)
group by state, run order by 1
"""
STATES = """
with seen as (
    select index, state, lag(index) over (order by index) as before, lag(state) over (order by index) as was
    from frame where asset_id = $asset_id
)
select index,
    coalesce(lead(before) over (order by index), (select max(index) from frame where asset_id = $asset_id))
        - index + 1,
    state
from seen where was is distinct from state or before is distinct from index - 1
order by index
"""
WITH_REGIONS = """
select frame_index, count(*) from region
where asset_id = $asset_id and frame_index >= $start and frame_index < $stop
group by frame_index order by frame_index
"""
RUNS_WITH_REGIONS = """
select min(frame_index), count(*)
from (select frame_index, frame_index - row_number() over (order by frame_index) as run
      from (select distinct frame_index from region where asset_id = $asset_id))
group by run order by 1
"""
DELETE = "delete from frame where id = $id"
DELETE_REGIONS = "delete from region where frame_id = $id"


def upsert_many(cur: Cursor, frames: Sequence[Frame]) -> None:
    """Add frames; those that exist get new facts but keep state and revision."""
    if frames:
        cur.run(UPSERT_MANY, **CODEC.columns(list(frames)))


def insert(cur: Cursor, frame: Frame) -> Frame:
    upsert_many(cur, [frame])
    return frame


def find(cur: Cursor, id: str) -> Frame | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> Frame:
    frame = find(cur, id)
    if frame is None:
        raise NotFound(f"The frame {id} does not exist.")
    return frame


def by_index(cur: Cursor, asset_id: str, index: int) -> Frame:
    return get(cur, frame_id(asset_id, index))


def page(cur: Cursor, asset_id: str, start: int, limit: int) -> list[Frame]:
    """The frames with index start ≤ i < start + limit, in order."""
    return CODEC.rows(cur.all(PAGE, asset_id=asset_id, start=start, limit=limit))


def of_ids(cur: Cursor, ids: Sequence[str]) -> list[Frame]:
    """Those of the frames that exist, in order."""
    return CODEC.rows(cur.all(OF_IDS, ids=list(ids)))


def count(cur: Cursor, asset_id: str) -> int:
    row = cur.one(COUNT, asset_id=asset_id)
    return row[0] if row else 0


def count_of(cur: Cursor, ids: Sequence[str]) -> int:
    """How many of these frames exist."""
    row = cur.one(COUNT_OF, ids=list(ids))
    return row[0] if row else 0


def update(cur: Cursor, frame: Frame, expected_revision: int | None = None) -> Frame:
    """Store every field and bump the revision. Raises Conflict when the stored revision is another."""
    params = CODEC.params(frame)
    for unused in ("revision", "asset_id", "index"):
        del params[unused]
    row = cur.one(UPDATE, **params, expected=expected_revision)
    if row is None:
        raise changed_meanwhile("The frame", expected_revision, get(cur, frame.id).revision)
    return replace(frame, revision=row[0])


def set_state(cur: Cursor, id: str, state: str, expected_revision: int | None = None) -> Frame:
    return update(cur, replace(get(cur, id), state=state), expected_revision)


def states_within(cur: Cursor, asset_id: str, start: int, stop: int) -> list[FrameRun]:
    """The states of the frames start ≤ index ≤ stop, ascending."""
    rows = cur.all(STATES_WITHIN, asset_id=asset_id, start=start, stop=stop)
    return [FrameRun(asset_id=asset_id, start=first, length=n, state=state) for first, n, state in rows]


def count_in_states(cur: Cursor, asset_id: str, runs: Sequence[FrameRun]) -> int:
    """How many frames of the runs, all of one asset, are in the state that their run says."""
    row = cur.one(COUNT_IN_STATES, asset_id=asset_id, **_columns(runs))
    return row[0] if row else 0


def set_states(cur: Cursor, asset_id: str, runs: Sequence[FrameRun]) -> None:
    """Give the frames of the runs, all of one asset, the states of their runs and higher revisions."""
    cur.run(SET_STATES, asset_id=asset_id, **_columns(runs))


def _columns(runs: Sequence[FrameRun]) -> dict[str, list[Any]]:
    return {
        "start": [run.start for run in runs],
        "length": [run.length for run in runs],
        "state": [run.state for run in runs],
    }


def states(cur: Cursor, asset_id: str) -> list[tuple[int, int, str]]:
    """The states of all frames as runs of (start index, length, state)."""
    return [(start, length, state) for start, length, state in cur.all(STATES, asset_id=asset_id)]


def with_regions(cur: Cursor, asset_id: str, start: int = 0, stop: int = MAX_INDEX) -> dict[int, int]:
    """How many regions each frame with start ≤ index < stop has, by index; frames without regions are absent.

    Ascending.
    """
    return dict(cur.all(WITH_REGIONS, asset_id=asset_id, start=start, stop=stop))  # pyright: ignore[reportArgumentType]


def region_runs(cur: Cursor, asset_id: str) -> list[tuple[int, int]]:
    """The frames with regions as runs of (start index, length), ascending."""
    return [(start, length) for start, length in cur.all(RUNS_WITH_REGIONS, asset_id=asset_id)]


def delete(cur: Cursor, id: str) -> Frame:
    """Remove the frame and its regions."""
    frame = get(cur, id)
    cur.run(DELETE_REGIONS, id=id)
    cur.run(DELETE, id=id)
    return frame
