"""Assets: probe a source, import it as a job, trash and restore it."""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec

from app import store as db
from app.errors import NotAllowed, NotFound, Refused, Unavailable
from app.models import Asset, Frame, Job, Sampling, SourceKind, frame_id, new_id
from app.services import jobs, projects, uploads
from app.services.context import Context
from app.services.text import clean_name
from app.services.views import NewAsset, Probe
from tasks import channel
from tasks.queue import enqueue

PROBE_TIMEOUT_S = 20.0
_PROBED: OrderedDict[str, Probe] = OrderedDict()
_PROBED_LOCK = threading.Lock()


def source_of(ctx: Context, upload_id: str | None, path: str | None) -> tuple[Path, str]:
    """The file (or folder) behind a request and its name.

    Raises NotAllowed for a path outside the allowed roots, also by way of a link.
    """
    if (upload_id is None) == (path is None):
        raise Refused("Name either an upload or a path on the server.")
    if upload_id is not None:
        return uploads.finished(ctx, upload_id)
    assert path is not None
    if "\0" in path or not path.strip():
        raise Refused("The path is empty or not a path.")
    candidate = Path(path)
    roots = ctx.settings.allowed_roots
    if not roots:
        raise NotAllowed(
            "Importing by path is switched off: no folder is allowed. "
            "Start the server with --allow FOLDER, or upload the file."
        )
    if not candidate.is_absolute() or ".." in candidate.parts:
        raise NotAllowed("The path must be absolute and without `..`.")
    resolved = candidate.resolve()
    if not any(resolved == root or root in resolved.parents for root in roots):
        raise NotAllowed(f"{path} lies outside the allowed folders: {', '.join(map(str, roots))}.")
    if not resolved.exists():
        raise NotFound(f"There is nothing at {path}.")
    return resolved, resolved.name


def probe(ctx: Context, *, upload_id: str | None = None, path: str | None = None) -> Probe:
    """Look at a source without importing it; the consumer does the looking.

    A source that cannot be used answers `readable = False` with the sentence. Raises Unavailable when the
    consumer does not answer.
    """
    source, name = source_of(ctx, upload_id, path)
    probe_id = new_id()
    folder = ctx.paths.job(probe_id)
    folder.mkdir(parents=True)
    enqueue(ctx.queue, "probe", probe_id, {"path": str(source)})
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    while (result := channel.read_result(folder)) is None:
        if time.monotonic() > deadline:
            channel.request_cancel(folder)
            raise Unavailable(
                "The file could not be examined in time: the consumer is busy or down. Try again."
            )
        time.sleep(0.02)
    if not result.ok:
        shutil.rmtree(folder, ignore_errors=True)
        return Probe(kind=kind_of(source, name), readable=False, sentence=result.sentence, name=name)
    value: dict[str, Any] = result.value
    found = Probe(
        kind=value["kind"],
        readable=True,
        sentence="",
        name=name,
        info=value["info"],
        notes=value["notes"],
        id=probe_id,
        preview_url=f"/api/v1/probe/{probe_id}/{value['preview']}" if value["preview"] else "",
        strip=[f"/api/v1/probe/{probe_id}/{picture}" for picture in value["strip"]],
    )
    if upload_id is not None:
        with _PROBED_LOCK:
            _PROBED[upload_id] = found
            while len(_PROBED) > 200:
                _PROBED.popitem(last=False)
    return found


def probe_file(ctx: Context, probe_id: str, name: str) -> Path:
    """A preview picture that a probe left in its folder."""
    folder = ctx.paths.job(probe_id)
    result = channel.read_result(folder) if len(probe_id) == 24 and probe_id.isalnum() else None
    if result is None or not result.ok:
        raise NotFound("That preview is gone.")
    if name not in (result.value["preview"], *result.value["strip"]):
        raise NotFound("The probe has no picture of that name.")
    return folder / name


def kind_of(source: Path, name: str) -> SourceKind:
    if source.is_dir():
        return "images"
    return "zip" if name.lower().endswith(".zip") else "video"


