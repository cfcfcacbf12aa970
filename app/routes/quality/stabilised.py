"""What stabilising did: before and after, by done job."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from app.errors import NotFound
from app.i18n import _
from app.models import Job
from app.quality import Summary
from app.routes import charts
from app.routes.page import as_number
from app.routes.quality.place import Place, decoded
from app.services import overview, stabilising, tracks
from app.services.context import Context
from app.smoothing import FLICKER_LIMIT, METHODS, Smoothing

SHOWN = 20
CURVES = 3
"""So many of the newest jobs come with their curve."""
POINTS = 240


class LayerResult(Struct, kw_only=True):
    class_id: int
    track_id: str | None = None
    before: Summary
    after: Summary
    improvement_percent: float | None = None


class Result(Struct, kw_only=True):
    """What a job "stabilise" answers."""

    asset_id: str
    start: int
    stop: int
    preview: bool = False
    smoothing: Smoothing
    changed: int = 0
    regions: int = 0
    skipped: int = 0
    cuts: int = 0
    before: Summary
    after: Summary
    improvement_percent: float | None = None
    layers: list[LayerResult] = field(default_factory=list)
    truth: dict[str, float | None] | None = None
    notes: list[str] = field(default_factory=list)


class Asked(Struct, kw_only=True):
    actor: str = ""


class Pair(Struct, kw_only=True):
    """A figure before and after; bars are as long as its part of `whole`."""

    label: str
    hint: str
    before: float | None
    after: float | None
    whole: float


class LayerRow(Struct, kw_only=True):
    name: str
    colour: str
    before: Summary
    after: Summary
    improvement_percent: float | None


class Done(Struct, kw_only=True):
    """A job that stabilised; `first`, `last`: frame numbers; `link`: an address that a frame number is added to."""

    job: Job
    asset: str
    first: int
    last: int
    filter: str
    actor: str
    href: str
    link: str
    changed: int
    regions: int
    skipped: int
    cuts: int
    notes: list[str]
    improvement_percent: float | None
    pairs: list[Pair]
    layers: list[LayerRow]
    curve: charts.Curve | None = None


class StabilisedSection(Struct, kw_only=True):
    jobs: list[Done]


def filter_of(smoothing: Smoothing) -> str:
    """The filter and its parameters in words."""
    method = METHODS.get(smoothing.method)
    if method is None:
        return smoothing.method
    parts = [_(method.title)]
    if method.parameter == "alpha":
        parts.append(_("α %(alpha)s") % {"alpha": as_number(smoothing.alpha)})
    else:
        parts.append(_("window %(window)s") % {"window": smoothing.window})
    if smoothing.motion:
        parts.append(_("motion-compensated"))
    if not smoothing.evidence:
        parts.append(_("everywhere"))
    return ", ".join(parts)


def pairs_of(result: Result) -> list[Pair]:
    before, after = result.before, result.after
    highest = max(before.warped_instability or 0.0, after.warped_instability or 0.0, 2 * FLICKER_LIMIT)
    found = [
        Pair(
            label=_("Instability"),
            hint=_("motion taken out; lower is steadier"),
            before=before.warped_instability,
            after=after.warped_instability,
            whole=highest,
        ),
        Pair(
            label=_("IoU of neighbours"),
            hint=_("motion included"),
            before=before.iou,
            after=after.iou,
            whole=1.0,
        ),
        Pair(
            label=_("Boundary F"),
            hint=_("motion taken out"),
            before=before.boundary_f,
            after=after.boundary_f,
            whole=1.0,
        ),
    ]
    if result.truth:
        found.append(
            Pair(
                label=_("mIoU"),
                hint=_("against hidden ground truth"),
                before=result.truth.get("before"),
                after=result.truth.get("after"),
                whole=1.0,
            )
        )
    return found


def section(ctx: Context, place: Place) -> StabilisedSection:
    """The newest first. Previews changed nothing and are left out."""
    names: dict[str, str] = {}
    found: list[Done] = []
    for job in overview.jobs_of(ctx, place.project.id, "stabilise"):
        result: Result | None = decoded(job.result, Result) if job.state == "done" else None
        if result is None or result.preview or (place.asset and result.asset_id != place.asset):
            continue
        if not names:
            names = {track.id: track.name for track in tracks.listing(ctx, place.project.id)}
        found.append(done_of(place, job, result, names))
        if len(found) == SHOWN:
            break
    for one in found[:CURVES]:
        one.curve = curve_of(ctx, one)
    return StabilisedSection(jobs=found)


def done_of(place: Place, job: Job, result: Result, names: dict[str, str]) -> Done:
    asked: Any = decoded(job.args, Asked)
    return Done(
        job=job,
        asset=place.name_of(result.asset_id) or _("an asset in the trash"),
        first=result.start + 1,
        last=result.stop + 1,
        filter=filter_of(result.smoothing),
        actor=asked.actor if asked else "",
        href=place.frame(result.asset_id, result.start),
        link=place.frame(result.asset_id, 0).removesuffix("1"),
        changed=result.changed,
        regions=result.regions,
        skipped=result.skipped,
        cuts=result.cuts,
        notes=result.notes,
        improvement_percent=result.improvement_percent,
        pairs=pairs_of(result),
        layers=[
            LayerRow(
                name=names.get(layer.track_id or "") or place.look(layer.class_id).name,
                colour=place.look(layer.class_id).colour,
                before=layer.before,
                after=layer.after,
                improvement_percent=layer.improvement_percent,
            )
            for layer in result.layers
        ],
    )


def curve_of(ctx: Context, one: Done) -> charts.Curve | None:
    try:
        found = stabilising.curve(ctx, one.job.id)
    except NotFound:
        return None
    step, before = charts.worst(found.before, POINTS)
    after = charts.worst(found.after, POINTS)[1]
    if not after:
        return None
    return charts.curve(
        [before, after],
        limit=FLICKER_LIMIT,
        width=1000,
        height=120,
        start=found.start,
        step=step,
        frames=len(found.after),
    )
