"""/api/v1/engines"""

from __future__ import annotations

from litestar import Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from app.services import engines
from app.services.context import Context
from app.services.engines import EngineView


class Weights(Struct, kw_only=True, forbid_unknown_fields=True):
    """`path`: absolute, inside the allowed roots or the data folder; null goes back to the data folder's own."""

    path: str | None


@get("/", sync_to_thread=True)
def listing(ctx: NamedDependency[Context]) -> list[EngineView]:
    return engines.listing(ctx)


@get("/{engine:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], engine: FromPath[str]) -> EngineView:
    return engines.view(ctx, engine)


@post("/{engine:str}/load", status_code=202, sync_to_thread=True)
def load(ctx: NamedDependency[Context], engine: FromPath[str]) -> EngineView:
    """Begins to load it, which may take minutes: ask again until `loading` is false."""
    return engines.load(ctx, engine)


@post("/{engine:str}/unload", status_code=202, sync_to_thread=True)
def unload(ctx: NamedDependency[Context], engine: FromPath[str]) -> EngineView:
    return engines.unload(ctx, engine)


@put("/{engine:str}/weights", sync_to_thread=True)
def use(ctx: NamedDependency[Context], engine: FromPath[str], data: JSONBody[Weights]) -> EngineView:
    return engines.use(ctx, engine, data.path)


router = Router("/engines", route_handlers=[listing, read, load, unload, use], tags=["engines"])
