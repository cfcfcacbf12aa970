"""What API handlers share: the actor, revisions and operation ids from headers, ids checked by shape."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request

from app.errors import BadRequest, NotFound

Anything = Request[Any, Any, Any]

_ID = re.compile(r"[0-9a-f]{24}")
_FRAME = re.compile(r"[0-9a-f]{24}-[0-9]{6,9}")
_OP = re.compile(r"[0-9A-Za-z_-]{8,64}")


def actor_of(request: Anything) -> str:
    return request.scope["state"].get("actor", "local")


def known_id(value: str) -> str:
    """Raises NotFound for anything that cannot be an id, whatever it tries to be."""
    if not _ID.fullmatch(value):
        raise NotFound("There is nothing with that id.")
    return value


def known_frame(value: str) -> str:
    if not _FRAME.fullmatch(value):
        raise NotFound("There is no such frame.")
    return value


def revision_of(request: Anything) -> int | None:
    """The revision of `If-Match: "7"`; None without the header. Raises BadRequest when it is no number."""
    header = request.headers.get("if-match")
    if header is None or header == "*":
        return None
    text = header.strip().removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 12:
        raise BadRequest('The If-Match header must be a revision in quotes, like "3".')
    return int(text)


def operation_of(request: Anything) -> str | None:
    """The client's name for this edit (`Idempotency-Key`); the same name twice is one edit."""
    header = request.headers.get("idempotency-key")
    if header is None:
        return None
    if not _OP.fullmatch(header):
        raise BadRequest("The Idempotency-Key must have 8 to 64 letters, digits, - or _.")
    return header
