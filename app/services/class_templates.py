"""Class templates: the rule book of a project. Every saved revision is kept."""

from __future__ import annotations

import time
from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from app import store as db
from app.errors import Conflict, NotFound, Refused
from app.models import Change, ClassDef, ClassTemplate, MappingRule, as_raw, new_id
from app.services import attributes, history
from app.services.context import Context
from app.services.presets import PRESETS
from app.services.rules import check_rules
from app.services.text import clean_name


def default(cur: db.Cursor) -> ClassTemplate:
    """The oldest template that is not in the trash; an empty database gets the `Objects` preset."""
    existing = db.class_templates.listing(cur)
    if existing:
        return existing[0]
    template = from_preset("objects", "Objects")
    db.class_templates.insert(cur, template)
    return template


def from_preset(preset: str, name: str) -> ClassTemplate:
    if preset not in PRESETS:
        raise NotFound(f"There is no preset {preset!r}. Presets: {', '.join(PRESETS)}.")
    now = time.time()
    return ClassTemplate(
        id=new_id(), name=name, classes=PRESETS[preset].build(), created_at=now, updated_at=now
    )


def create(
    ctx: Context,
    *,
    name: str,
    classes: list[ClassDef] | None = None,
    rules: list[MappingRule] | None = None,
    preset: str | None = None,
    id: str | None = None,
    actor: str,
) -> ClassTemplate:
    now = time.time()
    if preset is not None:
        template = from_preset(preset, clean_name(name))
        template.id = id or template.id
    else:
        template = ClassTemplate(
            id=id or new_id(),
            name=clean_name(name),
            classes=classes or [],
            rules=rules or [],
            created_at=now,
            updated_at=now,
        )
    check(template)

    def write(cur: db.Cursor) -> ClassTemplate:
        try:
            return db.class_templates.get(cur, template.id)
        except NotFound:
            db.class_templates.insert(cur, template)
            return template

    return tell(ctx, ctx.store.write(write))


def get(ctx: Context, template_id: str) -> ClassTemplate:
    return ctx.store.read(lambda cur: db.class_templates.get(cur, template_id))


def listing(ctx: Context, *, trashed: bool = False) -> list[ClassTemplate]:
    return ctx.store.read(lambda cur: db.class_templates.listing(cur, trashed=trashed))


class Editing(Struct, kw_only=True):
    """What an editor needs: `usage` = class → number of regions (absent: none), `next_id` = an id that never was."""

    template: ClassTemplate
    usage: dict[int, int]
    next_id: int
    can_undo: bool
    can_redo: bool


def editing(ctx: Context, template_id: str, actor: str) -> Editing:
    def query(cur: db.Cursor) -> Editing:
        template = db.class_templates.get(cur, template_id)
        can_undo, can_redo = history.possible(cur, template_id, actor)
        return Editing(
            template=template,
            usage=db.regions.counts_of_classes(cur, template_id),
            next_id=db.class_templates.highest_class_id(cur, template_id) + 1,
            can_undo=can_undo,
            can_redo=can_redo,
        )

    return ctx.store.read(query)


def update(
    ctx: Context,
    template_id: str,
    *,
    name: str | None = None,
    classes: list[ClassDef] | None = None,
    rules: list[MappingRule] | None = None,
    expected_revision: int | None,
    actor: str,
    op_id: str | None = None,
) -> ClassTemplate:
    """Save a new revision as one undoable edit of the class template. What is None stays as it is.

    A class that regions use cannot be removed here (`class_changes` does that); the sentence counts them.
    """

    def write(cur: db.Cursor) -> ClassTemplate:
        before = db.class_templates.get(cur, template_id)
        if op_id and db.edits.by_id(cur, op_id):
            return before
        if before.trashed_at is not None:
            raise Conflict("The class template is in the trash. Restore it first.")
        row = replace(
            before,
            name=before.name if name is None else clean_name(name),
            classes=before.classes if classes is None else classes,
            rules=before.rules if rules is None else rules,
        )
        if classes is not None:
            _require_unused(cur, before, {c.id for c in classes})
        check(row)
        after = db.class_templates.update(cur, row, expected_revision)
        history.record(
            cur,
            project_id=template_id,
            actor=actor,
            op_id=op_id or new_id(),
            kind="change-class-template",
            label=after.name,
            frame_id=None,
            changes=[
                Change(table="class_template", id=template_id, before=as_raw(before), after=as_raw(after))
            ],
        )
        return after

    return tell(ctx, ctx.store.write(write))


