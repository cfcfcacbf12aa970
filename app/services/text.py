"""Names that people type."""

from __future__ import annotations

from app.errors import Refused


def clean_name(name: str) -> str:
    """Trimmed, inner white space collapsed, without control characters or direction overrides.

    Raises Refused when nothing is left or more than 200 characters remain.
    """
    cleaned = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if not cleaned:
        raise Refused("The name is empty. Type at least one letter.")
    if len(cleaned) > 200:
        raise Refused(f"The name has {len(cleaned)} characters; 200 is the most.")
    return cleaned
