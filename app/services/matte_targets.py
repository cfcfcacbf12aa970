"""What a matte is made of: tracks, classes and regions of an asset, and on which frames they have masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct, field

from app import store as db
from app.errors import NotFound, Refused
from app.models import Asset, ClassTemplate, Id, Region, Run
from app.services.frame_runs import runs_of, union, without
from app.services.text import clean_name
from tasks.matte_files import Target

MOST = 20
"""Targets of one job."""
APART = 48
"""Frames from one anchor to the next where every frame has one, as after an import."""
SHORT = 60
"""Characters of a name that is made of several."""


class MatteTarget(Struct, kw_only=True, forbid_unknown_fields=True):
    """One output: everything in the lists taken together. A region that belongs to a track stands for its track.

    `name`: in the names of the files; without one it is made of what is in it.
    """

    name: Annotated[str, Meta(max_length=100)] | None = None
    track_ids: Annotated[list[Id], Meta(max_length=1000)] = field(default_factory=list)
    class_ids: Annotated[list[int], Meta(max_length=1000)] = field(default_factory=list)
    region_ids: Annotated[list[Id], Meta(max_length=1000)] = field(default_factory=list)


class Found(Struct, kw_only=True):
    """A target on the frames that were asked for. `there`: frames with a region of it; `anchors`: those where a
    person confirmed one; `classes`: names of what it is made of.
    """

    target: Target
    there: list[Run]
    anchors: list[int]
    classes: list[str]


def find(
    cur: db.Cursor,
    project_id: str,
    asset: Asset,
    template: ClassTemplate,
    wanted: Sequence[MatteTarget],
    start: int,
    stop: int,
) -> list[Found]:
    """The targets on the frames from `start` to `stop`, both included.

    Raises Refused for a class or track that is not there, a target of nothing, and one without a region on any of the
    frames; NotFound for a region that is gone.
    """
    if not wanted:
        raise Refused("Choose what to cut out: a track, a class or regions.")
    if len(wanted) > MOST:
        raise Refused(f"{len(wanted)} targets are too many at once: choose at most {MOST}.")
    names = {c.id: c.name for c in template.classes}
    runs, anchors = db.lanes.track_runs(cur, asset.id), db.lanes.anchors(cur, asset.id)
    tracks = {track.id: track.name for track in db.tracks.of_project(cur, project_id)}
    tracks |= {track: "" for _, track in runs if track is not None and track not in tracks}
    found: list[Found] = []
    for one in wanted:
        _require("class", map(str, one.class_ids), [str(id) for id in names])
        _require("track", one.track_ids, tracks)
        regions = _regions(cur, asset, one.region_ids)
        target = Target(
            name="",
            track_ids=sorted({*one.track_ids, *(r.track_id for r in regions if r.track_id)}),
            class_ids=sorted(set(one.class_ids)),
            region_ids=sorted(r.id for r in regions if not r.track_id),
        )
        keys = [key for key in runs if key[0] in target.class_ids or (key[1] and key[1] in target.track_ids)]
        alone = [r for r in regions if not r.track_id]
        classes = {key[0] for key in keys} | {r.class_id for r in alone} | set(target.class_ids)
        target.name = clean_name(one.name) if one.name else _name(target, tracks, names, alone)
        there = within(union([*(runs[key] for key in keys), runs_of(_index(r) for r in alone)]), start, stop)
        if not there:
            raise Refused(
                f"“{target.name}” has no region on the frames that were chosen. Track it first, or choose other "
                "frames."
            )
        confirmed = {index for key in keys for index in anchors.get(key, [])}
        confirmed |= {_index(r) for r in alone if r.anchor}
        found.append(
            Found(
                target=target,
                there=there,
                anchors=sorted(index for index in confirmed if start <= index <= stop),
                classes=sorted(names.get(id, "") for id in classes),
            )
        )
    _tell_apart([one.target for one in found])
    return found


def sparse(anchors: Sequence[int]) -> list[int]:
    """Of confirmed frames, ascending, those that an engine begins at which follows an object: masks side by side say
    hardly more than the first of them, and each costs a walk.
    """
    return [index for start, length in runs_of(anchors) for index in range(start, start + length, APART)]


def missing(there: list[Run], start: int, stop: int) -> list[Run]:
    """The frames from `start` to `stop`, both included, that are in none of the runs."""
    return without([(start, stop - start + 1)], there)


def within(runs: list[Run], start: int, stop: int) -> list[Run]:
    """The part of the runs that lies on the frames from `start` to `stop`, both included."""
    clipped = [(max(first, start), min(first + length, stop + 1)) for first, length in runs]
    return [(first, end - first) for first, end in clipped if end > first]


def _regions(cur: db.Cursor, asset: Asset, ids: Sequence[str]) -> list[Region]:
    found = db.regions.find_many(cur, sorted(set(ids)))
    if len(found) < len(set(ids)):
        raise NotFound("A region of the target does not exist any more. Choose others.")
    if any(region.frame_id[:24] != asset.id for region in found.values()):
        raise Refused("All regions of a target must lie on frames of the asset.")
    return list(found.values())


def _index(region: Region) -> int:
    return int(region.frame_id[25:])


def _name(target: Target, tracks: dict[str, str], names: dict[int, str], alone: Sequence[Region]) -> str:
    parts = [names[id] for id in target.class_ids] + [tracks[id] for id in target.track_ids]
    parts += [names.get(region.class_id, "") for region in alone]
    parts = list(dict.fromkeys(part for part in parts if part))
    if not parts and not (target.class_ids or target.track_ids or alone):
        raise Refused("A target needs a track, a class or a region.")
    name = ", ".join(parts)
    return (name if len(name) <= SHORT else f"{parts[0][:SHORT]} + {len(parts) - 1}") or "target"


def _tell_apart(targets: Sequence[Target]) -> None:
    """Number the targets that would be called the same."""
    taken: set[str] = set()
    for target in targets:
        name, number = target.name, 2
        while target.name.casefold() in taken:
            target.name, number = f"{name} {number}", number + 1
        taken.add(target.name.casefold())


def _require(what: str, wanted: object, there: object) -> None:
    lacking = sorted(set(wanted) - set(there))  # pyright: ignore[reportArgumentType]
    if lacking:
        raise Refused(f"The project has no {what} {', '.join(id[:40] for id in lacking[:5])}.")
