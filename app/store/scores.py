"""Sums over the scores of frames against their hidden ground truth: added up in the database, which has many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.store.cursor import Cursor

CELLS = """
with cell as (
    select asset_id, frame_index, part[1]::integer as truth, part[2]::integer as found, part[3] as author,
        part[4]::bigint as pixels
    from (select asset_id, frame_index, unnest(from_json(cells, '[["varchar"]]')) as part
          from truth_score where asset_id in (select unnest($asset_ids::varchar[])))
)
"""
CELL_COUNTS = f"""{CELLS}
select author, truth, found, sum(pixels)::bigint from cell group by all order by all
"""  # noqa: S608
FRAME_COUNTS = f"""{CELLS}
select author, count(*) from (select distinct author, asset_id, frame_index from cell) group by all
"""  # noqa: S608
CONTOUR_STATES = """
select part[1]::integer, avg(part[2])
from (select unnest(from_json(contours, '[["double"]]')) as part
      from truth_score where asset_id in (select unnest($asset_ids::varchar[])))
group by all
"""
WORST_STATES = f"""{CELLS}, class as (
    select asset_id, frame_index, class_id, sum(mine) as mine, sum(theirs) as theirs, sum(shared) as shared
    from (select asset_id, frame_index, truth as class_id, pixels as mine, 0 as theirs,
              if(truth = found, pixels, 0) as shared from cell
          union all
          select asset_id, frame_index, found, 0, pixels, 0 from cell)
    where class_id > 0 group by all
), mean as (
    select asset_id, frame_index, avg(shared / (mine + theirs - shared)) as miou
    from class where mine > 0 group by all
), accuracy as (
    select asset_id, frame_index, coalesce(sum(pixels) filter (truth = found), 0) / sum(pixels) as accuracy
    from cell group by all
)
select asset_id, frame_index, miou, accuracy
from mean join accuracy using (asset_id, frame_index)
order by miou, asset_id, frame_index limit $limit
"""  # noqa: S608
PLACES_STATES = """
with now as (
    select asset_id, frame_index, count(*) as regions, sum(revision) as revisions, max(updated_at) as updated_at
    from region where asset_id in (select unnest($asset_ids::varchar[])) group by all
)
select truth.asset_id, truth.frame_index, score.asset_id is not null, coalesce(
    score.truth_at = truth.created_at and score.ranks = $ranks
        and score.regions = coalesce(now.regions, 0) and score.revisions = coalesce(now.revisions, 0)
        and score.updated_at = coalesce(now.updated_at, 0), false)
from truth
left join truth_score as score on score.asset_id = truth.asset_id and score.frame_index = truth.frame_index
left join now on now.asset_id = truth.asset_id and now.frame_index = truth.frame_index
where truth.asset_id in (select unnest($asset_ids::varchar[]))
order by truth.asset_id, truth.frame_index
"""


class Place(NamedTuple):
    """A frame with hidden ground truth. `current`: scored as its labels and its truth are now."""

    asset_id: str
    frame_index: int
    scored: bool
    current: bool


class FrameScore(NamedTuple):
    """`miou`: mean IoU of the classes that the truth of the frame shows; both 0..1."""

    asset_id: str
    frame_index: int
    miou: float
    accuracy: float


def places(cur: Cursor, asset_ids: Sequence[str], ranks: str) -> list[Place]:
    """The frames of these assets that have hidden ground truth, in order. `ranks`: as in `Stamp`, of now."""
    rows = cur.all(PLACES_STATES, asset_ids=list(asset_ids), ranks=ranks)
    return [Place(*row) for row in rows]


def cells(cur: Cursor, asset_ids: Sequence[str]) -> dict[str, dict[tuple[int, int], int]]:
    """Author → (class in truth, class found) → pixels, over the scored frames of these assets."""
    found: dict[str, dict[tuple[int, int], int]] = {}
    for author, row, column, pixels in cur.all(CELL_COUNTS, asset_ids=list(asset_ids)):
        found.setdefault(author, {})[row, column] = pixels
    return found


def frames_of_authors(cur: Cursor, asset_ids: Sequence[str]) -> dict[str, int]:
    """Author → on how many scored frames of these assets pixels are theirs."""
    return dict(cur.all(FRAME_COUNTS, asset_ids=list(asset_ids)))  # pyright: ignore[reportArgumentType]


def contours(cur: Cursor, asset_ids: Sequence[str]) -> dict[int, float]:
    """Class → mean boundary F over the scored frames whose truth shows it."""
    return dict(cur.all(CONTOUR_STATES, asset_ids=list(asset_ids)))  # pyright: ignore[reportArgumentType]


def worst(cur: Cursor, asset_ids: Sequence[str], limit: int) -> list[FrameScore]:
    """The scored frames whose truth shows a class, the lowest mIoU first."""
    rows = cur.all(WORST_STATES, asset_ids=list(asset_ids), limit=limit)
    return [FrameScore(*row) for row in rows]
