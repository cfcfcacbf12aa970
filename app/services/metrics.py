"""How steady the labels of a project are: figures for pages, and curves along frames."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from app import store as db
from app.errors import Refused
from app.models import Asset, Run
from app.quality import Summary
from app.services import exports
from app.services.asset_ranges import frame_range
from app.services.context import Context
from app.smoothing import FLICKER_LIMIT
from app.stamps import ranks_of
from app.store.measures import Stability

MOST = 2000
MOST_ALLOWED = 20_000


class ClassFigures(Summary, kw_only=True):
    """A class over the measured frames. `jumps`: frames where its area jumps while it flickers; `over_limit`:
    where it flickers; `worst`: index of the frame where it does most, of `worst_asset`.
    """

    class_id: int
    jumps: int = 0
    over_limit: int = 0
    worst: int | None = None
    worst_asset: str | None = None


class TrackFigures(ClassFigures, kw_only=True):
    """A track over the measured frames; `name` "" where it was deleted since."""

    track_id: str
    name: str


class AssetFigures(Struct, kw_only=True):
    """An asset. `frames`: all of them; `measured`: those whose figures belong to their labels of now; `stale`:
    those to measure, since labels changed or are new; `cuts`: measured ones that begin another shot; `over_limit`:
    that flicker; `contested`: with pixels that only the order of the classes decides; `worst`: index of the frame
    that flickers most.
    """

    asset_id: str
    name: str
    frames: int
    measured: int
    stale: int
    cuts: int
    over_limit: int
    contested: int
    worst: int | None
    summary: Summary
    classes: list[ClassFigures]
    tracks: list[TrackFigures]


class Figures(Struct, kw_only=True):
    """A project. `limit`: warped instability above which a frame flickers; `summary`, `classes`: of all assets."""

    limit: float
    assets: list[AssetFigures]
    summary: Summary
    classes: list[ClassFigures]


class CurveView(Struct, kw_only=True):
    """Instability along the frames `start` … `stop` (indices, both included), the worst of every `step` frames.

    `warped`, `raw`: 0..1, None where nothing was measured or compared; `area` in px, where it changes most.
    `at`: the frame that flickers most; `worst`: of the frames as a whole, the class that does there.
    `stale`: runs of frames whose labels changed since; `cuts`: frames that begin another shot.
    """

    start: int
    stop: int
    step: int
    limit: float
    warped: list[float | None]
    raw: list[float | None]
    area: list[int | None]
    stale: list[Run]
    cuts: list[int] = field(default_factory=list)
    at: list[int | None] = field(default_factory=list)
    worst: list[int | None] = field(default_factory=list)


def figures(ctx: Context, project_id: str, asset_id: str | None = None) -> Figures:
    """Of all assets that are not in the trash, or of one. Raises NotFound."""

    def query(cur: db.Cursor) -> Figures:
        project, assets = exports.selection(cur, project_id, asset_id)
        template = db.class_templates.get(cur, project.class_template_id)
        ranks = ranks_of(template)
        known = {c.id for c in template.classes}
        names = {track.id: track.name for track in db.tracks.of_project(cur, project_id)}
        ids = [asset.id for asset in assets]
        counts = db.measures.counts(cur, ids)
        stable = db.measures.stability(cur, ids, FLICKER_LIMIT)
        together = db.measures.stability(cur, ids, FLICKER_LIMIT, apart=False).get("", [])
        whole = _whole(together)
        return Figures(
            limit=FLICKER_LIMIT,
            assets=[
                _asset(cur, asset, ranks, counts.get(asset.id), stable.get(asset.id, []), known, names)
                for asset in assets
            ],
            summary=whole.summary,
            classes=[_class(row) for row in together if row.class_id in known and not row.track_id],
        )

    return ctx.lasting.ask(("metrics", project_id, asset_id), query)


def _asset(
    cur: db.Cursor,
    asset: Asset,
    ranks: str,
    counts: db.measures.Counts | None,
    rows: list[Stability],
    known: set[int],
    names: dict[str, str],
) -> AssetFigures:
    counts = counts or db.measures.Counts()
    whole = _whole(rows)
    stale = db.measures.stale_runs(cur, asset.id, ranks)
    outdated = db.measures.count_within(cur, asset.id, stale)
    return AssetFigures(
        asset_id=asset.id,
        name=asset.name,
        frames=asset.frame_count,
        measured=counts.measured - outdated,
        stale=sum(length for _, length in stale),
        cuts=counts.cuts,
        over_limit=whole.over_limit,
        contested=counts.contested,
        worst=whole.worst,
        summary=whole.summary,
        classes=[_class(row) for row in rows if row.class_id in known and not row.track_id],
        tracks=[
            TrackFigures(**_fields(row), track_id=row.track_id, name=names.get(row.track_id, ""))
            for row in rows
            if row.track_id
        ],
    )


def _whole(rows: list[Stability]) -> Stability:
    found = (row for row in rows if row.class_id == 0)
    return next(found, Stability(class_id=0, track_id="", summary=Summary()))


def _class(row: Stability) -> ClassFigures:
    return ClassFigures(**_fields(row))


def _fields(row: Stability) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(row.summary),
        "class_id": row.class_id,
        "jumps": row.jumps,
        "over_limit": row.over_limit,
        "worst": row.worst,
        "worst_asset": row.worst_asset,
    }


def curve(
    ctx: Context,
    asset_id: str,
    *,
    class_id: int = 0,
    track_id: str = "",
    start: int | None = None,
    stop: int | None = None,
    most: int = MOST,
) -> CurveView:
    """Of the frames as a whole (class 0), a class, or one of its tracks, in at most `most` values.

    Raises NotFound, Refused for a range that is none.
    """
    if not 1 <= most <= MOST_ALLOWED:
        raise Refused(f"A curve has between 1 and {MOST_ALLOWED} values.")
    if not 0 <= class_id <= 65535:
        raise Refused("A class has a number between 1 and 65535; 0 is the frame as a whole.")

    # Of all frames, and the same for every piece of the curve that is asked for.
    stale = ctx.lasting.ask(("stale", asset_id), lambda cur: _stale(cur, db.assets.get(cur, asset_id)))

    def query(cur: db.Cursor) -> CurveView:
        asset = db.assets.get(cur, asset_id)
        if not asset.frame_count:
            return CurveView(
                start=0, stop=-1, step=1, limit=FLICKER_LIMIT, warped=[], raw=[], area=[], stale=[]
            )
        first, last = frame_range(asset, start, stop)
        step = -(-(last + 1 - first) // most)
        found = db.measures.curve(cur, asset_id, class_id, track_id, first, last + 1, step)
        named = [] if class_id else [frame for frame in found.at if frame is not None]
        worst = db.measures.worst_classes(cur, asset_id, named)
        return CurveView(
            start=first,
            stop=last,
            step=step,
            limit=FLICKER_LIMIT,
            warped=[_short(value) for value in found.warped],
            raw=[_short(value) for value in found.raw],
            area=found.area,
            stale=_within(stale, first, last),
            cuts=db.measures.cuts(cur, asset_id, first, last + 1, most),
            at=found.at,
            worst=[None if frame is None else worst.get(frame) for frame in found.at],
        )

    return ctx.store.read(query)


def _stale(cur: db.Cursor, asset: Asset) -> list[Run]:
    project = db.projects.get(cur, asset.project_id)
    ranks = ranks_of(db.class_templates.get(cur, project.class_template_id))
    return db.measures.stale_runs(cur, asset.id, ranks)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _within(runs: list[Run], first: int, last: int) -> list[Run]:
    cut = ((max(start, first), min(start + length, last + 1)) for start, length in runs)
    return [(start, end - start) for start, end in cut if start < end]
