"""How steady the labels of an asset are: the curve along its frames, its classes and its tracks."""

from __future__ import annotations

from msgspec import Struct

from app.i18n import _, ngettext
from app.models import Job
from app.quality import Summary
from app.routes import charts
from app.routes.page import as_count
from app.routes.quality.place import Place, busy, latest_job
from app.services import metrics
from app.services.context import Context
from app.services.metrics import AssetFigures, ClassFigures, CurveView, TrackFigures

POINTS = 300
WIDTH, HEIGHT, AREA = 1000, 160, 56
WORST, LEAST = 8, 3
SORTS = (
    "name",
    "frames",
    "iou",
    "dice",
    "warped_dice",
    "warped_instability",
    "consistency",
    "boundary_f",
    "jumps",
)
FIRST_SORT = "consistency"


class Layer(Struct, kw_only=True):
    """A class or track in the table and in the address (`key`)."""

    key: str
    name: str
    colour: str
    frames: int
    iou: float | None
    dice: float | None
    warped_dice: float | None
    warped_instability: float | None
    consistency: float | None
    boundary_f: float | None
    jumps: int
    over: int


class StabilitySection(Struct, kw_only=True):
    """`over`: frames above the limit, of the layer that is shown; `worst`: (frame number, value); `facts`: (label,
    value); `area`: a path, AREA high, of the layer's area, `most_px` at its highest; `busy`: whether a job measures.
    """

    asset: str
    limit: float
    measured: int
    stale: int
    cuts: int
    over: int
    layer: Layer | None
    curve: charts.Curve | None
    sentence: str
    area: str
    most_px: int
    worst: list[tuple[int, float]]
    facts: list[tuple[str, str]]
    classes: list[Layer]
    tracks: list[Layer]
    sort: str
    job: Job | None
    busy: bool


def section(ctx: Context, place: Place) -> StabilitySection:
    """Without an asset in the address the one that flickers most is shown."""
    job = latest_job(ctx, place.project.id, "measure")
    sort = place.asked.get("sort", FIRST_SORT)
    found = StabilitySection(
        asset="",
        limit=0.0,
        measured=0,
        stale=0,
        cuts=0,
        over=0,
        layer=None,
        curve=None,
        sentence="",
        area="",
        most_px=0,
        worst=[],
        facts=[],
        classes=[],
        tracks=[],
        sort=sort if sort.removeprefix("-") in SORTS else FIRST_SORT,
        job=job,
        busy=busy(job),
    )
    if not place.assets:
        return found
    figures = metrics.figures(ctx, place.project.id)
    found.limit = figures.limit
    shown = asset_of(place, figures.assets)
    found.asset = shown.asset_id
    found.measured, found.stale, found.cuts = shown.summary.frames, shown.stale, shown.cuts
    found.classes = ordered([layer_of(place, row) for row in shown.classes], found.sort)
    found.tracks = ordered([layer_of(place, row) for row in shown.tracks], found.sort)
    wanted = place.asked.get("layer", "")
    found.layer = next((row for row in [*found.classes, *found.tracks] if row.key == wanted), None)
    found.over = found.layer.over if found.layer is not None else shown.over_limit
    if not found.measured:
        return found
    line = curve_of(ctx, shown, found.layer)
    if any(value is not None for value in line.warped):
        found.curve = charts.curve(
            [line.warped],
            limit=line.limit,
            width=WIDTH,
            height=HEIGHT,
            start=line.start,
            step=line.step,
            frames=line.stop + 1 - line.start,
            cuts=line.cuts,
            stale=line.stale,
        )
        found.worst = worst_of(line)
    found.sentence = ngettext(
        "Flicker of %(n)s frame, %(over)s above the limit",
        "Flicker of %(n)s frames, %(over)s above the limit",
        found.measured,
    ) % {"n": as_count(found.measured), "over": as_count(found.over)}
    if found.layer is None:
        found.facts = facts_of(shown.summary)
    else:
        found.most_px = max((area for area in line.area if area is not None), default=0)
        found.area = charts.line(line.area, WIDTH, AREA, float(found.most_px))
    return found


def asset_of(place: Place, assets: list[AssetFigures]) -> AssetFigures:
    if place.asset:
        return next(one for one in assets if one.asset_id == place.asset)
    usable = [one for one in assets if one.frames]
    return max(usable, key=lambda one: (one.over_limit, one.summary.frames))


def layer_of(place: Place, row: ClassFigures) -> Layer:
    look = place.look(row.class_id)
    track = isinstance(row, TrackFigures)
    return Layer(
        key=f"track-{row.track_id}" if track else f"class-{row.class_id}",
        name=(row.name or _("a deleted track")) if track else look.name,
        colour=look.colour,
        frames=row.frames,
        iou=row.iou,
        dice=row.dice,
        warped_dice=row.warped_dice,
        warped_instability=row.warped_instability,
        consistency=row.consistency,
        boundary_f=row.boundary_f,
        jumps=row.jumps,
        over=row.over_limit,
    )


def ordered(rows: list[Layer], sort: str) -> list[Layer]:
    """Rows without the figure come last either way."""
    key, down = sort.removeprefix("-"), sort.startswith("-")
    known = [row for row in rows if getattr(row, key) is not None]
    known.sort(key=lambda row: str(row.name).casefold() if key == "name" else getattr(row, key), reverse=down)
    return known + [row for row in rows if getattr(row, key) is None]


def curve_of(ctx: Context, shown: AssetFigures, layer: Layer | None) -> CurveView:
    if layer is None:
        return metrics.curve(ctx, shown.asset_id, most=POINTS)
    kind, _dash, id = layer.key.partition("-")
    if kind == "class":
        return metrics.curve(ctx, shown.asset_id, class_id=int(id), most=POINTS)
    class_id = next(row.class_id for row in shown.tracks if row.track_id == id)
    return metrics.curve(ctx, shown.asset_id, class_id=class_id, track_id=id, most=POINTS)


def worst_of(line: CurveView) -> list[tuple[int, float]]:
    """The first frame of the worst points above the limit, three in any case, by number, the worst first."""
    known = [(value, at) for at, value in enumerate(line.warped) if value]
    known.sort(key=lambda one: (-one[0], one[1]))
    shown = [one for rank, one in enumerate(known[:WORST]) if rank < LEAST or one[0] > line.limit]
    return [(line.start + at * line.step + 1, value) for value, at in shown]


def facts_of(summary: Summary) -> list[tuple[str, str]]:
    rows = (
        (_("Temporal consistency"), summary.consistency),
        (_("IoU of neighbours"), summary.iou),
        (_("Dice"), summary.dice),
        (_("Warped Dice"), summary.warped_dice),
        (_("Boundary F"), summary.boundary_f),
    )
    return [(label, f"{value:.3f}") for label, value in rows if value is not None]
