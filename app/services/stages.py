"""Jobs of several stages: one job to a person, a row for each stage in the database.

The first row is the job; those of the later stages name it as their parent and are made one after the other, each
when the one before is done (`chains.py`). What a person sees is `whole`: the job with what its stage does now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from app import store as db
from app.i18n import gettext as _
from app.models import Job, JobKind
from app.services.context import Context
from app.services.track_records import id_from
from app.smoothing import Then

STAGED: tuple[JobKind, ...] = ("auto_label", "find", "track", "matte_alpha")
"""Kinds whose jobs may have further stages."""


def then_of(job: Job) -> Then:
    return msgspec.convert(_args(job).get("then", {}), Then)


def stages_of(job: Job) -> list[JobKind]:
    """The kinds of all stages of a job, its own first."""
    if job.kind not in STAGED:
        return [job.kind]
    if job.kind == "matte_alpha":
        return [job.kind, "matte"]
    then = then_of(job)
    kinds: list[JobKind] = [job.kind]
    if job.kind == "auto_label":
        kinds.append("import_labels")
    if then.smoothing is not None:
        kinds.append("stabilise")
    if then.measure:
        kinds.append("measure")
    return kinds


def stage_id(job: Job, kind: JobKind) -> str:
    """The id of the row of a stage: making it twice makes one."""
    return id_from(job.id, kind)


def whole(job: Job, later: Sequence[Job]) -> Job:
    """The job as a person sees it. `later`: the rows of its later stages, as far as they are made."""
    kinds = stages_of(job)
    if len(kinds) == 1:
        return job
    by_id = {row.id: row for row in later}
    rows = [job, *(by_id.get(stage_id(job, kind)) for kind in kinds[1:])]
    at = next((n for n, row in enumerate(rows) if row is None or row.state != "done"), len(rows) - 1)
    now = rows[at]
    # The files of a matte are those of the job that a person sees.
    ended = _result(now) if now is not None and now.kind == "matte" else {}
    result = {
        **_result(job),
        **ended,
        "stages": [
            {"kind": row.kind, "job": row.id, "state": row.state, "result": _result(row)}
            for row in rows
            if row is not None
        ],
    }
    seen = replace(job, result=msgspec.Raw(msgspec.json.encode(result)))
    if now is None:
        seen.state, seen.finished_at, seen.done, seen.total = "running", None, 0, 0
        seen.message = _say(at, kinds, "")
        return seen
    if now is not job:
        seen.state = "running" if now.state == "waiting" else now.state
        seen.done, seen.total, seen.rate, seen.eta_s = now.done, now.total, now.rate, now.eta_s
        seen.finished_at, seen.reason, seen.heartbeat = now.finished_at, now.reason, now.heartbeat
        seen.revision = job.revision + sum(row.revision for row in later)
    seen.message = _say(at, kinds, now.message)
    if seen.state in ("failed", "cancelled") and at:
        seen.reason = _("%(stage)s: %(reason)s") % {"stage": stage_name(kinds[at]), "reason": now.reason}
    return seen


def current(job: Job, later: Sequence[Job]) -> Job:
    """The row of the stage that a job is at: the first that is not done, else the last that is made."""
    by_id = {row.id: row for row in later}
    rows = [job, *(by_id[id] for kind in stages_of(job)[1:] if (id := stage_id(job, kind)) in by_id)]
    return next((row for row in rows if row.state != "done"), rows[-1])


def read(cur: db.Cursor, job_id: str) -> Job:
    """A job as a person sees it. Raises NotFound."""
    return whole(db.jobs.get(cur, job_id), db.jobs.stages(cur, [job_id]).get(job_id, []))


def read_current(cur: db.Cursor, job_id: str) -> Job:
    """The row of the stage that a job is at. Raises NotFound."""
    return current(db.jobs.get(cur, job_id), db.jobs.stages(cur, [job_id]).get(job_id, []))


def tell(ctx: Context, row: Job) -> None:
    """Let every page know of a job whose row was written; of a stage, that of the job it belongs to."""
    job = row
    if row.parent_id is not None or len(stages_of(row)) > 1:
        job = ctx.store.read(lambda cur: read(cur, row.parent_id or row.id))
    ctx.events.publish("job", job, job.project_id)


def stage_name(kind: JobKind) -> str:
    return {
        "auto_label": _("Labelling"),
        "find": _("Finding"),
        "track": _("Tracking"),
        "import_labels": _("Making regions"),
        "stabilise": _("Stabilising"),
        "measure": _("Measuring"),
        "matte_alpha": _("Making alphas"),
        "matte": _("Writing files"),
    }.get(kind, kind)


def _say(at: int, kinds: Sequence[JobKind], message: str) -> str:
    said = _("Stage %(n)s of %(m)s, %(stage)s") % {
        "n": at + 1,
        "m": len(kinds),
        "stage": stage_name(kinds[at]).lower(),
    }
    return f"{said}: {message}" if message else said


def _args(job: Job) -> dict[str, Any]:
    found = msgspec.json.decode(job.args)
    return found if isinstance(found, dict) else {}


def _result(job: Job) -> dict[str, Any]:
    found = msgspec.json.decode(job.result)
    return found if isinstance(found, dict) else {}
