"""/api/v1/projects/{id}/tracks: regions followed through a video, or found in it by text."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.models import Job
from app.routes.api.common import actor_of, known_id
from app.services import tracks
from app.services.context import Context
from app.services.tracks import NewTrack, TrackView

Req = Request[Any, Any, Any]


@post("/projects/{project_id:str}/tracks", status_code=202, sync_to_thread=True)
def create(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewTrack]
) -> Job:
    """Track `region_ids`, or find `texts`, through the frames of an asset."""
    return tracks.submit(ctx, known_id(project_id), data, actor=actor_of(request))


@get("/projects/{project_id:str}/tracks", sync_to_thread=True)
def listing(ctx: NamedDependency[Context], project_id: FromPath[str]) -> list[TrackView]:
    return tracks.listing(ctx, known_id(project_id))


router = Router("/", route_handlers=[create, listing], tags=["tracks"])
