"""/sign-in : the token, once; then a signed session cookie. Only servers that have a token ask for it."""

from __future__ import annotations

import hmac
from typing import Annotated, Any, ClassVar

from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from msgspec import Meta, Struct

from app import i18n
from app.i18n import _
from app.routes.page import THEMES, Page, csrf_token, language, render
from app.routes.security import SESSION_COOKIE, SESSION_S, new_session
from app.services.context import Context

Req = Request[Any, Any, Any]


class SignIn(Page):
    template: ClassVar[str] = "sign_in/index.html"
    problem: str
    next: str
    csrf: str
    theme: str
    language: str


class Credentials(Struct, kw_only=True):
    token: Annotated[str, Meta(max_length=1000)]
    next: Annotated[str, Meta(max_length=2000)] = "/"


def local_path(wanted: str) -> str:
    """`wanted` if it is a path of this site, else "/": another host must never be where a sign-in leads."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain and "\\" not in wanted else "/"


def page(request: Req, ctx: Context, wanted: str, problem: str = "") -> SignIn:
    language(request, ctx)
    theme = request.cookies.get("pt_theme", "dark")
    return SignIn(
        problem=problem,
        next=local_path(wanted),
        csrf=csrf_token(request),
        theme=theme if theme in THEMES else "dark",
        language=i18n.current(),
    )


@get("/sign-in", sync_to_thread=True, include_in_schema=False)
def show(request: Req, ctx: NamedDependency[Context], next: FromQuery[str] = "/") -> Response[Any]:
    if not ctx.settings.token:
        return Redirect("/")
    return render(request, page(request, ctx, next))


@post("/sign-in", sync_to_thread=True, include_in_schema=False, status_code=200)
def sign_in(request: Req, ctx: NamedDependency[Context], data: URLEncodedBody[Credentials]) -> Response[Any]:
    token = ctx.settings.token
    if not token or not hmac.compare_digest(data.token.strip().encode(), token.encode()):
        language(request, ctx)
        sentence = _("That is not the token. It is in the settings of the server, under `token`.")
        return render(request, page(request, ctx, data.next, sentence), status=401)
    answer = Redirect(local_path(data.next), status_code=303)
    answer.set_cookie(
        Cookie(
            key=SESSION_COOKIE,
            value=new_session(token),
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
    )
    return answer


# In a router of their own: Litestar wraps a threaded handler twice when two share a path on the app itself.
handlers = [Router("/", route_handlers=[show, sign_in], include_in_schema=False)]
