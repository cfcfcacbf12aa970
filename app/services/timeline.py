"""The timeline of an asset: states of its frames, and the lanes of its classes and tracks, as runs of frames."""

from __future__ import annotations

from msgspec import Struct, field

from app import store as db
from app.models import Run
from app.services.context import Context
from app.services.frame_runs import union, without
from app.services.views import Timeline

MOST_TRACKS = 2000
"""More than these, first come first, are counted and not listed: nobody scrolls through them."""


class TrackLane(Struct, kw_only=True):
    """Where a track is, as runs (start, length) of frames, ascending; `anchors` are single frames.

    `lost`: looked for and not seen, and no region there. `flagged`: a person should look.
    """

    id: str
    name: str
    regions: list[Run]
    anchors: list[int]
    lost: list[Run]
    flagged: list[Run]


class ClassLane(Struct, kw_only=True):
    """A class: all of its regions, its tracks by first appearance, and regions that belong to no track.

    `more`: how many further tracks it has that are not listed.
    """

    class_id: int
    regions: list[Run]
    tracks: list[TrackLane] = field(default_factory=list)
    loose: list[Run] = field(default_factory=list)
    loose_anchors: list[int] = field(default_factory=list)
    loose_flagged: list[Run] = field(default_factory=list)
    more: int = 0


class Lanes(Struct, kw_only=True):
    """`flagged`: the frames with a region, of whatever class, that a person should look at."""

    total: int
    classes: list[ClassLane]
    flagged: list[Run]


def timeline(ctx: Context, asset_id: str) -> Timeline:
    def query(cur: db.Cursor) -> Timeline:
        asset = db.assets.get(cur, asset_id)
        return Timeline(
            total=asset.frame_count,
            fps=asset.fps,
            duration=asset.duration,
            states=list(db.frames.states(cur, asset_id)),
            regions=db.frames.region_runs(cur, asset_id),
        )

    return ctx.lasting.ask(("timeline", asset_id), query)


def lanes(ctx: Context, asset_id: str, *, most: int = MOST_TRACKS) -> Lanes:
    """Every class that has regions in the asset, with its tracks by first appearance, `most` tracks in all.

    Raises NotFound where there is no such asset.
    """

    def query(cur: db.Cursor) -> Lanes:
        asset = db.assets.get(cur, asset_id)
        runs = db.lanes.track_runs(cur, asset_id)
        flagged = db.lanes.flagged_runs(cur, asset_id)
        anchors = db.lanes.anchors(cur, asset_id)
        named = {track.id: track for track in db.lanes.tracks(cur, asset_id)}
        of_class: dict[int, list[list[Run]]] = {}
        for (class_id, _), regions in runs.items():
            of_class.setdefault(class_id, []).append(regions)
        classes = {
            class_id: ClassLane(class_id=class_id, regions=union(many)) for class_id, many in of_class.items()
        }
        listed = 0
        for key, regions in runs.items():
            class_id, track_id = key
            lane = classes[class_id]
            if track_id is None:
                lane.loose, lane.loose_anchors = regions, anchors.get(key, [])
                lane.loose_flagged = flagged.get(key, [])
            elif listed >= most:
                lane.more += 1
            else:
                listed += 1
                track = named.get(track_id)
                # Regions of another class than their track's: the loss is told once, beside the track's own.
                lost = track.lost if track and track.class_id == class_id else []
                lane.tracks.append(
                    TrackLane(
                        id=track_id,
                        name=track.name if track else "",
                        regions=regions,
                        anchors=anchors.get(key, []),
                        lost=without(lost, regions),
                        flagged=flagged.get(key, []),
                    )
                )
        return Lanes(
            total=asset.frame_count,
            classes=list(classes.values()),
            flagged=union(flagged.values()),
        )

    return ctx.lasting.ask(("lanes", asset_id, most), query)
