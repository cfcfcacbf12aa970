"""The words of the project as msgspec Structs. Nothing here imports from `app`.

Points are (x, y) in pixels of the frame, floats, pixel centres at .5; arrays are [y, x].
Ids are made by whoever creates the row (`new_id`), so that a retry is idempotent.
"""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{24}$")]
FrameId = Annotated[str, Meta(pattern=r"^[0-9a-f]{24}-[0-9]{6,9}$")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Colour = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$")]
Coordinate = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]

ProjectStatus = Literal["pending", "wip", "complete"]
FrameState = Literal["todo", "done", "approved"]
AssetState = Literal["waiting", "extracting", "ready", "partial", "failed", "cancelled"]
JobState = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
JobKind = Literal[
    "extract",
    "export",
    "probe",
    "import_bundle",
    "import_labels",
    "what_if",
    "track",
    "find",
    "auto_label",
    "stabilise",
    "measure",
    "score",
    "keep_truth",
    "matte",
    "matte_alpha",
]
SourceKind = Literal["video", "images", "zip"]


def new_id() -> str:
    """24 lower-case hex digits: 48 bits of wall time in ms (so that ids sort), 48 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}"


def frame_id(asset_id: str, index: int) -> str:
    """The id of a frame follows from its asset and index, so that collecting it twice is harmless."""
    return f"{asset_id}-{index:06d}"


class AttributeDef(Struct, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a region beside its class: a text, a number, one of `choices`, or yes and no."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    kind: Literal["text", "number", "choice", "check"] = "text"
    choices: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)] = (
        field(default_factory=list)
    )
    default: Annotated[str, Meta(max_length=200)] = ""


class MappingRule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a class of imported ground truth becomes a class of the template; `class_id` None = ignore it.

    `key`: a name, a number ("7") or a colour ("#804080"). A rule whose target's name is the key of another
    rule leads on to that rule's target; a rule that leads back to itself is refused.
    """

    kind: Literal["name", "value", "colour"]
    key: Annotated[str, Meta(min_length=1, max_length=200)]
    class_id: Annotated[int, Meta(ge=1, le=65535)] | None = None


class ClassDef(Struct, kw_only=True, forbid_unknown_fields=True):
    """A class of the template. `value` is the number written to exported index PNGs (default: the id)."""

    id: Annotated[int, Meta(ge=1, le=65535)]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    colour: Colour
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    parent: int | None = None
    shortcut: Annotated[str, Meta(max_length=1)] = ""
    value: Annotated[int, Meta(ge=0, le=65535)] | None = None
    attributes: Annotated[list[AttributeDef], Meta(max_length=50)] = field(default_factory=list)

    @property
    def exported_value(self) -> int:
        return self.id if self.value is None else self.value


class ClassTemplate(Struct, kw_only=True):
    """The rule book. Order in `classes` breaks ties of priority: the later class wins."""

    id: Id
    name: Name
    classes: list[ClassDef] = field(default_factory=list)
    revision: int = 1
    created_at: float = 0.0
    updated_at: float = 0.0
    trashed_at: float | None = None
    rules: Annotated[list[MappingRule], Meta(max_length=5000)] = field(default_factory=list)


class Project(Struct, kw_only=True):
    id: Id
    name: Name
    class_template_id: Id
    status: ProjectStatus = "pending"
    engine: str = "classic"
    revision: int = 1
    created_at: float = 0.0
    updated_at: float = 0.0
    trashed_at: float | None = None


