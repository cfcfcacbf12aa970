"""From the id of a format to what writes it."""

from __future__ import annotations

from importlib import import_module

from app.errors import Refused
from app.formats.out import FORMATS
from app.formats.out.model import Plan, Writer


def open_writer(format: str, plan: Plan) -> Writer:
    """The writer of a format for one export. Raises Refused where the class template does not suit it."""
    row = FORMATS.get(format)
    if row is None or not row.module:
        raise Refused(f"There is no writer for the export format {format[:40]!r}.")
    return import_module(f"app.formats.out.{row.module}").open_writer(plan)
