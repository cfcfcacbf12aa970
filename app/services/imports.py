"""Ground truth in: a dry run says what a source holds, then the masks become regions in one undoable step.

The consumer reads the source and makes the regions (`tasks/import_labels.py`); the collector writes them, with
the classes and rules that the user added, in one transaction.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import asdict, replace

from app import store as db
from app.errors import NotFound, Refused
from app.formats.truth_table import TABLE
from app.models import (
    Asset,
    ClassDef,
    ClassTemplate,
    Colour,
    Frame,
    Job,
    new_id,
)
from app.services import assets, class_templates, jobs, projects, rules, uploads
from app.services.context import Context
from app.services.text import clean_name
from tasks.import_report import (
    CertificateRow,
    ImportOptions,
    ImportReport,
    Keep,
    TargetFrame,
)

__all__ = [
    "CertificatePage",
    "FormatView",
    "ImportView",
    "NewImport",
    "certificates",
    "formats",
    "submit",
    "view",
]

IGNORE = 0
BATCH = 500
ClassKey = Annotated[str, Meta(min_length=1, max_length=400)]


class NewClass(Struct, kw_only=True, forbid_unknown_fields=True):
    """A class of the source that becomes a new class of the template."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    colour: Colour


class NewImport(ImportOptions, kw_only=True, forbid_unknown_fields=True):
    """An import of ground truth; see `ImportOptions` for how masks become regions.

    `keep`: "truth" leaves them as they are and hides them, for scoring only; of the options, matching, sizes,
    `unlabelled` and `existing` (replace or skip) still count.

    The source is an upload, a path on the server, or that of an earlier import (`from_job`, usually its dry
    run). `mapping`: class key → class id, 0 = ignore; `new_classes`: class key → a class to add. Classes in
    neither are taken by the rules, names and colours of the template; one that is still unknown refuses the
    import. `remember`: keep the mapping as rules of the class template.
    """

    id: str | None = None
    upload_id: str | None = None
    path: str | None = None
    from_job: str | None = None
    dry_run: bool = True
    format: str | None = None
    asset_id: str | None = None
    mapping: Annotated[dict[ClassKey, Annotated[int, Meta(ge=0, le=65535)]], Meta(max_length=5000)] = field(
        default_factory=dict
    )
    new_classes: Annotated[dict[ClassKey, NewClass], Meta(max_length=500)] = field(default_factory=dict)
    remember: bool = True
    keep: Keep = "regions"


class LabelMaps(Struct, kw_only=True):
    """A folder of label maps that an engine made. `name`: what the import is called; `author`: of its regions."""

    folder: Path
    name: str
    title: str
    author: str


class FormatView(Struct, kw_only=True):
    id: str
    title: str
    note: str


class ImportView(ImportReport, kw_only=True):
    """A report with what the project makes of it.

    `asset_id`: the asset it was limited to; `edit_id`: the edit that the import made, `undone` whether it is
    taken back; `last_edit`: whether the project's next undo of whoever asks takes the import back.
    """

    project_id: str
    asset_id: str | None = None
    edit_id: str | None = None
    undone: bool = False
    last_edit: bool = False


class CertificatePage(Struct, kw_only=True):
    total: int
    rows: list[CertificateRow]


def formats() -> list[FormatView]:
    return [FormatView(id=row.id, title=row.title, note=row.note) for row in TABLE]


