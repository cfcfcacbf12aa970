"""Tracks: regions followed through a video, or found in it by text, as jobs of the engine worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from app import store as db
from app.errors import NotFound, Refused
from app.models import Asset, ClassTemplate, Id, Job, Project, Region, Run, new_id
from app.services import engine_jobs, jobs, projects, track_runs
from app.services.asset_ranges import frame_range, live_asset
from app.services.context import Context
from app.services.track_legs import around, index_of
from app.services.track_records import Sources, TrackArgs, id_from
from app.smoothing import Then, check
from app.worker import registry, weights
from app.worker.protocol import Ability, EngineInfo, TextClass

MAX_REGIONS = 200
MAX_TEXTS = 50
VERBS = {
    "track": "track masks through a video",
    "find": "find text in a video",
    "label": "label whole frames",
}


class NewTrack(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to follow: regions of one asset, or all instances of some texts.

    `start`, `stop`: frame indices, both included; all frames where they are left out. `direction`, from the
    regions on; `between` follows each from the anchor before it to the anchor behind it, and counts the region
    itself where it is an anchor. Between two anchors objects are followed both ways. `every`: for texts, on
    which frames it is looked for new instances. `overwrite`: also write to frames that are approved. Frames on
    which a person confirmed a region of the track always keep it. `then`: what follows in the same job.
    """

    asset_id: Id
    region_ids: Annotated[list[Id], Meta(max_length=MAX_REGIONS)] = field(default_factory=list)
    texts: Annotated[list[TextClass], Meta(max_length=MAX_TEXTS)] = field(default_factory=list)
    start: Annotated[int, Meta(ge=0)] | None = None
    stop: Annotated[int, Meta(ge=0)] | None = None
    direction: Literal["forward", "backward", "both", "between"] = "forward"
    every: Annotated[int, Meta(ge=1, le=1000)] = 10
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    engine: str | None = None
    overwrite: bool = False
    then: Then = Then()
    id: Id | None = None
    """Of the job; the same twice is one job."""


class TrackView(Struct, kw_only=True):
    """A track on the frames of one asset. `anchors`: how many of its regions a person confirmed; `first` and
    `last`: frame indices; `lost`: runs of frames where it was looked for and not seen.
    """

    id: str
    class_id: int
    name: str
    asset_id: str
    regions: int
    anchors: int
    first: int
    last: int
    lost: list[Run]


def listing(ctx: Context, project_id: str) -> list[TrackView]:
    """The tracks of a project that have regions. Raises NotFound."""

    def query(cur: db.Cursor) -> list[TrackView]:
        db.projects.get(cur, project_id)
        return [
            TrackView(
                id=found.track_id,
                class_id=found.class_id,
                name=found.name,
                asset_id=found.asset_id,
                regions=found.regions,
                anchors=found.anchors,
                first=found.first,
                last=found.last,
                lost=found.lost,
            )
            for found in db.tracks.extents(cur, project_id)
        ]

    return ctx.store.read(query)


def submit(ctx: Context, project_id: str, wanted: NewTrack, *, actor: str) -> Job:
    """Queue a track. The same job id again answers with the job that there is.

    Raises NotFound; Conflict for a project or asset in the trash; Refused for what cannot be tracked, also
    where no engine can, with the next step.
    """
    job_id = wanted.id or new_id()
    known = ctx.store.read(lambda cur: db.jobs.find(cur, job_id))
    if known is not None:
        return known
    if bool(wanted.region_ids) == bool(wanted.texts):
        raise Refused("Name regions to track, or texts to find: one of them.")
    kind = "track" if wanted.region_ids else "find"

    def query(cur: db.Cursor) -> tuple[Project, Asset, ClassTemplate, list[Region]]:
        project = projects.require_live(cur, project_id)
        template = db.class_templates.get(cur, project.class_template_id)
        asset = live_asset(cur, project_id, wanted.asset_id)
        found = db.regions.find_many(cur, wanted.region_ids)
        return project, asset, template, [found[id] for id in dict.fromkeys(wanted.region_ids) if id in found]

    project, asset, template, regions = ctx.store.read(query)
    if wanted.then.smoothing is not None:
        check(wanted.then.smoothing)
    start, stop = frame_range(asset, wanted.start, wanted.stop)
    names = {c.id: c.name for c in template.classes}
    if kind == "track":
        _check_regions(wanted, regions, asset, start, stop)
        if wanted.direction == "between":
            ctx.store.read(lambda cur: _check_anchors(cur, regions, asset, start, stop))
        objects, texts = _objects(job_id, regions), []
        what = _listed([names.get(one.class_id, "region") for one in objects])
        title = f"Track {what}"
    else:
        objects, texts = [], _texts(wanted.texts, names)
        what = _listed([f"“{one.text}”" for one in texts])
        title = f"Find {what}"
    engine = choose(ctx, project.engine, wanted.engine, kind)
    args = TrackArgs(
        asset_id=asset.id,
        start=start,
        stop=stop,
        direction=wanted.direction,
        engine=engine.id,
        overwrite=wanted.overwrite,
        actor=actor,
        label=f"{what} ({asset.name})",
        objects=objects,
        texts=texts,
        every=wanted.every,
        threshold=wanted.threshold,
        then=wanted.then,
    )
    return jobs.submit(
        ctx,
        kind,
        project_id,
        f"{title}: {asset.name} ({engine.id})",
        msgspec.to_builtins(args),
        asset_id=asset.id,
        id=job_id,
    )


