"""Signs of trouble in a project, from the database: what `app.algo.review` makes of regions, tracks and measures.

Assets are independent of each other. What was found in one is kept until its regions, tracks or measures change, for
who works in one asset should not wait for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    parts = []
    for at, asset in enumerate(here.assets):
        lost = tuple(
            (n, tuple(map(tuple, t.lost[asset.id]))) for n, t in enumerate(here.tracks) if asset.id in t.lost
        )
        mark = (signatures[asset.id], tracks, lost, here.ranks, asset.width * asset.height)
        own = ctx.lasting.keep(("review", asset.id), mark, lambda asset=asset: _of_asset(cur, here, asset))
        shift, base = at << ASSET_SHIFT, here.places.bases[at]
        of_frame = own.kind == review.KINDS.index("neighbour")
        value = np.where(of_frame, own.value + base, own.value)
        parts.append(review.Findings(own.layer + shift, own.place + base, own.kind, value, own.chance))
    return review.together(parts)


def _of_asset(cur: db.Cursor, here: Ground, asset: Asset) -> review.Findings:
    """Of one asset; places are frame indices, layers those of asset number 0."""
    places = _places([asset], here.tracks)
    rows = db.review.layers(cur, places)
    layer, place, anchor = rows["layer"], rows["place"], rows["anchor"]
    # A region whose area nobody knows says nothing about it.
    area = np.where(rows["area"] > 0, rows["area"], np.nan)
    steady = db.review.steadiness(cur, places, here.ranks)
    sudden = review.together(
        [
            review.areas(layer, place, area),
            review.flicker(
                steady["layer"], steady["place"], steady["area"], steady["warped"], limit=FLICKER_LIMIT
            ),
        ]
    )
    parts = [review.lowered(sudden, layer[anchor], place[anchor], CONFIRMED)]
    for kind, make in (("score", review.score), ("agreement", review.agreement)):
        known = _known(rows[kind])
        parts.append(make(layer[known], place[known], _plain(rows[kind])[known]))
    missed = _known(rows["iou"]) & _known(rows["target"])
    parts.append(
        review.certificate(
            layer[missed], place[missed], _plain(rows["iou"])[missed], _plain(rows["target"])[missed]
        )
    )
    tracked = layer >> TRACK_SHIFT > 0
    parts.append(
        review.neighbour(layer[tracked], place[tracked], anchor[tracked], rows["updated_at"][tracked])
    )
    parts += _losses(here, asset, layer, place)
    both = db.review.contested(cur, places, here.ranks)
    parts.append(
        review.conflict(np.full(len(both["place"]), -1), both["place"], both["contested"], both["px"])
    )
    return review.together(parts)


def _losses(here: Ground, asset: Asset, layer: Any, place: Any) -> list[review.Findings]:
    """Where tracks were looked for, not seen, and nobody drew them since."""
    out = []
    for number, track in enumerate(here.tracks, 1):
        runs = track.lost.get(asset.id, [])
        if not runs:
            continue
        own = (number << TRACK_SHIFT) + track.class_id
        gone = np.unique(np.concatenate([np.arange(start, start + length) for start, length in runs]))
        gone = np.setdiff1d(gone, place[layer == own], assume_unique=True)
        first = np.flatnonzero(np.diff(gone, prepend=np.int64(-2)) > 1)
        length = np.diff(np.append(first, len(gone)))
        out.append(review.lost(np.full(len(first), own), gone[first].astype(np.int64), length))
    return out


def _known(column: Any) -> Any:
    return ~np.ma.getmaskarray(column)


def _plain(column: Any) -> Any:
    return np.ma.getdata(column)
