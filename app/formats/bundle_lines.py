"""The lines of a project bundle as Structs, and how rows become lines and lines rows (see `bundle.py`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, field

from app.models import (
    QUANTUM,
    Asset,
    AssetState,
    AttributeDef,
    Certificate,
    ClassDef,
    ClassTemplate,
    Colour,
    Coordinate,
    Frame,
    FrameId,
    FrameState,
    Geometry,
    Id,
    MappingRule,
    Name,
    Point,
    Project,
    ProjectStatus,
    Region,
    Sampling,
    SourceKind,
    Track,
    quantise,
)

VERSION = 2

S = TypeVar("S", bound=Struct)
NOT_PLAIN = re.compile(r"[/\\\x00-\x1f\x7f]")
"""What a stem may not hold, because it becomes part of file names."""
PointItem = Annotated[list[float], Meta(min_length=2, max_length=4)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Side = Annotated[int, Meta(ge=1, le=65535)]
Time = Annotated[float, Meta(ge=0, le=1e11)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]
Seconds = Annotated[float, Meta(ge=-1e9, le=1e9)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class _Base(Struct, kw_only=True, tag_field="type", omit_defaults=True, forbid_unknown_fields=True):
    pass


class ClassLine(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A `ClassDef` without its defaults."""

    id: Annotated[int, Meta(ge=1, le=65535)]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    colour: Colour
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    parent: int | None = None
    shortcut: Annotated[str, Meta(max_length=1)] = ""
    value: Annotated[int, Meta(ge=0, le=65535)] | None = None
    attributes: Annotated[list[AttributeDef], Meta(max_length=50)] = field(default_factory=list)


