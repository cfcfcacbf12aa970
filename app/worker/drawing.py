"""The masks of a frame's regions, each drawn by what certified it, remembered for as long as there is room.

Regions that compete are drawn together by one engine. Every other region is drawn by the engine that certified
it: from memory, from the file of an earlier drawing, or anew. Where that engine cannot be had, the region
competes like the others, and a sentence says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from app import mask_key
from app.algo import render
from app.errors import PointillistError, Refused, Unavailable
from app.formats import mask_file
from app.models import Geometry
from app.worker import protocol, registry, weights
from app.worker.caches import ByteLru
from app.worker.engines import Prompt
from app.worker.protocol import EngineInfo, FrameRef, RegionSpec
from app.worker.residents import Residents

log = logging.getLogger("pointillist.worker")

MASK_BYTES = 96 << 20
GIVEN_BYTES = 32 << 20
STAND_IN = "classic"
"""Draws what its own engine cannot."""

Drawn = protocol.Render | protocol.LabelPng | protocol.Trace | protocol.Inspect | protocol.WhatIf
"""Requests that need the masks of a frame's regions."""


@dataclass
class _Given:
    """`masks`: for each region, the mask that its own engine drew, or None where it competes or still has to be
    drawn. `wanted`: engine → positions of the regions that it has to draw. `away`: (engine, why) → how many.
    """

    masks: list[render.Crop | None]
    wanted: dict[str, list[int]] = field(default_factory=dict)
    away: dict[tuple[str, str], int] = field(default_factory=dict)

    def stand_in(self, engine: str, reason: str, count: int = 1) -> None:
        self.away[engine, reason] = self.away.get((engine, reason), 0) + count


