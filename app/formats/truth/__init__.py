"""Ground truth in: which formats can be read, which one a source is in, and its reader.

A format is a module with `matches(files) -> bool`, which looks at names and the heads of a few files, and
`open_reader(files) -> Reader`. Modules are imported when they are first asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from app.errors import Refused
from app.formats.truth import masks
from app.formats.truth.files import check_kind, open_files
from app.formats.truth.model import Files, Reader
from app.formats.truth_table import TABLE, FormatRow

__all__ = ["FORMATS", "candidates", "detect", "load", "open_files", "open_truth"]


class _Module(Protocol):
    def matches(self, files: Files) -> bool: ...
    def open_reader(self, files: Files) -> Reader: ...


FORMATS: dict[str, FormatRow] = {row.id: row for row in TABLE}
"""In the order in which they are asked."""


def load(known: FormatRow) -> _Module:
    """The module that reads a format."""
    return cast(_Module, import_module(f"app.formats.truth.{known.module}"))


def candidates(files: Files) -> list[str]:
    """The ids of all formats that say the source is theirs, the likeliest first."""
    return [known.id for known in FORMATS.values() if load(known).matches(files)]


def detect(files: Files) -> str:
    """The id of the format that a source is in. Raises Refused, listing what can be read, when it is in none."""
    for known in FORMATS.values():
        if load(known).matches(files):
            return known.id
    if not files.names:
        raise Refused(f"“{files.title}” holds no files.")
    for name in files.names[:1000]:
        check_kind(name, b"")
    masks.refuse(files)
    titles = "; ".join(known.title for known in FORMATS.values())
    raise Refused(f"“{files.title}” is not ground truth in a format that can be read. These are: {titles}.")


def open_truth(files: Files, format: str | None = None) -> Reader:
    """The reader of a source, in the format named or the one that it looks like.

    Raises Refused: no such format, or the source cannot be read as that.
    """
    chosen = detect(files) if format is None else format
    if chosen not in FORMATS:
        raise Refused(f"There is no format {chosen[:40]!r}; choose one of {', '.join(FORMATS)}.")
    return load(FORMATS[chosen]).open_reader(files)
