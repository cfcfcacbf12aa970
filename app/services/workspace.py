"""One open workspace: what a WebSocket says and is told. No web framework here; the route only pumps bytes.

A client may send anything at any speed. At most one prompt of a session is with the worker and one waits: a
newer one replaces the one that waits. What a client does not read is bounded: news replace older news of the
same kind, and a client that still falls behind is let go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from app import store as db
from app.errors import NotFound, PointillistError, TooMany
from app.services import engines, maps, projects
from app.services.context import Context
from app.services.events import Events, Subscription
from app.services.workspace_wire import (
    VERSION,
    Cancel,
    Focus,
    Outbox,
    Prompt,
    code_of,
    decode_head,
    decode_message,
    frame_of,
    proposal_frame,
)
from app.worker import protocol
from app.worker.client import WorkerState

log = logging.getLogger("pointillist.web")

MAX_MESSAGE = 1 << 20
MAX_UNREAD = 256
SCENE_S = 2.0
"""A frame's other regions are read again at the latest after this long; edits are noticed at once."""
AHEAD = (1, -1, 2)
"""Frames around the open one that are prepared when the worker is idle, the likeliest first."""


class Room:
    """The sessions of one server process, by project. Used on the event loop only."""

    def __init__(self) -> None:
        self.sessions: dict[str, set[Session]] = {}

    def people(self, project_id: str) -> list[dict[str, str | None]]:
        """Everybody in the project, once per name and frame."""
        found = {(s.actor, s.frame or "") for s in self.sessions.get(project_id, ())}
        return [{"actor": actor, "frame": frame or None} for actor, frame in sorted(found)]

    def announce(self, project_id: str) -> None:
        header = {"type": "presence", "people": self.people(project_id)}
        for session in self.sessions.get(project_id, ()):
            session.send("presence", header)


_rooms: WeakKeyDictionary[Events, Room] = WeakKeyDictionary()
"""One room per server: the events hub lives as long as the server and is shared by its sessions."""


