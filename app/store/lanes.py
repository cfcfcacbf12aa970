"""Where along an asset its classes and tracks have regions: facts for the lanes of the timeline, as runs of frames.

A run is (index of its first frame, how many frames). Gaps and islands: within a group, the frame index less its
row number is the same all along a run.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from app.models import Run
from app.store.cursor import Cursor

TRACK_RUNS = """
select class_id, track_id, min(frame_index) as start, count(*)
from (select class_id, track_id, frame_index,
          frame_index - row_number() over (partition by class_id, track_id order by frame_index) as run
      from (select distinct class_id, track_id, frame_index from region where asset_id = $asset_id))
group by class_id, track_id, run order by start, track_id
"""
ANCHORS = """
select class_id, track_id, list(distinct frame_index order by frame_index)
from region where asset_id = $asset_id and anchor
group by class_id, track_id
"""
FLAGGED_RUNS = """
select class_id, track_id, min(frame_index) as start, count(*)
from (select class_id, track_id, frame_index,
          frame_index - row_number() over (partition by class_id, track_id order by frame_index) as run
      from (select distinct class_id, track_id, frame_index from region
            where asset_id = $asset_id and not anchor
              and (agreement < 0.8 or score < 0.5 or (certificate is not null and not certified))))
group by class_id, track_id, run order by start, track_id
"""
"""Flagged: two walks disagree, the tracker was unsure, or the geometry misses its mask, and no person confirmed."""
TRACKS = """
select id, class_id, name, lost from track
where id in (select distinct track_id from region where asset_id = $asset_id) order by created_at, id
"""

LOST = msgspec.json.Decoder(dict[str, list[Run]])
Key = tuple[int, str | None]
"""A class and one of its tracks; None for regions that belong to no track."""


class Named(NamedTuple):
    """A track as its row has it; `lost` are the frames of this asset where its object was not seen."""

    id: str
    class_id: int
    name: str
    lost: list[Run]


def track_runs(cur: Cursor, asset_id: str) -> dict[Key, list[Run]]:
    """The frames with regions of each track, ascending; tracks by first appearance."""
    return _by_key(cur, TRACK_RUNS, asset_id)


def flagged_runs(cur: Cursor, asset_id: str) -> dict[Key, list[Run]]:
    """The frames where a region of the track should be looked at by a person, ascending."""
    return _by_key(cur, FLAGGED_RUNS, asset_id)


def anchors(cur: Cursor, asset_id: str) -> dict[Key, list[int]]:
    """The frames where a person drew or confirmed a region of the track, ascending."""
    rows = cur.all(ANCHORS, asset_id=asset_id)
    return {(class_id, track_id): frames for class_id, track_id, frames in rows}


def tracks(cur: Cursor, asset_id: str) -> list[Named]:
    """The tracks that have regions in the asset, oldest first."""
    rows = cur.all(TRACKS, asset_id=asset_id)
    return [
        Named(id, class_id, name, LOST.decode(lost).get(asset_id, [])) for id, class_id, name, lost in rows
    ]


def _by_key(cur: Cursor, sql: str, asset_id: str) -> dict[Key, list[Run]]:
    found: dict[Key, list[Run]] = {}
    for class_id, track_id, start, length in cur.all(sql, asset_id=asset_id):
        found.setdefault((class_id, track_id), []).append((start, length))
    return found