def _require_unused(cur: db.Cursor, template: ClassTemplate, kept: set[int]) -> None:
    used = db.regions.counts_of_classes(cur, template.id)
    for gone in (c for c in template.classes if c.id not in kept and used.get(c.id)):
        raise Conflict(
            f"{used[gone.id]} regions have the class {gone.name}. Give them another class before you delete it.",
            class_id=gone.id,
            regions=used[gone.id],
        )


def undo(ctx: Context, template_id: str, actor: str, op_id: str | None = None) -> history.UndoResult:
    """Take the actor's own last edit of the class template back, with the regions that it changed."""
    get(ctx, template_id)
    result = history.undo(ctx, template_id, actor, op_id)
    tell(ctx, get(ctx, template_id))
    return result


def redo(ctx: Context, template_id: str, actor: str, op_id: str | None = None) -> history.UndoResult:
    get(ctx, template_id)
    result = history.redo(ctx, template_id, actor, op_id)
    tell(ctx, get(ctx, template_id))
    return result


def tell(ctx: Context, template: ClassTemplate) -> ClassTemplate:
    """Let every page know that there is another revision."""
    ctx.events.publish("template", {"id": template.id, "revision": template.revision})
    return template


def below(classes: list[ClassDef], class_id: int) -> set[int]:
    """The ids of the classes below a class in the tree, at any depth."""
    children: dict[int, list[int]] = {}
    for c in classes:
        if c.parent is not None:
            children.setdefault(c.parent, []).append(c.id)
    found: set[int] = set()
    todo = [class_id]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def duplicate(ctx: Context, template_id: str, *, name: str | None = None, actor: str) -> ClassTemplate:
    source = get(ctx, template_id)
    return create(
        ctx,
        name=name or f"{source.name} copy",
        classes=source.classes,
        rules=source.rules,
        actor=actor,
    )


def trash(ctx: Context, template_id: str, actor: str) -> ClassTemplate:
    """Move to the trash; refused while a live project uses it."""
    return _set_trashed(ctx, template_id, time.time())


def restore(ctx: Context, template_id: str, actor: str) -> ClassTemplate:
    return _set_trashed(ctx, template_id, None)


def _set_trashed(ctx: Context, template_id: str, at: float | None) -> ClassTemplate:
    def write(cur: db.Cursor) -> ClassTemplate:
        row = db.class_templates.get(cur, template_id)
        if at is not None:
            users = [p.name for p in db.projects.listing(cur) if p.class_template_id == template_id]
            if users:
                raise Conflict(
                    f"{len(users)} projects use this class template, among them {users[0]}. "
                    "Give them another template first."
                )
        row.trashed_at = at
        return db.class_templates.update(cur, row, None)

    return tell(ctx, ctx.store.write(write))


def check(template: ClassTemplate) -> None:
    """Raise Refused, naming the class, when the rule book contradicts itself.

    Ids, names, shortcuts and exported values are unique; parents exist and form no cycle; attributes make
    sense, and so do the mapping rules.
    """
    classes = template.classes
    if len(classes) > 1000:
        raise Refused(f"The template has {len(classes)} classes; 1000 is the most.")
    _unique("id", [c.id for c in classes])
    _unique("name", [c.name for c in classes])
    _unique("shortcut", [c.shortcut for c in classes if c.shortcut])
    _unique("exported value", [c.exported_value for c in classes])
    by_id = {c.id: c for c in classes}
    for c in classes:
        if clean_name(c.name) != c.name:
            raise Refused(f"The class name {c.name!r} has characters that do not print, or needless spaces.")
        seen: list[int] = []
        node = c
        while node.parent is not None:
            if node.parent not in by_id:
                raise Refused(f"The class {node.name} names the parent {node.parent}, which does not exist.")
            seen.append(node.id)
            node = by_id[node.parent]
            if node.id in seen:
                chain = " → ".join(by_id[i].name for i in [*seen[seen.index(node.id) :], node.id])
                raise Refused(f"The parents go round in a circle: {chain}.")
        attributes.check(c)
    check_rules(template)


def _unique(what: str, values: list[int] | list[str]) -> None:
    twice = [value for value, n in Counter(values).items() if n > 1]
    if twice:
        raise Refused(f"Two classes have the same {what}: {twice[0]}. Change one of them.")
