"""The gate in front of every route, HTTP and WebSocket alike: Host, Origin, token, and the response headers.

One pure ASGI middleware, so that no route can be added without it. Order of checks: Host (DNS rebinding), fetch
metadata and Origin (cross-site requests; WebSockets included, whose handshake CORS and CSRF tokens do not
cover), then who is asking.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings

SESSION_COOKIE = "pointillist_session"
SESSION_S = 14 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = ("/sign-in", "/static/")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
BODY_TYPES = (
    "application/json",
    "multipart/form-data",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "video/",
    "image/",
    "application/zip",
)
CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Gate:
    """ASGI middleware; see the module. Refusals are problem+json, or a closed handshake for WebSockets."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        own = () if settings.host in ("0.0.0.0", "::") else (settings.host,)
        self._hosts = LOOPBACK | {host.lower() for host in (*own, *settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        scope.setdefault("state", {})["actor"] = "local" if not self._settings.token else "token"
        await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        name = _host_name(host)
        if name not in self._hosts:
            return (
                400,
                f"This server does not answer to the name {name!r}. Add it to `allowed_hosts` if it should.",
            )
        method = str(scope.get("method", "GET"))
        if scope["type"] == "websocket" or method not in SAFE_METHODS:
            crossing = _cross_site(headers, host)
            if crossing:
                return 403, crossing
        if scope["type"] == "http" and method not in SAFE_METHODS:
            kind = headers.get(b"content-type", b"").decode("latin-1").lower()
            has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
            if kind and not kind.startswith(BODY_TYPES):
                return (
                    400,
                    f"A body of type {kind.split(';')[0]} is not accepted here. Send JSON or multipart.",
                )
            if has_body and not kind and method != "PUT":
                return 400, "The request has a body but no Content-Type. Send JSON or multipart."
        is_open = not self._settings.token or scope["path"].startswith(OPEN_PATHS)
        if is_open or self._known(headers):
            return None
        return 401, "Sign in first, or send the token as `Authorization: Bearer …`."

    def _known(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(), self._settings.token.encode())
        try:
            cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(SESSION_COOKIE)
        except CookieError:
            return False
        return cookie is not None and session_valid(self._settings.token, cookie.value)


def new_session(token: str) -> str:
    """A signed session that ends by itself: `<expiry>.<HMAC-SHA256 of the expiry under the token>`."""
    expiry = str(int(time.time()) + SESSION_S)
    return f"{expiry}.{_sign(token, expiry)}"


def session_valid(token: str, value: str) -> bool:
    expiry, _, signature = value.partition(".")
    if not hmac.compare_digest(signature.encode(), _sign(token, expiry).encode()):
        return False
    return int(expiry) > time.time()


def _sign(token: str, expiry: str) -> str:
    return hmac.new(token.encode(), f"session:{expiry}".encode(), hashlib.sha256).hexdigest()


def _host_name(host: str) -> str:
    """The name in a Host header: lower case, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _cross_site(headers: dict[bytes, bytes], host: str) -> str | None:
    """A sentence when a browser says that another site is behind the request.

    Sec-Fetch-Site first, Origin where it is missing; a client that sends neither is no browser.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None and site not in (b"same-origin", b"none"):
        return "Another web site sent this request; that is not allowed."
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin.decode("latin-1")).netloc.lower() != host.strip().lower():
        return "Another web site sent this request; that is not allowed."
    return None


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            extra = [pair for pair in HEADERS if pair[0] not in present]
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return wrapped


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": sentence})
        return
    accepts = next((v for k, v in scope["headers"] if k.lower() == b"accept"), b"")
    if status == 401 and scope.get("method") == "GET" and b"text/html" in accepts:
        start = {"status": 303, "headers": [(b"location", b"/sign-in"), *HEADERS]}
        body = b""
    else:
        titles = {400: "The request is malformed", 401: "Sign in first", 403: "Not allowed"}
        body = msgspec.json.encode(
            {"type": "about:blank", "title": titles[status], "status": status, "detail": sentence}
        )
        kind = (b"content-type", b"application/problem+json")
        start = {"status": status, "headers": [kind, (b"content-length", str(len(body)).encode()), *HEADERS]}
    await send({"type": "http.response.start", **start})  # pyright: ignore[reportArgumentType]
    await send({"type": "http.response.body", "body": body, "more_body": False})
