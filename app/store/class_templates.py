"""Class templates. Every older revision is kept, so that an export can be pinned to one."""

from __future__ import annotations

import time

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.errors import NotFound
from app.models import ClassTemplate
from app.store.cursor import Codec, Cursor, changed_meanwhile

CODEC = Codec(ClassTemplate, "classes", "rules")

INSERT = """
insert into class_template (id, name, classes, revision, created_at, updated_at, trashed_at, rules)
values ($id, $name, $classes, $revision, $created_at, $updated_at, $trashed_at, $rules)
"""
GET = """
select id, name, classes, revision, created_at, updated_at, trashed_at, rules from class_template where id = $id
"""
LISTING = """
select id, name, classes, revision, created_at, updated_at, trashed_at, rules
from class_template where (trashed_at is not null) = $trashed
order by created_at, id
"""
UPDATE = """
update class_template set name = $name, classes = $classes, rules = $rules, updated_at = $updated_at,
    trashed_at = $trashed_at,
    revision = revision + 1
where id = $id and ($expected::integer is null or revision = $expected)
returning revision
"""
DELETE = "delete from class_template where id = $id"
DELETE_REVISIONS = "delete from class_template_revision where class_template_id = $id"
KEEP = """
insert into class_template_revision (class_template_id, revision, body) values ($id, $revision, $body)
on conflict do nothing
"""
REVISIONS = "select body from class_template_revision where class_template_id = $id order by revision"
REVISION = "select body from class_template_revision where class_template_id = $id and revision = $revision"


def insert(cur: Cursor, template: ClassTemplate) -> ClassTemplate:
    now = time.time()
    template = replace(template, created_at=template.created_at or now, updated_at=template.updated_at or now)
    cur.run(INSERT, **CODEC.params(template))
    return template


def find(cur: Cursor, id: str) -> ClassTemplate | None:
    row = cur.one(GET, id=id)
    return None if row is None else CODEC.row(row)


def get(cur: Cursor, id: str) -> ClassTemplate:
    template = find(cur, id)
    if template is None:
        raise NotFound(f"The class template {id} does not exist.")
    return template


def listing(cur: Cursor, *, trashed: bool = False) -> list[ClassTemplate]:
    return CODEC.rows(cur.all(LISTING, trashed=trashed))


def update(cur: Cursor, template: ClassTemplate, expected_revision: int | None = None) -> ClassTemplate:
    """Store every field, keep the older revision aside and bump the revision.

    Raises Conflict when the stored revision is another.
    """
    old = get(cur, template.id)
    template = replace(template, updated_at=time.time())
    params = CODEC.params(template)
    for unused in ("revision", "created_at"):
        del params[unused]
    row = cur.one(UPDATE, **params, expected=expected_revision)
    if row is None:
        raise changed_meanwhile("The class template", expected_revision, old.revision)
    cur.run(KEEP, id=old.id, revision=old.revision, body=msgspec.json.encode(old).decode())
    return replace(template, revision=row[0])


def revisions(cur: Cursor, id: str) -> list[ClassTemplate]:
    """Every revision, oldest first; the last is the current one."""
    older = [msgspec.json.decode(body, type=ClassTemplate) for (body,) in cur.all(REVISIONS, id=id)]
    return [*older, get(cur, id)]


def at_revision(cur: Cursor, id: str, revision: int) -> ClassTemplate:
    current = get(cur, id)
    if current.revision == revision:
        return current
    row = cur.one(REVISION, id=id, revision=revision)
    if row is None:
        raise NotFound(f"The class template “{current.name}” has no revision {revision}.")
    return msgspec.json.decode(row[0], type=ClassTemplate)


class _Numbered(Struct):
    id: int


class _Body(Struct):
    classes: list[_Numbered]


def highest_class_id(cur: Cursor, id: str) -> int:
    """The highest id that a class of any revision had, so that no id means two classes; 0 where there was none."""
    bodies = [_body.decode(body) for (body,) in cur.all(REVISIONS, id=id)]
    numbers = [c.id for body in bodies for c in body.classes] + [c.id for c in get(cur, id).classes]
    return max(numbers, default=0)


_body = msgspec.json.Decoder(_Body)


def delete(cur: Cursor, id: str) -> ClassTemplate:
    """Remove the class template and its revisions. The caller checks that no project uses it."""
    template = get(cur, id)
    cur.run(DELETE_REVISIONS, id=id)
    cur.run(DELETE, id=id)
    return template
