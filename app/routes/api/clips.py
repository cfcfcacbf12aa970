"""/api/v1/assets/{id}/clip"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from anyio import to_thread
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from app.routes.api.common import known_id
from app.services import clips
from app.services.context import Context

AT_ONCE = 4
"""So many are asked of the worker at a time: between two of them it does not turn to what nobody waits for."""


@get("/assets/{asset_id:str}/clip")
async def clip(
    ctx: NamedDependency[Context],
    asset_id: FromPath[str],
    start: FromQuery[int],
    count: FromQuery[int] = 1,
    step: FromQuery[int] = 1,
    known: FromQuery[str] = "",
) -> Stream:
    """Facts, regions and region maps of the frames `start`, `start + step`, …, each as soon as it is drawn.

    `known`: keys of region maps, with commas between them, that need not be sent. The answer is a row of
    records; `services.clips.record` says how one is written.
    """
    found = await to_thread.run_sync(clips.scenes, ctx, known_id(asset_id), start, count, step)
    keys = frozenset(known.split(","))

    async def records() -> AsyncIterator[bytes]:
        coming: deque[asyncio.Task[bytes]] = deque()
        try:
            for scene in found:
                coming.append(asyncio.create_task(to_thread.run_sync(clips.record, ctx, scene, keys)))
                if len(coming) >= AT_ONCE:
                    yield await coming.popleft()
            while coming:
                yield await coming.popleft()
        finally:
            for task in coming:
                task.cancel()

    return Stream(records(), media_type="application/octet-stream", headers={"cache-control": "no-store"})


router = Router("/", route_handlers=[clip], tags=["frames and regions"])