def choose(ctx: Context, default: str, wanted: str | None, ability: Ability) -> EngineInfo:
    """The engine for a job: the one that is wanted, else the project's where it can, else the first that can.

    Raises Refused, with what to do, where it cannot, or where none can.
    """
    infos = weights.infos(ctx.settings.data, fake=ctx.settings.fake_engine)
    able = [info for info in infos if ability in info.can]
    if wanted is not None:
        registry.entry_of(wanted, fake=ctx.settings.fake_engine)
        info = next(info for info in infos if info.id == wanted)
        if ability not in info.can:
            others = " or ".join(one.id for one in able)
            raise Refused(f"The engine {wanted} cannot {VERBS[ability]}. Choose {others}.")
        if not info.available:
            raise Refused(f"{info.reason} {info.step}.")
        return info
    ready = [info for info in able if info.available]
    if not ready:
        first = able[0]
        raise Refused(f"No engine here can {VERBS[ability]} yet. {first.reason} {first.step}.")
    return next((info for info in ready if info.id == default), ready[0])


def _check_regions(wanted: NewTrack, regions: Sequence[Region], asset: Asset, start: int, stop: int) -> None:
    if len(regions) < len(set(wanted.region_ids)):
        raise NotFound("A region to track does not exist any more. Choose others.")
    indices = [index_of(region) for region in regions]
    if any(region.frame_id[:24] != asset.id for region in regions):
        raise Refused("All regions to track must lie on frames of the same asset.")
    outside = next((i for i in indices if not start <= i <= stop), None)
    if outside is not None:
        raise Refused(
            f"A region to track lies on the frame with index {outside}, outside the range {start} to {stop}."
        )
    forward, backward = min(indices) < stop, max(indices) > start
    room = {"forward": forward, "backward": backward, "both": forward or backward, "between": True}
    if not room[wanted.direction]:
        raise Refused("There is no further frame in this direction. Choose another direction or range.")


def _check_anchors(cur: db.Cursor, regions: Sequence[Region], asset: Asset, start: int, stop: int) -> None:
    tracks = [region.track_id for region in regions if region.track_id]
    known: dict[str | None, list[Region]] = {}
    for anchor in db.regions.anchors(cur, asset.id, tracks, start, stop):
        known.setdefault(anchor.track_id, []).append(anchor)
    if not any(around(known.get(region.track_id, []), region) for region in regions):
        raise Refused(
            "Between anchors needs two of them: confirm or correct the region on another frame first."
        )


def _objects(job_id: str, regions: Sequence[Region]) -> list[Sources]:
    """One object for each track, and for each region that belongs to none."""
    objects: dict[str, Sources] = {}
    for region in regions:
        track = region.track_id or id_from(job_id, region.id)
        thing = objects.setdefault(track, Sources(track_id=track, class_id=region.class_id, region_ids=[]))
        thing.region_ids.append(region.id)
    return list(objects.values())


def _texts(texts: Sequence[TextClass], names: dict[int, str]) -> list[TextClass]:
    found = [TextClass(text=" ".join(one.text.split()), class_id=one.class_id) for one in texts]
    if not all(one.text and one.text.isprintable() for one in found):
        raise Refused("Say in words what to look for.")
    unknown = next((one.class_id for one in found if one.class_id not in names), None)
    if unknown is not None:
        raise Refused(f"The class template has no class with the id {unknown}.")
    return found


def _listed(names: Sequence[str]) -> str:
    """Up to three different names, in words."""
    different = list(dict.fromkeys(names))
    if len(different) > 3:
        return f"{', '.join(different[:2])} and {len(different) - 2} more"
    return " and ".join(filter(None, (", ".join(different[:-1]), different[-1])))


engine_jobs.register("track", track_runs.run_track)
engine_jobs.register("find", track_runs.run_find)
