"""What the worker answers: requests in, a stream of steps and replies out.

Every handler is a generator: it yields a reply, or None between two steps of longer work, where the loop may
serve a click or stop a cancelled request.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.algo import render
from app.algo.fuse import bounding_box, fuse_regions
from app.algo.labels import encode_rle
from app.algo.outline import rasterise
from app.algo.what_if import layers_of
from app.errors import Refused
from app.formats import label_png
from app.models import Certificate, quantise
from app.worker import engines, inspecting, memory, protocol, registry, weights
from app.worker.caches import ByteLru, Proposal
from app.worker.drawing import Drawer, Drawn, prompt_of
from app.worker.engines import Ask, Candidate, Prompt, Purpose
from app.worker.images import read_frame
from app.worker.protocol import FrameRef, Message
from app.worker.refine import drawing_of, to_region
from app.worker.residents import Residents
from app.worker.streams import Streams
from app.worker.tracing import traced

Steps = Generator[Message | None, None, Any]
WORDS = {
    "track": "track",
    "find": "look for text in a video",
    "label": "label whole frames",
    "matte": "make mattes",
}

PROPOSAL_BYTES = 64 << 20
MAP_BYTES = 64 << 20
LOAD_S = 300.0
"""The watchdog's patience while an engine loads."""
AHEAD_S = 8.0
"""Engines that take longer for a frame prepare only the open one ahead."""
SLOW_S = 60.0
DISTIL_S = 30.0
MAX_CANDIDATES = {"alternatives": 3, "instances": 200}


