"""Every error as RFC 9457 problem+json (API) or as a problem block (pages). No traceback ever leaves."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from app.errors import PointillistError

log = logging.getLogger("pointillist.web")

MEDIA_TYPE = "application/problem+json"

WORDS = {
    400: "The request cannot be understood.",
    401: "Sign in first.",
    403: "That is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "The request is too large for this address.",
    429: "Too many requests at once. Wait a moment.",
}


def problem(status: int, title: str, detail: str, **extra: Any) -> Response[bytes]:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    return Response(msgspec.json.encode(body), status_code=status, media_type=MEDIA_TYPE)


def on_pointillist_error(request: Request[Any, Any, Any], exc: PointillistError) -> Response[Any]:
    if exc.status >= 500:
        log.warning("%s %s: %s", request.method, request.url.path, exc.sentence)
    return _answer(request, exc.status, exc.title, exc.sentence, exc.extra)


def on_http_exception(request: Request[Any, Any, Any], exc: HTTPException) -> Response[Any]:
    status = exc.status_code
    if status >= 500:
        return on_unexpected(request, exc)
    extra: dict[str, Any] = {}
    detail = WORDS.get(status, "The request was refused.")
    if isinstance(exc, ValidationException):
        if _names_an_id(exc):
            return _answer(request, 404, "Not found", "There is nothing with that id.", {})
        problems = [_sentence(item) for item in exc.extra or [] if isinstance(item, dict)]
        detail = "The request does not fit: " + ("; ".join(filter(None, problems)) or exc.detail) + "."
    elif status == 400 and exc.detail:
        detail = f"The request cannot be understood: {exc.detail.rstrip('.')}."
    return _answer(request, status, detail.split(":")[0].rstrip("."), detail, extra)


def on_unexpected(request: Request[Any, Any, Any], exc: Exception) -> Response[Any]:
    if isinstance(exc, RecursionError | UnicodeDecodeError):
        # Bodies nested a hundred thousand deep, or not UTF-8, are the sender's fault, not a failure of ours.
        return _answer(request, 400, "The request is malformed", "The body is not JSON that can be read.", {})
    log.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    return _answer(
        request,
        500,
        "Something went wrong",
        "The server made a mistake. What was saved before is safe; the log in the data folder says more.",
        {},
    )


def _answer(
    request: Request[Any, Any, Any], status: int, title: str, detail: str, extra: dict[str, Any]
) -> Response[Any]:
    path = request.scope["path"]
    if path.startswith(("/api/", "/static/", "/schema")):
        return problem(status, title, detail, **extra)
    from app.routes.page import problem_page

    return problem_page(request, status, title, detail)


def _sentence(item: dict[str, Any]) -> str:
    where = item.get("key") or ""
    message = str(item.get("message", "")).rstrip(".")
    return f"{where}: {message}" if where else message


def _names_an_id(exc: ValidationException) -> bool:
    """An id in the path that cannot be one means that there is no such thing: 404, not 400."""
    return any(
        isinstance(item, dict) and item.get("source") in ("path", "ParamType.PATH")
        for item in exc.extra or []
    ) or any(isinstance(item, dict) and str(item.get("key", "")).endswith("_id") for item in exc.extra or [])
