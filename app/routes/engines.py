"""/engines : which engines there are, what they can do, and what would make the others run."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from app.routes.page import FullPage, Page, language, render, shell
from app.services import engines, health
from app.services.context import Context
from app.services.health import Process

Req = Request[Any, Any, Any]


class Engine(Struct, kw_only=True):
    """An engine as the pages show it; `needs_mb` beside the features of frames."""

    id: str
    name: str = ""
    can: tuple[str, ...] = ()
    licence: str = ""
    weights: str = ""
    needs_mb: int = 0
    available: bool = True
    reason: str = ""


class EnginesPanel(Page):
    template: ClassVar[str] = "engines/_list.html"
    engines: list[Engine]
    worker: Process


class EnginesPage(FullPage):
    template: ClassVar[str] = "engines/index.html"
    engines: list[Engine]
    worker: Process


def engines_of(ctx: Context) -> list[Engine]:
    """Raises what the service raises; never imports an engine."""
    return msgspec.convert(msgspec.to_builtins(engines.listing(ctx)), list[Engine])


def worker_of(ctx: Context) -> Process:
    return health.check(ctx).processes.get("worker", Process())


@get("/engines", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    frame = shell(request, ctx, "engines")
    return render(request, EnginesPage(shell=frame, engines=engines_of(ctx), worker=worker_of(ctx)))


@get("/engines/_list", sync_to_thread=True, include_in_schema=False)
def read_list(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    return render(request, EnginesPanel(engines=engines_of(ctx), worker=worker_of(ctx)))


handlers = [index, read_list]
