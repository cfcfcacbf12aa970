"""What the engine worker answers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from app.models import Certificate, Geometry
from app.worker.parts import EngineInfo, Message


class Hello(Message):
    """First message on every connection."""

    pid: int
    version: int
    engines: list[EngineInfo]


class ProposedMask(Struct, kw_only=True):
    """A mask cut to its box (x, y, w, h). `bits`: np.packbits of the crop, each row padded to a byte, MSB
    first.
    """

    id: str
    score: float
    x: int
    y: int
    w: int
    h: int
    area: int
    bits: bytes
    rle: str = ""
    """COCO compressed RLE counts of the whole frame, where asked for."""


class Proposals(Message):
    """Best first. `ms`: time the worker spent on it.

    `kind`: whether the candidates are answers to choose one from, or instances that may all be right.
    `presence`: how sure the engine is that what was asked for is in the frame at all, where it says so.
    """

    engine: str
    weights: str
    ms: float
    candidates: list[ProposedMask]
    kind: Literal["alternatives", "instances"] = "alternatives"
    presence: float | None = None


class Accepted(Message):
    """The geometry to store: the person's points, distilled ones, and an outline where points do not
    suffice.
    """

    geometry: Geometry
    certificate: Certificate
    area: int
    x: int
    y: int
    w: int
    h: int


class TracedRegion(Struct, kw_only=True):
    """What a region looks like, before priorities are looked at. `geometry` None: it covers no pixel."""

    geometry: Geometry | None = None
    certificate: Certificate | None = None
    area: int = 0


class Traced(Message):
    """In the order of `Trace.wanted`."""

    regions: list[TracedRegion]


class Rendered(Message):
    """The winner map, row-major: index + 1 into the request's regions, 0 unlabelled. `dtype` is u1 or u2
    (LE).
    """

    dtype: str
    width: int
    height: int
    body: bytes
    areas: list[int]
    substituted: str = ""
    """A sentence where regions had to be drawn by another engine than the one that certified them."""


class LabelPngMade(Message):
    png: bytes
    substituted: str = ""


class Inspected(Message):
    """Positions in the request's regions of those that cover the pixel, winner first; areas of their masks."""

    hits: list[int]
    areas: list[int]


class Gain(Struct, kw_only=True):
    """The pixels that a class would gain, as a crop; `bits` as in `ProposedMask`."""

    class_id: int
    x: int
    y: int
    w: int
    h: int
    bits: bytes


class Repriced(Message):
    """`moves`: (class before, class after, pixels)."""

    moves: list[tuple[int, int, int]]
    gains: list[Gain]


class TrackedObject(Struct, kw_only=True):
    """One object on one frame. `geometry` None: it is not seen there. `score`: 0..1, how sure the engine is."""

    object: int
    score: float
    class_id: int = 0
    geometry: Geometry | None = None
    certificate: Certificate | None = None
    area: int = 0
    agreement: float | None = None
    """IoU of two walks that were fused, where there were two."""


class Tracked(Message):
    """The objects on the frame at `position`."""

    position: int
    objects: list[TrackedObject]


class Labelled(Message):
    """The label map of the frame at `position` was written to `file`, relative to the data folder.

    `values`: those of the engine's classes that occur in it, ascending.
    """

    position: int
    file: str
    values: list[int] = field(default_factory=list)


class Matted(Message):
    """The alpha of the frame at `position` was written to `file`, relative to the data folder.

    `settings`: what decided it beside the parameters, as `Engine.settings` says it.
    """

    position: int
    file: str
    settings: dict[str, str | int] = field(default_factory=dict)


class Ended(Message):
    """The last message of a stream."""


class EngineLoaded(Message):
    """`bytes`: memory of the model on its device; `classes`: its own, by value, where it labels frames."""

    engine: str
    device: str
    weights: str
    bytes: int
    classes: list[str] = field(default_factory=list)


class Working(Message):
    """A sign of life: a step that may take up to `allow_s` seconds begins, so the watchdog waits that
    long.
    """

    allow_s: float


class Resident(Struct, kw_only=True):
    """A loaded engine and the memory of its model, in bytes."""

    engine: str
    device: str
    weights: str
    bytes: int


class Pong(Message):
    """`failed`: engine → the sentence with which its last loading failed."""

    pid: int
    engines: list[str]
    """Those that are loaded."""
    cache_bytes: int
    queued: int
    residents: list[Resident] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    free_bytes: int = 0
    """Memory that is free on the device of the engines."""


class Failed(Message):
    """`error` names a class of app.errors; `sentence` is for the person who asked."""

    error: str
    sentence: str
    status: int = 500
