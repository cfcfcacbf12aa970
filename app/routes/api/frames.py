"""/api/v1/frames and /api/v1/regions"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from litestar import HttpMethod, Request, Response, Router, delete, get, patch, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct, field

from app.models import Frame, FrameState, Geometry, Point
from app.routes.api.common import actor_of, known_frame, known_id, operation_of, revision_of
from app.routes.files import IMMUTABLE, passing, serve
from app.services import annotate, frame_states, frames, maps, prompts, region_copies, region_scopes
from app.services.context import Context
from app.services.frame_states import StatesResult
from app.services.prompts import Exemplar
from app.services.region_copies import RegionCopies
from app.services.region_scopes import Scope, ScopeResult, ScopesView
from app.services.views import FrameView, NewRegion, RegionPatch, RegionResult, RegionsResult, RegionView

Req = Request[Any, Any, Any]
GET_HEAD = [HttpMethod.GET, HttpMethod.HEAD]
MAX_INDEX = (1 << 31) - 2


class StateChange(Struct, kw_only=True, forbid_unknown_fields=True):
    state: FrameState


class StatesChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """`start`, `stop`: frame indices, both included."""

    start: Annotated[int, Meta(ge=0, le=MAX_INDEX)]
    stop: Annotated[int, Meta(ge=0, le=MAX_INDEX)]
    state: FrameState


class Prompt(Struct, kw_only=True, forbid_unknown_fields=True):
    points: list[Point] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    text: Annotated[str, Meta(max_length=500)] | None = None
    exemplars: Annotated[list[Exemplar], Meta(max_length=50)] = field(default_factory=list)
    engine: Annotated[str, Meta(max_length=50)] | None = None


class NewRegions(Struct, kw_only=True, forbid_unknown_fields=True):
    regions: Annotated[list[NewRegion], Meta(min_length=1, max_length=200)]


@get("/frames/{frame_id:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], frame_id: FromPath[str]) -> FrameView:
    return frames.view(ctx, known_frame(frame_id))


@patch("/frames/{frame_id:str}", sync_to_thread=True)
def set_state(
    request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[StateChange]
) -> Frame:
    return frames.set_state(
        ctx,
        known_frame(frame_id),
        data.state,
        expected_revision=revision_of(request),
        actor=actor_of(request),
        op_id=operation_of(request),
    )


@post("/assets/{asset_id:str}/states", status_code=200, sync_to_thread=True)
def set_states(
    request: Req, ctx: NamedDependency[Context], asset_id: FromPath[str], data: JSONBody[StatesChange]
) -> StatesResult:
    return frame_states.set_range(
        ctx,
        known_id(asset_id),
        data.start,
        data.stop,
        data.state,
        actor=actor_of(request),
        op_id=operation_of(request),
    )


@route("/frames/{frame_id:str}/image", http_method=GET_HEAD)
async def image(request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str]) -> Response[Any]:
    path, tag = await to_thread.run_sync(lambda: frames.file_of(ctx, known_frame(frame_id), thumb=False))
    return await serve(request, path, etag=tag, cache=IMMUTABLE)


@route("/frames/{frame_id:str}/thumb", http_method=GET_HEAD)
async def thumb(request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str]) -> Response[Any]:
    path, tag = await to_thread.run_sync(lambda: frames.file_of(ctx, known_frame(frame_id), thumb=True))
    return await serve(request, path, etag=f"t-{tag}", cache=IMMUTABLE)


@get("/frames/{frame_id:str}/region-map")
async def region_map(request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str]) -> Response[Any]:
    file = await to_thread.run_sync(maps.region_map, ctx, known_frame(frame_id))
    if file.body:
        return passing(file.body, file.substituted, encoding="gzip")
    return await serve(request, Path(file.path), etag=file.key, encoding="gzip")


@get("/frames/{frame_id:str}/label-map.png")
async def label_map(
    request: Req,
    ctx: NamedDependency[Context],
    frame_id: FromPath[str],
    mode: FromQuery[str] = "palette",
    unlabelled: FromQuery[int | None] = None,
) -> Response[Any]:
    file = await to_thread.run_sync(maps.label_map_png, ctx, known_frame(frame_id), mode, unlabelled)
    if file.body:
        return passing(file.body, file.substituted, media_type="image/png")
    return await serve(request, Path(file.path), etag=file.key)


@get("/frames/{frame_id:str}/regions", sync_to_thread=True)
def regions(ctx: NamedDependency[Context], frame_id: FromPath[str]) -> list[RegionView]:
    return frames.view(ctx, known_frame(frame_id)).regions


@post("/frames/{frame_id:str}/regions", sync_to_thread=True)
def add(
    request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[NewRegion]
) -> RegionResult:
    return annotate.add(
        ctx, known_frame(frame_id), data, actor=actor_of(request), op_id=operation_of(request)
    )


@post("/frames/{frame_id:str}/regions/batch", sync_to_thread=True)
def add_many(
    request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[NewRegions]
) -> RegionsResult:
    return annotate.add_many(
        ctx, known_frame(frame_id), data.regions, actor=actor_of(request), op_id=operation_of(request)
    )


@post("/frames/{frame_id:str}/regions/copy", sync_to_thread=True)
def copy(
    request: Req, ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[RegionCopies]
) -> RegionsResult:
    return region_copies.copy(
        ctx, known_frame(frame_id), data, actor=actor_of(request), op_id=operation_of(request)
    )


@post("/frames/{frame_id:str}/predict", status_code=200, sync_to_thread=True)
def predict(ctx: NamedDependency[Context], frame_id: FromPath[str], data: JSONBody[Prompt]) -> dict[str, Any]:
    geometry = Geometry(points=data.points, box=data.box, text=data.text)
    frame = known_frame(frame_id)
    return prompts.proposals(ctx, frame, geometry, exemplars=data.exemplars, engine=data.engine)


@get("/regions/{region_id:str}", sync_to_thread=True)
def read_region(ctx: NamedDependency[Context], region_id: FromPath[str]) -> RegionView:
    return frames.region_view(annotate.get(ctx, known_id(region_id)), 0)


@patch("/regions/{region_id:str}", sync_to_thread=True)
def change(
    request: Req, ctx: NamedDependency[Context], region_id: FromPath[str], data: JSONBody[RegionPatch]
) -> RegionResult:
    return annotate.change(
        ctx,
        known_id(region_id),
        data,
        expected_revision=revision_of(request),
        actor=actor_of(request),
        op_id=operation_of(request),
    )


@delete("/regions/{region_id:str}", status_code=200, sync_to_thread=True)
def remove(
    request: Req,
    ctx: NamedDependency[Context],
    region_id: FromPath[str],
    reach: Annotated[Scope, QueryParameter(name="scope")] = "frame",
) -> RegionResult | ScopeResult:
    """Delete the region, or with it those of its track on the frames from its own on (`onward`), up to its own
    (`backward`), or on all frames of the asset (`track`).
    """
    known = known_id(region_id)
    revision, actor, op_id = revision_of(request), actor_of(request), operation_of(request)
    if reach == "frame":
        return annotate.delete(ctx, known, expected_revision=revision, actor=actor, op_id=op_id)
    return region_scopes.delete(ctx, known, reach, expected_revision=revision, actor=actor, op_id=op_id)


@get("/regions/{region_id:str}/scope", sync_to_thread=True)
def scopes(ctx: NamedDependency[Context], region_id: FromPath[str]) -> ScopesView:
    return region_scopes.counts(ctx, known_id(region_id))


router = Router(
    "/",
    route_handlers=[
        read, set_state, set_states, image, thumb, region_map, label_map, regions, add, add_many, copy,
        predict,
        read_region, change, remove, scopes,
    ],
    tags=["frames and regions"],
)  # fmt: skip
