"""Projects: create, list, rename, trash, restore. A trashed project keeps everything until it is emptied."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import Change, Job, Project, as_raw, new_id
from app.services import class_templates, history, jobs
from app.services.context import Context
from app.services.text import clean_name
from app.services.views import Progress, ProjectCard

CHANGEABLE = {"name", "class_template_id", "status", "engine"}


def create(
    ctx: Context, *, name: str, class_template_id: str | None = None, id: str | None = None, actor: str
) -> Project:
    """A new project. Without a template it gets the first one there is, made from the preset if there is none."""
    name = clean_name(name)
    now = time.time()

    def change(cur: db.Cursor) -> Project:
        if id is not None:
            try:
                return db.projects.get(cur, id)
            except NotFound:
                pass
        if class_template_id is not None:
            template = db.class_templates.get(cur, class_template_id)
            if template.trashed_at is not None:
                raise Refused("That class template is in the trash. Restore it, or choose another.")
        else:
            template = class_templates.default(cur)
        project = Project(
            id=id or new_id(),
            name=name,
            class_template_id=template.id,
            engine=ctx.settings.engine,
            created_at=now,
            updated_at=now,
        )
        db.projects.insert(cur, project)
        return project

    project = ctx.store.write(change)
    ctx.events.publish("project", {"id": project.id}, project.id)
    return project


def get(ctx: Context, project_id: str) -> Project:
    return ctx.store.read(lambda cur: db.projects.get(cur, project_id))


def card(ctx: Context, project_id: str) -> ProjectCard:
    def query(cur: db.Cursor) -> ProjectCard:
        project = db.projects.get(cur, project_id)
        return _cards(cur, [project])[0]

    return ctx.store.read(query)


def begin(cur: db.Cursor, project: Project) -> Project:
    """The project, in progress from the first work on it."""
    if project.status != "pending":
        return project
    project.status, project.updated_at = "wip", time.time()
    return db.projects.update(cur, project, None)


def asset_progress(ctx: Context, project_id: str) -> dict[str, Progress]:
    """How far the assets of a project are, by id, without those in the trash."""
    found = ctx.store.read(lambda cur: db.stats.asset_progress(cur, project_id))
    return {id: Progress(**counts) for id, counts in found.items()}


def listing(
    ctx: Context,
    *,
    search: str = "",
    status: str | None = None,
    sort: str = "newest",
    trashed: bool = False,
) -> list[ProjectCard]:
    def query(cur: db.Cursor) -> list[ProjectCard]:
        rows = db.projects.listing(cur, trashed=trashed, search=search, status=status, sort=sort)
        return _cards(cur, rows)

    return ctx.store.read(query)


def _cards(cur: db.Cursor, rows: list[Project]) -> list[ProjectCard]:
    progress = db.stats.progress(cur, [p.id for p in rows])
    templates = {
        t.id: t.name for gone in (False, True) for t in db.class_templates.listing(cur, trashed=gone)
    }
    working: dict[str, Job] = {job.project_id: job for job in db.jobs.unfinished(cur)}
    cards = []
    for project in rows:
        assets = db.assets.of_project(cur, project.id, trashed=project.trashed_at is not None)
        cover = next((f"{a.id}-000000" for a in assets if a.frame_count), None)
        counts = progress.get(project.id)
        cards.append(
            ProjectCard(
                project=project,
                assets=assets,
                progress=msgspec.convert(counts, Progress, from_attributes=True) if counts else Progress(),
                cover=cover,
                class_template=templates.get(project.class_template_id, ""),
                job=working.get(project.id),
            )
        )
    return cards


def change(
    ctx: Context,
    project_id: str,
    changes: dict[str, Any],
    *,
    expected_revision: int | None,
    actor: str,
    op_id: str | None = None,
) -> Project:
    """Rename, set status, engine or class template; one undoable edit. Raises Conflict on a stale revision."""
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise Refused(f"A project has no changeable field {', '.join(sorted(unknown))}.")
    if "name" in changes:
        changes["name"] = clean_name(str(changes["name"]))

    def write(cur: db.Cursor) -> Project:
        before = db.projects.get(cur, project_id)
        if op_id and db.edits.by_id(cur, op_id):
            return before
        if "class_template_id" in changes:
            db.class_templates.get(cur, changes["class_template_id"])
        try:
            wanted = msgspec.convert(
                msgspec.to_builtins(before) | changes | {"updated_at": time.time()}, Project
            )
        except msgspec.ValidationError as exc:
            raise Refused(f"The change does not fit a project: {exc}.") from exc
        after = db.projects.update(cur, wanted, expected_revision)
        history.record(
            cur,
            project_id=project_id,
            actor=actor,
            op_id=op_id or new_id(),
            kind="change-project",
            label=after.name,
            frame_id=None,
            changes=[Change(table="project", id=project_id, before=as_raw(before), after=as_raw(after))],
        )
        return after

    after = ctx.store.write(write)
    ctx.events.publish("project", {"id": project_id}, project_id)
    return after


def trash(ctx: Context, project_id: str, actor: str) -> Project:
    """Move a project to the trash. Its running jobs are cancelled; nothing is deleted."""
    for job in jobs.listing(ctx, project_id=project_id, states=jobs.UNFINISHED):
        jobs.cancel(ctx, job.id)
    return _set_trashed(ctx, project_id, time.time())


def restore(ctx: Context, project_id: str, actor: str) -> Project:
    return _set_trashed(ctx, project_id, None)


def _set_trashed(ctx: Context, project_id: str, at: float | None) -> Project:
    def write(cur: db.Cursor) -> Project:
        row = db.projects.get(cur, project_id)
        if (row.trashed_at is None) == (at is None):
            return row
        row.trashed_at = at
        return db.projects.update(cur, row, None)

    row = ctx.store.write(write)
    ctx.events.publish("project", {"id": project_id}, project_id)
    return row


def require_live(cur: db.Cursor, project_id: str) -> Project:
    """The project, or Conflict when it lies in the trash."""
    project = db.projects.get(cur, project_id)
    if project.trashed_at is not None:
        raise Conflict("The project is in the trash. Restore it in the Library first.")
    return project
