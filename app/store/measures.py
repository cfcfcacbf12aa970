"""Measures of frames against the frame before. Derived from regions: replaced whenever a frame is measured again."""

from __future__ import annotations

from collections.abc import Sequence

from app.models import Measure, Measured
from app.store.cursor import Codec, Cursor

CODEC = Codec(Measure)
MEASURED = Codec(Measured)

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
