"""What the review queue reads: signs of trouble of whole assets as columns, a row a layer and frame.

Assets come with a number and a `base`: the place of their first frame, an integer along all frames of a project. A
layer is one integer: the number of its asset, that of its track (0: the regions of the class that belong to none)
and its class id, added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.store.cursor import Cursor


def _after(tables: str, query: str) -> str:
    return tables + query


# Hashed twice: a hash of several columns is linear in the last of them, and equal changes would cancel out.
SIGNATURES = """
with regions as (
    select asset_id, count(*) as n, bit_xor(hash(hash(id, revision, updated_at))) as mark from region
    where asset_id in (select unnest($assets::varchar[])) group by asset_id),
measures as (
    select asset_id, count(*) as n, bit_xor(hash(hash(frame_index, regions, revisions, updated_at, ranks))) as mark
    from measured where asset_id in (select unnest($assets::varchar[])) group by asset_id)
select wanted.id, coalesce(regions.n, 0), coalesce(regions.mark, 0), coalesce(measures.n, 0),
    coalesce(measures.mark, 0)
from (select unnest($assets::varchar[]) as id) as wanted
left join regions on regions.asset_id = wanted.id
left join measures on measures.asset_id = wanted.id
"""
PLACES = """
with place as (select unnest($assets::varchar[]) as asset_id, unnest($bases::bigint[]) as base,
    unnest($numbers::bigint[]) as number, unnest($sizes::double[]) as px),
followed as (select unnest($tracks::varchar[]) as track_id, unnest($track_numbers::bigint[]) as number)
"""
LAYERS = _after(
    PLACES,
    """
select place.number + coalesce(followed.number, 0) + region.class_id as layer,
    place.base + region.frame_index as place,
    sum(region.area)::double as area,
    bool_or(region.anchor and region.track_id is not null) as anchor,
    max(region.updated_at) as updated_at,
    min(case when not region.anchor then region.score end) as score,
    min(case when not region.anchor then region.agreement end) as agreement,
    min(case when not region.certified and region.certificate is not null
        then json_extract(region.certificate, '$.iou')::double end) as iou,
    max(case when not region.certified and region.certificate is not null
        then json_extract(region.certificate, '$.target')::double end) as target
from region
join place on place.asset_id = region.asset_id
left join followed on followed.track_id = region.track_id
group by 1, 2 order by 1, 2
""",
)
FRESH = _after(
    PLACES,
    """,
stamp as (
    select asset_id, frame_index, count(*) as regions, sum(revision) as revisions, max(updated_at) as updated_at
    from region where asset_id in (select asset_id from place) group by asset_id, frame_index),
fresh as (
    select measured.asset_id, measured.frame_index, measured.contested, place.*
    from measured
    join place on place.asset_id = measured.asset_id
    left join stamp as own
        on own.asset_id = measured.asset_id and own.frame_index = measured.frame_index
    left join stamp as before
        on before.asset_id = measured.asset_id and before.frame_index = measured.frame_index - 1
    where measured.ranks = $ranks
        and coalesce(own.regions, 0) + coalesce(before.regions, 0) = measured.regions
        and coalesce(own.revisions, 0) + coalesce(before.revisions, 0) = measured.revisions
        and greatest(coalesce(own.updated_at, 0), coalesce(before.updated_at, 0)) = measured.updated_at)
""",
)
"""Frames whose labels, and those of the frame before, are what they were when they were measured."""
STEADINESS = _after(
    FRESH,
    """,
loose as (
    select distinct asset_id, class_id from region
    where track_id is null and asset_id in (select asset_id from place))
select fresh.number + coalesce(followed.number, 0) + measure.class_id as layer,
    fresh.base + measure.frame_index as place,
    measure.area::double as area,
    1 - measure.warped_iou as warped
from measure
join fresh on fresh.asset_id = measure.asset_id and fresh.frame_index = measure.frame_index
left join followed on followed.track_id = measure.track_id
left join loose on loose.asset_id = measure.asset_id and loose.class_id = measure.class_id
where measure.class_id > 0 and measure.warped_iou is not null
    and (followed.number is not null or (measure.track_id = '' and loose.class_id is not null))
order by 1, 2
""",
)
"""A class as a whole counts where it has regions that belong to no track."""
CONTESTED = _after(
    FRESH,
    """
