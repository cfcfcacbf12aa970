"""What the worker answers: requests in, a stream of steps and replies out.

Every handler is a generator: it yields a reply, or None between two steps of longer work, where the loop may
serve a click or stop a cancelled request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from app.algo import render
from app.algo.fuse import Box, bounding_box, fuse_regions
from app.algo.labels import encode_rle
from app.algo.outline import rasterise
from app.algo.what_if import layers_of
from app.errors import NotFound, Refused
from app.formats import label_png
from app.models import Certificate, Geometry, quantise
from app.worker import engines, inspecting, protocol
from app.worker.caches import ByteLru, Proposal
from app.worker.engines import Engine, Prompt
from app.worker.protocol import FrameRef, Message, RegionSpec
from app.worker.refine import Window, to_region

Steps = Generator[Message | None, None, Any]
Drawn = protocol.Render | protocol.LabelPng | protocol.Inspect | protocol.WhatIf
"""Requests that need the masks of a frame's regions."""

PROPOSAL_BYTES = 64 << 20
MAP_BYTES = 64 << 20
MASK_BYTES = 96 << 20
LOAD_S = 120.0
"""The watchdog's patience while an engine loads."""
DISTIL_S = 30.0
MAX_CANDIDATES = 3
SEGMENT, RENDER = "segment", "render"
"""What a frame is prepared for."""


