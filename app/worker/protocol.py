"""The messages between the web process and the engine worker: MessagePack of tagged Structs, never pickle.

`Request`s go to the worker, `Reply`s come back; a reply carries the `request` number of what it answers. The
web process imports this module, so nothing heavy may be imported here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from app import errors
from app.errors import PointillistError, Refused
from app.models import Geometry
from app.worker.parts import Ability, EngineInfo, FrameRef, Message, RegionSpec
from app.worker.replies import (
    Accepted,
    Ended,
    EngineLoaded,
    Failed,
    Gain,
    Hello,
    Inspected,
    Labelled,
    LabelPngMade,
    Matted,
    Pong,
    Proposals,
    ProposedMask,
    Rendered,
    Repriced,
    Resident,
    Traced,
    TracedRegion,
    Tracked,
    TrackedObject,
    Working,
)
from app.worker.requests import (
    Accept,
    AddAnchor,
    Cancel,
    Exemplar,
    Find,
    Forget,
    Inspect,
    Label,
    LabelPng,
    LoadEngine,
    Matte,
    Ping,
    Predict,
    Render,
    TextClass,
    Trace,
    Track,
    TrackAnchor,
    UnloadEngine,
    Warm,
    WhatIf,
)

__all__ = [
    "Ability",
    "Accept",
    "Accepted",
    "AddAnchor",
    "Cancel",
    "Ended",
    "EngineInfo",
    "EngineLoaded",
    "Exemplar",
    "Failed",
    "Find",
    "Forget",
    "FrameRef",
    "Gain",
    "Hello",
    "Inspect",
    "Inspected",
    "Label",
    "LabelPng",
    "LabelPngMade",
    "Labelled",
    "LoadEngine",
    "Matte",
    "Matted",
    "Message",
    "Ping",
    "Pong",
    "Predict",
    "Proposals",
    "ProposedMask",
    "RegionSpec",
    "Render",
    "Rendered",
    "Repriced",
    "Resident",
    "TextClass",
    "Trace",
    "Traced",
    "TracedRegion",
    "Track",
    "TrackAnchor",
    "Tracked",
    "TrackedObject",
    "UnloadEngine",
    "Warm",
    "WhatIf",
    "Working",
]

VERSION = 4
MAX_MESSAGE = 64 << 20
"""Bytes; a longer message is a fault of the peer."""

Stream = Track | Find | Label | Matte
"""Requests that are answered by many replies, the last one `Ended`."""
Request = (
    Predict
    | Accept
    | Render
    | LabelPng
    | Trace
    | Inspect
    | WhatIf
    | Stream
    | AddAnchor
    | LoadEngine
    | UnloadEngine
    | Forget
    | Warm
    | Cancel
    | Ping
)
Reply = (
    Hello
    | Proposals
    | Accepted
    | Rendered
    | LabelPngMade
    | Traced
    | Inspected
    | Repriced
    | Tracked
    | Labelled
    | Matted
    | Ended
    | EngineLoaded
    | Working
    | Pong
    | Failed
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


def check_prompts(geometry: Geometry, frame: FrameRef, exemplars: Sequence[Exemplar] = ()) -> None:
    """Raise Refused where the prompts cannot be used on `frame`: nothing there, not a number, outside the
    frame.
    """
    if not geometry.points and geometry.box is None and not (geometry.text or "").strip() and not exemplars:
        raise Refused("Place a point or draw a box first.")
    width, height = frame.width, frame.height
    for point in geometry.points:
        if not (0 <= point.x <= width and 0 <= point.y <= height and math.isfinite(point.r)):
            raise Refused(
                f"The point ({point.x:g}, {point.y:g}) lies outside the frame of {width}×{height} px; "
                "place it inside."
            )
    boxes = [exemplar.box for exemplar in exemplars] + ([] if geometry.box is None else [geometry.box])
    for x1, y1, x2, y2 in boxes:
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise Refused(
                f"The box must lie inside the frame of {width}×{height} px and have an area; draw it again."
            )
    for ring in geometry.outline or []:
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in ring):
            raise Refused("A ring of the outline holds a coordinate that is not a number; draw it again.")
