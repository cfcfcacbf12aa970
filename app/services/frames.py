"""Frames: look one up, page through an asset, set a frame's state."""

from __future__ import annotations

from pathlib import Path

from app import store as db
from app.errors import NotFound, Refused
from app.models import Asset, Change, Frame, FrameState, Region, as_raw, new_id
from app.services import history, maps, projects
from app.services.context import Context
from app.services.views import FrameCell, FramePage, FrameView, RegionView

STATES = ("todo", "done", "approved")
PAGE_LIMIT = 1000


def view(ctx: Context, frame_id: str) -> FrameView:
    def query(cur: db.Cursor) -> FrameView:
        frame, asset = locate(cur, frame_id)
        scene = maps.scene(cur, frame, asset)
        return FrameView(
            frame=frame,
            asset=asset,
            project_id=asset.project_id,
            regions=[region_view(r, i) for i, r in enumerate(scene.regions)],
            key=scene.key,
        )

    return ctx.store.read(query)


def locate(cur: db.Cursor, frame_id: str) -> tuple[Frame, Asset]:
    frame = db.frames.get(cur, frame_id)
    return frame, db.assets.get(cur, frame.asset_id)


def region_view(region: Region, order: int) -> RegionView:
    return RegionView(
        id=region.id,
        frame_id=region.frame_id,
        class_id=region.class_id,
        geometry=region.geometry,
        track_id=region.track_id,
        anchor=region.anchor,
        certificate=region.certificate,
        area=region.area,
        author=region.author,
        revision=region.revision,
        order=order,
        attributes=region.attributes,
        score=region.score,
        agreement=region.agreement,
    )


def page(ctx: Context, asset_id: str, start: int, limit: int) -> FramePage:
    if start < 0 or not 1 <= limit <= PAGE_LIMIT:
        raise Refused(f"`start` must not be negative and `limit` must lie between 1 and {PAGE_LIMIT}.")

    def query(cur: db.Cursor) -> FramePage:
        asset = db.assets.get(cur, asset_id)
        rows = db.frames.page(cur, asset_id, start, limit)
        counts = db.frames.with_regions(cur, asset_id, start, start + limit)
        cells = [
            FrameCell(
                id=f.id,
                index=f.index,
                pts=f.pts,
                width=f.width,
                height=f.height,
                state=f.state,
                revision=f.revision,
                regions=counts.get(f.index, 0),
            )
            for f in rows
        ]
        return FramePage(asset=asset_id, total=asset.frame_count, start=start, frames=cells)

    return ctx.store.read(query)


def set_state(
    ctx: Context,
    frame_id: str,
    state: FrameState,
    *,
    expected_revision: int | None,
    actor: str,
    op_id: str | None = None,
) -> Frame:
    """todo → done → approved, as one undoable edit. The frame stays what it was until this returns."""
    if state not in STATES:
        raise Refused(f"A frame is todo, done or approved, not {state!r}.")

    def write(cur: db.Cursor) -> tuple[Frame, str]:
        before, asset = locate(cur, frame_id)
        if (op_id and db.edits.by_id(cur, op_id)) or before.state == state:
            return before, asset.project_id
        after = db.frames.set_state(cur, frame_id, state, expected_revision)
        projects.begin(cur, db.projects.get(cur, asset.project_id))
        history.record(
            cur,
            project_id=asset.project_id,
            actor=actor,
            op_id=op_id or new_id(),
            kind="set-frame-state",
            label=state,
            frame_id=frame_id,
            changes=[
                Change(
                    table="frame",
                    id=frame_id,
                    before=as_raw(before),
                    after=as_raw(after),
                )
            ],
        )
        return after, asset.project_id

    frame, project_id = ctx.store.write(write)
    ctx.events.publish(
        "frame", {"id": frame_id, "state": frame.state, "revision": frame.revision}, project_id
    )
    return frame


def file_of(ctx: Context, frame_id: str, *, thumb: bool) -> tuple[Path, str]:
    """The image (or thumbnail) file of a frame and its content hash."""

    def query(cur: db.Cursor) -> Frame:
        return db.frames.get(cur, frame_id)

    frame = ctx.store.read(query)
    path = ctx.paths.asset(frame.asset_id) / (frame.thumb if thumb else frame.file)
    if not path.is_file():
        raise NotFound("The image of this frame is missing from the data folder. Import the asset again.")
    return path, frame.hash
