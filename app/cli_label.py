"""`pointillist label`: scripted clicks become regions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import click
import msgspec
from msgspec import Meta, Struct, field

from app.client import ApiError, Client
from app.errors import Refused
from app.i18n import gettext as _
from app.models import Geometry, Point, frame_id, new_id

Row = Annotated[list[float], Meta(min_length=2, max_length=4)]


class ScriptedClick(Struct, kw_only=True, forbid_unknown_fields=True):
    """One region. `points`: {x, y, label, r} or [x, y], [x, y, label], [x, y, label, r].

    `refine`: the id of a region that gets this geometry instead of a new one.
    """

    frame: Annotated[int, Meta(ge=0)]
    class_: str | int | None = field(default=None, name="class")
    asset: str | None = None
    points: list[Point | Row] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    outline: list[list[tuple[float, float]]] | None = None
    engine: str | None = None
    refine: str | None = None

    def geometry(self) -> Geometry:
        points = [point if isinstance(point, Point) else _point(point) for point in self.points]
        return Geometry(points=points, box=self.box, outline=self.outline)


def _point(row: list[float]) -> Point:
    return Point(
        x=row[0],
        y=row[1],
        label=0 if len(row) > 2 and row[2] == 0 else 1,
        r=row[3] if len(row) > 3 else 0.0,
    )


def read_clicks(file: Path) -> list[ScriptedClick]:
    """The clicks of a JSON file: a list, or {"clicks": [...]}. Raises Refused, naming what is wrong."""
    try:
        found = msgspec.json.decode(file.read_bytes())
        if isinstance(found, dict):
            found = found.get("clicks")
        return msgspec.convert(found, list[ScriptedClick])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as exc:
        raise Refused(_("The clicks in {file} cannot be used: {why}.").format(file=file, why=exc)) from exc


def label(client: Client, project: str, file: Path, *, as_json: bool) -> None:
    """Make (or refine) one region a click and print its certificate. Raises ApiError, naming the click."""
    clicks = read_clicks(file)
    card = client.project(project)
    template = client.call("GET", f"/class-templates/{card['project']['class_template_id']}")
    made = []
    for number, wanted in enumerate(clicks, 1):
        try:
            made.append(_one(client, card, template, wanted))
        except ApiError as exc:
            raise ApiError(_("Click {n}: {why}").format(n=number, why=exc.sentence)) from exc
        if not as_json:
            click.echo(_line(made[-1]))
    if as_json:
        click.echo(msgspec.json.encode({"regions": made}).decode())


def _one(
    client: Client, card: dict[str, Any], template: dict[str, Any], wanted: ScriptedClick
) -> dict[str, Any]:
    geometry = msgspec.to_builtins(wanted.geometry())
    if wanted.refine is not None:
        body: dict[str, Any] = {"geometry": geometry, "engine": wanted.engine}
        if wanted.class_ is not None:
            body["class_id"] = _class_id(template, wanted.class_)
        headers = {"Idempotency-Key": new_id()}
        result = client.call("PATCH", f"/regions/{wanted.refine}", json=body, headers=headers)
    else:
        if wanted.class_ is None:
            raise ApiError(_("It names no class."))
        asset = client.asset(card, wanted.asset)
        body = {
            "id": new_id(),
            "class_id": _class_id(template, wanted.class_),
            "geometry": geometry,
            "engine": wanted.engine,
        }
        frame = frame_id(asset["id"], wanted.frame)
        headers = {"Idempotency-Key": new_id()}
        result = client.call("POST", f"/frames/{frame}/regions", json=body, headers=headers)
    region = result["region"]
    certificate = region["certificate"]
    names = {row["id"]: row["name"] for row in template["classes"]}
    return {
        "region": region["id"],
        "frame": region["frame_id"],
        "class": names.get(region["class_id"], str(region["class_id"])),
        "points": len(region["geometry"]["points"]),
        "outline": bool(region["geometry"]["outline"]),
        "area": region["area"],
        "iou": None if certificate is None else certificate["iou"],
    }


def _class_id(template: dict[str, Any], wanted: str | int) -> int:
    for row in template["classes"]:
        if wanted in (row["id"], row["name"]) or str(row["id"]) == wanted:
            return row["id"]
    names = ", ".join(row["name"] for row in template["classes"])
    raise ApiError(_("There is no class {wanted}. There are: {names}.").format(wanted=wanted, names=names))


def _line(made: dict[str, Any]) -> str:
    iou = "–" if made["iou"] is None else f"{made['iou']:.3f}"
    outline = " + outline" if made["outline"] else ""
    return (
        f"{made['frame']}  {made['class']}  {made['points']} points{outline}  {made['area']} px  IoU {iou}  "
        f"{made['region']}"
    )