def create(ctx: Context, project_id: str, new: NewAsset, *, actor: str) -> tuple[Asset, Job]:
    """Import a source into a project: the row is written, the extraction queued.

    A source that cannot be read is refused here, and an upload of it is deleted. Repeating the call with the same
    `id` answers with the same asset and job.
    """
    asset_id = new.id or new_id()
    known = _known(ctx, asset_id)
    if known is not None:
        return known
    ctx.store.read(lambda cur: projects.require_live(cur, project_id))
    if new.sampling.mode == "fps" and new.sampling.fps is None:
        raise Refused("Sampling by rate needs `fps`, the frames per second to keep.")
    start, stop = new.sampling.start, new.sampling.stop
    if start is not None and stop is not None and stop <= start:
        raise Refused("The range ends before it begins: `stop` must be larger than `start`.")
    source, file_name = source_of(ctx, new.upload_id, new.path)
    ctx.require_space()
    found = (new.upload_id and _PROBED.get(new.upload_id)) or probe(
        ctx, upload_id=new.upload_id, path=new.path
    )
    if not found.readable:
        if new.upload_id is not None:
            uploads.discard(ctx, new.upload_id)
        raise Refused(found.sentence)
    folder = ctx.paths.asset(asset_id)
    folder.mkdir(parents=True, exist_ok=True)
    if new.upload_id is not None:
        target = folder / f"source{_suffix(file_name, found.kind)}"
        source.replace(target)
        uploads.discard(ctx, new.upload_id)
        source = target
    asset = Asset(
        id=asset_id,
        project_id=project_id,
        name=clean_name(new.name or file_name),
        stem=_stem(file_name),
        kind=found.kind,  # pyright: ignore[reportArgumentType]
        source=str(source if new.path is not None else source.relative_to(folder)),
        sampling=new.sampling,
        created_at=time.time(),
    )
    ctx.store.write(lambda cur: db.assets.insert(cur, asset))
    job = start_extraction(ctx, asset)
    ctx.events.publish("project", {"id": project_id}, project_id)
    return asset, job


def start_extraction(ctx: Context, asset: Asset) -> Job:
    return jobs.submit(
        ctx,
        "extract",
        asset.project_id,
        f"Extract {asset.name}",
        {
            "asset_dir": str(ctx.paths.asset(asset.id)),
            "source": str(ctx.paths.asset(asset.id) / asset.source),
            "kind": asset.kind,
            "sampling": msgspec.to_builtins(asset.sampling),
        },
        asset_id=asset.id,
    )


def _known(ctx: Context, asset_id: str) -> tuple[Asset, Job] | None:
    def query(cur: db.Cursor) -> tuple[Asset, Job] | None:
        try:
            asset = db.assets.get(cur, asset_id)
        except NotFound:
            return None
        mine = [j for j in db.jobs.listing(cur, project_id=asset.project_id) if j.asset_id == asset_id]
        return (asset, mine[0]) if mine else None

    return ctx.store.read(query)


def _suffix(file_name: str, kind: str) -> str:
    suffix = Path(file_name).suffix.lower()
    plain = suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 6
    return suffix if plain else (".zip" if kind == "zip" else ".bin")


def _stem(file_name: str) -> str:
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(file_name).stem)[:80]
    return stem or "asset"


def get(ctx: Context, asset_id: str) -> Asset:
    return ctx.store.read(lambda cur: db.assets.get(cur, asset_id))


def of_project(ctx: Context, project_id: str, *, trashed: bool = False) -> list[Asset]:
    def query(cur: db.Cursor) -> list[Asset]:
        db.projects.get(cur, project_id)
        return db.assets.of_project(cur, project_id, trashed=trashed)

    return ctx.store.read(query)


def rename(ctx: Context, asset_id: str, name: str, *, expected_revision: int | None, actor: str) -> Asset:
    def write(cur: db.Cursor) -> Asset:
        row = db.assets.get(cur, asset_id)
        row.name = clean_name(name)
        return db.assets.update(cur, row, expected_revision)

    return _publish(ctx, ctx.store.write(write))


