"""Regions. Geometry is JSON text: fetched from DuckDB faster than nested types, decoded by msgspec."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from app.errors import NotFound
from app.models import Certificate, Region
from app.store.cursor import Codec, Cursor, changed_meanwhile

CODEC = Codec(Region, "geometry", "certificate", "attributes")
BATCH = 5000

INSERT = """
insert into region (id, frame_id, asset_id, frame_index, class_id, geometry, track_id, anchor, certificate,
    certified, area, author, revision, created_at, updated_at,
    attributes, score, agreement)
values ($id, $frame_id, left($frame_id, 24), substr($frame_id, 26)::integer, $class_id, $geometry, $track_id,
    $anchor, $certificate, $certified, $area, $author, $revision, $created_at, $updated_at, $attributes,
    $score, $agreement)
"""
INSERT_MANY = """
insert into region (id, frame_id, asset_id, frame_index, class_id, geometry, track_id, anchor, certificate,
    certified, area, author, revision, created_at, updated_at,
    attributes, score, agreement)
select id, frame_id, left(frame_id, 24), substr(frame_id, 26)::integer, class_id, geometry, track_id, anchor,
    certificate, certified, area, author, revision, created_at, updated_at, attributes, score, agreement
from (select unnest($id::varchar[]) as id, unnest($frame_id::varchar[]) as frame_id,
        unnest($class_id::integer[]) as class_id, unnest($geometry::varchar[]) as geometry,
        unnest($track_id::varchar[]) as track_id, unnest($anchor::boolean[]) as anchor,
        unnest($certificate::varchar[]) as certificate, unnest($certified::boolean[]) as certified,
        unnest($area::bigint[]) as area, unnest($author::varchar[]) as author,
        unnest($revision::integer[]) as revision, unnest($created_at::double[]) as created_at,
        unnest($updated_at::double[]) as updated_at, unnest($attributes::varchar[]) as attributes,
        unnest($score::double[]) as score, unnest($agreement::double[]) as agreement)
"""
GET = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region where id = $id
"""
OF_FRAME = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region where frame_id = $frame_id
order by created_at, id
"""
OF_FRAMES = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region where frame_id in (select unnest($frame_ids::varchar[]))
order by asset_id, frame_index, created_at, id
"""
OF_ASSET = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region where asset_id = $asset_id and frame_index >= $start and frame_index < $stop
order by frame_index, created_at, id
"""
UPDATE = """
update region set class_id = $class_id, geometry = $geometry, track_id = $track_id, anchor = $anchor,
    certificate = $certificate, certified = $certified, area = $area, author = $author, attributes = $attributes,
    score = $score, agreement = $agreement, updated_at = $updated_at, revision = revision + 1
where id = $id and ($expected::integer is null or revision = $expected)
returning revision
"""
FIND_MANY = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region where id in (select unnest($ids::varchar[]))
"""
UPDATE_MANY = """
update region set class_id = new.class_id, geometry = new.geometry, track_id = new.track_id,
    anchor = new.anchor, certificate = new.certificate, certified = new.certified, area = new.area,
    author = new.author, attributes = new.attributes, score = new.score, agreement = new.agreement,
    updated_at = new.updated_at, revision = new.revision
from (select unnest($id::varchar[]) as id, unnest($class_id::integer[]) as class_id,
        unnest($geometry::varchar[]) as geometry, unnest($track_id::varchar[]) as track_id,
        unnest($anchor::boolean[]) as anchor, unnest($certificate::varchar[]) as certificate,
        unnest($certified::boolean[]) as certified, unnest($area::bigint[]) as area,
        unnest($author::varchar[]) as author, unnest($attributes::varchar[]) as attributes,
        unnest($score::double[]) as score, unnest($agreement::double[]) as agreement,
        unnest($updated_at::double[]) as updated_at, unnest($revision::integer[]) as revision) as new
where region.id = new.id
"""
DELETE = "delete from region where id = $id"
DELETE_MANY = "delete from region where id in (select unnest($ids::varchar[]))"
OF_CLASS = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region
where class_id = $class_id and id > $after and asset_id in (
    select asset.id from asset join project on project.id = asset.project_id
    where project.class_template_id = $class_template_id)
