"""Edits of thousands of regions or frames, in batches: recorded, undone and redone in the transaction of the edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict
from app.models import Change, Edit, FrameRun, FrameState, Region, Track, as_raw, frame_id

BATCH = 2000
Row = TypeVar("Row", Region, Track, FrameRun)
_region: Callable[[bytes | msgspec.Raw], Region | None] = msgspec.json.Decoder(Region | None).decode
_track: Callable[[bytes | msgspec.Raw], Track | None] = msgspec.json.Decoder(Track | None).decode
_run: Callable[[bytes | msgspec.Raw], FrameRun | None] = msgspec.json.Decoder(FrameRun | None).decode


class Recorder:
    """Applies changes of regions, tracks and frame states, and keeps them for the edit `edit_id`.

    The edit itself is recorded at the end. Its changes may be made in several transactions, each with a recorder
    of its own.
    """

    def __init__(self, cur: db.Cursor, edit_id: str) -> None:
        self._cur = cur
        self.edit_id = edit_id
        self.count = db.bulk.count(cur, edit_id)

    def insert(self, regions: Sequence[Region]) -> None:
        stored = db.regions.insert_many(self._cur, regions)
        self._keep([_change(None, region) for region in stored])

    def delete(self, regions: Sequence[Region]) -> None:
        db.regions.delete_many(self._cur, [region.id for region in regions])
        self._keep([_change(region, None) for region in regions])

    def update(self, before: Sequence[Region], after: Sequence[Region]) -> None:
        """`after[i]` replaces `before[i]`, which is the stored row."""
        stored = db.regions.update_many(self._cur, after)
        self._keep([_change(old, new) for old, new in zip(before, stored, strict=True)])

    def insert_track(self, track: Track) -> None:
        stored = db.tracks.insert(self._cur, track)
        self._keep([Change(table="track", id=track.id, before=as_raw(None), after=as_raw(stored))])

    def update_track(self, before: Track, after: Track) -> None:
        """`after` replaces `before`, which is the stored row."""
        stored = db.tracks.update(self._cur, after)
        self._keep([Change(table="track", id=after.id, before=as_raw(before), after=as_raw(stored))])

    def delete_track(self, track: Track) -> None:
        db.tracks.delete(self._cur, track.id)
        self._keep([Change(table="track", id=track.id, before=as_raw(track), after=as_raw(None))])

    def set_states(self, before: Sequence[FrameRun], state: FrameState) -> None:
        """`before`: runs of frames of one asset as they are stored; all of them get `state`."""
        after = [replace(run, state=state) for run in before]
        for start in range(0, len(after), BATCH):
            db.frames.set_states(self._cur, after[0].asset_id, after[start : start + BATCH])
        self._keep(
            [
                Change(
                    table="frame_run",
                    id=frame_id(old.asset_id, old.start),
                    before=as_raw(old),
                    after=as_raw(new),
                )
                for old, new in zip(before, after, strict=True)
            ]
        )

    def _keep(self, changes: list[Change]) -> None:
        self.count = db.bulk.add(self._cur, self.edit_id, self.count, changes)


def apply(cur: db.Cursor, edit: Edit, *, backwards: bool) -> set[tuple[str, int]]:
    """Take the bulk changes of an edit back, or make them again. Raises Conflict when a region was changed since.

    Returns the (asset, class) pairs of the regions that are there now.
    """
    used: set[tuple[str, int]] = set()
    for changes in db.bulk.batches(cur, edit.id, edit.bulk, backwards=backwards):
        pairs = _composed(_pairs([c for c in changes if c.table == "region"], _region, backwards))
        _apply(cur, pairs)
        _apply_tracks(cur, _pairs([c for c in changes if c.table == "track"], _track, backwards))
        _apply_states(cur, _pairs([c for c in changes if c.table == "frame_run"], _run, backwards))
        used.update((new.frame_id[:24], new.class_id) for _old, new in pairs if new is not None)
    return used


def _pairs(
    changes: Sequence[Change], decode: Callable[[bytes | msgspec.Raw], Row | None], backwards: bool
) -> list[tuple[Row | None, Row | None]]:
    """What each row is to be changed from, and to."""
    pairs = [(decode(change.before), decode(change.after)) for change in changes]
    return [(after, before) for before, after in pairs] if backwards else pairs


def _composed(
    pairs: Sequence[tuple[Region | None, Region | None]],
) -> list[tuple[Region | None, Region | None]]:
    """One pair for each region, from what it was at first to what it is at last: a walk back replaces what the
    walk before it made under the same edit.
    """
    spans: dict[str, tuple[Region | None, Region | None]] = {}
    for old, new in pairs:
        row = new or old
        if row is not None:
            spans[row.id] = (spans[row.id][0] if row.id in spans else old, new)
    return [pair for pair in spans.values() if pair != (None, None)]


def _apply_tracks(cur: db.Cursor, pairs: list[tuple[Track | None, Track | None]]) -> None:
    for old, new in pairs:
        if old is not None:
            now = db.tracks.find(cur, old.id)
            if now is None or replace(now, revision=0) != replace(old, revision=0):
                raise Conflict(
                    f"The track {old.name} was changed since. Take that change back first.",
                    table="track",
                    id=old.id,
                )
        if old is not None and new is not None:
            db.tracks.update(cur, new)
        elif new is not None:
            db.tracks.insert(cur, replace(new, revision=new.revision + 2))
        elif old is not None:
            db.tracks.delete(cur, old.id)


def _apply_states(cur: db.Cursor, pairs: list[tuple[FrameRun | None, FrameRun | None]]) -> None:
    """Runs of frames are never made nor deleted: both sides are there."""
    old, new = [run for run, _ in pairs if run is not None], [run for _, run in pairs if run is not None]
    if not old:
        return
    asset_id = old[0].asset_id
    if db.frames.count_in_states(cur, asset_id, old) != sum(run.length for run in old):
        raise Conflict(
            "The state of a frame of this edit was changed since. Take that change back first.",
            table="frame",
            id=frame_id(asset_id, old[0].start),
        )
    db.frames.set_states(cur, asset_id, new)


def _apply(cur: db.Cursor, pairs: list[tuple[Region | None, Region | None]]) -> None:
    current = db.regions.find_many(cur, [(old or new).id for old, new in pairs if (old or new) is not None])  # pyright: ignore[reportOptionalMemberAccess]
    gone, made, changed = [], [], []
    for old, new in pairs:
        now = current.get(old.id if old is not None else new.id if new is not None else "")
        if old is not None and new is not None and now is not None and _keeps(now, old, new):
            changed.append(_merged(now, old, new))
            continue
        if not _same(now, old):
            raise Conflict(
                "A region of this edit was changed since. Take that change back first, or delete the region.",
                table="region",
                id=(now or old or new).id,  # pyright: ignore[reportOptionalMemberAccess]
            )
        if new is None:
            gone.append(old)
        else:
            # Counted on from what it was, so that a page that still shows the old one is refused.
            made.append(replace(new, revision=new.revision + 2))
    db.regions.delete_many(cur, [region.id for region in gone])
    db.regions.insert_many(cur, made)
    db.regions.update_many(cur, changed)


def _change(before: Region | None, after: Region | None) -> Change:
    id = after.id if after is not None else before.id if before is not None else ""
    return Change(table="region", id=id, before=as_raw(before), after=as_raw(after))


def _fields(old: Region, new: Region) -> list[str]:
    """What the edit changed. What somebody else changed since may stay: the class goes back, the points do not."""
    names = [n for n in Region.__struct_fields__ if n not in ("revision", "updated_at")]
    return [name for name in names if getattr(old, name) != getattr(new, name)]


def _keeps(now: Region, old: Region, new: Region) -> bool:
    return all(getattr(now, name) == getattr(old, name) for name in _fields(old, new))


def _merged(now: Region, old: Region, new: Region) -> Region:
    return replace(now, **{name: getattr(new, name) for name in _fields(old, new)})


def _same(a: Region | None, b: Region | None) -> bool:
    if a is None or b is None:
        return a is b
    return replace(a, revision=0, updated_at=0.0) == replace(b, revision=0, updated_at=0.0)
