"""The messages between the web process and the engine worker: MessagePack of tagged Structs, never pickle.

`Request`s go to the worker, `Reply`s come back; a reply carries the `request` number of what it answers. The
web process imports this module, so nothing heavy may be imported here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from app import errors
from app.errors import PointillistError, Refused
from app.models import Certificate, ClassDef, FrameId, Geometry, Id

VERSION = 1
MAX_MESSAGE = 64 << 20
"""Bytes; a longer message is a fault of the peer."""


class FrameRef(Struct, kw_only=True):
    """One image. `path` relative to the data folder or absolute inside it; `hash` identifies its content."""

    id: FrameId
    path: str
    hash: str
    width: Annotated[int, Meta(ge=1, le=65535)]
    height: Annotated[int, Meta(ge=1, le=65535)]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height, self.width


class RegionSpec(Struct, kw_only=True):
    """What rendering needs of a region. `order`: position of its class in the class template (ties of
    priority).
    """

    id: Id
    class_id: int
    priority: int
    order: int
    geometry: Geometry


class EngineInfo(Struct, kw_only=True):
    """An engine as the pages and the doctor show it. `needs_mb` is the memory it takes beside frame
    features.
    """

    id: str
    name: str
    can: tuple[str, ...]
    licence: str
    weights: str
    """Where its weights come from; empty where it needs none."""
    needs_mb: int
    available: bool = True
    reason: str = ""
    """Why it cannot run and what would make it run."""


class Message(Struct, kw_only=True, tag_field="type", tag=str.lower):
    """Base of everything on the pipe. `request` 0: nobody waits for an answer."""

    request: int = 0


# ── to the worker ─────────────────────────────────────────────────────────────────────────────────


class Predict(Message):
    """Ask for masks of `geometry`. `regions`: the frame's other regions, without the one that is refined."""

    frame: FrameRef
    geometry: Geometry
    engine: str
    regions: list[RegionSpec] = field(default_factory=list)
    previous: str | None = None
    """Id of the proposal this one corrects."""
    rle: bool = False
    """Whether the masks are wanted as COCO RLE as well (scripts)."""


class Accept(Message):
    """Turn a proposal (or a fresh prediction) into a region's geometry with its certificate."""

    frame: FrameRef
    geometry: Geometry
    engine: str
    regions: list[RegionSpec] = field(default_factory=list)
    proposal: str | None = None
    target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95


class Render(Message):
    """Ask who wins each pixel of the frame; `regions` in the order their index is to be reported."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str


class LabelPng(Message):
    """Ask for the label map as a PNG file: `mode` palette, index or colour (app/formats/label_png.py)."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    mode: str
    classes: list[ClassDef]
    unlabelled: int | None = None


class Inspect(Message):
    """Ask who covers pixel (x, y) of the frame: column and row, inside it."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    x: int
    y: int


class WhatIf(Message):
    """Ask which pixels would change class if classes had other ranks (class id → priority, order)."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    ranks: dict[int, tuple[int, int]]


class Warm(Message):
    """These frames will be needed: the first (the open one) soon, the others when there is nothing else to
    do.

    A later Warm replaces an earlier one.
    """

    frames: list[FrameRef]
    engine: str = "classic"


class Cancel(Message):
    """Forget `request`: it is dropped from the queue or stopped between two steps. No answer is sent for
    it.
    """


class Ping(Message):
    """Answered at once by the reader, even while an engine works."""


# ── to the web ────────────────────────────────────────────────────────────────────────────────────


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
    """Best first. `ms`: time the worker spent on it."""

    engine: str
    weights: str
    ms: float
    candidates: list[ProposedMask]


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


class Rendered(Message):
    """The winner map, row-major: index + 1 into the request's regions, 0 unlabelled. `dtype` is u1 or u2
    (LE).
    """

    dtype: str
    width: int
    height: int
    body: bytes
    areas: list[int]


class LabelPngMade(Message):
    png: bytes


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


class Working(Message):
    """A sign of life: a step that may take up to `allow_s` seconds begins, so the watchdog waits that
    long.
    """

    allow_s: float


class Pong(Message):
    pid: int
    engines: list[str]
    """Those that are loaded."""
    cache_bytes: int
    queued: int


class Failed(Message):
    """`error` names a class of app.errors; `sentence` is for the person who asked."""

    error: str
    sentence: str
    status: int = 500


Request = Predict | Accept | Render | LabelPng | Inspect | WhatIf | Warm | Cancel | Ping
Reply = (
    Hello | Proposals | Accepted | Rendered | LabelPngMade | Inspected | Repriced | Working | Pong | Failed
)

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode_request(data: bytes) -> Any:
    """Bytes → one of `Request`. Raises msgspec.DecodeError for anything else."""
    return _requests.decode(data)


def decode_reply(data: bytes) -> Any:
    """Bytes → one of `Reply`. Raises msgspec.DecodeError for anything else."""
    return _replies.decode(data)


class _Number(Struct):
    request: int = 0


def number_of(data: bytes) -> int:
    """The request number in a message that cannot be decoded otherwise; 0 where there is none."""
    try:
        return msgspec.msgpack.decode(data, type=_Number).request
    except msgspec.DecodeError:
        return 0


def failure(request: int, exc: BaseException) -> Failed:
    """The reply that reports `exc`: our own errors with their sentence, others without their inside."""
    if isinstance(exc, PointillistError):
        return Failed(request=request, error=type(exc).__name__, sentence=exc.sentence, status=exc.status)
    sentence = f"The engine failed on this request ({type(exc).__name__}). The log of the server says more."
    return Failed(request=request, error="PointillistError", sentence=sentence)


def error_of(failed: Failed) -> PointillistError:
    """The exception that a `Failed` stands for."""
    kind = getattr(errors, failed.error, None)
    if not (isinstance(kind, type) and issubclass(kind, PointillistError)):
        kind = PointillistError
    return kind(failed.sentence)


def check_prompts(geometry: Geometry, frame: FrameRef) -> None:
    """Raise Refused where the prompts cannot be used on `frame`: nothing there, not a number, outside the
    frame.
    """
    if not geometry.points and geometry.box is None and not (geometry.text or "").strip():
        raise Refused("Place a point or draw a box first.")
    width, height = frame.width, frame.height
    for point in geometry.points:
        if not (0 <= point.x <= width and 0 <= point.y <= height and math.isfinite(point.r)):
            raise Refused(
                f"The point ({point.x:g}, {point.y:g}) lies outside the frame of {width}×{height} px; "
                "place it inside."
            )
    if geometry.box is not None:
        x1, y1, x2, y2 = geometry.box
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise Refused(
                f"The box must lie inside the frame of {width}×{height} px and have an area; draw it again."
            )
    for ring in geometry.outline or []:
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in ring):
            raise Refused("A ring of the outline holds a coordinate that is not a number; draw it again.")
