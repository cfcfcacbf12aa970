"""Requests that are answered frame by frame: track, find, label, matte.

Between two steps the worker serves clicks. What is tracked goes straight to a point and an outline, certified
against the mask: a video is too much for distilling in the loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from app.algo.fuse import fuse_regions
from app.algo.what_if import layers_of
from app.errors import Refused
from app.matting import check
from app.worker import protocol
from app.worker.drawing import Drawer
from app.worker.engines import Anchor, Engine, Plan, Seen, Walk
from app.worker.packed import PackedMask
from app.worker.protocol import Message
from app.worker.residents import Residents
from app.worker.tracing import outlined
from app.worker.walk_masks import BothWays

Steps = Generator[Message | None, None, Any]

MIN_AREA = 4
"""Pixels; a smaller answer of a tracker counts as not seen."""


class Streams:
    """Walks through videos with the engines of `residents`."""

    def __init__(
        self,
        data: Path,
        residents: Residents,
        drawer: Drawer,
        read: Callable[[protocol.FrameRef], Any],
    ) -> None:
        self._data, self._residents, self._drawer, self._read = data, residents, drawer, read
        self._added: dict[int, list[protocol.TrackAnchor]] = {}
        """Anchors that arrived for running requests, by request number."""

    def add(self, message: protocol.AddAnchor) -> None:
        """Hand an anchor to a running track; one that has ended ignores it. Called by the reading thread."""
        waiting = self._added.get(message.track)
        if waiting is not None:
            waiting.append(message.anchor)

    def track(self, request: protocol.Track) -> Steps:
        if not request.anchors:
            raise Refused("There is nothing to track: choose a region first.")
        _check_span(request.frames, request.start, request.stop)
        return (yield from self._walk(request, request.anchors, lambda engine, plan: engine.track(plan)))

    def find(self, request: protocol.Find) -> Steps:
        if not request.texts:
            raise Refused("Say in words what to look for.")
        _check_span(request.frames, request.start, request.stop)
        texts = [(one.text, one.class_id) for one in request.texts]

        def begin(engine: Engine, plan: Plan) -> Walk:
            return engine.find(plan, texts, request.every, request.threshold)

        return (yield from self._walk(request, request.known, begin))

    def label(self, request: protocol.Label) -> Steps:
        folder = self._named(request)
        for position in range(request.start, len(request.frames)):
            yield None
            label_map = np.asarray(
                self._residents.get(request.engine).label(self._read(request.frames[position]))
            )
            path = folder / f"{request.names[position]}.png"
            _write_png(path, label_map)
            file = str(path.relative_to(self._data))
            values = np.flatnonzero(np.bincount(label_map.ravel())).tolist()
            yield protocol.Labelled(request=request.request, position=position, file=file, values=values)
        yield protocol.Ended(request=request.request)

    def matte(self, request: protocol.Matte) -> Steps:
        _check_span(request.frames, request.start, request.stop)
        check(request.parameters)
        folder = self._named(request)
        with self._residents.working(request.engine) as engine:
            anchors = []
            for one in request.anchors:
                anchors.append(self._seen(request, one))
                yield None
            if len({anchor.object for anchor in anchors}) != 1:
                raise Refused("A matte is made of one object: choose its regions.")
            plan = self._plan(request, request.start, anchors)
            plan.parameters, plan.done = request.parameters, frozenset(request.done)
            with contextlib.closing(cast(Any, engine.matte(plan))) as walk:
                for step in walk:
                    if step is None:
                        yield None
                        continue
                    position, alpha = step
                    path = folder / f"{request.names[position]}.png"
                    _write_png(path, np.rint(np.clip(alpha, 0, 1) * 65535).astype(np.uint16))
                    file = str(path.relative_to(self._data))
                    yield protocol.Matted(
                        request=request.request, position=position, file=file, settings=engine.settings(plan)
                    )
        yield protocol.Ended(request=request.request)

    def _named(self, request: protocol.Label | protocol.Matte) -> Path:
        """Where the files of a request go. Raises Refused."""
        if len(request.names) != len(request.frames):
            raise Refused("Every frame needs the name of its file.")
        return self._folder(request.folder)

    def _folder(self, name: str) -> Path:
        """Raises Refused outside the data folder."""
        folder = (self._data / name).resolve()
        if not folder.is_relative_to(self._data) or not folder.is_dir():
            raise Refused("The files must go into a folder of the data folder.")
        return folder

    def _plan(
        self,
        request: protocol.Track | protocol.Find | protocol.Matte,
        start: int,
        anchors: Sequence[Anchor],
        more: Callable[[], Sequence[Anchor]] = tuple,
    ) -> Plan:
        return Plan(
            count=len(request.frames),
            shape=request.frames[0].shape,
            start=start,
            stop=request.stop,
            anchors=list(anchors),
            prepared=lambda at, purpose: self._residents.prepared(
                request.engine, request.frames[at], purpose
            ),
            image=lambda at: self._read(request.frames[at]),
            more=more,
        )

    def _walk(
        self,
        request: protocol.Track | protocol.Find,
        given: Sequence[protocol.TrackAnchor],
        begin: Callable[[Engine, Plan], Walk],
    ) -> Steps:
        added = self._added[request.request] = []
        try:
            with self._residents.working(request.engine) as engine:
                anchors = []
                for one in given:
                    anchors.append(self._anchor(request, one))
                    yield None
                yield from self._frames(request, engine, anchors, added, begin, self._ways(request, given))
        finally:
            self._added.pop(request.request, None)
        yield protocol.Ended(request=request.request)

    def _frames(
        self,
        request: protocol.Track | protocol.Find,
        engine: Engine,
        anchors: list[Anchor],
        added: list[protocol.TrackAnchor],
        begin: Callable[[Engine, Plan], Walk],
        ways: BothWays,
    ) -> Steps:
        """Walk on, from the last masks again where memory runs out: what was tracked stays."""
        position, attempt = request.start, 0
        forward = request.stop >= request.start
        numbers = count(request.first_object if isinstance(request, protocol.Find) else 0)

        def more() -> Sequence[Anchor]:
            arrived, added[:] = list(added), []
            new = [self._anchor(request, one) for one in arrived]
            anchors.extend(new)
            for one in new:
                ways.anchor(one.object, one.position)
            if isinstance(request, protocol.Track):
                return new
            theirs = {ours: found for found, ours in given.items()}
            return [replace(one, object=theirs[one.object]) for one in new if one.object in theirs]

        given: dict[int, int] = {}
        """What the engine calls an object → what the caller does."""
        while True:
            given = {anchor.object: anchor.object for anchor in anchors}
            plan = self._plan(request, position, anchors, more)
            try:
                with contextlib.closing(cast(Any, begin(engine, plan))) as walk:
                    for step in walk:
                        if step is None:
                            yield None
                            continue
                        at, answered = step
                        seen = (
                            answered
                            if isinstance(request, protocol.Track)
                            else [
                                # An engine counts what it finds from its anchors on; the caller counts from elsewhere.
                                replace(one, object=_number(one.object, given, numbers))
                                for one in answered
                            ]
                        )
                        found: list[protocol.TrackedObject] = []
                        for one, agreement in ways.take(at, seen):
                            found.append(_described(one, request.target, agreement))
                            yield None
                        yield protocol.Tracked(request=request.request, position=at, objects=found)
                        position, attempt = at + (1 if forward else -1), 0
                        _note(anchors, at, seen)
                return
            except MemoryError:
                if position == request.stop + (1 if forward else -1):
                    return
                if not self._residents.relieve(request.engine, attempt):
                    raise
                attempt += 1

    def _ways(
        self, request: protocol.Track | protocol.Find, given: Sequence[protocol.TrackAnchor]
    ) -> BothWays:
        keep, fuse = (request.keep, request.fuse) if isinstance(request, protocol.Track) else ("", "")
        ways = BothWays(
            request.frames,
            forward=request.stop >= request.start,
            keep=self._folder(keep) if keep else None,
            fuse=self._folder(fuse) if fuse else None,
        )
        for one in given:
            if one.confirmed:
                ways.anchor(one.object, one.position)
        return ways

    def _anchor(
        self, request: protocol.Track | protocol.Find | protocol.Matte, anchor: protocol.TrackAnchor
    ) -> Anchor:
        if not 0 <= anchor.position < len(request.frames):
            raise Refused("An anchor lies outside the frames to track.")
        frame = request.frames[anchor.position]
        regions = [anchor.region, *anchor.others]
        (crop, *_), _ = self._drawer.masks(frame, regions, anchor.region.engine or "classic")
        return Anchor(anchor.position, anchor.object, crop.full(frame.shape), anchor.region.class_id)

    def _seen(self, request: protocol.Matte, anchor: protocol.TrackAnchor) -> Anchor:
        """What is seen of the regions of an anchor: not what others of higher priority cover."""
        if not 0 <= anchor.position < len(request.frames):
            raise Refused("An anchor lies outside the frames to track.")
        frame = request.frames[anchor.position]
        mine = [anchor.region, *anchor.more]
        places = anchor.places or list(range(len(mine)))
        regions = list(anchor.others)
        for place, region in zip(places, mine, strict=True):
            regions.insert(place, region)
        crops, _ = self._drawer.masks(frame, regions, anchor.region.engine or "classic")
        winners = fuse_regions(layers_of(regions, crops), frame.shape)
        mask = np.isin(winners, np.asarray(places) + 1)
        return Anchor(anchor.position, anchor.object, PackedMask(mask), anchor.region.class_id)


def _write_png(path: Path, label_map: np.ndarray) -> None:
    ok, data = cv2.imencode(".png", label_map)
    if not ok:
        raise Refused("A label map could not be written as PNG.")
    part = path.with_suffix(".part")
    part.write_bytes(data.tobytes())
    part.replace(path)


class Last(Anchor):
    """The newest mask of an object, so that an interrupted walk can go on from it."""


def _note(anchors: list[Anchor], position: int, seen: Sequence[Seen]) -> None:
    for one in seen:
        if _is_seen(one.mask):
            anchors[:] = [a for a in anchors if not (isinstance(a, Last) and a.object == one.object)]
            anchors.append(Last(position, one.object, one.mask, one.class_id))


def _number(found: int, given: dict[int, int], numbers: Iterator[int]) -> int:
    """The caller's number of an object that the engine calls `found`."""
    if found not in given:
        given[found] = next(number for number in numbers if number not in given.values())
    return given[found]


def _described(seen: Seen, target: float, agreement: float | None) -> protocol.TrackedObject:
    """A tracked mask as it is stored: a point, an outline, the certificate."""
    if not _is_seen(seen.mask):
        return protocol.TrackedObject(object=seen.object, score=seen.score, class_id=seen.class_id)
    geometry, certificate, area = outlined(np.asarray(seen.mask, bool), target, thorough=False)
    return protocol.TrackedObject(
        object=seen.object,
        score=seen.score,
        class_id=seen.class_id,
        geometry=geometry,
        certificate=certificate,
        area=area,
        agreement=agreement,
    )


def _is_seen(mask: Any) -> bool:
    return mask is not None and int(np.count_nonzero(mask)) >= MIN_AREA


def _check_span(frames: Sequence[protocol.FrameRef], start: int, stop: int) -> None:
    if not (frames and 0 <= start < len(frames) and 0 <= stop < len(frames)):
        raise Refused("The range to track lies outside the frames.")
    if any(frame.shape != frames[0].shape for frame in frames):
        raise Refused("The frames differ in size; track a range in which they are all the same.")
