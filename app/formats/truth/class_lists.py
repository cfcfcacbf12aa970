"""Class lists that lie beside label maps: classes.json, labelmap.txt, label_colors.txt, class_names.txt and kin.

A list is read leniently, because it only gives names: what cannot be understood is left out, and label maps
without a list are read all the same. Only JSON that is broken or too large is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.truth.files import suffix_of
from app.formats.truth.model import Files, SourceClass

MAX_BYTES = 4 << 20
MAX_ENTRIES = 65_536
MAX_NAME = 200
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored", "__ignore__", "_ignore_"})

_JSON = ("classes.json", "labels.json", "class_names.json", "palette.json")
_TEXT = (
    "labelmap.txt",
    "label_colors.txt",
    "label_colours.txt",
    "class_names.txt",
    "classes.txt",
    "labels.txt",
    "names.txt",
)
_HEX = re.compile(r"^#[0-9a-fA-F]{6}$")
_VOC_ROW = re.compile(r"^(?P<name>[^:]+):(?P<colour>\d{1,3},\d{1,3},\d{1,3})?:?[^:]*:?[^:]*$")
_COLOUR_ROW = re.compile(r"^(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)$")


class Entry(Struct, frozen=True):
    """One class of a list; `order` is its place, which is its number where the list gives none."""

    name: str
    order: int
    value: int | None = None
    colour: str | None = None
    void: bool = False


class ClassList(Struct, frozen=True):
    """`file`: where it was found. Raises nothing; an empty list is no list."""

    file: str
    entries: list[Entry]

    def by_value(self, palette: list[str]) -> list[SourceClass]:
        """The classes by pixel value: the stated one, else where `palette` has the colour, else the place."""
        stated = any(entry.value is not None for entry in self.entries)
        resolved = {entry.order: _first(palette, entry.colour) for entry in self.entries}
        usable = sum(place is not None for place in resolved.values()) * 2 > len(self.entries)
        found: dict[int, SourceClass] = {}
        for entry in self.entries:
            value = entry.value if stated else resolved[entry.order] if usable else entry.order
            if value is not None and 0 <= value <= 65535 and value not in found:
                colour = entry.colour or (palette[value] if value < len(palette) else None)
                found[value] = SourceClass(
                    key=f"value:{value}", name=entry.name, value=value, colour=colour, void=entry.void
                )
        return list(found.values())

    def by_colour(self) -> list[SourceClass]:
        """The classes that have a colour."""
        found: dict[str, SourceClass] = {}
        for entry in self.entries:
            if entry.colour and entry.colour not in found:
                found[entry.colour] = SourceClass(
                    key=f"colour:{entry.colour}",
                    name=entry.name,
                    value=entry.value,
                    colour=entry.colour,
                    void=entry.void,
                )
        return list(found.values())


def class_list(files: Files) -> ClassList | None:
    """The list that lies highest in the source. Raises Refused for broken JSON."""
    known = (*_JSON, *_TEXT)
    named = [
        (name.count("/"), known.index(base), name) for name in files.names if (base := _base(name)) in known
    ]
    for _, _, name in sorted(named)[:8]:
        data = files.read(name, MAX_BYTES)
        entries = _json(data, name) if suffix_of(name) == ".json" else _text(data)
        if entries:
            return ClassList(name, entries[:MAX_ENTRIES])
    return None


def has_class_list(files: Files) -> bool:
    """Whether a file is called like a class list; it is not opened."""
    return any(_base(name) in (*_JSON, *_TEXT) for name in files.names)


def class_colours(files: Files, name: str) -> dict[str, str]:
    """Class name → colour of one JSON list. Raises Refused for broken JSON."""
    return {entry.name: entry.colour for entry in _json(files.read(name, MAX_BYTES), name) if entry.colour}


def _base(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _first(palette: list[str], colour: str | None) -> int | None:
    return palette.index(colour) if colour in palette else None


def _name(text: object) -> str:
    return "".join(c for c in str(text) if c.isprintable()).strip()[:MAX_NAME]


def _entry(
    name: object, order: int, value: int | None = None, colour: str | None = None, *, void: bool = False
) -> Entry:
    plain = _name(name) or str(order if value is None else value)
    return Entry(plain, order, value, colour, void or plain.casefold() in VOID_NAMES)


# ── JSON ────────────────────────────────────────────────────────────


def _json(data: bytes, name: str) -> list[Entry]:
    try:
        found = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(
            f"“{name}” is no valid JSON, so the classes are not known; mend it or take it away."
        ) from exc
    if isinstance(found, list):
        return _rows(found)
    if not isinstance(found, dict):
        return []
    for key in ("classes", "labels", "categories", "items"):
        if isinstance(found.get(key), list):
            return _with_void(_rows(found[key]), found)
    return _pairs(found.items())


def _rows(rows: list[object]) -> list[Entry]:
    entries = []
    for order, row in enumerate(rows[:MAX_ENTRIES]):
        if isinstance(row, str):
            entries.append(_entry(row, order))
        elif isinstance(row, dict):
            value = next(
                (v for key in ("value", "id", "index") if (v := _number(row.get(key))) is not None), None
            )
            colour = next((c for key in ("colour", "color", "rgb") if (c := _colour(row.get(key)))), None)
            name = next((row[key] for key in ("name", "label", "title") if isinstance(row.get(key), str)), "")
            entries.append(_entry(name, order, value, colour, void=row.get("void") is True))
    return entries


def _with_void(entries: list[Entry], document: dict[str, object]) -> list[Entry]:
    """Apply "ignore" (the number of a class that means nothing) and our own export's "unlabelled"."""
    ignored = _number(document.get("ignore"))
    entries = [
        msgspec.structs.replace(entry, void=True) if ignored is not None and entry.value == ignored else entry
        for entry in entries
    ]
    unlabelled = _number(document.get("unlabelled"))
    if ignored is not None and all(entry.value != ignored for entry in entries):
        entries.append(_entry("ignored", len(entries), ignored, void=True))
    if unlabelled is not None:
        grey = f"#{unlabelled:02x}{unlabelled:02x}{unlabelled:02x}" if unlabelled <= 255 else None
        colour = grey if document.get("mode") == "colour" else None
        taken = {entry.colour if colour else entry.value for entry in entries}
        if (colour or unlabelled) not in taken:
            entries.append(_entry("unlabelled", len(entries), unlabelled, colour, void=True))
    return entries


