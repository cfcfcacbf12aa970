"""Several frames of an asset at once, as playback and prefetch want them: facts, regions and region maps."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import Struct

from app.errors import PointillistError, Refused
from app.models import Frame
from app.services import maps
from app.services.context import Context
from app.services.frames import region_view
from app.services.maps import Scene
from app.services.views import RegionView

FRAMES_LIMIT = 64


class ClipFrame(Struct, kw_only=True, omit_defaults=True):
    """A frame of several that are sent at once. `key`: content key of its region map, of which `bytes` follow;
    `reason`: why none do, where it cannot be drawn."""

    frame: Frame
    regions: list[RegionView]
    key: str
    bytes: int = 0
    reason: str = ""


def scenes(ctx: Context, asset_id: str, start: int, count: int, step: int) -> list[Scene]:
    """The frames `start`, `start + step`, … as they stand now; fewer than `count` where the asset ends."""
    if start < 0 or step < 1 or not 1 <= count <= FRAMES_LIMIT or count * step > FRAMES_LIMIT * 8:
        raise Refused(
            f"`start` must not be negative, `count` must lie between 1 and {FRAMES_LIMIT}, and `step` must be"
            f" 1 or more, with {FRAMES_LIMIT * 8} frames between the first and the last at most."
        )
    return maps.read_scenes(ctx, asset_id, start, count, step)


def record(ctx: Context, current: Scene, known: Collection[str]) -> bytes:
    """One frame on the wire: u32 LE length of a JSON header (ClipFrame), the header, `bytes` of its region map.

    The map is a file of `app.formats.map_file`; none follows where its key is `known`, or where it cannot be
    drawn, which `reason` says.
    """
    head = ClipFrame(
        frame=current.frame,
        regions=[region_view(region, i) for i, region in enumerate(current.regions)],
        key=current.key,
    )
    body = b""
    if current.key not in known:
        try:
            file = maps.region_map_of(ctx, current)
        except PointillistError as exc:
            head.reason = exc.sentence
        else:
            body = file.body or Path(file.path).read_bytes()
    head.bytes = len(body)
    header = msgspec.json.encode(head)
    return len(header).to_bytes(4, "little") + header + body
