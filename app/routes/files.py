"""Files over HTTP: strong ETags, 304, one byte range, HEAD; frames never change, so they are cached for good."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
from anyio import to_thread
from litestar import Request, Response
from litestar.response import Stream

from app.services import retention

WHOLE_LIMIT = 8 << 20
CHUNK = 1 << 18
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".zip": "application/zip",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
}
IMMUTABLE = "private, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def serve(
    request: Request[Any, Any, Any],
    path: Path,
    *,
    etag: str | None = None,
    cache: str = "private, no-cache",
    download: str | None = None,
    encoding: str | None = None,
    media_type: str | None = None,
) -> Response[Any]:
    """Answer with a file. `download` is the name to save it under; `encoding` marks a file stored compressed.

    A malformed or multiple range answers 416, as RFC 9110 §14 permits.
    """
    stat = await to_thread.run_sync(path.stat)
    tag = f'"{etag or f"{stat.st_mtime_ns:x}-{stat.st_size:x}"}"'
    headers = {"etag": tag, "cache-control": cache}
    if encoding is not None:
        headers["content-encoding"] = encoding
    else:
        headers["accept-ranges"] = "bytes"
    if download is not None:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(download, safe='')}"
    kind = media_type or MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    if tag in (part.strip() for part in request.headers.get("if-none-match", "").split(",")):
        return Response(b"", status_code=304, headers=headers, media_type=kind)
    size, start, status = stat.st_size, 0, 200
    wanted = request.headers.get("range")
    if wanted is not None and encoding is None and request.headers.get("if-range", tag) == tag:
        span = _span(wanted, size)
        if span is None:
            return Response(b"", status_code=416, headers={**headers, "content-range": f"bytes */{size}"})
        start, stop = span
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
        size, status = stop - start, 206
    if request.method == "HEAD":
        return Response(
            b"", status_code=status, headers={**headers, "content-length": str(size)}, media_type=kind
        )
    if size <= WHOLE_LIMIT:
        body = await to_thread.run_sync(_read, path, start, size)
        return Response(body, status_code=status, headers=headers, media_type=kind)
    headers["content-length"] = str(size)
    return Stream(_chunks(path, start, size), status_code=status, headers=headers, media_type=kind)


def passing(
    body: bytes,
    remark: str,
    *,
    encoding: str | None = None,
    media_type: str = "application/octet-stream",
) -> Response[Any]:
    """Answer with bytes that are not what they will be, so nobody may keep them.

    `remark`: why, percent-encoded in the header `x-pointillist-substituted`.
    """
    headers = {"cache-control": "no-store", "x-pointillist-substituted": quote(remark, safe=" ,.;:'")}
    if encoding is not None:
        headers["content-encoding"] = encoding
    return Response(body, headers=headers, media_type=media_type)


def _span(header: str, size: int) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        return None
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
    elif last:
        start, stop = max(0, size - int(last)), size
    else:
        return None
    return (start, stop) if start < stop else None


def _read(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


async def _chunks(path: Path, start: int, size: int) -> AsyncIterator[bytes]:
    with retention.sending(path):
        async with await anyio.open_file(path, "rb") as file:
            await file.seek(start)
            while size > 0:
                chunk = await file.read(min(CHUNK, size))
                if not chunk:
                    return
                size -= len(chunk)
                yield chunk