class Session:
    """One WebSocket of `actor` in a project. `open` before, `close` after; all on one event loop."""

    def __init__(self, ctx: Context, project_id: str, actor: str) -> None:
        self.actor = actor
        self.project_id = project_id
        self.frame: str | None = None
        self._ctx = ctx
        self._out = Outbox()
        self._errors = 0
        self._wanted: Prompt | None = None
        self._asked: Prompt | None = None
        self._question: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._scenes: dict[str, tuple[float, maps.Scene]] = {}
        self._stack = AsyncExitStack()
        self._proposal: int | None = None
        self._engine: str | None = None
        """The engine that the next prompts will likely ask."""

    async def open(self) -> None:
        """Say hello and listen for changes. Raises NotFound or Conflict for a project that cannot be
        opened.
        """
        ctx = self._ctx
        await asyncio.to_thread(ctx.store.read, lambda cur: projects.require_live(cur, self.project_id))
        loop = asyncio.get_running_loop()
        subscription = await self._stack.enter_async_context(ctx.events.subscribe())
        self._start(self._listen(subscription))

        def tell(state: WorkerState) -> None:
            try:
                loop.call_soon_threadsafe(self._say_worker, state)
            except RuntimeError:  # the loop is closed: the server is stopping
                pass

        self._stack.callback(ctx.worker.on_state(tell))
        state = ctx.worker.state()
        header = {
            "type": "hello",
            "v": VERSION,
            "worker": {"state": state.state, "reason": state.reason},
            "engines": await asyncio.to_thread(engines.listing, ctx),
        }
        self._out.put("hello", frame_of(header))
        room = _rooms.setdefault(ctx.events, Room())
        room.sessions.setdefault(self.project_id, set()).add(self)
        self._stack.callback(self._leave, room)
        room.announce(self.project_id)

    async def close(self) -> None:
        """Forget everything; what is with the worker is cancelled. Again is harmless."""
        self._out.close()
        self._wanted = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def outgoing(self) -> AsyncIterator[bytes]:
        """Frames to send, as they come; ends when the session is closed."""
        while (data := await self._out.get()) is not None:
            yield data

    async def handle(self, raw: bytes) -> None:
        """Take one frame of the client; whatever is wrong with it is answered by an error frame.

        Raises TooMany where the client sends and does not read: it should be disconnected.
        """
        if len(self._out) >= MAX_UNREAD:
            raise TooMany("Too many answers wait to be read; the connection is closed.")
        if len(raw) > MAX_MESSAGE:
            self._refuse(None, "too-large", "A message may have 1 MiB at most.")
            return
        number: int | None = None
        try:
            head = decode_head(raw)
            number = head.request if type(head.request) is int else None
            if head.v != VERSION:
                text = "This page is older or newer than the server. Reload the page."
                self._refuse(number, "reload", text)
                return
            message = decode_message(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            self._refuse(number, "bad-request", f"The message cannot be read: {exc}.")
            return
        match message:
            case Prompt():
                self._want(message)
            case Cancel():
                self._cancel(message.request)
            case Focus():
                self._engine = message.engine or self._engine
                await self._focus(message.frame)

    def send(self, key: Hashable, header: dict[str, Any], payload: bytes = b"") -> None:
        self._out.put(key, frame_of(header, payload))

    # ── prompts ─────────────────────────────────────────────────────────────────────────────────────

    def _want(self, prompt: Prompt) -> None:
        if self._wanted is not None:
            self._supersede(self._wanted.request)
        self._wanted = prompt
        if self._question is None or self._question.done():
            self._question = self._start(self._ask())

    async def _ask(self) -> None:
        """Put the waiting prompt to the worker until none waits."""
        while (prompt := self._wanted) is not None:
            self._wanted, self._asked = None, prompt
            try:
                await self._answer(prompt)
            except PointillistError as exc:
                self._report(prompt, exc)
            except asyncio.CancelledError:
                if self._asked is not None:
                    raise
                # Only this prompt was cancelled, not the session.
            except Exception:
                log.exception("a prompt failed")
                self._refuse(prompt.request, "failed", "The prompt failed. The log of the server says more.")
            finally:
                self._asked = None

    async def _answer(self, prompt: Prompt) -> None:
        scene = await self._scene(prompt.frame)
        if prompt.refine is not None and all(region.id != prompt.refine for region in scene.regions):
            raise NotFound("The region to refine is not on this frame any more.")
        request = protocol.Predict(
            frame=maps.frame_ref(self._ctx.paths, scene.frame),
            geometry=prompt.geometry,
            regions=scene.specs(without=prompt.refine),
            engine=prompt.engine or scene.project.engine,
            previous=prompt.previous,
            exemplars=prompt.exemplars,
        )
        self._engine = prompt.engine
        protocol.check_prompts(request.geometry, request.frame, request.exemplars)
        reply = await asyncio.wrap_future(self._ctx.worker.submit(request))
        if self._left(prompt.frame):
            return
        header, payload = proposal_frame(prompt, reply)
        if self._proposal is not None and "proposal" in self._out:
            self._supersede(self._proposal)
        self._proposal = prompt.request
        self.send("proposal", header, payload)

    async def _scene(self, frame_id: str) -> maps.Scene:
        """The frame with its regions. Raises NotFound for a frame of another project."""
        kept = self._scenes.get(frame_id)
        if kept is not None and time.monotonic() - kept[0] < SCENE_S:
            return kept[1]
        now = time.monotonic()
        scene = await asyncio.to_thread(maps.read_scene, self._ctx, frame_id)
        if scene.project.id != self.project_id:
            raise NotFound(f"The frame {frame_id} is not in this project.")
        self._scenes = {frame_id: (now, scene)}
        return scene

    def _cancel(self, request: int) -> None:
        if self._wanted is not None and self._wanted.request == request:
            self._wanted = None
        if self._asked is not None and self._asked.request == request:
            self._stop_asking()

    def _stop_asking(self) -> None:
        self._asked = None
        if self._question is not None:
            self._question.cancel()

    def _left(self, frame: str) -> bool:
        return self.frame is not None and self.frame != frame

    # ── focus and news ──────────────────────────────────────────────────────────────────────────────

    async def _focus(self, frame_id: str) -> None:
        try:
            scene = await self._scene(frame_id)
        except PointillistError as exc:
            self._refuse(None, code_of(exc), exc.sentence)
            return
        self.frame = frame_id
        if self._wanted is not None and self._left(self._wanted.frame):
            self._wanted = None
        if self._asked is not None and self._left(self._asked.frame):
            self._stop_asking()
        _rooms.setdefault(self._ctx.events, Room()).announce(self.project_id)
        self._start(self._warm(scene))

    async def _warm(self, scene: maps.Scene) -> None:
        index, asset_id = scene.frame.index, scene.asset.id
        low = max(0, index + min(AHEAD))

        def near(cur: db.Cursor) -> dict[int, Any]:
            found = db.frames.page(cur, asset_id, low, index + max(AHEAD) + 1 - low)
            return {frame.index: frame for frame in found}

        frames = await asyncio.to_thread(self._ctx.store.read, near)
        around = [frames[index + step] for step in AHEAD if index + step in frames]
        if self.frame == scene.frame.id:
            refs = [maps.frame_ref(self._ctx.paths, frame) for frame in (scene.frame, *around)]
            self._ctx.worker.warm(protocol.Warm(frames=refs, engine=self._engine or scene.project.engine))

    async def _listen(self, subscription: Subscription) -> None:
        while True:
            event = await subscription.next()
            if event.kind == "template" or event.project_id == self.project_id:
                self._scenes.clear()
            if event.kind == "regions" and event.project_id == self.project_id:
                news = msgspec.json.decode(event.data)
                frame = news.get("frame_id")
                header = {
                    "type": "changed",
                    "frame": frame,
                    "actor": news.get("actor"),
                    "key": news.get("key"),
                }
                if news.get("job"):
                    header["job"] = news["job"]
                self.send(("changed", frame), header)

    def _say_worker(self, state: WorkerState) -> None:
        self.send("worker", {"type": "worker", "state": state.state, "reason": state.reason})

    def _leave(self, room: Room) -> None:
        sessions = room.sessions.get(self.project_id, set())
        sessions.discard(self)
        if sessions:
            room.announce(self.project_id)
        else:
            room.sessions.pop(self.project_id, None)
        if not room.sessions:
            # Nobody looks at a frame any more: what was prepared for the next click may go.
            self._ctx.worker.tell(protocol.Forget())

    # ── errors ──────────────────────────────────────────────────────────────────────────────────────

    def _supersede(self, request: int) -> None:
        self._refuse(request, "superseded", "A newer prompt took its place.")

    def _report(self, prompt: Prompt, exc: PointillistError) -> None:
        if not self._left(prompt.frame):
            self._refuse(prompt.request, code_of(exc), exc.sentence)

    def _refuse(self, request: int | None, code: str, detail: str) -> None:
        self._errors += 1
        self.send(
            ("error", self._errors),
            {"type": "error", "request": request, "code": code, "detail": detail[:500]},
        )

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
