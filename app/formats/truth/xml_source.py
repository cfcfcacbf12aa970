"""XML files of a source, streamed by defusedxml: no document type, no entities, no deep nesting."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, cast
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from app.errors import Refused
from app.formats.truth.model import Files

MAX_XML_BYTES = 1 << 30
MAX_DEPTH = 32
_TO_HOLD = 1e15


def children(files: Files, name: str, root: str) -> Iterator[Element]:
    """Every child of the root element, whole; what was given is let go. Raises `Refused` naming the file."""
    data = files.read(name, MAX_XML_BYTES)
    if not data.strip():
        raise Refused(f"“{name}” is empty.")
    depth = 0
    top: Element | None = None
    try:
        for event, element in cast(
            "Iterator[tuple[str, Element]]",
            iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True),
        ):
            if event == "start":
                depth += 1
                if depth > MAX_DEPTH:
                    raise Refused(f"“{name}” is nested too deeply to be read.")
                if top is None:
                    top = element
                    if element.tag != root:
                        raise Refused(f"“{name}” begins with <{str(element.tag)[:40]}>, not with <{root}>.")
                continue
            depth -= 1
            if depth == 1 and top is not None:
                yield element
                top.clear()
    except DefusedXmlException as exc:
        raise Refused(
            f"“{name}” declares a document type or entities, which are not read; save it without them."
        ) from exc
    except (ParseError, ValueError, LookupError, RecursionError) as exc:
        # LookupError: an encoding that does not exist.
        raise Refused(f"“{name}” is not complete, valid XML ({str(exc)[:120]}).") from exc


def text_of(element: Element, path: str) -> str:
    """The text of a child, "" without one."""
    return (element.findtext(path) or "").strip()


def whole(text: Any, what: str) -> int:
    """A whole number from an attribute. Raises `Refused` with a sentence that fits behind a label."""
    value = number(text, what)
    if value != int(value):
        raise Refused(f"its {what} {str(text)[:20]!r} is not a whole number.")
    return int(value)


def number(text: Any, what: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError) as exc:
        raise Refused(f"its {what} is missing or not a number.") from exc
    if not abs(value) < _TO_HOLD:
        raise Refused(f"its {what} is not a usable number.")
    return value
