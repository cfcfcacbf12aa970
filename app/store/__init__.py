"""All SQL. Rows ↔ Structs, one module per table; `Store` runs the changes. Nothing else imports duckdb."""

from app.store import (
    assets,
    bulk,
    class_templates,
    edits,
    frames,
    jobs,
    lanes,
    measures,
    projects,
    recovery,
    regions,
    review,
    scores,
    seen,
    stats,
    tracks,
    truths,
)
from app.store.cursor import Cursor
from app.store.db import Store

__all__ = [
    "Cursor",
    "Store",
    "assets",
    "bulk",
    "class_templates",
    "edits",
    "frames",
    "jobs",
    "lanes",
    "measures",
    "projects",
    "recovery",
    "regions",
    "review",
    "scores",
    "seen",
    "stats",
    "tracks",
    "truths",
]
