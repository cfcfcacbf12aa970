"""Frames whose ground truth is kept hidden, and how their labels compare with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from app.quality import Truth, TruthScore
from app.store.cursor import Codec, Cursor

CODEC = Codec(Truth)
SCORES = Codec(TruthScore, "cells", "objects", "contours")

INSERT = """
insert into truth (asset_id, frame_index, source, objects, actor, created_at)
select unnest($asset_id::varchar[]), unnest($frame_index::integer[]), unnest($source::varchar[]),
    unnest($objects::boolean[]), unnest($actor::varchar[]), unnest($created_at::double[])
"""
DELETE = "delete from truth where asset_id = $asset_id and frame_index in (select unnest($frames::integer[]))"
OF_ASSET = """
select asset_id, frame_index, source, objects, actor, created_at
from truth where asset_id = $asset_id order by frame_index
"""
INSERT_SCORES = """
insert into truth_score (asset_id, frame_index, regions, revisions, updated_at, ranks, truth_at, cells, objects,
    contours)
select unnest($asset_id::varchar[]), unnest($frame_index::integer[]), unnest($regions::integer[]),
    unnest($revisions::bigint[]), unnest($updated_at::double[]), unnest($ranks::varchar[]),
    unnest($truth_at::double[]), unnest($cells::varchar[]), unnest($objects::varchar[]),
    unnest($contours::varchar[])
"""
DELETE_SCORES = """
delete from truth_score where asset_id = $asset_id and frame_index in (select unnest($frames::integer[]))
"""
SCORES_OF_ASSET = """
select asset_id, frame_index, regions, revisions, updated_at, ranks, truth_at, cells, objects,
    contours
from truth_score where asset_id = $asset_id order by frame_index
"""
COUNTS = """
select asset.id, count(*), count(*) filter (truth.objects)
from asset join truth on truth.asset_id = asset.id
where asset.project_id = $project_id and asset.trashed_at is null
group by asset.id
"""


def store(cur: Cursor, rows: Sequence[Truth]) -> None:
    """Keep that frames, all of one asset, have hidden ground truth, in the place of what they had."""
    if not rows:
        return
    now = time.time()
    delete(cur, rows[0].asset_id, [row.frame_index for row in rows])
    cur.run(INSERT, **CODEC.columns([replace(row, created_at=row.created_at or now) for row in rows]))


def delete(cur: Cursor, asset_id: str, frames: Sequence[int]) -> None:
    """Forget the ground truth of frames and how they compared with it."""
    cur.run(DELETE, asset_id=asset_id, frames=list(frames))
    cur.run(DELETE_SCORES, asset_id=asset_id, frames=list(frames))


def of_asset(cur: Cursor, asset_id: str) -> list[Truth]:
    return CODEC.rows(cur.all(OF_ASSET, asset_id=asset_id))


class Count(NamedTuple):
    """Frames with hidden ground truth; how many of them tell objects apart."""

    frames: int
    objects: int


def counts(cur: Cursor, project_id: str) -> dict[str, Count]:
    """By asset that has any; those in the trash are left out."""
    return {id: Count(frames, objects) for id, frames, objects in cur.all(COUNTS, project_id=project_id)}


def store_scores(cur: Cursor, asset_id: str, rows: Sequence[TruthScore]) -> None:
    """Keep how frames of one asset compare with their ground truth, in the place of what was known."""
    cur.run(DELETE_SCORES, asset_id=asset_id, frames=[row.frame_index for row in rows])
    if rows:
        cur.run(INSERT_SCORES, **SCORES.columns(list(rows)))


def scores(cur: Cursor, asset_id: str) -> list[TruthScore]:
    return SCORES.rows(cur.all(SCORES_OF_ASSET, asset_id=asset_id))
