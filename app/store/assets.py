"""Assets."""

from __future__ import annotations

import time

from msgspec.structs import replace

from app.errors import NotFound
from app.models import Asset
from app.store.cursor import Codec, Cursor, changed_meanwhile

CODEC = Codec(Asset, "sampling")

INSERT = """
insert into asset (id, project_id, name, stem, kind, source, sampling, state, reason, width, height,
    frame_count,
    fps, duration, rotation, codec, skipped, revision, created_at, trashed_at)
values ($id, $project_id, $name, $stem, $kind, $source, $sampling, $state, $reason, $width, $height,
    $frame_count,
    $fps, $duration, $rotation, $codec, $skipped, $revision, $created_at, $trashed_at)
"""
GET = """
select id, project_id, name, stem, kind, source, sampling, state, reason, width, height, frame_count,
    fps, duration, rotation, codec, skipped, revision, created_at, trashed_at
from asset where id = $id
"""
OF_PROJECT = """
select id, project_id, name, stem, kind, source, sampling, state, reason, width, height, frame_count,
    fps, duration, rotation, codec, skipped, revision, created_at, trashed_at
from asset where project_id = $project_id and (trashed_at is not null) = $trashed
order by created_at, id
"""
UPDATE = """
update asset set project_id = $project_id, name = $name, stem = $stem, kind = $kind, source = $source,
    sampling = $sampling, state = $state, reason = $reason, width = $width, height = $height,
    frame_count = $frame_count, fps = $fps, duration = $duration, rotation = $rotation, codec = $codec,
    skipped = $skipped, trashed_at = $trashed_at, revision = revision + 1
where id = $id and ($expected::integer is null or revision = $expected)
returning revision
"""
DELETE = "delete from asset where id = $id"
DELETE_FRAMES = "delete from frame where asset_id = $id"
DELETE_REGIONS = "delete from region where asset_id = $id"
DELETE_TRUTHS = "delete from truth where asset_id = $id"
DELETE_SCORES = "delete from truth_score where asset_id = $id"
DELETE_MEASURES = "delete from measure where asset_id = $id"
DELETE_MEASURED = "delete from measured where asset_id = $id"
DELETE_SEEN = "delete from seen where frame_id in (select id from frame where asset_id = $id)"


def insert(cur: Cursor, asset: Asset) -> Asset:
    asset = replace(asset, created_at=asset.created_at or time.time())
    cur.run(INSERT, **CODEC.params(asset))
    return asset


def find(cur: Cursor, id: str) -> Asset | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> Asset:
    asset = find(cur, id)
    if asset is None:
        raise NotFound(f"The asset {id} does not exist.")
    return asset


def of_project(cur: Cursor, project_id: str, *, trashed: bool = False) -> list[Asset]:
    return CODEC.rows(cur.all(OF_PROJECT, project_id=project_id, trashed=trashed))


def update(cur: Cursor, asset: Asset, expected_revision: int | None = None) -> Asset:
    """Store every field and bump the revision. Raises Conflict when the stored revision is another."""
    params = CODEC.params(asset)
    for unused in ("revision", "created_at"):
        del params[unused]
    row = cur.one(UPDATE, **params, expected=expected_revision)
    if row is None:
        raise changed_meanwhile("The asset", expected_revision, get(cur, asset.id).revision)
    return replace(asset, revision=row[0])


def delete(cur: Cursor, id: str) -> Asset:
    """Remove the asset with its frames and regions; the journal stays."""
    asset = get(cur, id)
    for statement in (
        DELETE_SCORES,
        DELETE_TRUTHS,
        DELETE_MEASURES,
        DELETE_MEASURED,
        DELETE_REGIONS,
        DELETE_SEEN,
        DELETE_FRAMES,
        DELETE,
    ):
        cur.run(statement, id=id)
    return asset