class Sampling(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which frames of a source become frames of the asset. start/stop in seconds, max_side in px (0 = keep)."""

    mode: Literal["every", "nth", "fps"] = "every"
    nth: Annotated[int, Meta(ge=1, le=100_000)] = 1
    fps: Annotated[float, Meta(gt=0, le=1000)] | None = None
    start: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    stop: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    max_side: Annotated[int, Meta(ge=0, le=16384)] = 0
    format: Literal["jpeg", "png"] = "jpeg"


class Asset(Struct, kw_only=True):
    """`stem` is the source's file name without suffix (used in exported names); `folder` is assets/<id>."""

    id: Id
    project_id: Id
    name: Name
    stem: str
    kind: SourceKind
    source: str
    sampling: Sampling = field(default_factory=Sampling)
    state: AssetState = "waiting"
    reason: str = ""
    width: int = 0
    height: int = 0
    frame_count: int = 0
    fps: float | None = None
    duration: float | None = None
    rotation: int = 0
    codec: str = ""
    skipped: int = 0
    revision: int = 1
    created_at: float = 0.0
    trashed_at: float | None = None


class Frame(Struct, kw_only=True):
    """One extracted image. `pts` in seconds from the first frame of the source; `file` relative to the asset folder.

    `name`: the file name, without suffix, that the image had in its source; "" for frames of a video.
    """

    id: FrameId
    asset_id: Id
    index: int
    source_index: int
    pts: float | None
    width: int
    height: int
    hash: str
    file: str
    thumb: str
    state: FrameState = "todo"
    revision: int = 1
    name: str = ""


class Point(Struct, kw_only=True, forbid_unknown_fields=True):
    """A prompt point. `label` 1 positive, 0 negative; `r` = reach in px (0 unknown)."""

    x: Coordinate
    y: Coordinate
    label: Literal[0, 1] = 1
    r: Annotated[float, Meta(ge=0, le=100_000)] = 0.0


class Geometry(Struct, kw_only=True, forbid_unknown_fields=True):
    """Sparse geometry. `box` = (x1, y1, x2, y2); `outline` = rings (outer and holes, even-odd) of (x, y)."""

    points: Annotated[list[Point], Meta(max_length=2000)] = field(default_factory=list)
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    text: Annotated[str, Meta(max_length=500)] | None = None
    outline: list[list[tuple[Coordinate, Coordinate]]] | None = None


QUANTUM = 64
"""Stored coordinates are multiples of 1/64 px: exact in binary, short as text, far below what a mask can show."""


def quantise(geometry: Geometry) -> Geometry:
    """The geometry as it is stored: every coordinate and reach rounded to 1/QUANTUM px."""

    def q(value: float) -> float:
        return round(value * QUANTUM) / QUANTUM

    return Geometry(
        points=[Point(x=q(p.x), y=q(p.y), label=p.label, r=q(p.r)) for p in geometry.points],
        box=None if geometry.box is None else tuple(q(v) for v in geometry.box),  # pyright: ignore[reportArgumentType]
        text=geometry.text,
        outline=None
        if geometry.outline is None
        else [[(q(x), q(y)) for x, y in ring] for ring in geometry.outline],
    )


class Certificate(Struct, kw_only=True):
    """How well the geometry gives its source mask back."""

    engine: str
    weights: str = ""
    iou: float
    boundary_f: float
    target: float = 0.95
    exact: bool = False
    """True where the mask is rasterised from the outline, without an engine."""


class Region(Struct, kw_only=True):
    id: Id
    frame_id: FrameId
    class_id: int
    geometry: Geometry
    track_id: Id | None = None
    anchor: bool = True
    certificate: Certificate | None = None
    area: int = 0
    author: str = ""
    revision: int = 1
    created_at: float = 0.0
    updated_at: float = 0.0
    attributes: dict[
        Annotated[str, Meta(min_length=1, max_length=60)], Annotated[str, Meta(max_length=500)]
    ] = field(default_factory=dict)
    score: float | None = None
    """How sure the tracker was, 0..1; None where no tracker made the region."""
    agreement: float | None = None
    """IoU of the walks forward and backward between two anchors, 0..1; None where there was one walk."""


Run = tuple[int, int]
"""Frames that lie side by side: (index of the first, how many)."""


class Track(Struct, kw_only=True):
    id: Id
    project_id: Id
    class_id: int
    name: str
    revision: int = 1
    created_at: float = 0.0
    lost: dict[Id, list[Run]] = field(default_factory=dict)
    """By asset, the frames where the object was looked for and not seen, ascending. A region there says more."""


class FrameRun(Struct, kw_only=True):
    """Frames of an asset, side by side and in the same state: the index of the first, and how many."""

    asset_id: Id
    start: int
    length: int
    state: FrameState


def as_raw(row: Struct | None) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(row))


class Change(Struct, kw_only=True):
    """One row before and after an edit, as JSON of its Struct (`null` = absent); `as_raw` makes them.

    `frame_run`: the state of many frames, before and after, as `FrameRun`s; kept in bulk only.
    """

    table: Literal["region", "frame", "class_template", "project", "track", "asset", "frame_run"]
    id: str
    before: msgspec.Raw
    after: msgspec.Raw


class Edit(Struct, kw_only=True):
    """An append-only journal entry. `target` = the edit that an undo or redo refers to.

    `project_id`: the project, or the class template for edits of the rule book. `bulk`: how many further
    changes the store keeps beside `changes`, for edits of thousands of rows.
    """

    seq: int = 0
    id: Id
    project_id: str
    actor: str
    kind: str
    label: str = ""
    frame_id: str | None = None
    target: str | None = None
    changes: list[Change] = field(default_factory=list)
    at: float = 0.0
    bulk: int = 0


class Job(Struct, kw_only=True):
    """Background work. `heartbeat` is the wall time of the last sign of life from the consumer."""

    id: Id
    project_id: str
    kind: JobKind
    title: str
    state: JobState = "waiting"
    args: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"{}"))
    done: int = 0
    total: int = 0
    rate: float = 0.0
    eta_s: float | None = None
    message: str = ""
    reason: str = ""
    result: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"null"))
    attempt: int = 0
    collected: int = 0
    """Byte offset up to which partial results are already in the database."""
    heartbeat: float = 0.0
    asset_id: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    revision: int = 1
    parent_id: str | None = None
    """The job that this one is a stage of; it is not listed beside it."""
