"""Which engines there are, whether they run, and in one sentence what is missing (`doctor` prints the same).

Nothing here waits for an engine: the worker's reader answers at once, and loading goes on in the background.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from app.errors import BadRequest, NotAllowed, NotFound, PointillistError, Refused, Unavailable
from app.services import health
from app.services.context import Context
from app.worker import protocol, registry, weights
from app.worker.protocol import EngineInfo
from app.worker.weight_files import choose, chosen, complaint

PATIENCE_S = 0.5
"""How long a page waits for the worker's answer."""


class EngineView(EngineInfo, kw_only=True):
    """An engine with what the worker says of it. `bytes`: measured memory of the model on `device`."""

    loaded: bool = False
    loading: bool = False
    chosen: bool = False
    """Whether a person chose the path of its weights."""
    place: str = ""
    """Where its weights are looked for by themselves; empty where it needs none."""
    source: str = ""
    """The address at which its weights can be had."""
    gated: bool = False
    device: str = ""
    bytes: int = 0


class WorkerView(Struct, kw_only=True):
    """`answers`: False where it is away or too busy to say the rest. Bytes."""

    state: str
    pid: int | None = None
    restarts: int = 0
    reason: str = ""
    answers: bool = False
    cache_bytes: int = 0
    cache_limit: int = 0
    free_bytes: int = 0
    queued: int = 0


class Overview(Struct, kw_only=True):
    engines: list[EngineView] = field(default_factory=list)
    worker: WorkerView


def overview(ctx: Context) -> Overview:
    # Before the worker is asked: a loading that ends meanwhile is told by an event, and must not look undone.
    loading = ctx.engine_loads.running()
    pong = _pong(ctx)
    process = health.check(ctx).processes.get("worker", health.Process())
    worker = WorkerView(
        state=process.state,
        pid=process.pid,
        restarts=process.restarts,
        reason=ctx.worker.state().reason,
        cache_limit=ctx.settings.feature_cache_mb << 20,
    )
    if pong is not None:
        worker.answers = True
        worker.cache_bytes, worker.free_bytes, worker.queued = (
            pong.cache_bytes,
            pong.free_bytes,
            pong.queued,
        )
    return Overview(engines=_views(ctx, loading, pong), worker=worker)


def listing(ctx: Context) -> list[EngineView]:
    loading = ctx.engine_loads.running()
    return _views(ctx, loading, _pong(ctx))


def view(ctx: Context, engine: str) -> EngineView:
    """Raises NotFound."""
    _entry(ctx, engine)
    return next(found for found in listing(ctx) if found.id == engine)


def load(ctx: Context, engine: str) -> EngineView:
    """Begin to load an engine; what becomes of it shows in `listing`, and a `process` event tells.

    Raises Unavailable with the next step where something is missing.
    """
    info = weights.info_of(_entry(ctx, engine), ctx.settings.data)
    if not info.available:
        raise Unavailable(f"{info.reason} {info.step}")
    if not info.in_worker:
        raise Refused(f"The engine {engine} needs no loading: it is ready for jobs as it is.")
    message = protocol.LoadEngine(engine=engine)
    ctx.engine_loads.start(engine, lambda: ctx.worker.submit(message), lambda: _changed(ctx))
    _changed(ctx)
    return view(ctx, engine)


def unload(ctx: Context, engine: str) -> EngineView:
    """Give the memory of an engine back as soon as the worker comes to it."""
    _entry(ctx, engine)
    ctx.engine_loads.forget(engine)
    _drop(ctx, engine)
    return view(ctx, engine)


def use(ctx: Context, engine: str, path: str | None) -> EngineView:
    """Take the weights at `path` from now on; None: those in the data folder.

    Raises NotAllowed outside the allowed roots and the data folder, also by way of a link; NotFound; Refused
    with a sentence where these cannot be weights of that engine. The choice before it then stays.
    """
    entry = _entry(ctx, engine)
    if not entry.files:
        raise Refused(f"The engine {engine} needs no weights.")
    data = ctx.settings.data
    if path is not None:
        wanted = _inside(ctx, path)
        if not wanted.exists():
            raise NotFound(f"There is nothing at {path}.")
        wrong = complaint(entry, wanted)
        if wrong:
            raise Refused(wrong)
        choose(data, engine, wanted)
    else:
        choose(data, engine, None)
    ctx.engine_loads.forget(engine)
    _drop(ctx, engine)
    return view(ctx, engine)


def _entry(ctx: Context, engine: str) -> registry.Entry:
    try:
        return registry.entry_of(engine, fake=ctx.settings.fake_engine)
    except Refused as exc:
        raise NotFound(exc.sentence) from exc


def _inside(ctx: Context, path: str) -> Path:
    if "\0" in path or not path.strip():
        raise BadRequest("The path is empty or not a path.")
    wanted = Path(path.strip())
    if not wanted.is_absolute() or ".." in wanted.parts:
        raise NotAllowed("The path must be absolute and without `..`.")
    roots = (ctx.settings.data, *ctx.settings.allowed_roots)
    resolved = wanted.resolve()
    if not any(resolved == root or root in resolved.parents for root in roots):
        raise NotAllowed(
            f"{path} lies outside the folders that may be read from here: {', '.join(map(str, roots))}. Move "
            "it there, or choose it on the machine itself with `pointillist engines use`."
        )
    return resolved


def _views(ctx: Context, loading: frozenset[str], pong: protocol.Pong | None) -> list[EngineView]:
    data = ctx.settings.data
    residents = {} if pong is None else {one.engine: one for one in pong.residents}
    failed = ctx.engine_loads.failed() | ({} if pong is None else pong.failed)
    picked = chosen(data)
    made = []
    for info in weights.infos(data, fake=ctx.settings.fake_engine):
        entry, resident = registry.TABLE[info.id], residents.get(info.id)
        if resident is not None:
            ctx.engine_loads.forget(info.id)
        elif info.id in failed and info.available and info.id not in loading:
            info = weights.refused(info, failed[info.id], data)
        one = EngineView(**asdict(info), loading=info.id in loading, chosen=info.id in picked)
        if entry.files:
            one = replace(
                one,
                place=str(weights.weights_place(entry, data)),
                source=weights.licence_page(entry) if entry.gated else weights.source_page(entry),
                gated=entry.gated,
            )
        if resident is not None:
            one = replace(one, loaded=True, device=resident.device, bytes=resident.bytes)
        made.append(one)
    return made


def _pong(ctx: Context) -> protocol.Pong | None:
    """What the worker says of itself; None where it does not answer within moments."""
    if ctx.worker.state().state != "ready":
        return None
    with contextlib.suppress(PointillistError):
        answer = ctx.worker.request(protocol.Ping(), timeout=PATIENCE_S)
        return answer if isinstance(answer, protocol.Pong) else None
    return None


def _drop(ctx: Context, engine: str) -> None:
    def told(_: Future[Any]) -> None:
        _changed(ctx)

    ctx.worker.submit(protocol.UnloadEngine(engine=engine)).add_done_callback(told)


def _changed(ctx: Context) -> None:
    ctx.events.publish("process", health.check(ctx))
