"""/api/v1/backups"""

from __future__ import annotations

from litestar import Router, get, post
from litestar.di import NamedDependency

from app.services import backups
from app.services.backups import Backup
from app.services.context import Context


@get("/", sync_to_thread=True)
def listing(ctx: NamedDependency[Context]) -> list[Backup]:
    """The backups of the data folder, the newest first."""
    return backups.listing(ctx.paths.data)


@post("/", sync_to_thread=True)
def make(ctx: NamedDependency[Context]) -> Backup:
    """Back up the data folder on the server's disk; answers when the backup is whole."""
    return backups.make(ctx)


router = Router("/backups", route_handlers=[listing, make], tags=["system"])
