"""What goes over the workspace's WebSocket: messages of the client, frames to it, and the box they wait in."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from app.errors import PointillistError
from app.models import FrameId, Geometry, Id
from app.worker import protocol

VERSION = 1

RequestNumber = Annotated[int, Meta(ge=0, le=2**53)]


class Prompt(Struct, kw_only=True, tag_field="type", tag="prompt"):
    v: Literal[1]
    request: RequestNumber
    frame: FrameId
    geometry: Geometry
    exemplars: Annotated[list[protocol.Exemplar], Meta(max_length=50)] = field(default_factory=list)
    engine: Annotated[str, Meta(max_length=50)] | None = None
    refine: Id | None = None
    previous: Annotated[str, Meta(max_length=64)] | None = None


class Cancel(Struct, kw_only=True, tag_field="type", tag="cancel"):
    v: Literal[1]
    request: RequestNumber


class Focus(Struct, kw_only=True, tag_field="type", tag="focus"):
    """`engine`: the one that the next prompts will ask."""

    v: Literal[1]
    frame: FrameId
    engine: Annotated[str, Meta(max_length=50)] | None = None


class Head(Struct):
    v: Any = None
    request: Any = None


decode_message = msgspec.json.Decoder(Prompt | Cancel | Focus).decode
decode_head = msgspec.json.Decoder(Head).decode


class Outbox:
    """Frames that wait to be read, oldest first. A frame put under the key of a waiting one replaces it."""

    def __init__(self) -> None:
        self._frames: OrderedDict[Hashable, bytes] = OrderedDict()
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._frames

    def put(self, key: Hashable, data: bytes) -> None:
        if not self._closed:
            self._frames.pop(key, None)
            self._frames[key] = data
            self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._frames.clear()
        self._changed.set()

    async def get(self) -> bytes | None:
        """The next frame; None once closed."""
        while not self._frames:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._frames.popitem(last=False)[1]


def frame_of(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """u32 LE length of the JSON header, the header, the payload."""
    head = msgspec.json.encode(header)
    return len(head).to_bytes(4, "little") + head + payload


def proposal_frame(prompt: Prompt, reply: protocol.Proposals) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a proposal: the packed crops one after the other, each at `offset`."""
    candidates, offset = [], 0
    for found in reply.candidates:
        candidates.append(
            {
                "id": found.id,
                "score": found.score,
                "x": found.x,
                "y": found.y,
                "w": found.w,
                "h": found.h,
                "area": found.area,
                "offset": offset,
                "length": len(found.bits),
            }
        )
        offset += len(found.bits)
    header = {
        "type": "proposal",
        "request": prompt.request,
        "frame": prompt.frame,
        "engine": reply.engine,
        "weights": reply.weights,
        "kind": reply.kind,
        "presence": reply.presence,
        "ms": round(reply.ms, 2),
        "candidates": candidates,
    }
    return header, b"".join(found.bits for found in reply.candidates)


def code_of(exc: PointillistError) -> str:
    """refused, not-found, unavailable …"""
    name = type(exc).__name__
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
