"""Mapping rules: how the classes of imported ground truth become classes of the class template.

A rule says that a name, a value or a colour of the source becomes a class, or is ignored; many rules may lead to
one class. Names are compared without case, and `_` and `-` count as spaces. Where the name of a rule's class is
itself the key of a rule, that rule leads on: with `sedan → car` and `car → vehicle`, a sedan becomes a vehicle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from app.errors import Refused
from app.models import ClassDef, ClassTemplate, MappingRule
from app.services.text import clean_name

IGNORE = 0
"""What a source class becomes that is left out."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_VALUE = re.compile(r"0|-?[1-9][0-9]{0,9}")
_WORDS = {"name": "the name", "value": "the value", "colour": "the colour"}


def plain(name: str) -> str:
    """A name as it is compared: without case, with `_` and `-` as spaces, without needless spaces."""
    text = "".join(c if c.isprintable() else " " for c in name.casefold())
    return " ".join(text.replace("_", " ").replace("-", " ").split())


class Resolver:
    """Looks source classes up in one class template. `by_value`: whether exported values may decide at last."""

    def __init__(self, template: ClassTemplate, *, by_value: bool = False) -> None:
        self._rules = {(rule.kind, _key(rule)): rule for rule in reversed(template.rules)}
        self._by_id = {c.id: c for c in template.classes}
        ordered = list(reversed(template.classes))
        self._by_name = {plain(c.name): c.id for c in ordered}
        self._by_exact_name = {c.name: c.id for c in ordered}
        self._by_colour = {c.colour: c.id for c in ordered}
        self._by_value = {c.exported_value: c.id for c in ordered} if by_value else {}

    def __call__(
        self, name: str, value: int | None = None, colour: str | None = None
    ) -> tuple[int | None, str]:
        """The class id (0 = ignore, None = unknown) and what decided: rule, name, colour, value or "".

        A rule for the name comes before one for the colour, that before one for the value, which counts only
        where the source states numbers and no names; then the class of the same name, of the same colour, of
        the same exported value.
        """
        keys = (("name", plain(name)), ("colour", (colour or "").lower()), ("value", f"{value}"))
        for key in keys:
            if key[0] == "value" and name and not name.isdecimal():
                # A source that names its classes numbers them as it likes: 7 is another class elsewhere.
                continue
            rule = self._rules.get(key)
            if rule is not None and key[1] and (rule.class_id is None or rule.class_id in self._by_id):
                return self.chain(rule)[-1], "rule"
        found = self._by_exact_name.get(name) or self._by_name.get(plain(name))
        if found is not None:
            return found, "name"
        if colour and colour.lower() in self._by_colour:
            return self._by_colour[colour.lower()], "colour"
        if value is not None and value in self._by_value:
            return self._by_value[value], "value"
        return None, ""

    def chain(self, rule: MappingRule) -> list[int]:
        """The class ids that a rule leads through, the last one is what it comes to (0 = ignore).

        In a circle, which `check_rules` refuses, the first class met twice ends the chain.
        """
        found: list[int] = []
        step: MappingRule | None = rule
        while step is not None:
            class_id = IGNORE if step.class_id is None else step.class_id
            found.append(class_id)
            target = self._by_id.get(class_id)
            if target is None or class_id in found[:-1]:
                break
            step = self._rules.get(("name", plain(target.name)))
        return found


def resolve(
    template: ClassTemplate, name: str, value: int | None, colour: str | None, *, by_value: bool = False
) -> tuple[int | None, str]:
    """`Resolver` for a single source class; make one `Resolver` for many."""
    return Resolver(template, by_value=by_value)(name, value, colour)


