"""Which engines there are and whether they can run, in one sentence each (the same one `doctor` prints)."""

from __future__ import annotations

from app.services.context import Context
from app.worker import weights
from app.worker.protocol import EngineInfo


def listing(ctx: Context) -> list[EngineInfo]:
    return weights.infos(ctx.settings.data, fake=ctx.settings.fake_engine)
