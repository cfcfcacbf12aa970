"""Which engines there are and whether they can run, in one sentence each (the same one `doctor` prints)."""

from __future__ import annotations

from app.services.context import Context
from app.worker.engines import infos
from app.worker.protocol import EngineInfo


def listing(ctx: Context) -> list[EngineInfo]:
    return infos(fake=ctx.settings.fake_engine)