def check_rules(template: ClassTemplate) -> None:
    """Raise Refused, with the number of the rule as `rule`, for the first rule that cannot stand.

    Refused: a key that is none of its kind, two rules for one key, a class that does not exist, a rule that
    leads a class to itself, rules that go round in a circle (the sentence names it).
    """
    by_id = {c.id: c for c in template.classes}
    seen: set[tuple[str, str]] = set()
    for number, rule in enumerate(template.rules):
        _check_key(rule, number)
        key = (rule.kind, _key(rule))
        if key in seen:
            raise Refused(
                f"Two rules are for {_WORDS[rule.kind]} {rule.key}. Delete one of them.", rule=number
            )
        seen.add(key)
        if rule.class_id is None:
            continue
        target = by_id.get(rule.class_id)
        if target is None:
            raise Refused(
                f"The rule for {_WORDS[rule.kind]} {rule.key} leads to the class {rule.class_id}, "
                "which does not exist.",
                rule=number,
            )
        if rule.kind == "name" and plain(rule.key) == plain(target.name):
            raise Refused(
                f"The rule {rule.key} → {target.name} leads the class to itself. Delete it: "
                "a class takes its own name without a rule.",
                rule=number,
            )
    _check_circles(template, by_id)


def _check_circles(template: ClassTemplate, by_id: dict[int, ClassDef]) -> None:
    resolver = Resolver(template)
    safe: set[int] = set()
    for number, rule in enumerate(template.rules):
        if rule.class_id is None or rule.class_id in safe:
            continue
        chain = resolver.chain(rule)
        if chain[-1] in chain[:-1]:
            circle = " → ".join(by_id[i].name for i in chain[chain.index(chain[-1]) :])
            raise Refused(f"The rules go round in a circle: {circle}. Change one of them.", rule=number)
        safe.update(chain)


def _check_key(rule: MappingRule, number: int) -> None:
    if rule.kind == "name":
        if clean_name(rule.key) != rule.key or not plain(rule.key):
            raise Refused(
                f"The name {rule.key!r} of a rule has characters that do not print, or needless spaces.",
                rule=number,
            )
    elif rule.kind == "value":
        if not _VALUE.fullmatch(rule.key):
            raise Refused(f"The value {rule.key!r} of a rule is not a whole number.", rule=number)
    elif not _COLOUR.fullmatch(rule.key):
        raise Refused(f"The colour {rule.key!r} of a rule must be # and six digits from 0 to f.", rule=number)


def remembered(
    template: ClassTemplate, wanted: Iterable[MappingRule]
) -> tuple[list[MappingRule], list[MappingRule]]:
    """The rules of the template with those of an import's mapping, and those that could not be kept.

    A wanted rule takes the place of an older one with its key. Left out silently: what the template says
    already. Given back as not kept: what would lead round in a circle, or change what another key comes to.
    """
    rules, lost = list(template.rules), list[MappingRule]()
    names = {c.id: plain(c.name) for c in template.classes}
    for rule in wanted:
        goal = IGNORE if rule.class_id is None else rule.class_id
        others = [other for other in rules if (other.kind, _key(other)) != (rule.kind, _key(rule))]
        needless = rule.kind == "name" and names.get(goal) == plain(rule.key)
        after = _with(template, others if needless else [*others, rule])
        try:
            check_rules(after)
        except Refused:
            lost.append(rule)
            continue
        then, now = Resolver(_with(template, rules)), Resolver(after)
        if then(*_asked(rule))[0] == goal:
            continue
        if now(*_asked(rule))[0] == goal and all(then.chain(o)[-1] == now.chain(o)[-1] for o in others):
            rules = after.rules
        else:
            lost.append(rule)
    return rules, lost


def without_class(rules: Sequence[MappingRule], class_id: int, into: int | None) -> list[MappingRule]:
    """The rules once `class_id` is gone: they lead to `into`, or go with it where that is None."""
    return [
        replace(rule, class_id=into) if rule.class_id == class_id else rule
        for rule in rules
        if rule.class_id != class_id or into is not None
    ]


def _with(template: ClassTemplate, rules: list[MappingRule]) -> ClassTemplate:
    return ClassTemplate(id=template.id, name=template.name, classes=template.classes, rules=rules)


def _asked(rule: MappingRule) -> tuple[str, int | None, str | None]:
    if rule.kind == "name":
        return rule.key, None, None
    return ("", int(rule.key), None) if rule.kind == "value" else ("", None, rule.key)


def _key(rule: MappingRule) -> str:
    return plain(rule.key) if rule.kind == "name" else rule.key
