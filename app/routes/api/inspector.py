"""The fusion inspector: /api/v1/frames/{id}/inspect and what-if, /api/v1/projects/{id}/what-if"""

from __future__ import annotations

from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from app.models import Job
from app.routes.api.common import known_frame, known_id
from app.services import inspector
from app.services.context import Context
from app.services.inspector import Inspection, Repricing, WhatIf


class Place(Struct, kw_only=True, forbid_unknown_fields=True):
    """A point of the frame; pixel centres lie at .5."""

    x: float
    y: float


@post("/frames/{frame_id:str}/inspect", status_code=200, sync_to_thread=True)
def inspect(ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[Place]) -> Inspection:
    return inspector.inspect(ctx, known_frame(frame_id), data.x, data.y)


@post("/frames/{frame_id:str}/what-if", status_code=200, sync_to_thread=True)
def what_if_here(ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[Repricing]) -> WhatIf:
    return inspector.what_if(ctx, known_frame(frame_id), data)


@post("/projects/{project_id:str}/what-if", status_code=202, sync_to_thread=True)
def what_if(ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[Repricing]) -> Job:
    return inspector.submit(ctx, known_id(project_id), data)


router = Router("/", route_handlers=[inspect, what_if_here, what_if], tags=["fusion inspector"])
