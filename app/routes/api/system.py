"""/api/v1/health and the stream of events"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.routes.api.common import known_id
from app.services import health
from app.services.context import Context
from app.services.health import Health

KEEP_ALIVE_S = 15.0


@get("/health", sync_to_thread=True)
def read_health(ctx: NamedDependency[Context]) -> Health:
    return health.check(ctx)


@get("/events", sync_to_thread=False)
def events(
    request: Request[Any, Any, Any], ctx: NamedDependency[Context], project: FromQuery[str | None] = None
) -> ServerSentEvent:
    """Live changes. `project` keeps those of one project and those of none."""
    wanted = project and known_id(project)

    async def stream() -> AsyncIterator[ServerSentEventMessage]:
        async with ctx.events.subscribe() as subscription:
            yield ServerSentEventMessage(event="hello", data="{}", retry=2000)
            while True:
                try:
                    event = await asyncio.wait_for(subscription.next(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield ServerSentEventMessage(comment="still here")
                    continue
                if wanted is None or event.project_id in (None, "", wanted):
                    yield ServerSentEventMessage(event=event.kind, data=event.data.decode())

    return ServerSentEvent(stream())


router = Router("/", route_handlers=[read_health, events], tags=["system"])
