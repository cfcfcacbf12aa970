"""Changes of classes that regions already have: rename, merge, split, delete.

The new revision of the class template and all its regions are one edit, in one transaction, recorded under the
class template's id; undo takes both back. Who asks states how many regions were shown; another number is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import Change, ClassDef, ClassTemplate, Colour, Id, MappingRule, Region, Track, as_raw, new_id
from app.services import bulk_edits, class_templates, history, rules
from app.services.context import Context
from app.services.presets import PRESETS
from app.services.text import clean_name
from app.services.views import EditView

T = TypeVar("T")
Kind = Literal["rename", "merge", "split", "delete"]


class NewChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to do with the class `class_id`. `expected_regions`: how many regions the change was shown to touch.

    rename: `name`. merge: `into`. delete: `into`, or None to delete its regions too. split: `name` (and `colour`)
    of the new class, and which regions get it: those whose `attribute` is `value` ("" = not set), those on
    `asset_ids`, or `region_ids`.
    """

    kind: Kind
    class_id: int
    expected_regions: Annotated[int, Meta(ge=0)]
    into: int | None = None
    name: str | None = None
    colour: Colour | None = None
    attribute: str | None = None
    value: str | None = None
    asset_ids: list[Id] | None = None
    region_ids: Annotated[list[Id], Meta(max_length=100_000)] | None = None


class ChangeResult(Struct, kw_only=True):
    """`class_id`: the class that the regions have now; None when they were deleted."""

    template: ClassTemplate
    edit: EditView
    regions: int
    class_id: int | None
    can_undo: bool
    can_redo: bool


class AssetUse(Struct, kw_only=True):
    id: str
    name: str
    regions: int
    frames: int


class ProjectUse(Struct, kw_only=True):
    id: str
    name: str
    trashed: bool
    regions: int
    frames: int
    assets: list[AssetUse] = field(default_factory=list)


class ClassUsage(Struct, kw_only=True):
    """`attributes`: name → value → number of regions; the value "" counts those that have none."""

    class_id: int
    name: str
    revision: int
    regions: int
    frames: int
    tracks: int
    rules: int
    children: int
    projects: list[ProjectUse]
    attributes: dict[str, dict[str, int]]


class _Plan(Struct, kw_only=True):
    """The rule book after the change; regions of the class for which `moves` is true get `into` (None: deleted)."""

    classes: list[ClassDef]
    rules: list[MappingRule]
    label: str
    into: int | None
    moves: Callable[[Region], bool] | None = None
    whole: bool = True
    """Whether the class itself goes, and its tracks with it."""


def usage(ctx: Context, template_id: str, class_id: int) -> ClassUsage:
    """Everything that hangs on a class, in all projects that use the class template, also those in the trash."""

    def query(cur: db.Cursor) -> ClassUsage:
        template = db.class_templates.get(cur, template_id)
        cls = _class(template, class_id)
        projects: dict[str, ProjectUse] = {}
        for use in db.regions.usage_of_class(cur, template_id, class_id):
            known = projects.setdefault(
                use.project_id,
                ProjectUse(id=use.project_id, name=use.project, trashed=use.trashed, regions=0, frames=0),
            )
            known.assets.append(
                AssetUse(id=use.asset_id, name=use.asset, regions=use.regions, frames=use.frames)
            )
            known.regions += use.regions
            known.frames += use.frames
        return ClassUsage(
            class_id=class_id,
            name=cls.name,
            revision=template.revision,
            regions=sum(p.regions for p in projects.values()),
            frames=sum(p.frames for p in projects.values()),
            tracks=len(db.tracks.of_class(cur, template_id, class_id)),
            rules=sum(rule.class_id == class_id for rule in template.rules),
            children=sum(c.parent == class_id for c in template.classes),
            projects=list(projects.values()),
            attributes=_attributes(cls, db.regions.attributes_of_class(cur, template_id, class_id)),
        )

    return ctx.store.read(query)


def _attributes(cls: ClassDef, found: list[tuple[dict[str, str], int]]) -> dict[str, dict[str, int]]:
    names = dict.fromkeys(
        [a.name for a in cls.attributes] + [name for values, _n in found for name in values]
    )
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    for values, n in found:
        for name, known in counts.items():
            value = values.get(name, "")
            known[value] = known.get(value, 0) + n
    return counts


