"""Tracks."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from app.errors import NotFound
from app.models import Run, Track
from app.store.cursor import Codec, Cursor, changed_meanwhile

CODEC = Codec(Track, "lost")
_lost = msgspec.json.Decoder(dict[str, list[Run]]).decode

INSERT = """
insert into track (id, project_id, class_id, name, revision, created_at, lost)
values ($id, $project_id, $class_id, $name, $revision, $created_at, $lost)
"""
GET = "select id, project_id, class_id, name, revision, created_at, lost from track where id = $id"
OF_PROJECT = """
select id, project_id, class_id, name, revision, created_at, lost
from track where project_id = $project_id order by created_at, id
"""
EXTENTS = """
select track.id, track.class_id, track.name, region.asset_id, count(*), count(*) filter (region.anchor),
    min(region.frame_index), max(region.frame_index), track.lost
from track join region on region.track_id = track.id
where track.project_id = $project_id
group by all order by min(track.created_at), track.id, region.asset_id
"""
COUNT_OF_CLASS = "select count(*) from track where project_id = $project_id and class_id = $class_id"
OF_CLASS = """
select track.id, track.project_id, track.class_id, track.name, track.revision, track.created_at, track.lost
from track join project on project.id = track.project_id
where track.class_id = $class_id and project.class_template_id = $class_template_id
order by track.created_at, track.id
"""
UPDATE = """
update track set class_id = $class_id, name = $name, lost = $lost, revision = revision + 1
where id = $id and ($expected::integer is null or revision = $expected)
returning revision
"""
DELETE = "delete from track where id = $id"


def insert(cur: Cursor, track: Track) -> Track:
    track = replace(track, created_at=track.created_at or time.time())
    cur.run(INSERT, **CODEC.params(track))
    return track


def find(cur: Cursor, id: str) -> Track | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> Track:
    track = find(cur, id)
    if track is None:
        raise NotFound(f"The track {id} does not exist.")
    return track


def of_project(cur: Cursor, project_id: str) -> list[Track]:
    return CODEC.rows(cur.all(OF_PROJECT, project_id=project_id))


class Extent(NamedTuple):
    """Where in an asset a track has regions: how many, how many of them anchors, first and last frame index.

    `lost`: as in `Track`, of this asset.
    """

    track_id: str
    class_id: int
    name: str
    asset_id: str
    regions: int
    anchors: int
    first: int
    last: int
    lost: list[Run]


def extents(cur: Cursor, project_id: str) -> list[Extent]:
    """The tracks of a project that have regions, oldest first, one row for each asset."""
    rows = cur.all(EXTENTS, project_id=project_id)
    return [Extent(*row[:-1], _lost(row[-1]).get(row[3], [])) for row in rows]  # pyright: ignore[reportCallIssue]


def count_of_class(cur: Cursor, project_id: str, class_id: int) -> int:
    row = cur.one(COUNT_OF_CLASS, project_id=project_id, class_id=class_id)
    return row[0] if row else 0


def of_class(cur: Cursor, class_template_id: str, class_id: int) -> list[Track]:
    """Tracks of a class in all projects that use the class template."""
    return CODEC.rows(cur.all(OF_CLASS, class_template_id=class_template_id, class_id=class_id))


def update(cur: Cursor, track: Track, expected_revision: int | None = None) -> Track:
    """Store every field and bump the revision. Raises Conflict when the stored revision is another."""
    params = CODEC.params(track)
    for unused in ("revision", "created_at", "project_id"):
        del params[unused]
    row = cur.one(UPDATE, **params, expected=expected_revision)
    if row is None:
        raise changed_meanwhile("The track", expected_revision, get(cur, track.id).revision)
    return replace(track, revision=row[0])


def delete(cur: Cursor, id: str) -> Track:
    """Remove the track. Regions keep their `track_id`; the caller clears it where needed."""
    track = get(cur, id)
    cur.run(DELETE, id=id)
    return track
