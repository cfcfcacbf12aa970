"""Project bundles back in: the consumer validates and unpacks, the collector writes the rows in one transaction."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from app import store as db
from app.errors import Refused
from app.models import Asset, ClassTemplate, Frame, Job, Project, Region, Track, new_id
from app.services import class_templates, jobs, uploads
from app.services.context import Context
from app.worker.registry import TABLE

FALLBACK_ENGINE = "classic"
"""For bundles from a server that had an engine which this one lacks."""


def submit(ctx: Context, *, upload_id: str, name: str | None, actor: str, id: str | None = None) -> Job:
    """Restore a bundle as a new project. Refused bundles leave nothing behind."""
    source, file_name = uploads.finished(ctx, upload_id)
    job_id = id or new_id()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / ("bundle.zip" if file_name.lower().endswith(".zip") else "bundle.jsonl")
    if not target.exists():
        source.replace(target)
        uploads.discard(ctx, upload_id)
    return jobs.submit(
        ctx,
        "import_bundle",
        "",
        f"Restore {file_name}",
        {"data_dir": str(ctx.paths.data), "source": str(target), "project_id": new_id(), "name": name},
        id=job_id,
    )


def on_records(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """Nothing until the whole bundle is known to be good: the import is atomic."""


def on_imported(cur: db.Cursor, job: Job, value: dict[str, Any]) -> None:
    """Write everything the task left in `records` (a JSONL file of rows) in this one transaction."""
    kinds: dict[str, tuple[type, list[Any]]] = {
        "class_template": (ClassTemplate, []),
        "project": (Project, []),
        "asset": (Asset, []),
        "track": (Track, []),
        "frame": (Frame, []),
        "region": (Region, []),
    }
    with open(value["records"], "rb") as file:
        for line in file:
            entry = msgspec.json.decode(line)
            kind, rows = kinds[entry["type"]]
            try:
                rows.append(msgspec.convert(entry["row"], kind))
            except msgspec.ValidationError as exc:
                raise Refused(f"The bundle holds a {entry['type']} that does not fit: {exc}.") from exc
    now = time.time()
    for row in kinds["class_template"][1]:
        class_templates.check(row)
        db.class_templates.insert(cur, row)
    for row in kinds["project"][1]:
        row.updated_at = now
        if row.engine not in TABLE:
            row.engine = FALLBACK_ENGINE
        db.projects.insert(cur, row)
        job.project_id = row.id
    for row in kinds["asset"][1]:
        db.assets.insert(cur, row)
    for row in kinds["track"][1]:
        db.tracks.insert(cur, row)
    db.frames.upsert_many(cur, kinds["frame"][1])
    db.regions.insert_many(cur, kinds["region"][1])


def on_stopped(cur: db.Cursor, job: Job) -> None:
    """A refused bundle left nothing in the database."""
