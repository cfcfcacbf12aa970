"""Auto-label: an engine that knows classes of its own labels the frames of an asset, and the label maps become
regions.

The classes of the engine are mapped to those of the class template before it begins: by the template's rules,
by equal names, by the synonyms below; what remains is said and left out. The work is in `auto_label_runs`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from app import store as db
from app.errors import Refused
from app.models import Asset, ClassTemplate, Id, Job, Project, new_id
from app.services import auto_label_runs, jobs, projects, rules, tracks
from app.services.asset_ranges import frame_range, live_asset
from app.services.context import Context
from app.smoothing import Then, check
from app.worker import registry
from app.worker.label_classes import LABEL_CLASSES

SYNONYMS: dict[str, tuple[str, ...]] = {
    "aeroplane": ("airplane", "plane", "aircraft"),
    "bicycle": ("bike",),
    "boat": ("ship",),
    "car": ("automobile",),
    "cow": ("cattle",),
    "diningtable": ("dining table", "table"),
    "motorbike": ("motorcycle", "motor bike"),
    "person": ("pedestrian", "human", "people"),
    "pottedplant": ("potted plant",),
    "sofa": ("couch",),
    "tvmonitor": ("tv monitor", "tv", "television", "monitor", "tv screen"),
}
"""Class of an engine → other names of the same thing, the likeliest first."""

Name = Annotated[str, Meta(min_length=1, max_length=100)]


class NewAutoLabel(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which frames to label, and what becomes of the engine's classes.

    `start`, `stop`: frame indices, both included; all frames where they are left out. `mapping`: class of the
    engine → class id, None = leave it out. Classes that are not named are left out too; with `new_classes` they
    take the class that is proposed, or become one of the template where they occur. `regions`: one a class of
    a frame, or one a connected piece. `min_area`: smaller pieces are left out, pixels. `budget`: points of a
    frame, 0 = outlines only. `existing`: what happens to the regions that the frames have. `then`: what
    follows in the same job.
    """

    asset_id: Id
    engine: str | None = None
    start: Annotated[int, Meta(ge=0)] | None = None
    stop: Annotated[int, Meta(ge=0)] | None = None
    mapping: Annotated[dict[Name, Annotated[int, Meta(ge=1, le=65535)] | None], Meta(max_length=500)] = field(
        default_factory=dict
    )
    new_classes: bool = False
    iou_target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95
    budget: Annotated[int, Meta(ge=0, le=2000)] = 300
    min_area: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    regions: Literal["class", "piece"] = "class"
    existing: Literal["keep", "replace", "skip"] = "keep"
    then: Then = Then()
    id: Id | None = None
    """Of the job; the same twice is one job."""


class MappedClass(Struct, kw_only=True):
    """A class of an engine and the class of the template that is proposed for it.

    `class_id`: None = none. `why`: rule, name or synonym; "" where nothing fits.
    """

    name: str
    class_id: int | None = None
    why: Literal["rule", "name", "synonym", ""] = ""


class Proposal(Struct, kw_only=True):
    """`unmatched`: the classes of the engine that nothing fits, in a sentence as `note`."""

    engine: str
    classes: list[MappedClass]
    unmatched: list[str]
    note: str


def propose(ctx: Context, project_id: str, engine: str) -> Proposal:
    """How the classes of an engine, which need not be ready, fit the project's class template.

    Raises NotFound, Refused where the engine has no classes of its own.
    """
    names = _classes_of(ctx, engine)

    def query(cur: db.Cursor) -> ClassTemplate:
        project = db.projects.get(cur, project_id)
        return db.class_templates.get(cur, project.class_template_id)

    found = mapped(ctx.store.read(query), names)
    open_ = [row.name for row in found if not row.why]
    note = ""
    if open_:
        some = ", ".join(open_[:10]) + (" …" if len(open_) > 10 else "")
        note = f"No class of the template fits {some}. They are left out unless you map them."
    return Proposal(engine=engine, classes=found, unmatched=open_, note=note)


def mapped(template: ClassTemplate, names: tuple[str, ...]) -> list[MappedClass]:
    """A proposal for each class of an engine but the first, which is what belongs to none."""
    resolve = rules.Resolver(template)
    found = []
    for name in names[1:]:
        row = MappedClass(name=name)
        for other in (name, *SYNONYMS.get(name, ())):
            class_id, why = resolve(other)
            if class_id is not None and why in ("rule", "name"):
                row.class_id = class_id or None
                row.why = why if why == "rule" or other == name else "synonym"
                break
        found.append(row)
    return found


def submit(ctx: Context, project_id: str, wanted: NewAutoLabel, *, actor: str) -> Job:
    """Queue an auto-label. The same job id again answers with the job that there is.

    Raises NotFound; Conflict for a project or asset in the trash; Refused for a range outside the asset, a
    class that neither side has, an engine that cannot label or is not ready (with the next step), and where
    nothing would become a region.
    """
    job_id = wanted.id or new_id()
    known = ctx.store.read(lambda cur: db.jobs.find(cur, job_id))
    if known is not None:
        return known

    def query(cur: db.Cursor) -> tuple[Project, Asset, ClassTemplate]:
        project = projects.require_live(cur, project_id)
        template = db.class_templates.get(cur, project.class_template_id)
        return project, live_asset(cur, project_id, wanted.asset_id), template

    project, asset, template = ctx.store.read(query)
    if wanted.then.smoothing is not None:
        check(wanted.then.smoothing)
    start, stop = frame_range(asset, wanted.start, wanted.stop)
    engine = tracks.choose(ctx, project.engine, wanted.engine, "label")
    mapping = _mapping(wanted, engine.id, LABEL_CLASSES[engine.id], template)
    ctx.require_space()
    args = auto_label_runs.AutoLabelArgs(
        asset_id=asset.id,
        engine=engine.id,
        start=start,
        stop=stop,
        mapping=mapping,
        new_classes=wanted.new_classes,
        iou_target=wanted.iou_target,
        budget=wanted.budget,
        min_area=wanted.min_area,
        regions=wanted.regions,
        existing=wanted.existing,
        then=wanted.then,
        actor=actor,
        name=f"{engine.name} labels of {asset.name}",
    )
    return jobs.submit(
        ctx,
        "auto_label",
        project_id,
        f"Auto-label {asset.name} ({engine.id})",
        msgspec.to_builtins(args),
        asset_id=asset.id,
        id=job_id,
    )


def _classes_of(ctx: Context, engine: str) -> tuple[str, ...]:
    registry.entry_of(engine, fake=ctx.settings.fake_engine)
    if engine not in LABEL_CLASSES:
        raise Refused(f"The engine {engine} has no classes of its own, so it cannot label whole frames.")
    return LABEL_CLASSES[engine]


def _mapping(
    wanted: NewAutoLabel, engine: str, names: tuple[str, ...], template: ClassTemplate
) -> dict[str, int | None]:
    known = {c.id for c in template.classes}
    for name, class_id in wanted.mapping.items():
        if name not in names:
            raise Refused(f"The engine {engine} has no class “{name}”. It has: {', '.join(names)}.")
        if class_id is not None and class_id not in known:
            raise Refused(
                f"“{name}” is mapped to the class {class_id}, which the class template does not have."
            )
    if not wanted.new_classes and not any(wanted.mapping.values()):
        raise Refused("No class of the engine is mapped to a class of the template. Map at least one.")
    proposed = {row.name: row.class_id for row in mapped(template, names) if row.why}
    return {**(proposed if wanted.new_classes else {}), **wanted.mapping}
