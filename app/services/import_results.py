"""Imported ground truth into the database: what the collector calls inside its transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict
from app.models import Change, ClassDef, ClassTemplate, Job, MappingRule, Region, Track, as_raw, new_id
from app.services import class_templates, history, rules, truths
from app.services.bulk_edits import Recorder
from app.services.context import Context
from tasks.import_report import ImportReport

BATCH = 500
"""Frames whose regions are held at a time."""


def on_records(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """Nothing before the end: an import is one step."""


def on_stopped(cur: db.Cursor, job: Job) -> None:
    """A cancelled or failed import left nothing in the database."""


def on_imported(cur: db.Cursor, job: Job, value: dict[str, Any]) -> None:
    """Write the regions of all frames, the new classes and rules; one edit undoes the regions.

    Of an import as hidden ground truth the maps take their place instead.
    """
    args = msgspec.json.decode(job.args)
    if args.get("keep") == "truth" and not args["dry_run"]:
        _settle_template(cur, job, args, value)
        records = Path(value["records"])
        truths.take_over(cur, Path(args["data_dir"]), records, source=args["name"], actor=args["actor"])
        return
    if args["dry_run"] or db.edits.by_id(cur, job.id) is not None:
        return
    template = _settle_template(cur, job, args, value)
    known = {c.id for c in template.classes}
    replace_existing = args["options"]["existing"] == "replace"
    author, confirmed = args.get("author", args["actor"]), args.get("confirmed", True)
    recorder = Recorder(cur, job.id)
    tracks: dict[str, Track] = {}
    now = time.time()
    with open(value["records"], "rb") as file:
        while lines := list(islice(file, BATCH)):
            entries = [msgspec.json.decode(line) for line in lines]
            _require_frames(cur, [entry["frame_id"] for entry in entries])
            made = msgspec.convert([r for entry in entries for r in entry["regions"]], list[Region])
            for region in made:
                if region.class_id not in known:
                    raise Conflict("A class of this import was deleted meanwhile. Import again.")
                region.author, region.created_at, region.updated_at = author, now, now
                region.anchor = confirmed
            for entry in entries:
                for track in msgspec.convert(entry["tracks"], list[Track]):
                    tracks.setdefault(track.id, replace(track, created_at=now))
            if replace_existing:
                recorder.delete(db.regions.of_frames(cur, [entry["frame_id"] for entry in entries]))
            recorder.insert(made)
    for track in tracks.values():
        db.tracks.insert(cur, track)
    history.record(
        cur,
        project_id=job.project_id,
        actor=args["actor"],
        op_id=job.id,
        kind="import-labels",
        label=args["name"],
        frame_id=None,
        changes=[
            Change(table="track", id=track.id, before=as_raw(None), after=as_raw(track))
            for track in tracks.values()
        ],
        bulk=recorder.count,
    )


def tell(ctx: Context, job: Job, records: list[dict[str, Any]]) -> None:
    """Let every page know what an import that is done may have changed: all frames, and the rule book."""
    args = msgspec.json.decode(job.args)
    if job.state != "done" or args["dry_run"]:
        return
    if args.get("keep") != "truth":
        ctx.events.publish(
            "regions", {"frame_id": None, "actor": args["actor"], "key": "", "job": job.id}, job.project_id
        )
    if args["new_classes"] or args["remember"]:
        ctx.events.publish("template", {"id": args["class_template"]["id"], "revision": None})


def _require_frames(cur: db.Cursor, ids: list[str]) -> None:
    if db.frames.count_of(cur, ids) != len(set(ids)):
        raise Conflict("Frames of this import were deleted meanwhile, so nothing of it was kept.")


def _settle_template(cur: db.Cursor, job: Job, args: dict[str, Any], value: dict[str, Any]) -> ClassTemplate:
    """The project's class template with the new classes and the remembered mapping.

    They are an edit of the class template, apart from that of the regions: a rule book that was changed since
    must not hinder undoing the import.
    """
    project = db.projects.get(cur, job.project_id)
    template = db.class_templates.get(cur, project.class_template_id)
    if template.id != args["class_template"]["id"]:
        raise Conflict("The project got another class template meanwhile. Import again.")
    by_id = {c.id: c for c in template.classes}
    added = []
    for new in msgspec.convert(args["new_classes"], list[ClassDef]):
        have = by_id.get(new.id)
        if have is not None and have.name != new.name:
            raise Conflict(f"The class template got another class in place of “{new.name}”. Import again.")
        if have is None:
            added.append(new)
    changed = replace(template, classes=[*template.classes, *added])
    if args["remember"]:
        report = msgspec.json.decode(Path(value["report"]).read_bytes(), type=ImportReport)
        changed = replace(changed, rules=rules.remembered(changed, _as_rules(report, args["mapping"]))[0])
    if changed == template:
        return template
    class_templates.check(changed)
    after = db.class_templates.update(cur, changed, None)
    history.record(
        cur,
        project_id=template.id,
        actor=args["actor"],
        op_id=new_id(),
        kind="change-class-template",
        label=template.name,
        frame_id=None,
        changes=[
            Change(table="class_template", id=template.id, before=as_raw(template), after=as_raw(after))
        ],
    )
    return after


def _as_rules(report: ImportReport, mapping: dict[str, int]) -> Iterator[MappingRule]:
    for row in report.classes:
        class_id = mapping.get(row.key)
        if class_id is None or row.void or not (row.pixels or row.objects):
            continue
        kind, _, key = row.key.partition(":")
        if row.name and not row.name.startswith("#") and not row.name.isdecimal():
            kind, key = "name", " ".join(row.name.split())
        if kind in ("name", "value", "colour") and key and key.isprintable() and len(key) <= 200:
            yield MappingRule(kind=kind, key=key, class_id=class_id or None)
