"""Which frames of which asset a job is to work on."""

from __future__ import annotations

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import Asset


def live_asset(cur: db.Cursor, project_id: str, asset_id: str) -> Asset:
    """An asset of the project. Raises NotFound, or Conflict where it lies in the trash."""
    asset = db.assets.find(cur, asset_id)
    if asset is None or asset.project_id != project_id:
        raise NotFound("The project has no such asset.")
    if asset.trashed_at is not None:
        raise Conflict("The asset is in the trash. Restore it in the Library first.")
    return asset


def frame_range(asset: Asset, start: int | None, stop: int | None) -> tuple[int, int]:
    """First and last frame index, both included; all frames where they are None. Raises Refused."""
    last = asset.frame_count - 1
    if last < 0:
        raise Refused("The asset has no frames yet. Wait until they are extracted.")
    first, end = 0 if start is None else start, last if stop is None else stop
    if not 0 <= first <= end <= last:
        raise Refused(
            f"The range must lie between the frame indices 0 and {last}, its start before its stop."
        )
    return first, end