def apply(
    ctx: Context,
    template_id: str,
    change: NewChange,
    *,
    expected_revision: int | None,
    actor: str,
    op_id: str | None = None,
) -> ChangeResult:
    """Carry the change out, whole or not at all. The same `op_id` twice is one change.

    Raises Conflict, with the number as `regions`, when another number of regions than `expected_regions` is
    touched; Conflict on a stale revision; Refused for a change that makes no sense.
    """

    def write(cur: db.Cursor) -> ChangeResult:
        before = db.class_templates.get(cur, template_id)
        done = db.edits.by_id(cur, op_id) if op_id else None
        if done is not None:
            return _result(cur, before, done.id, change.expected_regions, None, actor)
        if before.trashed_at is not None:
            raise Conflict("The class template is in the trash. Restore it first.")
        plan = PLANS[change.kind](cur, before, change)
        after = replace(before, classes=plan.classes, rules=plan.rules)
        class_templates.check(after)
        edit_id = op_id or new_id()
        recorder = bulk_edits.Recorder(cur, edit_id)
        touched, tracks = _carry_out(cur, before, change.class_id, plan, recorder)
        if touched != change.expected_regions:
            raise Conflict(
                f"The change touches {touched} regions now, not {change.expected_regions}. Look at it again.",
                regions=touched,
            )
        stored = db.class_templates.update(cur, after, expected_revision)
        row = Change(table="class_template", id=template_id, before=as_raw(before), after=as_raw(stored))
        history.record(
            cur,
            project_id=template_id,
            actor=actor,
            op_id=edit_id,
            kind=f"{change.kind}-class",
            label=plan.label,
            frame_id=None,
            changes=[row, *tracks],
            bulk=recorder.count,
        )
        return _result(cur, stored, edit_id, touched, plan.into, actor)

    result = ctx.store.write(write)
    class_templates.tell(ctx, result.template)
    return result


def _result(
    cur: db.Cursor, template: ClassTemplate, edit_id: str, regions: int, class_id: int | None, actor: str
) -> ChangeResult:
    edit = db.edits.by_id(cur, edit_id)
    assert edit is not None
    can_undo, can_redo = history.possible(cur, template.id, actor)
    return ChangeResult(
        template=template,
        edit=history.view(edit),
        regions=regions,
        class_id=class_id,
        can_undo=can_undo,
        can_redo=can_redo,
    )


def _carry_out(
    cur: db.Cursor, template: ClassTemplate, class_id: int, plan: _Plan, recorder: bulk_edits.Recorder
) -> tuple[int, list[Change]]:
    """Change the regions and tracks of the class; how many regions, and the changes of the tracks."""
    if plan.moves is None:
        return db.regions.count_of_class(cur, template.id, class_id), []
    touched, after = 0, ""
    going: set[str] = set()
    staying: set[str] = set()
    while page := db.regions.of_class(cur, template.id, class_id, after=after, limit=bulk_edits.BATCH):
        after = page[-1].id
        chosen = [region for region in page if plan.moves(region)]
        going.update(region.track_id for region in chosen if region.track_id)
        staying.update(region.track_id for region in page if region.track_id and not plan.moves(region))
        touched += len(chosen)
        if plan.into is None:
            recorder.delete(chosen)
        else:
            recorder.update(chosen, [replace(region, class_id=plan.into) for region in chosen])
    changes: list[Change] = []
    for track in db.tracks.of_class(cur, template.id, class_id):
        if plan.whole or (track.id in going and track.id not in staying):
            changes.append(_move_track(cur, track, plan.into))
    return touched, changes


def _move_track(cur: db.Cursor, track: Track, into: int | None) -> Change:
    after = None
    if into is None:
        db.tracks.delete(cur, track.id)
    else:
        after = db.tracks.update(cur, replace(track, class_id=into))
    return Change(table="track", id=track.id, before=as_raw(track), after=as_raw(after))


# ── what each kind makes of the rule book ──────────────────────────────────────────────────────────────────


def _rename(cur: db.Cursor, template: ClassTemplate, change: NewChange) -> _Plan:
    cls = _class(template, change.class_id)
    name = clean_name(_given(change.name, "Type the new name of the class."))
    classes = [replace(c, name=name) if c.id == cls.id else c for c in template.classes]
    kept = [
        rule
        for rule in template.rules
        if (rule.kind, rule.class_id) != ("name", cls.id) or rules.plain(rule.key) != rules.plain(name)
    ]
    renamed = replace(template, classes=classes, rules=kept)
    return _Plan(
        classes=classes,
        rules=_remember(renamed, cls.name, cls.id),
        label=f"{cls.name} → {name}",
        into=cls.id,
        moves=None,
    )