class Drawer:
    """Draws regions with the engines of `residents`; the files of masks lie in the data folder."""

    def __init__(self, residents: Residents, data: Path, *, fake: bool = False) -> None:
        self._residents, self._data, self._fake = residents, data, fake
        self._masks: ByteLru[bytes, list[render.Crop]] = ByteLru(MASK_BYTES, _bytes_of)
        self._files: ByteLru[str, render.Crop] = ByteLru(GIVEN_BYTES, lambda crop: _bytes_of([crop]))
        self._failed: dict[str, tuple[EngineInfo, str]] = {}
        """Engine → how it stood when its loading failed last, and the sentence: not tried again until that
        changes."""

    @property
    def bytes(self) -> int:
        return self._masks.bytes + self._files.bytes

    def clear(self) -> None:
        self._masks.clear()
        self._files.clear()

    def certifiers(self, frame: FrameRef, regions: Sequence[RegionSpec]) -> list[str]:
        """The engines that must be loaded and have the frame prepared, for masks that lie nowhere yet."""
        return list(self._given(frame, regions).wanted)

    def load(self, engine: str) -> bool:
        """Load an engine that certified regions; False where that fails, and it stays away."""
        try:
            self._residents.get(engine)
        except PointillistError as exc:
            self._failed[engine] = (self._info(engine), exc.sentence)
            return False
        return True

    def competitor(self, frame: FrameRef, regions: Sequence[RegionSpec], engine: str) -> str | None:
        """The engine that draws the regions that compete; None where it is not needed.

        To be asked when the certifiers are ready: what they cannot draw competes.
        """
        base = _base(engine)
        if _key(frame, regions, base) in self._masks:
            return None
        given = self._given(frame, regions)
        drawn = {index for indexes in given.wanted.values() for index in indexes}
        competing = (
            mask is None and not region.geometry.outline and index not in drawn
            for index, (region, mask) in enumerate(zip(regions, given.masks, strict=True))
        )
        return base if any(competing) else None

    def masks(
        self, frame: FrameRef, regions: Sequence[RegionSpec], engine: str
    ) -> tuple[list[render.Crop], str]:
        """The regions' masks in their frame before priorities are looked at, in their order.

        `engine`: draws those that compete, unless its own do not. And a sentence where regions had to be drawn
        by another engine than the one that certified them, else "".
        """
        base = _base(engine)
        key = _key(frame, regions, base)
        kept = self._masks.get(key)
        if kept is not None:
            return kept, ""

        def draw(drawn: Sequence[RegionSpec]) -> list[render.Crop]:
            found = self._residents.get(base)
            prepared = self._residents.prepared(base, frame, "render")
            return found.render(prepared, frame.shape, [prompt_of(region.geometry) for region in drawn])

        fixed, substituted = self.fixed(frame, regions)
        crops = render.region_masks(draw, frame.shape, regions, fixed)
        if not substituted:
            self._masks.put(key, crops)
        return crops, substituted

    def fixed(self, frame: FrameRef, regions: Sequence[RegionSpec]) -> tuple[list[render.Crop | None], str]:
        """The masks of the regions that do not compete, drawn by what certified them; None for the others.

        And the sentence of `masks`.
        """
        given = self._given(frame, regions)
        for name, indexes in given.wanted.items():
            if not self.load(name):
                given.stand_in(name, self._failed[name][1], len(indexes))
                continue
            engine = self._residents.get(name)
            theirs = [index for index in indexes if regions[index].weights == engine.weights]
            if len(theirs) < len(indexes):
                given.stand_in(name, _other_weights(name), len(indexes) - len(theirs))
            if not theirs:
                continue
            prepared = self._residents.prepared(name, frame, "render")
            prompts = [prompt_of(regions[index].geometry) for index in theirs]
            crops = engine.render(prepared, frame.shape, prompts)
            if len(crops) != len(theirs):
                raise Refused(
                    f"The engine gave {len(crops)} masks for {len(theirs)} regions; report this as a bug."
                )
            for index, crop in zip(theirs, crops, strict=True):
                given.masks[index] = self._keep(frame, regions[index], crop)
        sentences = [_sentence(name, why, count) for (name, why), count in given.away.items()]
        return given.masks, " ".join(sentences)

    def keep(self, frame: FrameRef, geometry: Geometry, engine: str, weights: str, mask: np.ndarray) -> None:
        """Remember the (H, W) bool mask that an accepted geometry renders to, where its engine draws it alone."""
        if geometry.outline or mask_key.competes(engine):
            return
        self._write(frame, mask_key.key_of(frame.hash, geometry, engine, weights), render.Crop(mask))

    def _given(self, frame: FrameRef, regions: Sequence[RegionSpec]) -> _Given:
        """What is there without asking an engine, and who would have to be asked for the rest."""
        given = _Given([None] * len(regions))
        reasons: dict[str, str] = {}
        for index, region in enumerate(regions):
            name = region.engine
            if region.geometry.outline or mask_key.competes(name):
                continue
            mask = given.masks[index] = self._kept(frame, region)
            if mask is not None:
                continue
            if name not in reasons:
                reasons[name] = self._away(name)
            reason = reasons[name]
            if not reason and self._weights(name) not in ("", region.weights):
                reason = _other_weights(name)
            if reason:
                given.stand_in(name, reason)
            else:
                given.wanted.setdefault(name, []).append(index)
        return given

    def _kept(self, frame: FrameRef, region: RegionSpec) -> render.Crop | None:
        key = mask_key.key_of(frame.hash, region.geometry, region.engine, region.weights)
        kept = self._files.get(key)
        if kept is None:
            kept = mask_file.read(mask_key.path_of(self._data, key), frame.shape)
            if kept is not None:
                self._files.put(key, kept)
        return kept

    def _keep(self, frame: FrameRef, region: RegionSpec, crop: render.Crop) -> render.Crop:
        key = mask_key.key_of(frame.hash, region.geometry, region.engine, region.weights)
        return self._write(frame, key, crop)

    def _write(self, frame: FrameRef, key: str, crop: render.Crop) -> render.Crop:
        try:
            crop = mask_file.write(mask_key.path_of(self._data, key), crop, frame.shape)
        except OSError as exc:  # drawn again next time
            log.warning("a mask cannot be kept: %s", exc)
            crop = mask_file.trimmed(crop)
        self._files.put(key, crop)
        return crop

    def _away(self, name: str) -> str:
        """Why an engine cannot draw, in a sentence; "" where it can or it is worth trying."""
        if name in self._residents:
            return ""
        try:
            entry = registry.entry_of(name, fake=self._fake)
        except PointillistError:
            return "This installation has no such engine."
        if "points" not in entry.info.can:
            return "It draws no regions."
        info = self._info(name)
        if not info.available:
            return info.reason
        before, sentence = self._failed.get(name, (None, ""))
        return sentence if before == info else ""

    def _weights(self, name: str) -> str:
        """The weights that an engine would draw with, as far as they are known without loading it."""
        if name in self._residents:
            return self._residents.get(name).weights
        return self._info(name).sha256[:16]

    def _info(self, name: str) -> EngineInfo:
        try:
            return weights.info_of(registry.entry_of(name, fake=self._fake), self._data)
        except OSError as exc:
            raise Unavailable(f"The weights of {name} cannot be read.") from exc


def prompt_of(geometry: Geometry) -> Prompt:
    points = np.array([(p.x, p.y, p.label, p.r) for p in geometry.points], np.float64).reshape(-1, 4)
    return Prompt(points, geometry.box, geometry.text)


def _base(engine: str) -> str:
    return engine if engine and mask_key.competes(engine) else STAND_IN


def _other_weights(name: str) -> str:
    return f"The weights of {name} are not those that certified them."


def _sentence(engine: str, reason: str, count: int) -> str:
    what = "1 region that" if count == 1 else f"{count} regions that"
    was = "was" if count == 1 else "were"
    return f"{what} {engine[:40]} certified {was} drawn by {STAND_IN}. {reason}"


def _bytes_of(crops: Sequence[render.Crop]) -> int:
    return sum(int(crop.mask.nbytes) + 200 for crop in crops)


def _key(frame: FrameRef, regions: Sequence[RegionSpec], engine: str) -> bytes:
    """What decides the masks: priorities and classes have no part in it."""
    drawn = [(region.geometry, region.engine, region.weights) for region in regions]
    return msgspec.msgpack.encode((frame.hash, engine, drawn))
