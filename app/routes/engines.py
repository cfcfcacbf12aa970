"""/engines : which engines there are, what they can do, and what would make the others run."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from app.routes.page import FullPage, Page, language, render, shell
from app.services import engines
from app.services.context import Context
from app.services.engines import WorkerView

Req = Request[Any, Any, Any]


class Engine(Struct, kw_only=True):
    """An engine as the pages show it (app.services.engines.EngineView)."""

    id: str
    name: str = ""
    can: tuple[str, ...] = ()
    licence: str = ""
    licence_url: str = ""
    weights_licence: str = ""
    weights_licence_url: str = ""
    in_worker: bool = True
    weights: str = ""
    needs_mb: int = 0
    available: bool = True
    state: str = "ready"
    reason: str = ""
    step: str = ""
    command: str = ""
    note: str = ""
    about: str = ""
    file: str = ""
    sha256: str = ""
    chosen: bool = False
    place: str = ""
    source: str = ""
    gated: bool = False
    loaded: bool = False
    loading: bool = False
    device: str = ""
    bytes: int = 0

    @property
    def advice(self) -> str:
        """The next step without the command it ends with."""
        return self.step.removesuffix(self.command).rstrip()


class EnginesPanel(Page):
    template: ClassVar[str] = "engines/_list.html"
    engines: list[Engine]
    worker: WorkerView


class EnginesPage(FullPage):
    template: ClassVar[str] = "engines/index.html"
    engines: list[Engine]
    worker: WorkerView
    roots: list[str]
    """Folders in which weights may be chosen."""


def engines_of(ctx: Context) -> list[Engine]:
    """Raises what the service raises; never imports an engine."""
    return _converted(engines.listing(ctx))


def _converted(found: list[engines.EngineView]) -> list[Engine]:
    return msgspec.convert(msgspec.to_builtins(found), list[Engine])


@get("/engines", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    frame, seen = shell(request, ctx, "engines"), engines.overview(ctx)
    roots = [str(root) for root in (ctx.settings.data, *ctx.settings.allowed_roots)]
    return render(
        request,
        EnginesPage(shell=frame, engines=_converted(seen.engines), worker=seen.worker, roots=roots),
    )


@get("/engines/_list", sync_to_thread=True, include_in_schema=False)
def read_list(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    language(request, ctx)
    seen = engines.overview(ctx)
    return render(request, EnginesPanel(engines=_converted(seen.engines), worker=seen.worker))


handlers = [index, read_list]
