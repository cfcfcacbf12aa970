"""Is everything alive? What the health route, the banner of the pages and `doctor` say."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct, field

from app.services.context import Context


class Process(Struct, kw_only=True):
    """`state`: running, restarting or missing."""

    pid: int | None = None
    state: str = "missing"
    restarts: int = 0
    since: float = 0.0
    reason: str = ""


class Health(Struct, kw_only=True):
    status: str
    version: str
    processes: dict[str, Process] = field(default_factory=dict)
    data: str = ""
    data_writable: bool = True
    free_bytes: int = 0


def check(ctx: Context) -> Health:
    processes = children(ctx)
    processes["web"] = msgspec.structs.replace(
        processes.get("web", Process()), pid=os.getpid(), state="running"
    )
    worker = ctx.worker.state()
    known = processes.get("worker", Process())
    processes["worker"] = msgspec.structs.replace(
        known, pid=worker.pid or known.pid, state="running" if worker.state == "ready" else "restarting"
    )
    writable = os.access(ctx.paths.data, os.W_OK)
    fine = writable and all(p.state == "running" for p in processes.values())
    return Health(
        status="ok" if fine else "degraded",
        version=version("pointillist"),
        processes=processes,
        data=str(ctx.paths.data),
        data_writable=writable,
        free_bytes=shutil.disk_usage(ctx.paths.data).free,
    )


def children(ctx: Context) -> dict[str, Process]:
    """What the supervisor says of its three children; empty when there is no supervisor (tests)."""
    try:
        raw: Any = (ctx.paths.run / "children.json").read_bytes()
        return msgspec.json.decode(raw, type=dict[str, Process])
    except (OSError, msgspec.DecodeError):
        return {}