def _pairs(pairs: Iterable[tuple[object, object]]) -> list[Entry]:
    """{"0": "road"}, {"road": 0} or {"road": [128, 64, 128]}."""
    entries = []
    for order, (key, value) in enumerate(pairs):
        number, named = _number(key), _number(value)
        if number is not None and isinstance(value, str):
            entries.append(_entry(value, order, number))
        elif named is not None:
            entries.append(_entry(key, order, named))
        elif colour := _colour(value):
            entries.append(_entry(key, order, None, colour))
    return entries


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 8:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535:
        return value
    return None


def _colour(value: object) -> str | None:
    if isinstance(value, str) and _HEX.match(value):
        return value.lower()
    if isinstance(value, list) and len(value) in (3, 4):
        parts = [_number(part) for part in value[:3]]
        if all(part is not None and part <= 255 for part in parts):
            return "#{:02x}{:02x}{:02x}".format(*parts)
    return None


# ── text ────────────────────────────────────────────────────────────


def _text(data: bytes) -> list[Entry]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")][:MAX_ENTRIES]
    coloured = [_COLOUR_ROW.match(line) for line in lines]
    if lines and all(coloured):
        return [
            _entry(row[4], order, None, _colour([int(row[i]) for i in (1, 2, 3)]))
            for order, row in enumerate(found for found in coloured if found)
        ]
    voc = [_VOC_ROW.match(line) for line in lines]
    if lines and all(voc) and any(":" in line for line in lines):
        return [
            _entry(row["name"], order, None, _colour([int(p) for p in (row["colour"] or "").split(",") if p]))
            for order, row in enumerate(found for found in voc if found)
        ]
    # The convention of labelme: a first line that stands for −1, not for 0.
    shift = 1 if lines and lines[0] == "__ignore__" else 0
    return [_entry(line, order) for order, line in enumerate(lines[shift:])]
