"""Measures of frames against the frame before. Derived from regions: replaced whenever a frame is measured again.

Figures are the last known ones, also where labels changed since; `stale_runs` says where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct, field

from app.models import Run
from app.quality import Measure, Measured, Summary
from app.store.cursor import Codec, Cursor

CODEC = Codec(Measure)
MEASURED = Codec(Measured)
JUMP = 0.25
"""Share of the larger area that a layer gains or loses in one frame, where it flickers too: a jump of area."""

INSERT = """
insert into measure (asset_id, frame_index, class_id, track_id, area, change, iou, dice, warped_iou, warped_dice,
    boundary_f)
select unnest($asset_id::varchar[]), unnest($frame_index::integer[]), unnest($class_id::integer[]),
    unnest($track_id::varchar[]), unnest($area::bigint[]), unnest($change::double[]), unnest($iou::double[]),
    unnest($dice::double[]), unnest($warped_iou::double[]), unnest($warped_dice::double[]),
    unnest($boundary_f::double[])
"""
INSERT_MEASURED = """
insert into measured (asset_id, frame_index, regions, revisions, updated_at, ranks, cut, contested, unlabelled)
select unnest($asset_id::varchar[]), unnest($frame_index::integer[]), unnest($regions::integer[]),
    unnest($revisions::bigint[]), unnest($updated_at::double[]), unnest($ranks::varchar[]),
    unnest($cut::boolean[]), unnest($contested::bigint[]), unnest($unlabelled::bigint[])
"""
DELETE = """
delete from measure where asset_id = $asset_id and frame_index in (select unnest($frames::integer[]))
"""
DELETE_MEASURED = """
delete from measured where asset_id = $asset_id and frame_index in (select unnest($frames::integer[]))
"""
OF_FRAMES = """
select asset_id, frame_index, class_id, track_id, area, change, iou, dice, warped_iou, warped_dice, boundary_f
from measure where asset_id = $asset_id and frame_index >= $start and frame_index < $stop
order by frame_index, class_id, track_id
"""
MEASURED_OF_FRAMES = """
select asset_id, frame_index, regions, revisions, updated_at, ranks, cut, contested, unlabelled
from measured where asset_id = $asset_id and frame_index >= $start and frame_index < $stop
order by frame_index
"""
# What the stamp of each frame and the one before it would be now, beside the one it was measured with.
STALE_RUNS = """
with mark as (
    select frame_index, count(*) as regions, sum(revision) as revisions, max(updated_at) as updated_at
    from region where asset_id = $asset_id group by frame_index),
now as (
    select frame.index, coalesce(own.regions, 0) + coalesce(earlier.regions, 0) as regions,
        coalesce(own.revisions, 0) + coalesce(earlier.revisions, 0) as revisions,
        greatest(coalesce(own.updated_at, 0), coalesce(earlier.updated_at, 0)) as updated_at
    from frame left join mark as own on own.frame_index = frame.index
        left join mark as earlier on earlier.frame_index = frame.index - 1
    where frame.asset_id = $asset_id),
known as (select frame_index, regions, revisions, updated_at, ranks from measured where asset_id = $asset_id),
stale as (
    select now.index from now left join known on known.frame_index = now.index
    where case when known.frame_index is null then now.regions > 0
        else now.regions <> known.regions or now.revisions <> known.revisions
            or now.updated_at <> known.updated_at or known.ranks <> $ranks end)
select min(index), count(*)
from (select index, index - row_number() over (order by index) as run from stale)
group by run order by 1
"""
COUNTS = """
select asset_id, count(*), count(*) filter (cut), count(*) filter (contested > 0)
from measured where list_contains($asset_ids::varchar[], asset_id)
group by asset_id
"""
COUNT_WITHIN = """
select count(*)
from measured join (select unnest($start::bigint[]) as start, unnest($length::bigint[]) as length) as run
    on frame_index >= start and frame_index < start + length
where asset_id = $asset_id
"""
CUTS = """
select frame_index from measured
where asset_id = $asset_id and cut and frame_index >= $start and frame_index < $stop
order by frame_index limit $most
"""
# Of all assets together where $apart is false.
STABILITY_COUNTS = """
select case when $apart then asset_id else '' end as asset, class_id, track_id, avg(iou), avg(dice),
    avg(warped_iou), avg(warped_dice), avg(boundary_f), count(iou),
    count(*) filter (1 - warped_iou > $limit),
    count(*) filter (abs(change) >= $jump and 1 - warped_iou > $limit),
    arg_min(frame_index, warped_iou), arg_min(asset_id, warped_iou)
from measure where list_contains($asset_ids::varchar[], asset_id)
group by asset, class_id, track_id order by asset, class_id, track_id
"""
CURVE = """
select (frame_index - $start) // $step, max(1 - warped_iou), max(1 - iou),
    coalesce(arg_max(area, abs(change)), max(area)), arg_min(frame_index, warped_iou)
from measure
where asset_id = $asset_id and class_id = $class_id and track_id = $track_id
    and frame_index >= $start and frame_index < $stop
group by 1
"""
WORST_CLASSES = """
select frame_index, arg_min(class_id, warped_iou)
from measure
where asset_id = $asset_id and class_id > 0 and track_id = '' and warped_iou is not null
    and list_contains($frames::integer[], frame_index)
