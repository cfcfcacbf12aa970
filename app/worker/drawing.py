"""The masks of a frame's regions, each drawn by what certified it, remembered for as long as there is room."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from app.algo import render
from app.models import Geometry
from app.worker import protocol
from app.worker.caches import ByteLru
from app.worker.engines import Prompt
from app.worker.protocol import FrameRef, RegionSpec
from app.worker.residents import Residents

MASK_BYTES = 96 << 20

Drawn = protocol.Render | protocol.LabelPng | protocol.Inspect | protocol.WhatIf
"""Requests that need the masks of a frame's regions."""


class Drawer:
    """Draws regions with the engines of `residents`."""

    def __init__(self, residents: Residents) -> None:
        self._residents = residents
        self._masks: ByteLru[bytes, list[render.Crop]] = ByteLru(MASK_BYTES, _bytes_of)

    @property
    def bytes(self) -> int:
        return self._masks.bytes

    def clear(self) -> None:
        self._masks.clear()

    def needs(self, request: Drawn) -> bool:
        """Whether an engine and a prepared frame are needed to draw the request's regions."""
        outlined = all(region.geometry.outline for region in request.regions)
        return not outlined and _key(request.frame, request.regions, request.engine) not in self._masks

    def masks(
        self, frame: FrameRef, regions: Sequence[RegionSpec], engine_id: str
    ) -> tuple[list[render.Crop], str]:
        """The regions' masks in their frame before priorities are looked at, in their order.

        And a sentence where some had to be drawn by another engine than the one that certified them, else "".
        """
        key = _key(frame, regions, engine_id)
        kept = self._masks.get(key)
        if kept is not None:
            return kept, ""

        def draw(drawn: Sequence[RegionSpec]) -> list[render.Crop]:
            engine = self._residents.get(engine_id)
            prepared = self._residents.prepared(engine_id, frame, "render")
            return engine.render(prepared, frame.shape, [prompt_of(region.geometry) for region in drawn])

        crops = render.region_masks(draw, frame.shape, regions)
        self._masks.put(key, crops)
        return crops, ""


def prompt_of(geometry: Geometry) -> Prompt:
    points = np.array([(p.x, p.y, p.label, p.r) for p in geometry.points], np.float64).reshape(-1, 4)
    return Prompt(points, geometry.box, geometry.text)


def _bytes_of(crops: Sequence[render.Crop]) -> int:
    return sum(int(crop.mask.nbytes) + 200 for crop in crops)


def _key(frame: FrameRef, regions: Sequence[RegionSpec], engine: str) -> bytes:
    """What decides the masks: priorities and classes have no part in it."""
    drawn = [(region.geometry, region.engine, region.weights) for region in regions]
    return msgspec.msgpack.encode((frame.hash, engine, drawn))