select base + frame_index as place, contested::double as contested, px from fresh where contested > 0
""",
)
MARKED = _after(
    PLACES,
    """
select place.base + frame.index as place, frame.state = 'approved' as approved
from frame join place on place.asset_id = frame.asset_id where frame.state <> 'todo'
""",
)
LOOKED = _after(
    PLACES,
    """,
looked as (
    select seen.frame_id, max(seen."at") as at
    from seen join place on place.asset_id = seen.frame_id[1:24] group by seen.frame_id),
worked as (
    select frame_id, max("at") as at from edit
    where project_id = $project_id and frame_id in (select frame_id from looked) group by frame_id),
changed as (
    select frame_id, max(updated_at) as at from region
    where frame_id in (select frame_id from looked) group by frame_id)
select place.base + frame.index as place,
    greatest(looked.at, coalesce(worked.at, 0)) >= coalesce(changed.at, 0) as still
from looked
join frame on frame.id = looked.frame_id
join place on place.asset_id = frame.asset_id
left join worked on worked.frame_id = looked.frame_id
left join changed on changed.frame_id = looked.frame_id
""",
)
"""Frames that a person opened. What they then did there they have seen too; edits of many frames name none."""
COUNTS = """
select count(*), count(*) filter (where state = 'approved') from frame
where asset_id in (select unnest($assets::varchar[]))
"""
DOUBTS = _after(
    PLACES,
    """
select place.number + coalesce(followed.number, 0) + region.class_id,
    place.base + region.frame_index, region.id,
    case when not region.anchor then region.score end,
    case when not region.anchor then region.agreement end,
    case when not region.certified and region.certificate is not null
        then json_extract(region.certificate, '$.iou')::double end,
    case when not region.certified and region.certificate is not null
        then json_extract(region.certificate, '$.target')::double end
from region
join place on place.asset_id = region.asset_id
left join followed on followed.track_id = region.track_id
where region.frame_id in (select unnest($frames::varchar[]))
""",
)

Columns = dict[str, Any]
"""Name → numpy array; nothing where SQL says null (a masked array)."""


class Places(NamedTuple):
    """Assets and the tracks of their project, numbered by whoever asks: so far apart that sums do not mix.

    `sizes`: px of a frame of the asset.
    """

    assets: list[str]
    numbers: list[int]
    bases: list[int]
    sizes: list[float]
    tracks: list[str]
    track_numbers: list[int]


class Doubt(NamedTuple):
    """A region and what speaks against it, where anything does: `score`, `agreement`, `iou` of its certificate."""

    layer: int
    place: int
    region_id: str
    score: float | None
    agreement: float | None
    iou: float | None
    target: float | None


def signatures(cur: Cursor, assets: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """By asset, numbers that change whenever its regions or its measures do."""
    return {row[0]: row[1:] for row in cur.all(SIGNATURES, assets=list(assets))}


def layers(cur: Cursor, places: Places) -> Columns:
    """layer, place, area, anchor, updated_at, score, agreement, iou, target; ascending."""
    return cur.columns(LAYERS, **places._asdict())


def steadiness(cur: Cursor, places: Places, ranks: str) -> Columns:
    """layer, place, area, warped (instability); ascending, only what is still so."""
    return cur.columns(STEADINESS, **places._asdict(), ranks=ranks)


def contested(cur: Cursor, places: Places, ranks: str) -> Columns:
    """place, contested (px), px of the frame; only what is still so."""
    return cur.columns(CONTESTED, **places._asdict(), ranks=ranks)


def marked(cur: Cursor, places: Places) -> Columns:
    """place, approved: the frames that are done or approved."""
    return cur.columns(MARKED, **places._asdict())


def looked(cur: Cursor, places: Places, project_id: str) -> Columns:
    """place, still: the frames that anybody opened, and whether they still are as they were seen."""
    return cur.columns(LOOKED, **places._asdict(), project_id=project_id)


def counts(cur: Cursor, assets: Sequence[str]) -> tuple[int, int]:
    """(frames, approved frames)."""
    row = cur.one(COUNTS, assets=list(assets))
    return (row[0], row[1]) if row else (0, 0)


def doubts(cur: Cursor, places: Places, frames: Sequence[str]) -> list[Doubt]:
    """The regions of a page of frames."""
    return [Doubt(*row) for row in cur.all(DOUBTS, **places._asdict(), frames=list(frames))]
