"""The mask cache is keyed by the renderer's version, which the web process states without importing it."""

from __future__ import annotations

from app.algo.compete import VERSION
from app.services.maps import RENDERER


def test_the_cache_key_names_the_renderer_that_draws() -> None:
    assert RENDERER == VERSION
