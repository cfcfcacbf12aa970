"""Files of all figures that were measured: a row for each frame × class × track, as CSV or JSON, as a stream."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from app import store as db
from app.i18n import gettext as _
from app.models import Asset, Run, frame_id
from app.quality import Measure, Measured
from app.services import exports
from app.services.context import Context
from app.smoothing import FLICKER_LIMIT
from app.stamps import ranks_of

BATCH = 500
"""Frames whose rows are taken from the database at a time."""


class FileRow(Struct, kw_only=True):
    """A line of the file: a class or track on a frame, fractions 0..1; class 0 = the frame as a whole.

    `frame`: as pages count, from 1. `stale`: the labels changed since. The last three are of the frame.
    """

    asset: str
    frame: int
    frame_id: str
    class_id: int
    class_name: str
    track_id: str
    track: str
    area: int
    change: float | None
    iou: float | None
    dice: float | None
    instability: float | None
    warped_iou: float | None
    warped_dice: float | None
    warped_instability: float | None
    boundary_f: float | None
    stale: bool
    cut: bool
    contested: int
    unlabelled: int


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Text that a spreadsheet would run as a formula if it began like this."""


def stability(
    ctx: Context, project_id: str, asset_id: str | None, format: Literal["csv", "json"]
) -> tuple[str, Iterator[bytes]]:
    """(file name, its content in pieces): a row for each measured frame × class × track, in order.

    JSON: {limit, rows: [`FileRow`]}. CSV: RFC 4180 with a header. Raises NotFound.
    """
    name = ctx.store.read(lambda cur: exports.selection(cur, project_id, asset_id)[0].name)
    rows = _rows(ctx, project_id, asset_id, _harmless if format == "csv" else str)
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:80] or "project"
    return f"{plain}-stability.{format}", _csv(rows) if format == "csv" else _json(rows)


def _rows(
    ctx: Context, project_id: str, asset_id: str | None, text: Callable[[str], str]
) -> Iterator[list[FileRow]]:
    """A list a page. `text`: how names are written."""

    def facts(cur: db.Cursor) -> tuple[list[Asset], str, dict[int, str], dict[str, str]]:
        project, assets = exports.selection(cur, project_id, asset_id)
        template = db.class_templates.get(cur, project.class_template_id)
        names = {0: _("all"), **{c.id: text(c.name) for c in template.classes}}
        tracks = {track.id: text(track.name) for track in db.tracks.of_project(cur, project_id)}
        return assets, ranks_of(template), names, tracks

    assets, ranks, classes, tracks = ctx.store.read(facts)
    for asset in assets:
        name = text(asset.name)
        stale = ctx.store.read(lambda cur, id=asset.id: db.measures.stale_runs(cur, id, ranks))
        is_stale = _asker(stale)
        for start in range(0, asset.frame_count, BATCH):

            def page(
                cur: db.Cursor, id: str = asset.id, start: int = start
            ) -> tuple[list[Measured], list[Measure]]:
                stop = start + BATCH
                return (
                    db.measures.measured_of_frames(cur, id, start, stop),
                    db.measures.of_frames(cur, id, start, stop),
                )

            measured, found = ctx.store.read(page)
            of_frame = {one.frame_index: one for one in measured}
            yield [
                _file_row(name, of_frame[row.frame_index], row, classes, tracks, is_stale)
                for row in found
                if row.frame_index in of_frame
            ]


def _file_row(
    asset: str,
    frame: Measured,
    row: Measure,
    classes: dict[int, str],
    tracks: dict[str, str],
    is_stale: Callable[[int], bool],
) -> FileRow:
    return FileRow(
        asset=asset,
        frame=row.frame_index + 1,
        frame_id=frame_id(row.asset_id, row.frame_index),
        class_id=row.class_id,
        class_name=classes.get(row.class_id, ""),
        track_id=row.track_id,
        track=tracks.get(row.track_id, ""),
        area=row.area,
        change=row.change,
        iou=row.iou,
        dice=row.dice,
        instability=None if row.iou is None else round(1 - row.iou, 6),
        warped_iou=row.warped_iou,
        warped_dice=row.warped_dice,
        warped_instability=None if row.warped_iou is None else round(1 - row.warped_iou, 6),
        boundary_f=row.boundary_f,
        stale=is_stale(row.frame_index),
        cut=frame.cut,
        contested=frame.contested,
        unlabelled=frame.unlabelled,
    )


def _asker(runs: list[Run]) -> Callable[[int], bool]:
    """A question whether a frame lies in one of the runs; to be asked of ascending frames."""
    at = 0

    def ask(index: int) -> bool:
        nonlocal at
        while at < len(runs) and sum(runs[at]) <= index:
            at += 1
        return at < len(runs) and runs[at][0] <= index

    return ask


def _csv(pages: Iterator[list[FileRow]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(FileRow.__struct_fields__)
    for rows in pages:
        writer.writerows(map(msgspec.structs.astuple, rows))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    if text.tell():
        yield text.getvalue().encode()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _json(pages: Iterator[list[FileRow]]) -> Iterator[bytes]:
    yield b'{"limit":' + msgspec.json.encode(FLICKER_LIMIT) + b',"rows":['
    first = True
    for rows in pages:
        if rows:
            body = msgspec.json.encode(rows)[1:-1]
            yield body if first else b"," + body
            first = False
    yield b"]}\n"
