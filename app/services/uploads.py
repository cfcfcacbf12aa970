"""Streamed, resumable uploads: bytes are appended to `uploads/<id>.part` at the offset the client names."""

from __future__ import annotations

import re
import time
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from app.errors import Conflict, NotFound, Refused, TooLarge
from app.services.context import Context

STALE_S = 48 * 3600.0
_ID = re.compile(r"[0-9a-f]{24}")


class Upload(Struct, kw_only=True):
    upload_id: str
    received: int
    name: str = ""


def path_of(ctx: Context, upload_id: str) -> Path:
    if not _ID.fullmatch(upload_id):
        raise NotFound("That upload id is not one; an id has 24 hexadecimal digits.")
    return ctx.paths.uploads / f"{upload_id}.part"


def plain_name(name: str) -> str:
    """The last component of a client's file name without anything that could steer a path or a terminal.

    Raises Refused when nothing is left of it.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    cleaned = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(" .")
    if not cleaned:
        raise Refused("The file has no usable name. Rename it and try again.")
    if len(cleaned) > 150:
        stem, dot, suffix = cleaned.rpartition(".")
        cleaned = f"{stem[:140]}{dot}{suffix[:9]}" if dot else cleaned[:150]
    return cleaned


def get(ctx: Context, upload_id: str) -> Upload:
    path = path_of(ctx, upload_id)
    try:
        return Upload(upload_id=upload_id, received=path.stat().st_size, name=_name(path))
    except FileNotFoundError:
        return Upload(upload_id=upload_id, received=0)


def begin(ctx: Context, upload_id: str, offset: int, name: str, announced: int | None) -> Path:
    """Check a chunk before its first byte is read.

    Raises Conflict with the right offset when the client's differs, TooLarge over the limit, StorageFull.
    """
    path = path_of(ctx, upload_id)
    received = path.stat().st_size if path.exists() else 0
    if offset != received:
        raise Conflict(
            f"The upload holds {received} bytes; continue from there, not from {offset}.", offset=received
        )
    limit = int(ctx.settings.max_upload_gb * 1e9)
    if offset + (announced or 0) > limit:
        discard(ctx, upload_id)
        raise TooLarge(
            f"The file is larger than {ctx.settings.max_upload_gb:g} GB, the most this server takes."
        )
    ctx.require_space(announced or 0)
    if offset == 0:
        path.with_suffix(".json").write_bytes(msgspec.json.encode({"name": plain_name(name)}))
        path.touch()
    return path


def discard(ctx: Context, upload_id: str) -> None:
    path = path_of(ctx, upload_id)
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


def finished(ctx: Context, upload_id: str) -> tuple[Path, str]:
    """The file of an upload and its name. Raises NotFound when no byte of it is here."""
    path = path_of(ctx, upload_id)
    if not path.exists():
        raise NotFound("That upload is not here. Upload the file first.")
    return path, _name(path)


def sweep(ctx: Context) -> None:
    """Remove uploads that nobody continued for two days."""
    now = time.time()
    for path in ctx.paths.uploads.iterdir():
        if now - path.stat().st_mtime > STALE_S:
            path.unlink(missing_ok=True)


def _name(path: Path) -> str:
    try:
        return msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=dict[str, str])["name"]
    except (OSError, KeyError, msgspec.DecodeError):
        return "upload"