class TemplateLine(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: Id
    name: Name
    classes: list[ClassLine] = field(default_factory=list)
    rules: Annotated[list[MappingRule], Meta(max_length=5000)] = field(default_factory=list)


class ProjectLine(Struct, kw_only=True, forbid_unknown_fields=True):
    id: Id
    name: Name
    status: ProjectStatus = "pending"
    engine: Annotated[str, Meta(max_length=100)] = "classic"
    created_at: Time = 0.0


class Header(_Base, tag="bundle"):
    version: int
    project: ProjectLine
    class_template: TemplateLine
    quantum: int = 0
    """Coordinates are multiples of 1/quantum px."""


class AssetLine(_Base, tag="asset"):
    id: Id
    name: Name
    stem: Annotated[str, Meta(max_length=255)]
    kind: SourceKind
    sampling: Sampling = field(default_factory=Sampling)
    state: AssetState = "ready"
    reason: Annotated[str, Meta(max_length=2000)] = ""
    width: Annotated[int, Meta(ge=0, le=65535)] = 0
    height: Annotated[int, Meta(ge=0, le=65535)] = 0
    frame_count: Count = 0
    fps: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    duration: Seconds | None = None
    rotation: Annotated[int, Meta(ge=-360, le=360)] = 0
    codec: Annotated[str, Meta(max_length=100)] = ""
    skipped: Count = 0
    created_at: Time = 0.0


class TrackLine(_Base, tag="track"):
    id: Id
    class_id: int
    name: Annotated[str, Meta(max_length=200)] = ""
    created_at: Time = 0.0
    lost: dict[Id, list[tuple[Count, Count]]] = field(default_factory=dict)
    """By asset, runs (first frame, how many) where the object was looked for and not seen."""


class FrameLine(_Base, tag="frame", kw_only=True):
    asset: Id
    index: Annotated[int, Meta(ge=0, le=999_999_999)]
    source_index: Count = 0
    pts: Seconds | None = None
    width: Side
    height: Side
    hash: Digest
    file: str
    thumb: str
    state: FrameState = "todo"
    name: Annotated[str, Meta(max_length=300)] = ""


class RegionLine(_Base, tag="region"):
    """`outline`: rings as [x, y, dx, dy, dx, dy, …], each point as the step from the one before.

    The time of the last change is left out: an edit and its undo must leave the same line.
    """

    id: Id
    frame: FrameId
    class_id: int
    points: Annotated[list[PointItem], Meta(max_length=2000)] = field(default_factory=list)
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    text: Annotated[str, Meta(max_length=500)] | None = None
    outline: list[list[Coordinate]] | None = None
    track: Id | None = None
    anchor: bool = True
    certificate: Certificate | None = None
    area: Annotated[int, Meta(ge=0, le=2**32)] = 0
    author: Annotated[str, Meta(max_length=200)] = ""
    created_at: Time = 0.0
    attributes: dict[
        Annotated[str, Meta(min_length=1, max_length=60)], Annotated[str, Meta(max_length=500)]
    ] = field(default_factory=dict)
    score: Fraction | None = None
    agreement: Fraction | None = None


Line = Header | AssetLine | TrackLine | FrameLine | RegionLine


def header(project: Project, template: ClassTemplate) -> Header:
    """The first line of the bundle of `project`."""
    return Header(
        version=VERSION,
        quantum=QUANTUM,
        project=ProjectLine(
            id=project.id,
            name=project.name,
            status=project.status,
            engine=project.engine,
            created_at=project.created_at,
        ),
        class_template=TemplateLine(
            id=template.id,
            name=template.name,
            classes=[_shared(known, ClassLine) for known in template.classes],
            rules=template.rules,
        ),
    )


def asset_line(asset: Asset) -> AssetLine:
    """An asset whose extraction has not ended counts as partial: the bundle holds what there is."""
    line = _shared(asset, AssetLine)
    line.stem = NOT_PLAIN.sub("_", line.stem)[:255].strip(".") or "frames"
    if line.state in ("waiting", "extracting"):
        line.state, line.reason = "partial", "The bundle was written before all frames were extracted."
    return line


def track_line(track: Track) -> TrackLine:
    return _shared(track, TrackLine)


def frame_line(frame: Frame) -> FrameLine:
    return _shared(frame, FrameLine, asset=frame.asset_id)


def region_line(region: Region) -> RegionLine:
    """A region with its coordinates at the quantum (a stored region has them there already)."""
    geometry = quantise(region.geometry)
    return _shared(
        region,
        RegionLine,
        frame=region.frame_id,
        track=region.track_id,
        points=[_point(point) for point in geometry.points],
        box=geometry.box,
        text=geometry.text,
        outline=None if geometry.outline is None else [steps_of(ring) for ring in geometry.outline],
    )


def steps_of(ring: Sequence[tuple[float, float]]) -> list[float]:
    """A ring as [x, y, dx, dy, …]: half the characters, and a moved point changes two steps, not all.

    Exact for coordinates at the quantum: sums and differences of 1/64 px are exact in floats.
    """
    out: list[float] = []
    last_x = last_y = 0.0
    for x, y in ring:
        out += (_short(x - last_x), _short(y - last_y))
        last_x, last_y = x, y
    return out


def ring_of(steps: Sequence[float]) -> list[tuple[float, float]]:
    """The ring that `steps_of` wrote."""
    ring: list[tuple[float, float]] = []
    x = y = 0.0
    for dx, dy in zip(steps[::2], steps[1::2], strict=True):
        x, y = x + dx, y + dy
        ring.append((x, y))
    return ring


def _short(value: float) -> float:
    return int(value) if value == int(value) else value


def _point(point: Point) -> list[float]:
    if point.r:
        return [point.x, point.y, point.label, point.r]
    return [point.x, point.y] if point.label else [point.x, point.y, 0]


def _shared(row: Struct, kind: type[S], **others: Any) -> S:
    """A `kind` of the fields that `row` has under the same name, and `others`."""
    values = {name: getattr(row, name) for name in kind.__struct_fields__ if hasattr(row, name)}
    return kind(**{**values, **others})


def geometry_of(line: RegionLine) -> Geometry:
    """The geometry of a region line, at the quantum."""
    points = [
        Point(
            x=known[0],
            y=known[1],
            label=0 if len(known) > 2 and known[2] == 0 else 1,
            r=known[3] if len(known) > 3 else 0.0,
        )
        for known in line.points
    ]
    outline = None
    if line.outline is not None:
        outline = [ring_of(ring) for ring in line.outline]
    return quantise(Geometry(points=points, box=line.box, text=line.text, outline=outline))


def template_of(line: Header, id: str, now: float) -> ClassTemplate:
    """The class template of a bundle as a row of its own."""
    classes = [_shared(known, ClassDef) for known in line.class_template.classes]
    name = line.class_template.name
    return ClassTemplate(
        id=id, name=name, classes=classes, rules=line.class_template.rules, created_at=now, updated_at=now
    )