group by 1
"""


class Counts(NamedTuple):
    """Of an asset: how many frames were measured, begin another shot, and have contested pixels."""

    measured: int = 0
    cuts: int = 0
    contested: int = 0


class Stability(Struct, kw_only=True):
    """A class or track over the frames that were measured; class 0 = the frames as a whole.

    `over_limit`: frames above the limit of warped instability; `jumps`: those of them where the area jumps;
    `worst`: index of the frame with the highest one, in `worst_asset`.
    """

    class_id: int
    track_id: str
    summary: Summary
    over_limit: int = 0
    jumps: int = 0
    worst: int | None = None
    worst_asset: str | None = None


class Curve(Struct, kw_only=True):
    """Figures along frames, the worst of every `step`; None where none was measured."""

    step: int
    warped: list[float | None] = field(default_factory=list)
    raw: list[float | None] = field(default_factory=list)
    area: list[int | None] = field(default_factory=list)
    at: list[int | None] = field(default_factory=list)


def store(cur: Cursor, asset_id: str, frames: Sequence[Measured], rows: Sequence[Measure]) -> None:
    """Keep what was measured on `frames`, all of one asset, in the place of what was known of them."""
    indices = [frame.frame_index for frame in frames]
    cur.run(DELETE, asset_id=asset_id, frames=indices)
    cur.run(DELETE_MEASURED, asset_id=asset_id, frames=indices)
    if frames:
        cur.run(INSERT_MEASURED, **MEASURED.columns(list(frames)))
    if rows:
        cur.run(INSERT, **CODEC.columns(list(rows)))


def of_frames(cur: Cursor, asset_id: str, start: int, stop: int) -> list[Measure]:
    """Of the frames from index `start` up to `stop`, not included."""
    return CODEC.rows(cur.all(OF_FRAMES, asset_id=asset_id, start=start, stop=stop))


def measured_of_frames(cur: Cursor, asset_id: str, start: int, stop: int) -> list[Measured]:
    """Those of the frames from index `start` up to `stop`, not included, that were measured."""
    return MEASURED.rows(cur.all(MEASURED_OF_FRAMES, asset_id=asset_id, start=start, stop=stop))


def stale_runs(cur: Cursor, asset_id: str, ranks: str) -> list[Run]:
    """Frames to be measured, ascending: their regions, or those of the frame before, or the `ranks` changed.

    A frame without regions, behind one without, has nothing to measure.
    """
    return [(start, length) for start, length in cur.all(STALE_RUNS, asset_id=asset_id, ranks=ranks)]


def counts(cur: Cursor, asset_ids: Sequence[str]) -> dict[str, Counts]:
    """By asset id; assets of which no frame was measured are absent."""
    return {row[0]: Counts(*row[1:]) for row in cur.all(COUNTS, asset_ids=list(asset_ids))}


def count_within(cur: Cursor, asset_id: str, runs: Sequence[Run]) -> int:
    """How many frames of the runs were measured at all."""
    start, length = [run[0] for run in runs], [run[1] for run in runs]
    row = cur.one(COUNT_WITHIN, asset_id=asset_id, start=start, length=length) if runs else None
    return row[0] if row else 0


def stability(
    cur: Cursor, asset_ids: Sequence[str], limit: float, *, apart: bool = True
) -> dict[str, list[Stability]]:
    """By asset id, or under "" for all of them together: the frames as a whole, then classes and tracks by id.

    `limit`: of warped instability, 0..1.
    """
    found: dict[str, list[Stability]] = {}
    rows = cur.all(STABILITY_COUNTS, asset_ids=list(asset_ids), limit=limit, jump=JUMP, apart=apart)
    for asset_id, class_id, track_id, iou, dice, warped, warped_dice, boundary, frames, *more in rows:
        one = Stability(
            class_id=class_id,
            track_id=track_id,
            summary=Summary(
                iou=iou,
                dice=dice,
                warped_iou=warped,
                warped_dice=warped_dice,
                instability=None if iou is None else 1 - iou,
                warped_instability=None if warped is None else 1 - warped,
                consistency=warped,
                boundary_f=boundary,
                frames=frames,
            ),
            over_limit=more[0],
            jumps=more[1],
            worst=more[2],
            worst_asset=more[3],
        )
        found.setdefault(asset_id, []).append(one)
    return found


def curve(
    cur: Cursor, asset_id: str, class_id: int, track_id: str, start: int, stop: int, step: int
) -> Curve:
    """Of the frames from index `start` up to `stop`, not included: raw and warped instability, 0..1, the highest
    of every `step` frames, the area in px where it changes most, and the frame that flickers most.
    """
    size = -(-(stop - start) // step)
    found = Curve(step=step, warped=[None] * size, raw=[None] * size, area=[None] * size, at=[None] * size)
    rows = cur.all(
        CURVE, asset_id=asset_id, class_id=class_id, track_id=track_id, start=start, stop=stop, step=step
    )
    for place, warped, raw, area, at in rows:
        found.warped[place], found.raw[place], found.area[place], found.at[place] = warped, raw, area, at
    return found


def worst_classes(cur: Cursor, asset_id: str, frames: Sequence[int]) -> dict[int, int]:
    """Of frames, by their indices: the class that flickers most there. Where none can be compared, none is told."""
    return dict(cur.all(WORST_CLASSES, asset_id=asset_id, frames=list(frames)))


def cuts(cur: Cursor, asset_id: str, start: int, stop: int, most: int) -> list[int]:
    """The first `most` frames, from index `start` up to `stop`, not included, with which another shot begins."""
    return [row[0] for row in cur.all(CUTS, asset_id=asset_id, start=start, stop=stop, most=most)]
