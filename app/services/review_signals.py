"""Signs of trouble in a project, from the database: what `app.algo.review` makes of regions, tracks and measures.

Assets are independent of each other. What was found in one is kept until its regions, tracks or measures change, for
who works in one asset should not wait for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from app import store as db
from app.algo import review
from app.models import Asset, Project, Track
from app.services.context import Context
from app.smoothing import FLICKER_LIMIT
from app.store.review import Places
from tasks.layers import ranks_of

ASSET_SHIFT, TRACK_SHIFT = 44, 17
"""A layer has its class id in the lowest bits, then the number of its track, then that of its asset."""
APART = 64
"""Places between the assets of a project: more than any finding reaches."""
BATCH = 200_000
"""Frames that are looked through at a time, of several assets together where they are small."""
CONFIRMED = 0.2
"""Of the chance remains where a person drew or confirmed the layer."""


class Ground(Struct, kw_only=True):
    """The live assets of a project in order, its tracks, and where the frames of the assets lie."""

    project: Project
    assets: list[Asset]
    tracks: list[Track]
    ranks: str
    places: Places

    def frame(self, place: int) -> tuple[Asset, int]:
        """Asset and index of a place."""
        at = int(np.searchsorted(self.places.bases, place, side="right")) - 1
        return self.assets[at], place - self.places.bases[at]

    def layer(self, layer: int) -> tuple[int, Track | None]:
        """Class id, and the track that the layer is, if it is one."""
        number = (layer >> TRACK_SHIFT) & ((1 << (ASSET_SHIFT - TRACK_SHIFT)) - 1)
        return layer & ((1 << TRACK_SHIFT) - 1), self.tracks[number - 1] if number else None


def ground(cur: db.Cursor, project_id: str, asset_id: str | None = None) -> Ground:
    """Of the project or one of its assets; there is none where it has no such. Raises NotFound for the project."""
    project = db.projects.get(cur, project_id)
    template = db.class_templates.get(cur, project.class_template_id)
    assets = [row for row in db.assets.of_project(cur, project_id) if asset_id in (None, row.id)]
    tracks = db.tracks.of_project(cur, project_id)
    return Ground(
        project=project,
        assets=assets,
        tracks=tracks,
        ranks=ranks_of(template),
        places=_places(assets, tracks),
    )


def _places(assets: Sequence[Asset], tracks: Sequence[Track]) -> Places:
    lengths = [asset.frame_count + APART for asset in assets]
    return Places(
        assets=[asset.id for asset in assets],
        numbers=[at << ASSET_SHIFT for at in range(len(assets))],
        bases=[sum(lengths[:at]) for at in range(len(assets))],
        sizes=[float(asset.width * asset.height) for asset in assets],
        tracks=[track.id for track in tracks],
        track_numbers=[number << TRACK_SHIFT for number in range(1, len(tracks) + 1)],
    )


def findings(ctx: Context, cur: db.Cursor, here: Ground) -> review.Findings:
    """Everything that looks wrong in the project, by place and layer of `here`."""
    signatures = db.review.signatures(cur, here.places.assets)
    tracks = tuple(here.places.tracks)
    marks = {
        asset.id: (signatures[asset.id], tracks, _lost(here, asset), here.ranks, asset.width * asset.height)
        for asset in here.assets
    }
    known: dict[str, Any] = {
        asset.id: ctx.lasting.recall(("review", asset.id), marks[asset.id]) for asset in here.assets
    }
    for batch in _batches([asset for asset in here.assets if known[asset.id] is None]):
        for asset, own in zip(batch, _of_assets(cur, here, batch), strict=True):
            known[asset.id] = own
            ctx.lasting.keep(("review", asset.id), marks[asset.id], own)
    return review.together(
        _moved(known[asset.id], at, here.places.bases[at]) for at, asset in enumerate(here.assets)
    )


def _batches(assets: Sequence[Asset]) -> Iterator[list[Asset]]:
    batch: list[Asset] = []
    for asset in assets:
        if batch and sum(one.frame_count for one in batch) + asset.frame_count > BATCH:
            yield batch
            batch = []
        batch.append(asset)
    if batch:
        yield batch


def _of_assets(cur: db.Cursor, here: Ground, assets: Sequence[Asset]) -> list[review.Findings]:
    """Of each of the assets; places are frame indices, layers those of asset number 0."""
    places = _places(assets, here.tracks)
    rows = db.review.layers(cur, places)
    layer, place, anchor = rows["layer"], rows["place"], rows["anchor"]
    # A region whose area nobody knows says nothing about it.
    area = np.where(rows["area"] > 0, rows["area"], np.nan)
    steady = db.review.steadiness(cur, places, here.ranks)
    of_measures = (steady["layer"], steady["place"], steady["area"], steady["warped"])
    sudden = review.together(
        [review.areas(layer, place, area), review.flicker(*of_measures, limit=FLICKER_LIMIT)]
    )
    parts = [review.lowered(sudden, layer[anchor], place[anchor], CONFIRMED)]
    for kind, make in (("score", review.score), ("agreement", review.agreement)):
        known = _known(rows[kind])
        parts.append(make(layer[known], place[known], _plain(rows[kind])[known]))
    missed = _known(rows["iou"]) & _known(rows["target"])
    reached, target = _plain(rows["iou"])[missed], _plain(rows["target"])[missed]
    parts.append(review.certificate(layer[missed], place[missed], reached, target))
    tracked = (layer & ((1 << ASSET_SHIFT) - 1)) >> TRACK_SHIFT > 0
    parts.append(
        review.neighbour(layer[tracked], place[tracked], anchor[tracked], rows["updated_at"][tracked])
    )
    for at, asset in enumerate(assets):
        parts += _losses(here, asset, at << ASSET_SHIFT, places.bases[at], layer, place)
    both = db.review.contested(cur, places, here.ranks)
    nobody = np.full(len(both["place"]), -1)
    parts.append(review.conflict(nobody, both["place"], both["contested"], both["px"]))
    found = review.together(parts)
    asset_of = np.searchsorted(places.bases, found.place, side="right") - 1
    alone = [found.take(asset_of == at) for at in range(len(assets))]
    return [_moved(own, -at, -places.bases[at]) for at, own in enumerate(alone)]


def _moved(found: review.Findings, assets: int, places: int) -> review.Findings:
    """Findings of an asset under another number of it, and at other places."""
    # Conflicts have no layer: -1 wherever they are.
    layer = np.where(found.layer < 0, found.layer, found.layer + (assets << ASSET_SHIFT))
    of_place = found.kind == review.KINDS.index("neighbour")
    value = np.where(of_place, found.value + places, found.value)
    return review.Findings(layer, found.place + places, found.kind, value, found.chance)


def _lost(here: Ground, asset: Asset) -> tuple[Any, ...]:
    """Where tracks were looked for and not seen, as something to compare."""
    return tuple(
        (at, *map(tuple, track.lost[asset.id]))
        for at, track in enumerate(here.tracks)
        if asset.id in track.lost
    )


def _losses(
    here: Ground, asset: Asset, number: int, base: int, layer: Any, place: Any
) -> list[review.Findings]:
    """Where tracks were looked for, not seen, and nobody drew them since."""
    out = []
    for track_number, track in enumerate(here.tracks, 1):
        runs = track.lost.get(asset.id, [])
        if not runs:
            continue
        own = number + (track_number << TRACK_SHIFT) + track.class_id
        gone = np.unique(np.concatenate([np.arange(start, start + length) for start, length in runs])) + base
        gone = np.setdiff1d(gone, place[layer == own], assume_unique=True).astype(np.int64)
        first = np.flatnonzero(np.diff(gone, prepend=np.int64(-2)) > 1)
        length = np.diff(np.append(first, len(gone)))
        out.append(review.lost(np.full(len(first), own), gone[first], length))
    return out


def _known(column: Any) -> Any:
    return ~np.ma.getmaskarray(column)


def _plain(column: Any) -> Any:
    return np.ma.getdata(column)