def submit(
    ctx: Context,
    project_id: str,
    wanted: NewImport,
    *,
    actor: str,
    ours: LabelMaps | None = None,
    parent_id: str | None = None,
) -> Job:
    """Queue a dry run or an import; of `ours` instead of a source that `wanted` names, as a stage of a job.

    Raises Refused (no format of that name, a class that does not exist, no frames), NotFound (asset, upload,
    earlier import), NotAllowed (a path outside the allowed folders).
    """
    job_id = wanted.id or new_id()
    try:
        return jobs.get(ctx, job_id)
    except NotFound:
        pass
    if wanted.format is not None and wanted.format not in {row.id for row in TABLE}:
        raise Refused(
            f"There is no format {wanted.format[:40]!r}. Formats: {', '.join(row.id for row in TABLE)}."
        )
    template, chosen, highest = ctx.store.read(lambda cur: _target(cur, project_id, wanted.asset_id))
    added = _new_classes(template, wanted.new_classes, highest + 1)
    # Several keys may share one new class.
    made = list({c.id: c for c in added.values()}.values())
    template = replace(template, classes=[*template.classes, *made])
    known = {c.id for c in template.classes}
    for key, class_id in wanted.mapping.items():
        if class_id and class_id not in known:
            raise Refused(
                f"“{key}” is mapped to the class {class_id}, which the class template does not have."
            )
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if ours is not None:
            source, name, settled = ours.folder, ours.name, None
        else:
            source, name, settled = _source(ctx, project_id, wanted, folder)
        mapping = {**wanted.mapping, **{key: c.id for key, c in added.items()}}
        if not wanted.dry_run and settled is not None:
            mapping = {**_suggested(template, settled), **mapping}
        options = msgspec.convert(
            {name: getattr(wanted, name) for name in ImportOptions.__struct_fields__}, ImportOptions
        )
        if settled is not None and options.match == "auto":
            options.match = settled.match
        elif options.match == "auto" and not wanted.dry_run:
            options.match = "name"
        frames = folder / "frames.jsonl"
        if not frames.exists():
            _write_frames(ctx, chosen, frames)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return jobs.submit(
        ctx,
        "import_labels",
        project_id,
        ours.title if ours else f"{_verb(wanted)} ground truth: {name}",
        {
            "data_dir": str(ctx.paths.data),
            "keep": wanted.keep,
            "job_id": job_id,
            "project_id": project_id,
            "source": str(source),
            "name": name,
            "format": wanted.format or (settled.format if settled else None),
            "dry_run": wanted.dry_run,
            "frames": str(frames),
            "class_template": msgspec.to_builtins(template),
            "mapping": mapping,
            "options": msgspec.to_builtins(options),
            "actor": actor,
            "author": ours.author if ours else actor,
            "confirmed": ours is None,
            "asset_id": wanted.asset_id,
            "remember": wanted.remember and not wanted.dry_run,
            "new_classes": [msgspec.to_builtins(c) for c in made],
        },
        id=job_id,
        parent_id=parent_id,
    )


def _verb(wanted: NewImport) -> str:
    if wanted.dry_run:
        return "Look at"
    return "Keep hidden" if wanted.keep == "truth" else "Import"


def _target(cur: db.Cursor, project_id: str, asset_id: str | None) -> tuple[ClassTemplate, list[Asset], int]:
    """The project's class template, the assets that may get regions, and the highest class id ever used."""
    project = projects.require_live(cur, project_id)
    chosen = [a for a in db.assets.of_project(cur, project_id) if a.trashed_at is None]
    if asset_id is not None:
        chosen = [a for a in chosen if a.id == asset_id]
        if not chosen:
            raise NotFound("The project has no such asset.")
    if not any(a.frame_count for a in chosen):
        raise Refused(
            "There is no frame yet that ground truth could belong to. Import a video or images first."
        )
    template = db.class_templates.get(cur, project.class_template_id)
    return template, chosen, db.class_templates.highest_class_id(cur, template.id)


def _new_classes(template: ClassTemplate, wanted: dict[str, NewClass], next_id: int) -> dict[str, ClassDef]:
    """The classes to add, by class key of the source; keys that give the same name share one class."""
    by_name: dict[str, ClassDef] = {}
    priority = max((c.priority for c in template.classes), default=0) + 10
    taken = {c.exported_value for c in template.classes}
    found: dict[str, ClassDef] = {}
    for key, new in wanted.items():
        name = clean_name(new.name)
        if name not in by_name:
            # Where the template numbers its exports otherwise, the id may be taken as a value.
            value = next(number for number in count(next_id) if number not in taken)
            taken.add(value)
            by_name[name] = ClassDef(
                id=next_id,
                name=name,
                colour=new.colour,
                priority=priority,
                value=None if value == next_id else value,
            )
            next_id, priority = next_id + 1, priority + 10
        found[key] = by_name[name]
    class_templates.check(replace(template, classes=[*template.classes, *by_name.values()]))
    return found


def _source(
    ctx: Context, project_id: str, wanted: NewImport, folder: Path
) -> tuple[Path, str, ImportReport | None]:
    """The file or folder to read, its name, and the report of the earlier import that it comes from."""
    if sum(v is not None for v in (wanted.upload_id, wanted.path, wanted.from_job)) != 1:
        raise Refused("Name an upload, a path on the server, or an earlier import: one of them.")
    if wanted.from_job is not None:
        job = _job(ctx, wanted.from_job)
        if job.project_id != project_id:
            raise NotFound("There is no such import in this project.")
        args = msgspec.json.decode(job.args)
        source = Path(args["source"])
        if not source.exists():
            raise NotFound("The source of that import is not here any more. Upload it again.")
        return source, args["name"], _report(ctx, job.id)
    if wanted.path is not None:
        source, name = assets.source_of(ctx, None, wanted.path)
        return source, name, None
    assert wanted.upload_id is not None
    uploaded, name = uploads.finished(ctx, wanted.upload_id)
    target = folder / "source"
    if not target.exists():
        os.replace(uploaded, target)
        uploads.discard(ctx, wanted.upload_id)
    return target, name, None


