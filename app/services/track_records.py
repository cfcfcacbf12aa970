"""What a track job is asked (`Job.args`), and the records that it leaves for the database."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct, field

from app.models import Id, Region
from app.smoothing import Then
from app.worker.protocol import TextClass

AGREED = 0.8
"""Two walks between two anchors whose masks overlap less than this (IoU) disagree."""
SURE = 0.5
"""A tracker whose score is lower than this is not sure."""


class Sources(Struct, kw_only=True):
    """An object to follow: the regions that show it, and the track that all of its regions get."""

    track_id: Id
    class_id: int
    region_ids: list[Id]


class TrackArgs(Struct, kw_only=True):
    """Arguments of the jobs `track` (with `objects`) and `find` (with `texts`); frame indices, both included."""

    asset_id: Id
    start: int
    stop: int
    direction: str
    engine: str
    overwrite: bool
    actor: str
    label: str
    """What the edit is called."""
    objects: list[Sources] = field(default_factory=list)
    texts: list[TextClass] = field(default_factory=list)
    every: int = 10
    threshold: float = 0.5
    then: Then = Then()


class Begun(Struct, kw_only=True, tag="objects"):
    """Tracks that regions will belong to; the regions that they start from join them."""

    objects: list[Sources]


class Step(Struct, kw_only=True, tag="frame"):
    """What was found on one frame. `leg`: see `track_legs.Leg`.

    `objects`: the number of the object of each region; `tracks`: those that were looked for here, whose
    earlier regions on this frame give way.
    """

    leg: int
    index: int
    tracks: list[str]
    objects: list[int]
    regions: list[Region]


Record = Begun | Step


def args_of(raw: msgspec.Raw) -> TrackArgs:
    return msgspec.json.decode(raw, type=TrackArgs)


def is_unsure(region: Region) -> bool:
    """Whether a person should look at a tracked region (Region.score, .agreement)."""
    agreed = region.agreement is None or region.agreement >= AGREED
    return not agreed or (region.score is not None and region.score < SURE)


def id_from(*parts: object) -> str:
    """An id that follows from `parts`, so that doing the same again makes the same."""
    return hashlib.blake2b(" ".join(map(str, parts)).encode(), digest_size=12).hexdigest()