class Answers:
    """The handlers and what they remember. One working thread calls it; `status` and `add_anchor` any thread."""

    def __init__(self, data: Path, *, cache_bytes: int, memory_bytes: int = 0, fake: bool = False) -> None:
        self._fake = fake
        read = partial(read_frame, data)
        self.residents = Residents(
            lambda name: engines.load(name, data, weights=weights.found(data, name), fake=fake),
            lambda name: registry.entry_of(name, fake=fake).info.needs_mb,
            read,
            cache_bytes=cache_bytes,
            memory_bytes=memory_bytes,
        )
        self._drawer = Drawer(self.residents, data, fake=fake)
        self._streams = Streams(data, self.residents, self._drawer, read)
        self._proposals: ByteLru[str, Proposal] = ByteLru(PROPOSAL_BYTES, lambda found: found.nbytes)
        self._maps: ByteLru[bytes, protocol.Rendered] = ByteLru(
            MAP_BYTES, lambda found: len(found.body) + 500
        )
        self._handlers: dict[type[Message], Callable[[Any, Callable[[], None]], Steps]] = {
            protocol.Predict: self._predict,
            protocol.Accept: self._accept,
            protocol.Render: self._render,
            protocol.LabelPng: self._label_png,
            protocol.Trace: self._trace,
            protocol.Inspect: self._inspect,
            protocol.WhatIf: self._what_if,
            protocol.Track: self._stream,
            protocol.Find: self._stream,
            protocol.Label: self._stream,
            protocol.Matte: self._stream,
            protocol.LoadEngine: self._load_engine,
            protocol.UnloadEngine: self._unload_engine,
            protocol.Forget: self._forget,
        }

    def answer(self, request: Message, check: Callable[[], None]) -> Steps:
        """The steps of one request. `check` raises Cancelled when the request is not wanted any more."""
        return self._handlers[type(request)](request, check)

    def warm_allow_s(self, engine_id: str, *, is_open: bool) -> float:
        """The seconds that `warm` may take; 0 where the frame should not be prepared ahead: the engine takes no
        prompts, cannot load, or is so slow that a click would wait long for a frame nobody opened.
        """
        if "points" not in registry.entry_of(engine_id, fake=self._fake).info.can:
            return 0.0
        if engine_id in self.residents.failed:
            return 0.0
        if not is_open and self.residents.slowest_s.get(engine_id, 0.0) > AHEAD_S:
            return 0.0
        return self.residents.get(engine_id).prepare_s if engine_id in self.residents else LOAD_S

    def warm(self, frame: FrameRef, engine_id: str, protect: Sequence[tuple[FrameRef, str]]) -> None:
        """Prepare a frame, unless that would cost one of `protect` its place."""
        self.residents.get(engine_id)
        if self.residents.at_hand(engine_id, frame, "segment") is None:
            self.residents.prepare(engine_id, frame, "segment", protect)

    def add_anchor(self, message: protocol.AddAnchor) -> None:
        self._streams.add(message)

    def status(self, request: int, queued: int) -> protocol.Pong:
        residents = self.residents.listing()
        device = residents[-1].device if residents else "cpu"
        return protocol.Pong(
            request=request,
            pid=os.getpid(),
            engines=[resident.engine for resident in residents],
            cache_bytes=self.residents.frames.bytes
            + self._proposals.bytes
            + self._maps.bytes
            + self._drawer.bytes,
            queued=queued,
            residents=residents,
            failed=dict(self.residents.failed),
            free_bytes=memory.free_bytes(device),
        )

    def relieve(self, request: Message, attempt: int) -> bool:
        """Make memory free after `request` ran out of it; False where nothing is left to try."""
        self._maps.clear()
        self._drawer.clear()
        return self.residents.relieve(getattr(request, "engine", ""), attempt)

    # ── handlers ──────────────────────────────────────────────────────────────────────────────────

    def _predict(self, request: protocol.Predict, check: Callable[[], None]) -> Steps:
        started = time.perf_counter()
        protocol.check_prompts(request.geometry, request.frame, request.exemplars)
        engine, answer = yield from self._segmented(request)
        check()
        found = [
            (proposal, float(one.score))
            for one in answer.candidates[: MAX_CANDIDATES[answer.kind]]
            if (proposal := Proposal.of(one.mask, request.frame.hash, request.engine, one.memory)) is not None
        ]
        for proposal, _ in found:
            self._proposals.put(proposal.id, proposal)
        yield protocol.Proposals(
            request=request.request,
            engine=request.engine,
            weights=engine.weights,
            ms=(time.perf_counter() - started) * 1000,
            kind=answer.kind,
            presence=answer.presence,
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
            kept = self._proposals.get(request.proposal) if request.proposal else None
            if kept is not None and (kept.frame, kept.shape) == (request.frame.hash, shape):
                mask = kept.mask()
            else:
                _, answer = yield from self._segmented(request)
                if not answer.candidates or not answer.candidates[0].mask.any():
                    raise Refused("The engine finds no object at these points; move one or add another.")
                mask = answer.candidates[0].mask
            engine = yield from self._ready(request.engine, request.frame, "render")
            yield protocol.Working(allow_s=engine.prepare_s if engine.prepare_s > SLOW_S else DISTIL_S)
            # What is certified is what will be rendered: stored coordinates, among the masks that are there.
            # Text asks for every instance in the frame; points and box stand for this one.
            geometry = msgspec.structs.replace(quantise(geometry), text=None)
            rivals = request.regions if engine.competes else []
            yield from self._certified(request.frame, rivals)
            engine = self.residents.get(request.engine)
            others = [prompt_of(region.geometry) for region in rivals]
            exact = render.exact_masks(shape, rivals, self._drawer.fixed(request.frame, rivals)[0])
            prepared = self.residents.prepared(request.engine, request.frame, "render")

            draw, draw_in = drawing_of(engine, prepared, shape, geometry, others, exact, check)
            geometry, certificate, mask = to_region(
                mask,
                geometry,
                draw,
                draw_in,
                engine=request.engine,
                weights=engine.weights,
                target=request.target,
            )
            self._drawer.keep(request.frame, geometry, request.engine, engine.weights, mask)
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
            if not kept.substituted:  # only until the engine is back
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
        yield protocol.LabelPngMade(request=request.request, png=png, substituted=rendered.substituted)

    def _trace(self, request: protocol.Trace, check: Callable[[], None]) -> Steps:
        yield from self._needed(request)
        crops = self._masks_of(request)[0]
        found = []
        for position in request.wanted:
            check()
            yield protocol.Working(allow_s=DISTIL_S)
            found.append(traced(request.regions[position], crops[position], request))
        yield protocol.Traced(request=request.request, regions=found)

    def _inspect(self, request: protocol.Inspect, check: Callable[[], None]) -> Steps:
        yield from self._needed(request)
        check()
        yield inspecting.inspected(request, self._masks_of(request)[0])

    def _what_if(self, request: protocol.WhatIf, check: Callable[[], None]) -> Steps:
        yield from self._needed(request)
        check()
        yield inspecting.repriced(request, self._masks_of(request)[0])

    def _stream(self, request: protocol.Stream, check: Callable[[], None]) -> Steps:
        ability, walk = {
            protocol.Track: ("track", self._streams.track),
            protocol.Find: ("find", self._streams.find),
            protocol.Label: ("label", self._streams.label),
            protocol.Matte: ("matte", self._streams.matte),
        }[type(request)]
        if ability not in registry.entry_of(request.engine, fake=self._fake).info.can:
            raise Refused(f"The engine {request.engine} cannot {WORDS[ability]}.")
        engine = yield from self._loaded(request.engine)
        yield protocol.Working(allow_s=engine.prepare_s)
        for step in walk(request):  # pyright: ignore[reportArgumentType]
            check()
            # A frame that is not prepared yet may take long.
            yield step if step is not None else protocol.Working(allow_s=engine.prepare_s)

    def _load_engine(self, request: protocol.LoadEngine, check: Callable[[], None]) -> Steps:
        engine = yield from self._loaded(request.engine)
        yield protocol.EngineLoaded(
            request=request.request,
            engine=request.engine,
            device=engine.device,
            weights=engine.weights,
            bytes=engine.nbytes(),
            classes=list(engine.classes),
        )

    def _unload_engine(self, request: protocol.UnloadEngine, check: Callable[[], None]) -> Steps:
        yield None
        self.residents.unload(request.engine)
        yield self.status(request.request, 0)

    def _forget(self, request: protocol.Forget, check: Callable[[], None]) -> Steps:
        self.residents.frames.drop()
        memory.give_back()
        yield None

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────

    def _segmented(self, request: protocol.Predict | protocol.Accept) -> Steps:
        """Returns the engine and its answer."""
        prompt = prompt_of(request.geometry)
        exemplars: list[tuple[float, float, float, float, bool]] = []
        previous = None
        if isinstance(request, protocol.Predict):
            exemplars = [(*one.box, one.positive) for one in request.exemplars]
            kept = self._proposals.get(request.previous) if request.previous else None
            asked = (request.engine, request.frame.hash, request.frame.shape)
            if kept is not None and (kept.engine, kept.frame, kept.shape) == asked:
                previous = Candidate(kept.mask(), 0.0, kept.memory)
        self._require(request.engine, prompt, bool(exemplars))
        ask = Ask(
            request.frame.shape, prompt, [prompt_of(r.geometry) for r in request.regions], previous, exemplars
        )
        purpose: Purpose = "text" if ask.whole_frame else "segment"
        engine = yield from self._ready(request.engine, request.frame, purpose)
        prepared = self.residents.prepared(request.engine, request.frame, purpose)
        return engine, engine.segment(prepared, ask)

    def _masks_of(self, request: Drawn) -> tuple[list[render.Crop], str]:
        return self._drawer.masks(request.frame, request.regions, request.engine)

    def _winners(self, request: protocol.Render | protocol.LabelPng) -> protocol.Rendered:
        regions = request.regions
        crops, substituted = self._masks_of(request)
        winners = fuse_regions(layers_of(regions, crops), request.frame.shape)
        areas = np.bincount(winners.ravel(), minlength=len(regions) + 1)[1:]
        small = len(regions) < 256
        return protocol.Rendered(
            dtype="u1" if small else "u2",
            width=request.frame.width,
            height=request.frame.height,
            body=winners.astype("u1" if small else "<u2").tobytes(),
            areas=areas.tolist(),
            substituted=substituted,
        )

    def _needed(self, request: Drawn) -> Steps:
        """Load and prepare what the masks of the request's regions still need."""
        yield from self._certified(request.frame, request.regions)
        competitor = self._drawer.competitor(request.frame, request.regions, request.engine)
        if competitor is not None:
            yield from self._ready(competitor, request.frame, "render")

    def _certified(self, frame: FrameRef, regions: Sequence[protocol.RegionSpec]) -> Steps:
        """Ready the engines that certified regions whose masks lie nowhere; one that cannot load stays away."""
        for name in self._drawer.certifiers(frame, regions):
            yield protocol.Working(allow_s=LOAD_S)
            # Other weights than those that certified the regions may show once it is loaded.
            if self._drawer.load(name) and name in self._drawer.certifiers(frame, regions):
                yield from self._ready(name, frame, "render")

    def _require(self, engine_id: str, prompt: Prompt, exemplars: bool) -> None:
        can = registry.entry_of(engine_id, fake=self._fake).info.can
        if not ("points" in can or "text" in can):
            raise Refused(f"The engine {engine_id} labels whole frames; choose another for prompts.")
        if prompt.text and "text" not in can:
            raise Refused(f"The engine {engine_id} does not understand text; place points instead.")
        if exemplars and "exemplars" not in can:
            raise Refused(f"The engine {engine_id} does not understand exemplars; place points instead.")

    def _loaded(self, engine_id: str) -> Steps:
        if engine_id not in self.residents:
            if registry.entry_of(engine_id, fake=self._fake).place != "worker":
                raise Refused(f"The engine {engine_id} runs in jobs, not in the worker.")
            yield protocol.Working(allow_s=LOAD_S)
        return self.residents.get(engine_id)

    def _ready(self, engine_id: str, frame: FrameRef, purpose: Purpose = "segment") -> Steps:
        """Load the engine and prepare the frame, saying so where it takes time. Returns the engine."""
        engine = yield from self._loaded(engine_id)
        if self.residents.at_hand(engine_id, frame, purpose) is None:
            yield protocol.Working(allow_s=engine.prepare_s)
            self.residents.prepare(engine_id, frame, purpose)
        # An engine that needs minutes for a frame may need long for an answer, too.
        yield protocol.Working(allow_s=engine.prepare_s) if engine.prepare_s > SLOW_S else None
        # What was served meanwhile may have needed its memory.
        return self.residents.get(engine_id)