order by id limit $limit
"""
ANCHORS = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region
where asset_id = $asset_id and frame_index >= $start and frame_index <= $stop and anchor
  and track_id in (select unnest($track_ids::varchar[]))
order by frame_index, created_at, id
"""
OF_TRACK = """
select id, frame_id, class_id, geometry, track_id, anchor, certificate, area, author, revision, created_at,
    updated_at, attributes, score, agreement
from region
where track_id = $track_id and asset_id = $asset_id and frame_index >= $start and frame_index <= $stop
order by frame_index, created_at, id limit $limit
"""
COUNTS_OF_TRACK = """
select count(*), count(distinct frame_index), count(*) filter (anchor), count(*) filter (frame.state = 'approved')
from region join frame on frame.id = region.frame_id
where track_id = $track_id and region.asset_id = $asset_id and frame_index >= $start and frame_index <= $stop
"""
COUNT_IN_TRACK = "select count(*) from region where track_id = $track_id"
COUNTS_BY_CLASS = """
select class_id, count(*) from region where frame_id = $frame_id group by class_id order by class_id
"""
COUNT_OF_CLASS = """
select count(*) from region
where class_id = $class_id and asset_id in (
    select asset.id from asset join project on project.id = asset.project_id
    where project.class_template_id = $class_template_id)
"""
COUNTS_OF_USE = """
select project.id, project.name, project.trashed_at is not null, asset.id, asset.name, count(*),
    count(distinct region.frame_index)
from region join asset on asset.id = region.asset_id join project on project.id = asset.project_id
where region.class_id = $class_id and project.class_template_id = $class_template_id
group by all order by project.name, project.id, asset.name, asset.id
"""
COUNTS_OF_ATTRIBUTES = """
select attributes, count(*) from region
where class_id = $class_id and asset_id in (
    select asset.id from asset join project on project.id = asset.project_id
    where project.class_template_id = $class_template_id)
group by attributes
"""
COUNTS_OF_CLASSES = """
select class_id, count(*) from region
where asset_id in (
    select asset.id from asset join project on project.id = asset.project_id
    where project.class_template_id = $class_template_id)
group by class_id
"""


def _certified(certificate: Certificate | None) -> bool:
    return certificate is not None and (certificate.exact or certificate.iou >= certificate.target)


def _params(region: Region) -> dict[str, Any]:
    return {**CODEC.params(region), "certified": _certified(region.certificate)}


def insert(cur: Cursor, region: Region) -> Region:
    region = _dated(region, time.time())
    cur.run(INSERT, **_params(region))
    return region


def insert_many(cur: Cursor, regions: Sequence[Region]) -> list[Region]:
    """Add many regions at once. Raises Conflict, adding none, when an id is already taken."""
    now = time.time()
    stored = [_dated(region, now) for region in regions]
    for start in range(0, len(stored), BATCH):
        batch = stored[start : start + BATCH]
        certified = [_certified(region.certificate) for region in batch]
        cur.run(INSERT_MANY, **CODEC.columns(batch), certified=certified)
    return stored


def _dated(region: Region, now: float) -> Region:
    return replace(region, created_at=region.created_at or now, updated_at=region.updated_at or now)


def find(cur: Cursor, id: str) -> Region | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> Region:
    region = find(cur, id)
    if region is None:
        raise NotFound(f"The region {id} does not exist; it may have been deleted.")
    return region


def of_frame(cur: Cursor, frame_id: str) -> list[Region]:
    """The regions of a frame, oldest first."""
    return CODEC.rows(cur.all(OF_FRAME, frame_id=frame_id))


def of_frames(cur: Cursor, frame_ids: Sequence[str]) -> list[Region]:
    """The regions of several frames, by frame, oldest first."""
    return CODEC.rows(cur.all(OF_FRAMES, frame_ids=list(frame_ids)))


def of_asset(cur: Cursor, asset_id: str, start: int, limit: int) -> Iterator[Region]:
    """The regions of the frames with index start ≤ i < start + limit, by frame, oldest first.

    Consume it inside the `read` that made `cur`.
    """
    yield from map(CODEC.row, cur.all(OF_ASSET, asset_id=asset_id, start=start, stop=start + limit))


def anchors(cur: Cursor, asset_id: str, track_ids: Sequence[str], start: int, stop: int) -> list[Region]:
    """The regions of tracks that a person confirmed, on frames start ≤ index ≤ stop, by frame."""
    return CODEC.rows(cur.all(ANCHORS, asset_id=asset_id, track_ids=list(track_ids), start=start, stop=stop))


def of_track(cur: Cursor, asset_id: str, track_id: str, start: int, stop: int, limit: int) -> list[Region]:
    """The first `limit` regions of a track on frames start ≤ index ≤ stop of an asset, by frame."""
    found = cur.all(OF_TRACK, asset_id=asset_id, track_id=track_id, start=start, stop=stop, limit=limit)
    return CODEC.rows(found)