class Answers:
    """The handlers and what they remember. One working thread calls it; `loaded` and `cache_bytes` any
    thread.
    """

    def __init__(self, data: Path, *, cache_bytes: int, fake: bool = False) -> None:
        self._data = data
        self._fake = fake
        self._engines: dict[str, Engine] = {}
        self._prepared: ByteLru[tuple[str, str, str], Any] = ByteLru(
            cache_bytes, lambda found: int(found.nbytes)
        )
        self._proposals: ByteLru[str, Proposal] = ByteLru(PROPOSAL_BYTES, lambda found: found.nbytes)
        self._maps: ByteLru[bytes, protocol.Rendered] = ByteLru(
            MAP_BYTES, lambda found: len(found.body) + 500
        )
        self._masks: ByteLru[bytes, list[render.Crop]] = ByteLru(MASK_BYTES, inspecting.bytes_of)
        self._handlers: dict[type[Message], Callable[[Any, Callable[[], None]], Steps]] = {
            protocol.Predict: self._predict,
            protocol.Accept: self._accept,
            protocol.Render: self._render,
            protocol.LabelPng: self._label_png,
            protocol.Inspect: self._inspect,
            protocol.WhatIf: self._what_if,
        }

    def answer(self, request: Message, check: Callable[[], None]) -> Steps:
        """The steps of one request. `check` raises Cancelled when the request is not wanted any more."""
        handler = self._handlers.get(type(request), self._stream)
        return handler(request, check)

    def warm(self, frame: FrameRef, engine_id: str, protect: Sequence[tuple[FrameRef, str]]) -> None:
        """Prepare a frame, unless that would cost one of `protect` its place."""
        engine = self._engine(engine_id)
        key = (engine_id, frame.hash, SEGMENT)
        if self._prepared.get(key) is None:
            others = {(name, found.hash, SEGMENT) for found, name in protect} - {key}
            self._prepared.put(key, self._prepare(engine, frame, SEGMENT), protect=others)

    def loaded(self) -> list[str]:
        return list(self._engines)

    def cache_bytes(self) -> int:
        return self._prepared.bytes + self._proposals.bytes + self._maps.bytes + self._masks.bytes

    def free(self) -> None:
        """Give back what can be computed again (after running out of memory)."""
        self._prepared.clear()
        self._maps.clear()
        self._masks.clear()

    # ── handlers ──────────────────────────────────────────────────────────────────────────────────

    def _predict(self, request: protocol.Predict, check: Callable[[], None]) -> Steps:
        started = time.perf_counter()
        protocol.check_prompts(request.geometry, request.frame)
        engine = yield from self._ready(request.engine, request.frame)
        masks = self._segment(engine, request)
        check()
        found = [
            (proposal, score)
            for mask, score in masks[:MAX_CANDIDATES]
            if (proposal := Proposal.of(mask, request.frame.hash, request.engine)) is not None
        ]
        for proposal, _ in found:
            self._proposals.put(proposal.id, proposal)
        yield protocol.Proposals(
            request=request.request,
            engine=request.engine,
            weights=engine.weights,
            ms=(time.perf_counter() - started) * 1000,
            candidates=[
                protocol.ProposedMask(
                    id=p.id,
                    score=score,
                    x=p.x,
                    y=p.y,
                    w=p.w,
                    h=p.h,
                    area=p.area,
                    bits=p.bits,
                    rle=str(encode_rle(p.mask())["counts"]) if request.rle else "",
                )
                for p, score in found
            ],
        )

    def _accept(self, request: protocol.Accept, check: Callable[[], None]) -> Steps:
        geometry, shape = request.geometry, request.frame.shape
        if geometry.outline:
            geometry = quantise(geometry)
            mask = rasterise(geometry.outline or [], shape)
            certificate = Certificate(
                engine="outline", iou=1.0, boundary_f=1.0, target=request.target, exact=True
            )
        else:
            protocol.check_prompts(geometry, request.frame)
            engine = yield from self._ready(request.engine, request.frame)
            kept = self._proposals.get(request.proposal) if request.proposal else None
            if kept is not None and (kept.frame, kept.shape) == (request.frame.hash, shape):
                mask = kept.mask()
            else:
                masks = self._segment(engine, request)
                if not masks or not masks[0][0].any():
                    raise Refused("The engine finds no object at these points; move one or add another.")
                mask = masks[0][0]
            yield protocol.Working(allow_s=DISTIL_S)
            others = [prompt_of(region.geometry) for region in request.regions]
            outlines = [render.outlined(region.geometry, shape) for region in request.regions]
            prepared = self._prepared_of(engine, request.engine, request.frame, RENDER)

            def draw(points: np.ndarray) -> np.ndarray:
                check()
                prompts = [*others, Prompt(points, geometry.box, geometry.text)]
                crops = engine.render(prepared, shape, prompts)
                return render.settle(crops, [*outlines, None], shape, prompts)[-1].full(shape)

            def draw_in(box: Box, there: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray] | None:
                part = engine.window(prepared, box, there)
                if part is None:
                    return None
                into = Window(box, there)
                rivals = [
                    replace(other, points=into.there(other.points), box=into.prompt_box(other.box))
                    for other in others
                ]

                def draw_there(points: np.ndarray) -> np.ndarray:
                    check()
                    prompt = Prompt(points, into.prompt_box(geometry.box), geometry.text)
                    return engine.render(part, there, [*rivals, prompt])[-1].full(there)

                return draw_there

            geometry, certificate, mask = to_region(
                mask,
                geometry,
                draw,
                draw_in,
                engine=request.engine,
                weights=engine.weights,
                target=request.target,
            )
        box = bounding_box(mask)
        if box is None:
            raise Refused("The region covers no pixel of the frame; draw it larger.")
        x0, y0, x1, y1 = box
        yield protocol.Accepted(
            request=request.request,
            geometry=geometry,
            certificate=certificate,
            area=int(np.count_nonzero(mask)),
            x=x0,
            y=y0,
            w=x1 - x0,
            h=y1 - y0,
        )

    def _render(self, request: protocol.Render, check: Callable[[], None]) -> Steps:
        key = msgspec.msgpack.encode((request.frame.hash, request.engine, request.regions))
        kept = self._maps.get(key)
        if kept is None:
            yield from self._needed(request)
            check()
            kept = self._winners(request)
            self._maps.put(key, kept)
        yield msgspec.structs.replace(kept, request=request.request)

    def _label_png(self, request: protocol.LabelPng, check: Callable[[], None]) -> Steps:
        mode = label_png.mode_of(request.mode)
        unlabelled = label_png.check_classes(request.classes, mode, request.unlabelled)
        asked = protocol.Render(frame=request.frame, regions=request.regions, engine=request.engine)
        rendered: protocol.Rendered | None = None
        for step in self._render(asked, check):
            if isinstance(step, protocol.Rendered):
                rendered = step
            else:
                yield step
        assert rendered is not None
        dtype = "u1" if rendered.dtype == "u1" else "<u2"
        winners = np.frombuffer(rendered.body, dtype).reshape(request.frame.shape)
        table = np.array([0, *(region.class_id for region in request.regions)], np.uint16)
        png = label_png.encode(np.take(table, winners), request.classes, mode=mode, unlabelled=unlabelled)
        yield protocol.LabelPngMade(request=request.request, png=png)

    def _inspect(self, request: protocol.Inspect, check: Callable[[], None]) -> Steps:
        yield from self._needed(request)
        check()
        yield inspecting.inspected(request, self._masks_of(request))

    def _what_if(self, request: protocol.WhatIf, check: Callable[[], None]) -> Steps:
        yield from self._needed(request)
        check()
        yield inspecting.repriced(request, self._masks_of(request))

    def _stream(self, request: Message, check: Callable[[], None]) -> Steps:
        """Requests of engines that answer by a stream (tracking, matting)."""
        engine_id = getattr(request, "engine", "")
        engine = yield from self._loaded(engine_id)
        if not isinstance(request, engine.accepts):
            raise Refused(f"The engine {engine_id} cannot do that.")
        for reply in engine.run(request, lambda frame: self._prepared_of(engine, engine_id, frame, SEGMENT)):
            check()
            yield reply

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────

    def _segment(
        self, engine: Engine, request: protocol.Predict | protocol.Accept
    ) -> list[tuple[np.ndarray, float]]:
        prepared = self._prepared_of(engine, request.engine, request.frame, SEGMENT)
        previous = None
        if isinstance(request, protocol.Predict) and request.previous:
            kept = self._proposals.get(request.previous)
            if kept is not None and (kept.frame, kept.shape) == (request.frame.hash, request.frame.shape):
                previous = kept.mask()
        others = [prompt_of(region.geometry) for region in request.regions]
        prompt = prompt_of(request.geometry)
        self._require(request.engine, prompt)
        found = engine.segment(prepared, request.frame.shape, prompt, others, previous)
        return [(candidate.mask, float(candidate.score)) for candidate in found]

    def _masks_of(self, request: Drawn) -> list[render.Crop]:
        """The regions' masks before priorities are looked at, kept for the inspector."""
        key = mask_key(request)
        kept = self._masks.get(key)
        if kept is not None:
            return kept
        shape = request.frame.shape

        def draw(drawn: Sequence[RegionSpec]) -> list[render.Crop]:
            engine = self._engine(request.engine)
            prepared = self._prepared_of(engine, request.engine, request.frame, RENDER)
            return engine.render(prepared, shape, [prompt_of(region.geometry) for region in drawn])

        crops = render.region_masks(draw, shape, request.regions)
        self._masks.put(key, crops)
        return crops

    def _winners(self, request: protocol.Render | protocol.LabelPng) -> protocol.Rendered:
        regions = request.regions
        winners = fuse_regions(layers_of(regions, self._masks_of(request)), request.frame.shape)
        areas = np.bincount(winners.ravel(), minlength=len(regions) + 1)[1:]
        small = len(regions) < 256
        return protocol.Rendered(
            dtype="u1" if small else "u2",
            width=request.frame.width,
            height=request.frame.height,
            body=winners.astype("u1" if small else "<u2").tobytes(),
            areas=areas.tolist(),
        )

    def _needed(self, request: Drawn) -> Steps:
        """Load and prepare only where some region is not drawn by its outline."""
        outlined = all(region.geometry.outline for region in request.regions)
        if not outlined and mask_key(request) not in self._masks:
            yield from self._ready(request.engine, request.frame, RENDER)

    def _require(self, engine_id: str, prompt: Prompt) -> None:
        can = engines.entry_of(engine_id, fake=self._fake).info.can
        if prompt.text and "text" not in can:
            raise Refused(f"The engine {engine_id} does not understand text; place points instead.")

    def _loaded(self, engine_id: str) -> Steps:
        if engine_id not in self._engines:
            engines.entry_of(engine_id, fake=self._fake)
            yield protocol.Working(allow_s=LOAD_S)
        return self._engine(engine_id)

    def _ready(self, engine_id: str, frame: FrameRef, purpose: str = SEGMENT) -> Steps:
        """Load the engine and prepare the frame, saying so where it takes time. Returns the engine."""
        engine = yield from self._loaded(engine_id)
        if (engine_id, frame.hash, purpose) not in self._prepared:
            yield protocol.Working(allow_s=engine.prepare_s)
            self._prepared_of(engine, engine_id, frame, purpose)
        yield None
        return engine

    def _engine(self, engine_id: str) -> Engine:
        if engine_id not in self._engines:
            self._engines[engine_id] = engines.load(engine_id, self._data, fake=self._fake)
        return self._engines[engine_id]

    def _prepared_of(self, engine: Engine, engine_id: str, frame: FrameRef, purpose: str) -> Any:
        key = (engine_id, frame.hash, purpose)
        found = self._prepared.get(key)
        if found is None:
            found = self._prepare(engine, frame, purpose)
            self._prepared.put(key, found)
        return found

    def _prepare(self, engine: Engine, frame: FrameRef, purpose: str) -> Any:
        image = self.read(frame) if engine.reads_frames else None
        return engine.prepare(image) if purpose == SEGMENT else engine.prepare_render(image)

    def read(self, frame: FrameRef) -> np.ndarray:
        """The frame's pixels, (H, W, 3) uint8 RGB. Raises NotFound, or Refused where they do not fit the
        frame.
        """
        path = (self._data / frame.path).resolve()
        if not path.is_relative_to(self._data) or not path.is_file():
            raise NotFound(
                f"The image of frame {frame.id} is not in the data folder; import the asset again."
            )
        data = np.fromfile(path, np.uint8)
        image = (
            cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
        )
        if image is None:
            raise Refused(f"The image of frame {frame.id} is damaged; import the asset again.")
        if image.shape[:2] != frame.shape:
            raise Refused(
                f"The image of frame {frame.id} is {image.shape[1]}×{image.shape[0]} px, "
                f"not {frame.width}×{frame.height} px; import the asset again."
            )
        return image


def prompt_of(geometry: Geometry) -> Prompt:
    points = np.array([(p.x, p.y, p.label, p.r) for p in geometry.points], np.float64).reshape(-1, 4)
    return Prompt(points, geometry.box, geometry.text)


def mask_key(request: Drawn) -> bytes:
    """What decides the masks of a request: priorities and classes have no part in it."""
    geometries = [region.geometry for region in request.regions]
    return msgspec.msgpack.encode((request.frame.hash, request.engine, geometries))
