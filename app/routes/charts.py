"""Numbers → what the SVG of a chart is made of. Templates draw it (`templates/quality/_charts.html`); no markup here.

A chart has its own units: (0, 0) is its upper left corner, `width` and `height` the lower right one. Values that
are None are gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

Values = Sequence[float | None]

PAD = 3.0
"""Room above and below a line, so that its stroke is not cut off."""
TOPS = (0.34, 0.5, 0.75, 1.0)
SHADES = 10
"""Steps of grey of a matrix, without the empty one."""


class Mark(Struct, kw_only=True):
    """What stands under the pointer: the frames `start` ≤ index < `stop`, and the value drawn for them."""

    x: float
    width: float
    start: int
    stop: int
    value: float | None
    over: bool


class Curve(Struct, kw_only=True):
    """Values of the frames `start` ≤ index < `stop`, `step` of them a point, from 0 at the bottom to `top`.

    `lines`: a path per series; `lone`, `over`: paths of dots on values of the last series that have no neighbour,
    and that lie above the limit; `cuts`: a path of vertical strokes; `stale`: (x, width) of frames whose values are
    out of date; `marks`: of the last series.
    """

    width: int
    height: int
    top: float
    limit: float
    limit_y: float
    lines: list[str]
    lone: str = ""
    over: str = ""
    cuts: str = ""
    stale: list[tuple[float, float]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    start: int = 0
    stop: int = 0
    step: int = 1
    worst: float | None = None

    @property
    def middle(self) -> int:
        """The number, from 1, of the frame in the middle."""
        return (self.start + self.stop + 1) // 2


class Bin(Struct, kw_only=True):
    """A bar of a histogram: values `low` ≤ v < `high` (the last one with its end)."""

    low: float
    high: float
    count: int
    x: float
    y: float
    width: float
    height: float
    below: bool


class Histogram(Struct, kw_only=True):
    width: int
    height: int
    total: int
    bins: list[Bin]


def worst(values: Values, most: int) -> tuple[int, list[float | None]]:
    """At most `most` values, each the largest of `step` neighbours; → (step, values)."""
    step = max(1, -(-len(values) // most))
    parts = (values[at : at + step] for at in range(0, len(values), step))
    return step, [max((v for v in part if v is not None), default=None) for part in parts]


def top_of(series: Iterable[Values], limit: float) -> float:
    """The value at the upper edge: the lowest of TOPS with room for everything, at least twice the limit."""
    highest = max((v for values in series for v in values if v is not None), default=0.0)
    return next((top for top in TOPS if top >= max(highest, 2 * limit)), TOPS[-1])


def height_of(value: float, height: float, top: float) -> float:
    """The y of a value; what lies outside 0..top is drawn on the edge."""
    part = min(max(value / top, 0.0), 1.0) if top else 0.0
    return round(height - PAD - part * (height - 2 * PAD), 1)


def line(values: Values, width: float, height: float, top: float) -> str:
    """A path through the middles of equally wide columns, interrupted by gaps; a lone value is a dot."""
    each = width / len(values) if values else 0.0
    parts: list[str] = []
    drawing = False
    for at, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x, y = round((at + 0.5) * each, 1), height_of(value, height, top)
        alone = not drawing and (at + 1 == len(values) or values[at + 1] is None)
        parts.append(f"{'L' if drawing else 'M'}{x:g} {y:g}" + ("h0" if alone else ""))
        drawing = True
    return "".join(parts)


def lone(values: Values, width: float, height: float, top: float) -> str:
    """A path of dots on the values without a neighbour, of which a line shows next to nothing."""
    alone = [
        value if all(values[near] is None for near in (at - 1, at + 1) if 0 <= near < len(values)) else None
        for at, value in enumerate(values)
    ]
    return dots(alone, width, height, top, -1.0)


def dots(values: Values, width: float, height: float, top: float, limit: float) -> str:
    """A path of strokes without length, which round caps make dots, on the values above the limit."""
    each = width / len(values) if values else 0.0
    return "".join(
        f"M{round((at + 0.5) * each, 1):g} {height_of(value, height, top):g}h0"
        for at, value in enumerate(values)
        if value is not None and value > limit
    )


def curve(
    series: Sequence[Values],
    *,
    limit: float,
    width: int,
    height: int,
    start: int = 0,
    step: int = 1,
    frames: int | None = None,
    cuts: Sequence[int] = (),
    stale: Sequence[tuple[int, int]] = (),
) -> Curve:
    """A chart of one or more series of equal length, point i standing for `step` frames from `start + i·step` on.

    `frames`: how many frames there are, where the last point stands for fewer; `cuts`: indices of frames that
    begin a shot; `stale`: runs (index of the first frame, how many).
    """
    values = series[-1]
    count = len(values) * step if frames is None else frames
    top = top_of(series, limit)
    each = width / len(values) if values else 0.0
    per_frame = each / step

    def x_of(index: int) -> float:
        return round(min(max((index - start) * per_frame, 0.0), width), 1)

    marks = [
        Mark(
            x=round(at * each, 1),
            width=round(each, 2),
            start=start + at * step,
            stop=min(start + (at + 1) * step, start + count),
            value=value,
            over=value is not None and value > limit,
        )
        for at, value in enumerate(values)
    ]
    return Curve(
        width=width,
        height=height,
        top=top,
        limit=limit,
        limit_y=height_of(limit, height, top),
        lines=[line(one, width, height, top) for one in series],
        lone=lone(values, width, height, top),
        over=dots(values, width, height, top, limit),
        cuts="".join(f"M{x_of(at):g} 0V{height:g}" for at in cuts if start < at < start + count),
        stale=[(x_of(at), round(x_of(at + length) - x_of(at), 1)) for at, length in stale],
        marks=marks,
        start=start,
        stop=start + count,
        step=step,
        worst=max((value for value in values if value is not None), default=None),
    )


def histogram(
    counts: Sequence[int], edges: Sequence[float], *, target: float, width: int, height: int
) -> Histogram:
    """Bars of `counts`, one between each two of the ascending `edges`; a bar that ends at or below the target
    is `below` it. What is not empty is at least 3 units high.
    """
    most, each = max(counts, default=0), width / max(1, len(counts))
    bins = []
    for at, count in enumerate(counts):
        tall = max(3.0, round(count / most * height, 1)) if count else 0.0
        bins.append(
            Bin(
                low=edges[at],
                high=edges[at + 1],
                count=count,
                x=round(at * each + 3, 1),
                y=round(height - tall, 1),
                width=round(each - 6, 1),
                height=tall,
                below=edges[at + 1] <= target,
            )
        )
    return Histogram(width=width, height=height, total=sum(counts), bins=bins)


def shade(part: float, whole: float) -> int:
    """How dark a cell of a matrix is, 0..SHADES; 0 only for nothing at all."""
    if part <= 0 or whole <= 0:
        return 0
    return min(SHADES, max(1, round(part / whole * SHADES)))
