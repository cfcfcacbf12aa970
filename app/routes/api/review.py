"""/api/v1/projects/{id}/review: which frames to look at next, and which a person has opened."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from app.routes.api.common import actor_of, known_frame, known_id
from app.services import review
from app.services.context import Context
from app.services.review import Entry, ReviewView

Req = Request[Any, Any, Any]


@get("/projects/{project_id:str}/review", sync_to_thread=True)
def queue(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    asset_id: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
    offset: FromQuery[int] = 0,
) -> ReviewView:
    """The frames by expected gain of a look, with reasons; how many there are, and how many were opened."""
    asset = None if asset_id is None else known_id(asset_id)
    return review.queue(ctx, known_id(project_id), asset_id=asset, limit=limit, offset=offset)


@get("/projects/{project_id:str}/review/next", sync_to_thread=True)
def upcoming(
    ctx: NamedDependency[Context],
    project_id: FromPath[str],
    frame_id: FromQuery[str | None] = None,
    asset_id: FromQuery[str | None] = None,
) -> Entry | None:
    """The entry to open after `frame_id`; null where nothing is left to look at."""
    after = None if frame_id is None else known_frame(frame_id)
    asset = None if asset_id is None else known_id(asset_id)
    return review.upcoming(ctx, known_id(project_id), after, asset_id=asset)


@get("/frames/{frame_id:str}/review", sync_to_thread=True)
def of_frame(ctx: NamedDependency[Context], frame_id: FromPath[str]) -> Entry | None:
    """Why a frame is in the queue; null where it is not."""
    return review.of_frame(ctx, known_frame(frame_id))


@post("/frames/{frame_id:str}/seen", status_code=204, sync_to_thread=True)
def look(request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str]) -> None:
    """A person opened the frame."""
    review.look(ctx, known_frame(frame_id), actor=actor_of(request))


router = Router("/", route_handlers=[queue, upcoming, of_frame, look], tags=["review"])