def _merge(cur: db.Cursor, template: ClassTemplate, change: NewChange) -> _Plan:
    cls = _class(template, change.class_id)
    into = _class(template, _given(change.into, "Choose the class that takes the regions."))
    if into.id == cls.id:
        raise Refused("A class cannot be merged into itself. Choose another one.")
    lower = class_templates.below(template.classes, cls.id)
    heir = cls.parent if into.id in lower else into.id
    classes = _without(template.classes, cls, heir)
    kept = [
        rule
        for rule in rules.without_class(template.rules, cls.id, into.id)
        if rule.kind != "name" or rule.class_id != into.id or rules.plain(rule.key) != rules.plain(into.name)
    ]
    merged = replace(template, classes=classes, rules=kept)
    return _Plan(
        classes=classes,
        rules=_remember(merged, cls.name, into.id),
        label=f"{cls.name} → {into.name}",
        into=into.id,
        moves=lambda region: True,
    )


def _delete(cur: db.Cursor, template: ClassTemplate, change: NewChange) -> _Plan:
    cls = _class(template, change.class_id)
    if change.into is not None:
        return replace(_merge(cur, template, change), label=cls.name)
    return _Plan(
        classes=_without(template.classes, cls, cls.parent),
        rules=rules.without_class(template.rules, cls.id, None),
        label=cls.name,
        into=None,
        moves=lambda region: True,
    )


def _split(cur: db.Cursor, template: ClassTemplate, change: NewChange) -> _Plan:
    cls = _class(template, change.class_id)
    name = clean_name(_given(change.name, "Type the name of the new class."))
    ways = (change.attribute, change.asset_ids, change.region_ids)
    if sum(way is not None for way in ways) != 1:
        raise Refused("Say which regions get the new class: by an attribute, by assets, or by their ids.")
    number = db.class_templates.highest_class_id(cur, template.id) + 1
    if number > 65535:
        raise Refused("The class template has no class id left below 65536.")
    written = {c.exported_value for c in template.classes}
    made = replace(
        cls,
        id=number,
        name=name,
        colour=change.colour or _fresh_colour(template.classes),
        shortcut="",
        value=next(v for v in range(1, 65536) if v not in written) if number in written else None,
    )
    at = template.classes.index(cls) + 1
    return _Plan(
        classes=[*template.classes[:at], made, *template.classes[at:]],
        rules=template.rules,
        label=f"{cls.name} → {name}",
        into=number,
        moves=_chosen(change),
        whole=False,
    )


PLANS: dict[Kind, Callable[[db.Cursor, ClassTemplate, NewChange], _Plan]] = {
    "rename": _rename,
    "merge": _merge,
    "split": _split,
    "delete": _delete,
}


def _chosen(change: NewChange) -> Callable[[Region], bool]:
    if change.attribute is not None:
        name, value = change.attribute, change.value or ""
        return lambda region: region.attributes.get(name, "") == value
    if change.asset_ids is not None:
        assets = frozenset(change.asset_ids)
        return lambda region: region.frame_id[:24] in assets
    ids = frozenset(change.region_ids or ())
    return lambda region: region.id in ids


def _without(classes: list[ClassDef], gone: ClassDef, heir: int | None) -> list[ClassDef]:
    """The classes but `gone`, whose children get the parent `heir`."""
    return [replace(c, parent=heir) if c.parent == gone.id else c for c in classes if c.id != gone.id]


def _remember(template: ClassTemplate, name: str, class_id: int) -> list[MappingRule]:
    """The rules with one that leads the name a class had to what became of it, where that is possible."""
    kept, _lost = rules.remembered(template, [MappingRule(kind="name", key=name, class_id=class_id)])
    return kept


def _fresh_colour(classes: list[ClassDef]) -> str:
    used = {c.colour for c in classes}
    offered = [c.colour for preset in ("street", "scene") for c in PRESETS[preset].build()]
    return next((colour for colour in offered if colour not in used), offered[0])


def _class(template: ClassTemplate, class_id: int) -> ClassDef:
    found = next((c for c in template.classes if c.id == class_id), None)
    if found is None:
        raise NotFound(f"The class template has no class with the id {class_id}.")
    return found


def _given(value: T | None, sentence: str) -> T:
    if value is None:
        raise Refused(sentence)
    return value