def _write_frames(ctx: Context, chosen: Sequence[Asset], target: Path) -> None:
    """One `TargetFrame` a line."""
    part = target.with_suffix(".part")
    encode = msgspec.json.encode

    def read(cur: db.Cursor) -> None:
        with part.open("wb") as file:
            for asset in chosen:
                counts = db.frames.with_regions(cur, asset.id)
                truths = {truth.frame_index for truth in db.truths.of_asset(cur, asset.id)}
                for frame in _frames(cur, asset.id):
                    found = _target_frame(ctx, asset, frame, counts.get(frame.index, 0))
                    found.truth = frame.index in truths
                    file.write(encode(found) + b"\n")

    ctx.store.read(read)
    part.replace(target)


def _frames(cur: db.Cursor, asset_id: str) -> Iterator[Frame]:
    start = 0
    while page := db.frames.page(cur, asset_id, start, BATCH):
        yield from page
        start += BATCH


def _target_frame(ctx: Context, asset: Asset, frame: Frame, regions: int) -> TargetFrame:
    return TargetFrame(
        id=frame.id,
        asset=asset.id,
        stem=asset.stem,
        index=frame.index,
        name=frame.name,
        pts=frame.pts,
        width=frame.width,
        height=frame.height,
        image=str(ctx.paths.asset(asset.id) / frame.file),
        regions=regions,
    )


# What was found, and what became of it


def _job(ctx: Context, job_id: str) -> Job:
    job = jobs.get(ctx, job_id)
    if job.kind != "import_labels":
        raise NotFound("There is no such import.")
    return job


def _report(ctx: Context, job_id: str) -> ImportReport | None:
    try:
        return msgspec.json.decode((ctx.paths.job(job_id) / "report.json").read_bytes(), type=ImportReport)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _suggested(template: ClassTemplate, report: ImportReport) -> dict[str, int]:
    """Class key → class id (0 = ignore) for every class that the template's rules and names decide."""
    found = {}
    for key, class_id, _why in _decisions(template, report):
        if class_id is not None:
            found[key] = class_id
    return found


def _decisions(template: ClassTemplate, report: ImportReport) -> Iterator[tuple[str, int | None, str]]:
    resolver = rules.Resolver(template)
    for row in report.classes:
        class_id, why = resolver(row.name, row.value, row.colour)
        if row.void and why != "rule":
            class_id, why = IGNORE, "void"
        yield row.key, class_id, why


def view(ctx: Context, job_id: str, actor: str) -> ImportView:
    """The report of a dry run or an import. Raises NotFound while there is none."""
    job = _job(ctx, job_id)
    report = _report(ctx, job_id)
    if report is None:
        raise NotFound(job.reason or "There is no report yet. Wait until the source has been read.")
    args = msgspec.json.decode(job.args)

    def query(cur: db.Cursor) -> ImportView:
        project = db.projects.get(cur, job.project_id)
        template = db.class_templates.get(cur, project.class_template_id)
        if report.dry_run:
            decided = {key: (class_id, why) for key, class_id, why in _decisions(template, report)}
            for row in report.classes:
                row.class_id, row.why = decided[row.key]
        edit = db.edits.by_id(cur, job_id)
        last = db.edits.last_of_target(cur, job_id) if edit else None
        undoable = db.edits.last_undoable(cur, job.project_id, actor) if edit else None
        return ImportView(
            **asdict(report),
            project_id=job.project_id,
            asset_id=args.get("asset_id"),
            edit_id=edit.id if edit else None,
            undone=last is not None and last.kind == "undo",
            last_edit=undoable is not None and undoable.id == job_id,
        )

    return ctx.store.read(query)


def certificates(ctx: Context, job_id: str, start: int, limit: int) -> CertificatePage:
    """The regions of an import by how well they give their masks back, the worst first."""
    _job(ctx, job_id)
    report = _report(ctx, job_id)
    if report is None or report.dry_run or report.kept is not None:
        raise NotFound("There are no certificates: nothing became regions.")
    decode = msgspec.json.Decoder(CertificateRow).decode
    with (ctx.paths.job(job_id) / "certificates.jsonl").open("rb") as file:
        rows = [decode(line) for line in islice(file, start, start + limit)]
    return CertificatePage(total=report.certificates.count, rows=rows)


def source_mask(ctx: Context, job_id: str, region_id: str) -> dict[str, Any]:
    """The mask that a region was made from, as COCO run lengths {size, counts}."""
    _job(ctx, job_id)
    folder = ctx.paths.job(job_id) / "truth"
    region = ctx.store.read(lambda cur: db.regions.find(cur, region_id))
    if region is None:
        raise NotFound("The region was deleted, or the import was undone.")
    try:
        found = msgspec.json.decode((folder / f"{region.frame_id}.json").read_bytes())
        return found[region_id]
    except (FileNotFoundError, KeyError) as exc:
        raise NotFound("The region does not come from this import.") from exc