def trash(ctx: Context, asset_id: str, actor: str) -> Asset:
    """Move an asset to the trash, cancelling its jobs; frames and regions stay until the trash is emptied."""
    for job in jobs.listing(ctx, states=jobs.UNFINISHED):
        if job.asset_id == asset_id:
            jobs.cancel(ctx, job.id)
    return _set_trashed(ctx, asset_id, time.time())


def restore(ctx: Context, asset_id: str, actor: str) -> Asset:
    return _set_trashed(ctx, asset_id, None)


def _set_trashed(ctx: Context, asset_id: str, at: float | None) -> Asset:
    def write(cur: db.Cursor) -> Asset:
        row = db.assets.get(cur, asset_id)
        row.trashed_at = at
        return db.assets.update(cur, row, None)

    return _publish(ctx, ctx.store.write(write))


def _publish(ctx: Context, asset: Asset) -> Asset:
    ctx.events.publish("project", {"id": asset.project_id}, asset.project_id)
    return asset


# What the collector calls inside its transaction


def on_frames(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """New frames of an extraction: rows are upserted, so that a resumed job may report a frame twice."""
    assert job.asset_id is not None
    sizes = {(r["width"], r["height"]) for r in records}
    db.frames.upsert_many(
        cur,
        [
            Frame(
                id=frame_id(job.asset_id, r["index"]),
                asset_id=job.asset_id,
                index=r["index"],
                source_index=r["source_index"],
                pts=r["pts"],
                width=r["width"],
                height=r["height"],
                hash=r["hash"],
                file=r["file"],
                thumb=r["thumb"],
                name=r.get("name", ""),
            )
            for r in records
        ],
    )
    asset = db.assets.get(cur, job.asset_id)
    asset.state = "extracting"
    asset.frame_count = db.frames.count(cur, job.asset_id)
    asset.width, asset.height = max(sizes)
    db.assets.update(cur, asset, None)


def on_extracted(cur: db.Cursor, job: Job, value: dict[str, Any]) -> None:
    assert job.asset_id is not None
    asset = db.assets.get(cur, job.asset_id)
    asset.frame_count = db.frames.count(cur, job.asset_id)
    asset.state = "partial" if value.get("partial") else "ready"
    asset.reason = value.get("reason") or ""
    asset.fps = value.get("fps")
    asset.duration = value.get("duration")
    asset.rotation = int(value.get("rotation") or 0)
    asset.codec = str(value.get("codec") or "")
    asset.skipped = int(value.get("skipped_packets") or 0)
    asset.width = int(value.get("width") or asset.width)
    asset.height = int(value.get("height") or asset.height)
    db.assets.update(cur, asset, None)


def on_stopped(cur: db.Cursor, job: Job) -> None:
    """Cancelled or failed: the frames that exist stay usable."""
    assert job.asset_id is not None
    asset = db.assets.get(cur, job.asset_id)
    asset.frame_count = db.frames.count(cur, job.asset_id)
    asset.state = "cancelled" if job.state == "cancelled" else "failed"
    asset.reason = job.reason
    db.assets.update(cur, asset, None)


def sampling_from(fields: dict[str, Any]) -> Sampling:
    """Sampling from loose form fields (`fps`, `every`, `start`, `stop`, `max_side`, `format`).

    Raises Refused for a value that is no number or out of range.
    """
    wanted: dict[str, Any] = {
        k: v for k, v in fields.items() if v not in (None, "") and k in ("start", "stop")
    }
    if fields.get("fps") not in (None, ""):
        wanted |= {"mode": "fps", "fps": fields["fps"]}
    elif fields.get("every") not in (None, ""):
        wanted |= {"mode": "nth", "nth": fields["every"]}
    for key in ("max_side", "format"):
        if fields.get(key) not in (None, ""):
            wanted[key] = fields[key]
    try:
        return msgspec.convert(wanted, Sampling, strict=False)
    except msgspec.ValidationError as exc:
        raise Refused(f"The sampling is wrong: {exc}.") from exc
