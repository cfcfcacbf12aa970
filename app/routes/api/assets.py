"""/api/v1/uploads, /api/v1/probe, /api/v1/assets and the import of a source into a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread
from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, InternalServerException
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from app.errors import BadRequest, Refused, TooLarge
from app.models import Asset, Job, new_id
from app.routes.api.common import actor_of, known_id, revision_of
from app.routes.files import serve
from app.services import assets, bundles, uploads
from app.services import timeline as timelines
from app.services.context import Context
from app.services.timeline import Lanes
from app.services.uploads import Upload
from app.services.views import NewAsset, Probe, Timeline

Req = Request[Any, Any, Any]
BLOCK = 1 << 20


class Source(Struct, kw_only=True, forbid_unknown_fields=True):
    upload_id: str | None = None
    path: str | None = None


class Imported(Struct, kw_only=True):
    asset: Asset
    job: Job


class Rename(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str


@put("/uploads/{upload_id:str}", request_max_body_size=None, status_code=200)
async def upload(
    request: Req,
    ctx: NamedDependency[Context],
    upload_id: FromPath[str],
    offset: FromQuery[int] = 0,
    name: FromQuery[str] = "upload",
) -> Upload:
    """Append the body to the upload at `offset`; what arrived is kept, so that a broken upload can go on."""
    length = request.headers.get("content-length")
    announced = int(length) if length and length.isdecimal() else None
    path = await to_thread.run_sync(uploads.begin, ctx, known_id(upload_id), offset, name, announced)
    limit = int(ctx.settings.max_upload_gb * 1e9)
    received = offset
    with path.open("ab") as file:
        pending = bytearray()
        try:
            async for chunk in request.stream():
                pending += chunk
                received += len(chunk)
                if received > limit:
                    break
                if len(pending) >= BLOCK:
                    await to_thread.run_sync(file.write, bytes(pending))
                    pending.clear()
        except InternalServerException:
            pass  # the client went away in the middle; what came is kept, and the count below says so
        await to_thread.run_sync(file.write, bytes(pending))
    if received > limit:
        uploads.discard(ctx, upload_id)
        raise TooLarge(
            f"The file is larger than {ctx.settings.max_upload_gb:g} GB, the most this server takes."
        )
    if announced is not None and received - offset != announced:
        raise BadRequest(
            f"{announced} bytes were announced, {received - offset} arrived. Continue from byte {received}.",
            offset=received,
        )
    return await to_thread.run_sync(uploads.get, ctx, upload_id)


@get("/uploads/{upload_id:str}", sync_to_thread=True)
def upload_state(ctx: NamedDependency[Context], upload_id: FromPath[str]) -> Upload:
    return uploads.get(ctx, known_id(upload_id))


@delete("/uploads/{upload_id:str}", sync_to_thread=True)
def discard(ctx: NamedDependency[Context], upload_id: FromPath[str]) -> None:
    uploads.discard(ctx, known_id(upload_id))


@post("/probe", status_code=200, sync_to_thread=True)
def probe(ctx: NamedDependency[Context], data: JSONBody[Source]) -> Probe:
    return assets.probe(ctx, upload_id=data.upload_id and known_id(data.upload_id), path=data.path)


@get("/probe/{probe_id:str}/{name:str}")
async def probe_picture(
    request: Req, ctx: NamedDependency[Context], probe_id: FromPath[str], name: FromPath[str]
) -> Response[Any]:
    return await serve(request, assets.probe_file(ctx, known_id(probe_id), name))


@post("/projects/{project_id:str}/assets", status_code=202, request_max_body_size=None)
async def create(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Imported:
    """Import by upload id or server path (JSON), or by multipart with `file` and sampling fields."""
    project_id = known_id(project_id)
    kind = request.headers.get("content-type", "")
    upload_id: str | None = None
    if kind.startswith("multipart/form-data"):
        upload_id, fields = await _multipart(request, ctx)
        sampling = assets.sampling_from(fields)
        new = NewAsset(upload_id=upload_id, name=fields.get("name") or None, sampling=sampling)
    else:
        try:
            new = msgspec.json.decode(await request.body(), type=NewAsset)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise BadRequest(f"The body does not describe an asset: {exc}.") from exc
    try:
        asset, job = await to_thread.run_sync(
            lambda: assets.create(ctx, project_id, new, actor=actor_of(request))
        )
    finally:
        if upload_id is not None:
            uploads.discard(ctx, upload_id)
    return Imported(asset=asset, job=job)


@post("/imports", status_code=202, request_max_body_size=None)
async def import_bundle(request: Req, ctx: NamedDependency[Context]) -> Job:
    """Restore a project bundle (multipart `file`, or JSON with an `upload_id`) as a new project."""
    name: str | None = None
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        upload_id, fields = await _multipart(request, ctx)
        name = fields.get("name") or None
    else:
        try:
            source = msgspec.json.decode(await request.body(), type=Source)
        except msgspec.DecodeError as exc:
            raise BadRequest(f"The body does not name an upload: {exc}.") from exc
        if source.upload_id is None:
            raise Refused("Name the upload that holds the bundle.")
        upload_id = known_id(source.upload_id)
    return await to_thread.run_sync(
        lambda: bundles.submit(ctx, upload_id=upload_id, name=name, actor=actor_of(request))
    )


async def _multipart(request: Req, ctx: Context) -> tuple[str, dict[str, str]]:
    """Move the file of a multipart body into an upload. Returns its id and the other fields."""
    try:
        form = await request.form()
    except ClientException as exc:
        raise BadRequest("The multipart body cannot be read.") from exc
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused("The form has no part `file` that holds a file.")
    upload_id = new_id()
    path = uploads.begin(ctx, upload_id, 0, file.filename or "upload", None)
    await to_thread.run_sync(_copy, file, path)
    return upload_id, {k: v for k, v in form.items() if isinstance(v, str)}


def _copy(file: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        while block := file.file.read(BLOCK):
            target.write(block)


@get("/projects/{project_id:str}/assets", sync_to_thread=True)
def of_project(
    ctx: NamedDependency[Context], project_id: FromPath[str], trashed: FromQuery[bool] = False
) -> list[Asset]:
    return assets.of_project(ctx, known_id(project_id), trashed=trashed)


@get("/assets/{asset_id:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], asset_id: FromPath[str]) -> Asset:
    return assets.get(ctx, known_id(asset_id))


@patch("/assets/{asset_id:str}", sync_to_thread=True)
def rename(
    request: Req, ctx: NamedDependency[Context], asset_id: FromPath[str], data: JSONBody[Rename]
) -> Asset:
    return assets.rename(
        ctx, known_id(asset_id), data.name, expected_revision=revision_of(request), actor=actor_of(request)
    )


@delete("/assets/{asset_id:str}", status_code=200, sync_to_thread=True)
def trash(request: Req, ctx: NamedDependency[Context], asset_id: FromPath[str]) -> Asset:
    return assets.trash(ctx, known_id(asset_id), actor_of(request))


@post("/assets/{asset_id:str}/restore", status_code=200, sync_to_thread=True)
def restore(request: Req, ctx: NamedDependency[Context], asset_id: FromPath[str]) -> Asset:
    return assets.restore(ctx, known_id(asset_id), actor_of(request))


@get("/assets/{asset_id:str}/timeline", sync_to_thread=True)
def timeline(ctx: NamedDependency[Context], asset_id: FromPath[str]) -> Timeline:
    return timelines.timeline(ctx, known_id(asset_id))


@get("/assets/{asset_id:str}/lanes", sync_to_thread=True)
def lanes(ctx: NamedDependency[Context], asset_id: FromPath[str]) -> Lanes:
    """Where the classes and tracks have regions, anchors and doubts, for the lanes of the timeline."""
    return timelines.lanes(ctx, known_id(asset_id))


router = Router(
    "/",
    route_handlers=[
        upload, upload_state, discard, probe, probe_picture, create, import_bundle, of_project, read, rename,
        trash, restore, timeline, lanes,
    ],
    tags=["assets"],
)  # fmt: skip
