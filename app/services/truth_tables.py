"""Scores as a file: a table with a row for each frame and class, or everything as JSON."""

from __future__ import annotations

import csv
import io

import msgspec

from app import store as db
from app.errors import Refused
from app.i18n import gettext as _
from app.services import truth_scores, truth_sums
from app.services.context import Context

COLUMNS = (
    "asset",
    "frame",
    "class_id",
    "class",
    "truth_px",
    "found_px",
    "both_px",
    "iou",
    "precision",
    "recall",
    "boundary_f",
    "stale",
)
FORMATS = ("csv", "json")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula."""


def file(ctx: Context, project_id: str, format: str, asset_id: str | None) -> tuple[str, bytes]:
    """The name and the bytes of the file. Raises Refused for another format than those, NotFound.

    CSV: one row a frame and class that its truth or its labels show, frame indices from 0, UTF-8. JSON: the scores
    as the API gives them.
    """
    if format not in FORMATS:
        raise Refused(_("Scores are written as {formats}.").format(formats=", ".join(FORMATS)))
    name = ctx.store.read(lambda cur: db.projects.get(cur, project_id)).name
    if format == "json":
        scores = truth_scores.view(ctx, project_id, asset_id)
        return f"{name} scores.json", msgspec.json.format(msgspec.json.encode(scores)) + b"\n"
    return f"{name} scores.csv", _csv(ctx, project_id, asset_id)


def _csv(ctx: Context, project_id: str, asset_id: str | None) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)

    def query(cur: db.Cursor) -> None:
        known = truth_scores.read(cur, project_id, asset_id)
        names = {one.id: one.name for one in known.template.classes}
        current = {(place.asset_id, place.frame_index) for place in known.places if place.current}
        for asset in known.assets:
            for row in db.truths.scores(cur, asset.id):
                contours = dict(row.contours)
                stale = (asset.id, row.frame_index) not in current
                for own in truth_sums.sums_of(truth_sums.counts_of(row.cells)).classes:
                    figures = (own.iou, own.precision, own.recall, contours.get(own.class_id))
                    writer.writerow(
                        [
                            _text(asset.name),
                            row.frame_index,
                            own.class_id,
                            _text(names.get(own.class_id, "")),
                            own.truth_px,
                            own.found_px,
                            own.both_px,
                            *map(_number, figures),
                            int(stale),
                        ]
                    )

    ctx.store.read(query)
    return out.getvalue().encode()


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(FORMULA) else value


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
