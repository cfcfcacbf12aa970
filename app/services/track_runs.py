"""The work of the jobs `track` and `find`: walks through the frames of an asset in the engine worker.

Every frame is left as a record as soon as it is answered. Where the worker goes away, or the server does, the
walk goes on behind the last record, from the masks that were seen last.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app import store as db
from app.errors import Conflict, Unavailable
from app.mask_key import competes
from app.models import ClassTemplate, Frame, Geometry, Job, Region, frame_id
from app.services import engine_jobs, maps, track_results
from app.services.context import Context
from app.services.track_legs import BACK, Leg, first_legs, index_of, leg_back
from app.services.track_records import Begun, Record, Sources, Step, TrackArgs, args_of, id_from, is_unsure
from app.worker import protocol, registry
from app.worker.replying import Interrupted
from tasks import channel as files
from tasks.channel import Channel

STUCK = 3
"""How often the worker may go away without a further frame before the job is given up."""
PAGE = 2000
MASKS = "masks"
"""Folder of a job in which a walk leaves its masks for the walk back."""


@dataclass
class Past:
    """What records say of the walks so far, by leg."""

    done: int = 0
    frames: int = 0
    """Those of `done` on walks that fuse nothing."""
    regions: int = 0
    begun: bool = False
    last: dict[int, int] = field(default_factory=dict)
    """The frame index of the last record of a leg."""
    seen: dict[int, dict[int, Region]] = field(default_factory=dict)
    """The newest region of every object of a leg."""
    lost: set[tuple[str, int]] = field(default_factory=set)
    """(track, frame index) where an object was not seen."""
    unsure: set[tuple[str, int]] = field(default_factory=set)
    """(track, frame index) where a person should look."""

    def note(self, record: Record) -> None:
        if isinstance(record, Begun):
            self.begun = True
            return
        self.done += 1
        if record.leg < BACK:
            self.frames += 1
            self.regions += len(record.regions)
        self.last[record.leg] = record.index
        newest = self.seen.setdefault(record.leg, {})
        newest.update(zip(record.objects, record.regions, strict=True))
        looked = {(track, record.index) for track in record.tracks}
        seen = {(region.track_id or "", record.index) for region in record.regions}
        self.lost = self.lost - looked | (looked - seen)
        unsure = {(r.track_id or "", record.index) for r in record.regions if is_unsure(r)}
        self.unsure = self.unsure - looked | unsure


def run_track(ctx: Context, job: Job, channel: Channel) -> dict[str, Any]:
    """Follow regions through the frames of their asset. Raises Refused, Conflict, Unavailable, Cancelled."""
    args, past = _begin(ctx, job, channel)
    both = not registry.entry_of(args.engine, fake=ctx.settings.fake_engine).one_way
    legs = ctx.store.read(lambda cur: first_legs(cur, args))
    if not past.begun:
        _append(channel, past, Begun(objects=args.objects))
    tracks = [thing.track_id for thing in args.objects]

    def back(leg: Leg) -> Leg | None:
        return ctx.store.read(lambda cur: leg_back(cur, args, leg)) if both else None

    total = sum(leg.length for first in legs for leg in (first, back(first)) if leg is not None)
    for leg in legs:
        _Walk(ctx, job, channel, args, past, leg, total, tracks, keeps=both).run()
        # Read anew: a person may have confirmed frames during the walk.
        if (second := back(leg)) is not None:
            _Walk(ctx, job, channel, args, past, second, total, tracks).run()
    shutil.rmtree(channel.folder / MASKS, ignore_errors=True)
    return _result(args, past, tracks)


def run_find(ctx: Context, job: Job, channel: Channel) -> dict[str, Any]:
    """Look for texts in the frames of an asset, and follow what is found. Raises as `run_track` does."""
    args, past = _begin(ctx, job, channel)
    leg = Leg(0, args.start, args.stop)
    walk = _Walk(ctx, job, channel, args, past, leg, leg.length, [])
    walk.run()
    return _result(args, past, walk.tracks)


def _result(args: TrackArgs, past: Past, tracks: list[str]) -> dict[str, Any]:
    return {
        "asset_id": args.asset_id,
        "engine": args.engine,
        "frames": past.frames,
        "regions": past.regions,
        "lost": len(past.lost),
        "unsure": len(past.unsure),
        "tracks": tracks,
    }


def _begin(ctx: Context, job: Job, channel: Channel) -> tuple[TrackArgs, Past]:
    if ctx.store.read(lambda cur: track_results.undone(cur, job)):
        raise Conflict("What this job had tracked was taken back. Start a new one instead.")
    past = Past()
    offset = 0
    while True:
        records, offset = files.read_partial(channel.folder, offset)
        if not records:
            break
        channel.check()
        for record in msgspec.convert(records, list[Record]):
            past.note(record)
    args = args_of(job.args)
    channel.kept = {"frames": past.done}
    return args, past


def _append(channel: Channel, past: Past, record: Record) -> None:
    channel.append(record)
    past.note(record)
    channel.kept["frames"] = past.done


class _Walk:
    """One leg: asked of the worker until it is through, recorded frame by frame."""

    def __init__(
        self,
        ctx: Context,
        job: Job,
        channel: Channel,
        args: TrackArgs,
        past: Past,
        leg: Leg,
        total: int,
        tracks: list[str],
        *,
        keeps: bool = False,
    ) -> None:
        self._ctx, self._job, self._channel = ctx, job, channel
        self._args, self._past, self._leg, self._total = args, past, leg, total
        self.tracks = tracks
        """Track ids by number of object; `find` adds to them."""
        self._keep = self._masks(leg.number) if keeps else ""
        self._fuse = self._masks(leg.number - BACK) if leg.fuses else ""
        for number in past.seen.get(leg.number, {}):
            self._track_of(number)
        self._low, self._high = min(leg.start, leg.stop), max(leg.start, leg.stop)
        self._told = {region.id: region.geometry for _, region in leg.anchors}
        """What the worker knows of anchors."""
        self._added: list[tuple[int, Region]] = []

    def _masks(self, leg: int) -> str:
        """The folder for the masks of a leg, relative to the data folder."""
        folder = self._channel.folder / MASKS / str(leg)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder.relative_to(self._ctx.paths.data))

    def run(self) -> None:
        frames, template = self._ctx.store.read(self._read)
        self._attributes = {c.id: {a.name: a.default for a in c.attributes} for c in template.classes}
        refs = [maps.frame_ref(self._ctx.paths, frame) for frame in frames]
        self._channel.report(self._past.done, self._total, f"waiting for {self._args.engine}", now=True)
        misses = 0
        while (start := self._next()) is not None:
            done = self._past.done
            try:
                for reply in engine_jobs.replies(
                    self._ctx, self._channel, self._message(refs, start, template)
                ):
                    if isinstance(reply, protocol.Tracked):
                        self._take(reply, start)
                        self._tell(reply.request, template)
                if self._next() is not None:
                    raise Unavailable(
                        f"The engine {self._args.engine} ended before the last frame. Try again."
                    )
            except Interrupted:
                misses = 1 if self._past.done > done else misses + 1
                if misses >= STUCK:
                    raise Unavailable(
                        f"The engine worker stopped {STUCK} times at the frame with index {start}. "
                        "What was found is kept."
                    ) from None

    def _read(self, cur: db.Cursor) -> tuple[list[Frame], ClassTemplate]:
        frames: list[Frame] = []
        wanted = self._high - self._low + 1
        for start in range(self._low, self._high + 1, PAGE):
            self._channel.check()
            frames += db.frames.page(cur, self._args.asset_id, start, min(PAGE, wanted - len(frames)))
        if len(frames) != wanted:
            raise Conflict("Frames of the asset were deleted meanwhile. Choose others.")
        asset = db.assets.get(cur, self._args.asset_id)
        project = db.projects.get(cur, asset.project_id)
        return frames, db.class_templates.get(cur, project.class_template_id)

    def _next(self) -> int | None:
        """The frame index to go on with; None where the leg is through."""
        last = self._past.last.get(self._leg.number)
        if last is None:
            return self._leg.start
        return None if last == self._leg.stop else last + self._leg.step

    def _message(
        self, refs: list[protocol.FrameRef], start: int, template: ClassTemplate
    ) -> protocol.Track | protocol.Find:
        newest = self._past.seen.get(self._leg.number, {})
        # Masks that were seen are anchors of a walk that goes on, behind those of a person on the same frame.
        triples = [(*pair, False) for pair in newest.items()]
        triples += [(*pair, True) for pair in [*self._leg.anchors, *self._added]]
        triples.sort(key=lambda triple: index_of(triple[1]) * self._leg.step)
        anchors = [anchor for triple in triples if (anchor := self._anchor(*triple, template)) is not None]
        args, low = self._args, self._low
        if not args.texts:
            return protocol.Track(
                frames=refs,
                anchors=anchors,
                start=start - low,
                stop=self._leg.stop - low,
                engine=args.engine,
                keep=self._keep,
                fuse=self._fuse,
            )
        return protocol.Find(
            frames=refs,
            texts=args.texts,
            start=start - low,
            stop=self._leg.stop - low,
            engine=args.engine,
            every=args.every,
            threshold=args.threshold,
            first_object=len(self.tracks),
            known=anchors,
        )

    def _anchor(
        self, number: int, region: Region, confirmed: bool, template: ClassTemplate
    ) -> protocol.TrackAnchor | None:
        """None where the class of the region was deleted meanwhile."""
        specs = maps.region_specs(template, [region])
        if not specs:
            return None
        others: list[protocol.RegionSpec] = []
        if not region.geometry.outline and competes(specs[0].engine):
            # Alone on its frame such a region would win all of it.
            there = self._ctx.store.read(lambda cur: db.regions.of_frame(cur, region.frame_id))
            others = maps.region_specs(template, [other for other in there if other.id != region.id])
        return protocol.TrackAnchor(
            position=index_of(region) - self._low,
            object=number,
            region=specs[0],
            others=others,
            confirmed=confirmed,
        )

    def _take(self, reply: protocol.Tracked, start: int) -> None:
        """Leave what was found on one frame as records."""
        index = reply.position + self._low
        if index != self._next():
            raise Unavailable(f"The engine {self._args.engine} answered out of order after frame {start}.")
        things = sorted(reply.objects, key=lambda found: found.object)
        fresh = [found for found in things if found.object >= len(self.tracks)]
        if fresh:
            new = [
                Sources(track_id=self._track_of(f.object), class_id=f.class_id, region_ids=[]) for f in fresh
            ]
            _append(self._channel, self._past, Begun(objects=new))
        anchored = {n for n, region in [*self._leg.anchors, *self._added] if index_of(region) == index}
        looked = [f for f in things if f.object not in anchored and self._leg.covers(f.object, index)]
        seen = [(f, f.geometry) for f in looked if f.geometry is not None]
        lost = len(looked) - len(seen)
        step = Step(
            leg=self._leg.number,
            index=index,
            tracks=[self.tracks[found.object] for found in looked],
            objects=[found.object for found, _ in seen],
            regions=[self._region(index, found, geometry) for found, geometry in seen],
        )
        _append(self._channel, self._past, step)
        done = self._past.done
        message = f"frame {done} of {self._total}" + (f", {lost} lost" if lost else "")
        self._channel.report(done, self._total, message)

    def _track_of(self, number: int) -> str:
        """The track of an object; numbers of objects that were found come one after the other."""
        while number >= len(self.tracks):
            self.tracks.append(id_from(self._job.id, "object", len(self.tracks)))
        return self.tracks[number]

    def _region(self, index: int, found: protocol.TrackedObject, geometry: Geometry) -> Region:
        track = self.tracks[found.object]
        class_id, attributes = found.class_id, self._attributes.get(found.class_id, {})
        for number, source in self._leg.anchors:
            if number == found.object:
                class_id, attributes = source.class_id, source.attributes
                break
        frame = frame_id(self._args.asset_id, index)
        return Region(
            # A walk back makes regions of its own: those of the walk before it give way.
            id=id_from(self._job.id, track, frame, *([self._leg.number] if self._leg.fuses else [])),
            frame_id=frame,
            class_id=class_id,
            geometry=geometry,
            track_id=track,
            anchor=False,
            certificate=found.certificate,
            area=found.area,
            author=self._args.engine,
            attributes=attributes,
            score=round(found.score, 3),
            agreement=None if found.agreement is None else round(found.agreement, 3),
        )

    def _tell(self, request: int, template: ClassTemplate) -> None:
        """Hand the worker what a person confirmed or corrected of these tracks since the walk began."""
        numbers = {track: number for number, track in enumerate(self.tracks)}

        def read(cur: db.Cursor) -> list[Region]:
            return db.regions.anchors(cur, self._args.asset_id, self.tracks, self._low, self._high)

        for region in self._ctx.store.read(read):
            number = numbers[region.track_id or ""]
            known = self._told.get(region.id) == region.geometry
            if known or not self._leg.covers(number, index_of(region)):
                continue
            self._told[region.id] = region.geometry
            if (anchor := self._anchor(number, region, True, template)) is None:
                continue
            self._added = [pair for pair in self._added if pair[1].id != region.id] + [(number, region)]
            self._ctx.worker.tell(protocol.AddAnchor(track=request, anchor=anchor))
