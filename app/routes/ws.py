"""/ws/workspace/{project}: pumps bytes between the socket and a workspace session, nothing more."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath

from app.errors import PointillistError
from app.routes.api.common import known_id
from app.services.context import Context
from app.services.workspace import Session

UNSUPPORTED = 1003
TOO_BIG = 1009
MAX_MESSAGE = 1 << 20


@websocket("/ws/workspace/{project_id:str}")
async def workspace(
    socket: WebSocket[Any, Any, Any], ctx: NamedDependency[Context], project_id: FromPath[str]
) -> None:
    actor = socket.scope["state"].get("actor", "local")
    try:
        session = Session(ctx, known_id(project_id), actor)
        await session.open()
    except PointillistError as exc:
        await socket.close(code=4404, reason=exc.sentence[:120])
        return
    await socket.accept()
    reader = asyncio.create_task(_read(socket, session))
    writer = asyncio.create_task(_write(socket, session))
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)
        await session.close()


async def _read(socket: WebSocket[Any, Any, Any], session: Session) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data = message.get("bytes")
        if data is None:
            await socket.close(code=UNSUPPORTED, reason="Send binary frames; text is not understood here.")
            return
        if len(data) > MAX_MESSAGE:
            await socket.close(code=TOO_BIG, reason="A message may have 1 MiB at most.")
            return
        await session.handle(data)


async def _write(socket: WebSocket[Any, Any, Any], session: Session) -> None:
    try:
        async for data in session.outgoing():
            await socket.send_bytes(data)
    except WebSocketDisconnect:
        return
