"""The web process: wiring only. `python -m app.web` is started by the supervisor."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Router
from litestar.config.csrf import CSRFConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.static_files import create_static_files_router

from app.errors import PointillistError
from app.routes import pages, problems
from app.routes.api import (
    assets,
    auto_label,
    backups,
    class_templates,
    clips,
    engines,
    frames,
    imports,
    inspector,
    jobs,
    mattes,
    metrics,
    projects,
    review,
    stabilise,
    system,
    tracks,
    truth,
)
from app.routes.security import Gate
from app.routes.ws import workspace
from app.services import health, uploads
from app.services.collect import Collector
from app.services.context import Context, Paths
from app.services.engine_jobs import Runner
from app.services.events import Events
from app.services.mask_drawing import MaskDrawer
from app.services.retention import Keeper
from app.settings import Settings
from app.store import Store
from app.worker.client import WorkerClient
from tasks.queue import make_queue

ROOT = Path(__file__).resolve().parents[1]
JSON_BODY_LIMIT = 32 << 20
GIVE_UP_STATUS = 78
"""EX_CONFIG: starting again would only fail again."""


def make_context(settings: Settings, worker: WorkerClient) -> Context:
    """Open the data folder. Raises Unavailable (another server) or StoreDamaged with a sentence."""
    paths = Paths(settings.data)
    paths.make()
    return Context(
        settings=settings,
        paths=paths,
        store=Store.open(settings.data),
        worker=worker,
        queue=make_queue(settings.data),
        events=Events(),
    )


def create_app(ctx: Context) -> Litestar:
    """The application over an open context; closing the context is the caller's business."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        collector = Collector(ctx)
        uploads.sweep(ctx)
        collector.start()
        runner = Runner(ctx)
        runner.start()
        masks = MaskDrawer(ctx)
        masks.start()
        keeper = Keeper(ctx)
        keeper.start()
        watcher = ProcessWatcher(ctx)
        watcher.start()
        try:
            yield
        finally:
            watcher.stop()
            keeper.stop()
            masks.stop()
            runner.stop()
            collector.stop()

    api = Router(
        "/api/v1",
        route_handlers=[
            system.router,
            projects.router,
            assets.router,
            frames.router,
            clips.router,
            imports.router,
            inspector.router,
            jobs.router,
            class_templates.router,
            backups.router,
            engines.router,
            tracks.router,
            mattes.router,
            metrics.router,
            review.router,
            stabilise.router,
            auto_label.router,
            truth.router,
        ],
        request_max_body_size=JSON_BODY_LIMIT,
    )
    return Litestar(
        route_handlers=[
            api,
            workspace,
            *pages.handlers,
            create_static_files_router("/static", [ROOT / "static"], include_in_schema=False),
        ],
        dependencies={"ctx": Provide(lambda: ctx, sync_to_thread=False)},
        exception_handlers={
            PointillistError: problems.on_pointillist_error,
            HTTPException: problems.on_http_exception,
            Exception: problems.on_unexpected,
        },
        csrf_config=CSRFConfig(
            secret=_secret(ctx.paths.run / "csrf.key"),
            cookie_name="pointillist_csrf",
            header_name="x-csrf-token",
            cookie_samesite="strict",
            exclude=["^/api/"],
        ),
        openapi_config=OpenAPIConfig(
            title="Pointillist",
            version="1",
            path="/api",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        lifespan=[lifespan],
        logging_config=None,
    )


class ProcessWatcher:
    """Publishes a `process` event whenever the consumer or the worker comes, goes or restarts."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        last: dict[str, tuple[str, int | None]] = {}
        while not self._stop.wait(0.5):
            report = health.check(self._ctx)
            now = {name: (p.state, p.pid) for name, p in report.processes.items()}
            if now != last:
                last = now
                self._ctx.events.publish("process", report)


def _secret(path: Path) -> str:
    """A random key of this data folder, readable by its owner only."""
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        part.replace(path)
    return path.read_text("ascii")


def serve(settings: Settings, worker: WorkerClient) -> int:
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    try:
        ctx = make_context(settings, worker)
    except PointillistError as exc:
        print(exc.sentence, file=sys.stderr)
        return GIVE_UP_STATUS
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    worker.start()
    config = uvicorn.Config(
        Gate(create_app(ctx), settings),
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=16 << 20,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_lifeline, args=(server,), daemon=True).start()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else host
    _announce(settings.data, {"pid": os.getpid(), "port": port, "url": f"http://{shown}:{port}"})
    try:
        server.run(sockets=[listener])
    finally:
        ctx.worker.close()
        ctx.store.close()
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once (TCP_NODELAY): asyncio leaves connections of a socket
    that was made elsewhere as they are, and the body of every answer would wait 40 ms for the client's ACK.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _lifeline(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True


def _announce(data: Path, facts: dict[str, Any]) -> None:
    """Tell the supervisor where we listen, or why we cannot."""
    path = data / "run" / "web.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(facts))
    part.replace(path)


def main() -> int:
    settings = msgspec.json.decode(
        os.environ["POINTILLIST_SETTINGS"], type=Settings, dec_hook=lambda kind, value: kind(value)
    )
    authkey = bytes.fromhex(os.environ.pop("POINTILLIST_AUTHKEY"))
    worker = WorkerClient(
        os.environ["POINTILLIST_WORKER_SOCKET"], authkey, timeout_s=settings.worker_timeout_s
    )
    return serve(settings, worker)


if __name__ == "__main__":
    sys.exit(main())
