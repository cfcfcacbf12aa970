"""Names made of what people typed, safe as file names and inside the texts that the formats are made of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\ud800-\udfff\u202a-\u202e\u2066-\u2069]')
MAX_BYTES = 180


def plain_name(text: str, otherwise: str = "project") -> str:
    """A text as part of a file name: letters, digits, dots, dashes; at most 80 characters."""
    plain = _not_reserved(re.sub(r"[^\w.-]+", "_", text).strip("._-"))
    return _cut(plain[:80]) or otherwise


def kept_name(text: str, otherwise: str) -> str:
    """A file name from a source as it was, but for what no file name may hold; at most 180 bytes."""
    return _not_reserved(_cut(_UNSAFE.sub("_", text).strip(" .").lstrip("@"))) or otherwise


def unique(names: Iterable[str], *, otherwise: str = "class") -> list[str]:
    """Plain names that differ even where case is ignored: equal ones are numbered from 2."""
    taken: set[str] = set()
    return [take(plain_name(name, otherwise), taken) for name in names]


def take(name: str, taken: set[str]) -> str:
    """The name, or the name with the first number that makes it new; it is put into `taken`."""
    fresh, number = name, 2
    while _folded(fresh) in taken:
        fresh, number = f"{name}-{number}", number + 1
    taken.add(_folded(fresh))
    return fresh


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def yaml_text(text: str) -> str:
    """A text as a double-quoted YAML scalar."""
    out = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif char == " " or (char.isprintable() and code != 0xFEFF):
            out.append(char)
        else:
            out.append(
                f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
            )
    return '"' + "".join(out) + '"'


_XML_CHARS = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\n": "&#10;",
    "\r": "&#13;",
    "\t": "&#9;",
}
_XML_SPECIAL = re.compile(r'[&<>"\n\r\t\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')


def xml_text(text: str) -> str:
    """A text for XML 1.0, between tags or in double quotes; characters that XML cannot hold become U+FFFD."""
    return _XML_SPECIAL.sub(lambda found: _XML_CHARS.get(found[0], "\ufffd"), text)


def _cut(name: str) -> str:
    return name.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore").rstrip(" .")


def _not_reserved(name: str) -> str:
    # Windows would take such a file for a device.
    return f"_{name}" if _RESERVED.match(name) else name
