"""JSON files of a source, read strictly and without trust; names of images that they mention.

Only msgspec parses. A file nested too deeply, cut off, with bytes that are no UTF-8 or numbers out of range
is refused in a sentence. Of a key that comes twice the last counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from app.errors import Refused
from app.formats.truth.files import with_suffix
from app.formats.truth.model import Files

MAX_JSON_BYTES = 1 << 30
PROBE_FILES = 50
"""JSON files whose heads are looked at to tell a format."""
_LISTS = ("classes.json", "objects.json")
"""Written beside annotations, by our own exports too; never annotations themselves."""
_BOM = b"\xef\xbb\xbf"
_DRIVE = re.compile(r"^[A-Za-z]:")

T = TypeVar("T")
Id = int | float | str


def json_names(files: Files) -> list[str]:
    """The JSON files of a source, without the lists that only accompany annotations."""
    return _annotations(files, ".json")


def _annotations(files: Files, suffix: str) -> list[str]:
    names = with_suffix(files, suffix)
    return (
        [name for name in names if name.rpartition("/")[2] not in _LISTS] if len(files.names) > 1 else names
    )


def heads(files: Files, suffix: str = ".json", size: int = 4096) -> Iterator[tuple[str, bytes]]:
    """(name, first bytes) of the first files with an ending, a byte order mark left out."""
    for name in _annotations(files, suffix)[:PROBE_FILES]:
        yield name, files.head(name, size).removeprefix(_BOM)


def has_key(head: bytes, key: str, opening: bytes = b"") -> bool:
    """Whether the first bytes of a JSON file hold `"key":`, followed by one of the bytes in `opening` if any."""
    found = re.search(rb'"' + re.escape(key.encode()) + rb'"\s*:\s*(.?)', head, re.S)
    return found is not None and (not opening or not found[1] or found[1] in opening)


def read_json(files: Files, name: str, kind: type[T]) -> T:
    """A whole file as `kind` (a msgspec type). Raises `Refused` naming the file."""
    return decode(files.read(name, MAX_JSON_BYTES), name, kind)


def decode(data: bytes, name: str, kind: type[T]) -> T:
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise Refused(f"“{name}” is empty.")
    try:
        return _decoder(kind).decode(data)
    except RecursionError as exc:
        raise Refused(f"“{name}” is nested too deeply to be read.") from exc
    except msgspec.ValidationError as exc:
        raise Refused(f"“{name}” has not the content that its format wants: {exc}.") from exc
    except (msgspec.DecodeError, ValueError) as exc:
        hint = " It holds NaN or Infinity, which JSON does not know." if _not_finite(data) else ""
        raise Refused(f"“{name}” is not complete, valid JSON ({_reason(exc)}).{hint}") from exc


def item(raw: msgspec.Raw, kind: type[T]) -> T:
    """One entry of a list. Raises `Refused` with a sentence that fits behind "annotation 7 is left out:"."""
    try:
        return _decoder(kind).decode(raw)
    except RecursionError as exc:
        raise Refused("it is nested too deeply.") from exc
    except (msgspec.MsgspecError, ValueError) as exc:
        raise Refused(f"it has not the content that its format wants ({_reason(exc)}).") from exc


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def image_name(text: str) -> tuple[str, bool]:
    """A file name that a source mentions → (name to match frames by, whether it pointed out of its folder).

    Backslashes count as "/". A name with "..", a drive or a leading "/" keeps only its last part: it is
    compared with the names of frames and never opened.
    """
    plain = text.replace("\\", "/").replace("\0", "")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    escapes = ".." in parts or plain.startswith("/") or _DRIVE.match(plain) is not None
    if escapes:
        parts = [part for part in parts[-1:] if part != ".."]
    return "/".join(parts)[:1000], escapes


def folder_of(name: str) -> str:
    """The folder of a name with its "/" at the end, or nothing."""
    return name.rpartition("/")[0] + "/" if "/" in name else ""


def as_text(values: dict[str, Any]) -> dict[str, str]:
    """Attributes of whatever simple type as texts; nested ones and nulls are left out."""
    out: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, bool):
            out[key] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            out[key] = str(value)
    return out


def _not_finite(data: bytes) -> bool:
    return re.search(rb"[\[:,]\s*-?(NaN|Infinity)", data) is not None


def _reason(exc: Exception) -> str:
    return (
        str(exc).removeprefix("JSON is malformed: ")[:200]
        if isinstance(exc, msgspec.MsgspecError)
        else "bad UTF-8"
    )


def counted(count: int, noun: str) -> str:
    """ "1 annotation", "3 annotations"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