class TrackPart(NamedTuple):
    """Part of a track: its regions, the frames that they lie on, how many a person confirmed, and how many lie
    on approved frames.
    """

    regions: int
    frames: int
    anchors: int
    approved: int


def counts_of_track(cur: Cursor, asset_id: str, track_id: str, start: int, stop: int) -> TrackPart:
    """What a track has on frames start ≤ index ≤ stop of an asset."""
    row = cur.one(COUNTS_OF_TRACK, asset_id=asset_id, track_id=track_id, start=start, stop=stop)
    return TrackPart(*(row or (0, 0, 0, 0)))


def count_in_track(cur: Cursor, track_id: str) -> int:
    """How many regions a track has in all assets."""
    row = cur.one(COUNT_IN_TRACK, track_id=track_id)
    return row[0] if row else 0


def update(cur: Cursor, region: Region, expected_revision: int | None = None) -> Region:
    """Store every field and bump the revision. Raises Conflict when the stored revision is another."""
    region = replace(region, updated_at=time.time())
    params = _params(region)
    for unused in ("revision", "created_at", "frame_id"):
        del params[unused]
    row = cur.one(UPDATE, **params, expected=expected_revision)
    if row is None:
        raise changed_meanwhile("The region", expected_revision, get(cur, region.id).revision)
    return replace(region, revision=row[0])


def find_many(cur: Cursor, ids: Sequence[str]) -> dict[str, Region]:
    """Those of the regions that exist, by id."""
    return {region.id: region for region in CODEC.rows(cur.all(FIND_MANY, ids=list(ids)))}


def update_many(cur: Cursor, regions: Sequence[Region]) -> list[Region]:
    """Store every field of many regions, each with its revision one higher. The caller compared them before."""
    now = time.time()
    stored = [replace(region, updated_at=now, revision=region.revision + 1) for region in regions]
    for start in range(0, len(stored), BATCH):
        batch = stored[start : start + BATCH]
        columns = CODEC.columns(batch)
        for unused in ("frame_id", "created_at"):
            del columns[unused]
        cur.run(UPDATE_MANY, **columns, certified=[_certified(region.certificate) for region in batch])
    return stored


def delete_many(cur: Cursor, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), BATCH):
        cur.run(DELETE_MANY, ids=list(ids[start : start + BATCH]))


def of_class(
    cur: Cursor, class_template_id: str, class_id: int, *, after: str = "", limit: int
) -> list[Region]:
    """Regions of a class in all projects that use the class template, by id, from behind `after` on."""
    return CODEC.rows(
        cur.all(OF_CLASS, class_template_id=class_template_id, class_id=class_id, after=after, limit=limit)
    )


def delete(cur: Cursor, id: str) -> Region:
    """Remove the region; returns what it was."""
    region = get(cur, id)
    cur.run(DELETE, id=id)
    return region


def counts_by_class(cur: Cursor, frame_id: str) -> dict[int, int]:
    return dict(cur.all(COUNTS_BY_CLASS, frame_id=frame_id))  # pyright: ignore[reportArgumentType]


def count_of_class(cur: Cursor, class_template_id: str, class_id: int) -> int:
    """How many regions, in all projects that use the class template, have this class."""
    row = cur.one(COUNT_OF_CLASS, class_template_id=class_template_id, class_id=class_id)
    return row[0] if row else 0


def counts_of_classes(cur: Cursor, class_template_id: str) -> dict[int, int]:
    """How many regions each class has in all projects that use the class template; classes without are absent."""
    return dict(cur.all(COUNTS_OF_CLASSES, class_template_id=class_template_id))  # pyright: ignore[reportArgumentType]


class ClassUse(NamedTuple):
    """Regions of a class in one asset, and the frames that they lie on."""

    project_id: str
    project: str
    trashed: bool
    asset_id: str
    asset: str
    regions: int
    frames: int


def usage_of_class(cur: Cursor, class_template_id: str, class_id: int) -> list[ClassUse]:
    """By asset, in all projects that use the class template; assets without such regions are absent."""
    rows = cur.all(COUNTS_OF_USE, class_template_id=class_template_id, class_id=class_id)
    return [ClassUse(*row) for row in rows]


def attributes_of_class(
    cur: Cursor, class_template_id: str, class_id: int
) -> list[tuple[dict[str, str], int]]:
    """Which attributes the regions of a class have together, and how many regions have just these."""
    rows = cur.all(COUNTS_OF_ATTRIBUTES, class_template_id=class_template_id, class_id=class_id)
    return [(msgspec.json.decode(text, type=dict[str, str]), n) for text, n in rows]
