"""Attributes: what may be said of a region beside its class, as its class in the class template defines them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from app.errors import Refused
from app.models import AttributeDef, ClassDef
from app.services.text import clean_name

MAX_LENGTH = 500


def check(c: ClassDef) -> None:
    """Raise Refused, naming the class and the attribute, for attributes that make no sense."""
    names = [a.name for a in c.attributes]
    if twice := _twice(names):
        raise Refused(f"The class {c.name} has two attributes named {twice!r}. Change one of them.")
    for a in c.attributes:
        where = f"The attribute {a.name!r} of the class {c.name}"
        if clean_name(a.name) != a.name:
            raise Refused(f"{where} has characters that do not print, or needless spaces.")
        if (a.kind == "choice") != bool(a.choices):
            raise Refused(
                f"{where} has no choices. Type at least one."
                if a.kind == "choice"
                else f"{where} has choices, which only an attribute of the kind choice may have."
            )
        if twice := _twice(a.choices):
            raise Refused(f"{where} has the choice {twice!r} twice. Delete one of them.")
        if any(clean_name(choice) != choice for choice in a.choices):
            raise Refused(f"{where} has a choice with characters that do not print, or needless spaces.")
        if a.default:
            value_of(a, a.default)


def value_of(a: AttributeDef, value: str) -> str:
    """The value as it is stored, "" for none. Raises Refused, naming the attribute, for one it cannot have."""
    value = "".join(c if c.isprintable() else " " for c in value).strip()
    if not value:
        return ""
    if len(value) > MAX_LENGTH:
        raise Refused(f"The attribute {a.name} has {len(value)} characters; {MAX_LENGTH} is the most.")
    if a.kind == "number":
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise Refused(f"The attribute {a.name} is a number; {value[:40]!r} is none.")
    elif a.kind == "check":
        if value not in ("yes", "no"):
            raise Refused(f"The attribute {a.name} is yes or no, not {value[:40]!r}.")
    elif a.kind == "choice" and value not in a.choices:
        raise Refused(
            f"The attribute {a.name} has no choice {value[:40]!r}. It has: {', '.join(a.choices)[:300]}."
        )
    return value


def changed(c: ClassDef, known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The attributes `known` of a region with the `given` ones put in; an empty value takes one out.

    Raises Refused for an attribute that the class does not have, or a value that it cannot have.
    """
    defined = {a.name: a for a in c.attributes}
    result = dict(known)
    for name, value in given.items():
        if not value:
            result.pop(name, None)
            continue
        if name not in defined:
            raise Refused(f"The class {c.name} has no attribute {name[:60]!r}.")
        if kept := value_of(defined[name], value):
            result[name] = kept
        else:
            result.pop(name, None)
    return result


def _twice(values: list[str]) -> str:
    return next((value for value, n in Counter(values).items() if n > 1), "")
