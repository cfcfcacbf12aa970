"""Older revisions of a class template: listed, compared with the current one in words, and brought back."""

from __future__ import annotations

from msgspec import Struct

from app import store as db
from app.i18n import gettext as _
from app.models import ClassDef, ClassTemplate, MappingRule
from app.services import class_templates
from app.services.context import Context

LISTED = 200
"""How many revisions the list goes back."""


class RevisionView(Struct, kw_only=True):
    """`at` is when the revision was saved; `current` marks the last one."""

    revision: int
    at: float
    name: str
    classes: int
    rules: int
    current: bool


class RevisionDetail(Struct, kw_only=True):
    """`differences`: what has changed from that revision to the current one, a sentence each."""

    template: ClassTemplate
    differences: list[str]


def listing(ctx: Context, template_id: str) -> list[RevisionView]:
    """The last revisions, newest first."""
    rows = ctx.store.read(lambda cur: db.class_templates.revisions(cur, template_id))
    return [
        RevisionView(
            revision=row.revision,
            at=row.updated_at,
            name=row.name,
            classes=len(row.classes),
            rules=len(row.rules),
            current=row is rows[-1],
        )
        for row in rows[: -LISTED - 1 : -1]
    ]


def detail(ctx: Context, template_id: str, revision: int) -> RevisionDetail:
    """Raises NotFound for a revision that there was not."""

    def query(cur: db.Cursor) -> RevisionDetail:
        old = db.class_templates.at_revision(cur, template_id, revision)
        return RevisionDetail(
            template=old, differences=differences(old, db.class_templates.get(cur, template_id))
        )

    return ctx.store.read(query)


def restore(
    ctx: Context, template_id: str, revision: int, *, expected_revision: int | None, actor: str
) -> ClassTemplate:
    """Save what an older revision held as a new one. Raises Conflict when regions use a class that it lacks."""
    old = ctx.store.read(lambda cur: db.class_templates.at_revision(cur, template_id, revision))
    return class_templates.update(
        ctx,
        template_id,
        name=old.name,
        classes=old.classes,
        rules=old.rules,
        expected_revision=expected_revision,
        actor=actor,
    )


def differences(old: ClassTemplate, new: ClassTemplate) -> list[str]:
    """What changed from `old` to `new`, a sentence each; empty where they say the same."""
    found: list[str] = []
    if old.name != new.name:
        found.append(_("The template {old} is now called {new}.").format(old=old.name, new=new.name))
    before, now = {c.id: c for c in old.classes}, {c.id: c for c in new.classes}
    found += [_("{name} was deleted.").format(name=c.name) for c in old.classes if c.id not in now]
    found += [_("{name} was added.").format(name=c.name) for c in new.classes if c.id not in before]
    for c in new.classes:
        if c.id in before:
            found += _class_differences(before[c.id], c, before, now)
    shared = [[c.id for c in t.classes if c.id in before and c.id in now] for t in (old, new)]
    if shared[0] != shared[1]:
        found.append(_("The order of the classes, which decides between equal priorities, changed."))
    return found + _rule_differences(old, new, before, now)


def _class_differences(
    old: ClassDef, new: ClassDef, before: dict[int, ClassDef], now: dict[int, ClassDef]
) -> list[str]:
    found: list[str] = []
    if old.name != new.name:
        found.append(_("{old} is now called {new}.").format(old=old.name, new=new.name))
    parents = (_name(before, old.parent), _name(now, new.parent))
    rows = [
        (_("colour"), old.colour, new.colour),
        (_("priority"), old.priority, new.priority),
        (_("parent"), *parents) if old.parent != new.parent else ("", 0, 0),
        (_("shortcut"), old.shortcut or _("none"), new.shortcut or _("none")),
        (_("value"), old.exported_value, new.exported_value),
    ]
    for what, was, is_now in rows:
        if was != is_now:
            found.append(
                _("{name}: {what} {old} → {new}.").format(name=new.name, what=what, old=was, new=is_now)
            )
    if old.attributes != new.attributes:
        names = ", ".join(a.name for a in new.attributes) or _("none")
        found.append(_("{name}: its attributes are now: {names}.").format(name=new.name, names=names))
    return found


def _rule_differences(
    old: ClassTemplate, new: ClassTemplate, before: dict[int, ClassDef], now: dict[int, ClassDef]
) -> list[str]:
    def keyed(rules: list[MappingRule]) -> dict[tuple[str, str], MappingRule]:
        return {(rule.kind, rule.key): rule for rule in rules}

    was, is_now = keyed(old.rules), keyed(new.rules)
    found: list[str] = []
    for key, rule in is_now.items():
        if key not in was:
            said = _("The rule {rule} was added.")
        elif was[key] != rule:
            said = _("The rule {rule} is new in what it leads to.")
        else:
            continue
        found.append(said.format(rule=_words(rule, now)))
    gone = [rule for key, rule in was.items() if key not in is_now]
    return found + [_("The rule {rule} was deleted.").format(rule=_words(rule, before)) for rule in gone]


def _words(rule: MappingRule, classes: dict[int, ClassDef]) -> str:
    return f"{rule.key} → {_('ignore') if rule.class_id is None else _name(classes, rule.class_id)}"


def _name(classes: dict[int, ClassDef], class_id: int | None) -> str:
    if class_id is None:
        return _("none")
    return classes[class_id].name if class_id in classes else str(class_id)
