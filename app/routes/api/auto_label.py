"""/api/v1/projects/{id}/auto-label: label whole frames by the classes of an engine."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from app.models import Job
from app.routes.api.common import actor_of, known_id
from app.services import auto_label
from app.services.auto_label import NewAutoLabel, Proposal
from app.services.context import Context

Req = Request[Any, Any, Any]


@post("/projects/{project_id:str}/auto-label", status_code=202, sync_to_thread=True)
def create(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], data: JSONBody[NewAutoLabel]
) -> Job:
    """The job's result names the import that makes the regions (`import_job`), as one edit."""
    return auto_label.submit(ctx, known_id(project_id), data, actor=actor_of(request))


@get("/projects/{project_id:str}/auto-label/mapping", sync_to_thread=True)
def mapping(
    ctx: NamedDependency[Context], project_id: FromPath[str], engine: FromQuery[str] = "deeplabv3"
) -> Proposal:
    """Which class of the template is proposed for each class of the engine, and which fit none."""
    return auto_label.propose(ctx, known_id(project_id), engine)


router = Router("/", route_handlers=[create, mapping], tags=["auto-label"])
