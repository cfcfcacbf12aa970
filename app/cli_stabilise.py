"""`pointillist stabilise`: smooth flickering labels along time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from app.i18n import gettext as _
from app.smoothing import METHODS

if TYPE_CHECKING:
    from app.client import Client

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
OPTIONS = ("start", "stop", "method", "window", "alpha", "iou_target")


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of the asset.  [default: the only one]")
    @click.option("--method", type=click.Choice(list(METHODS)), help="The filter.  [default: average]")
    @click.option("--window", type=int, help="Frames that have a say: 3, 5, 7 or 9.  [default: 7]")
    @click.option(
        "--alpha", type=float, help="Of the exponential filter: weight of a frame itself.  [default: 0.3]"
    )
    @click.option("--no-motion", is_flag=True, help="Compare frames in place, not along their motion.")
    @click.option("--everywhere", is_flag=True, help="Smooth also where nothing seems to flicker.")
    @click.option(
        "--class", "classes", multiple=True, metavar="NAME", help="Only this class. May be repeated."
    )
    @click.option(
        "--track", "tracks", multiple=True, metavar="NAME", help="Only this track. May be repeated."
    )
    @click.option("--start", type=click.IntRange(0), help="The first frame, counted from 0.  [default: 0]")
    @click.option("--stop", type=click.IntRange(0), help="The last frame.  [default: the last of the asset]")
    @click.option("--overwrite-anchors", is_flag=True, help="Also change anchors, as imported regions are.")
    @click.option("--iou-target", type=click.FloatRange(0.5, 1), help="Of outlines.  [default: 0.98]")
    @click.option("--preview", is_flag=True, help="Only say what it would bring; change nothing.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def stabilise(common: Any, as_json: bool, **wanted: Any) -> None:
        """Smooth flickering labels along time, as one step that can be undone. Ctrl-C changes nothing."""
        with common.client() as client:
            result = run(client, wanted, quiet=as_json)
        click.echo(json.dumps(result) if as_json else _sentence(result))
        if result.get("cancelled"):
            raise SystemExit(INTERRUPTED)


def run(client: Client, wanted: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Submit and wait. Returns the result of the job with its id. Raises ApiError or Refused."""
    from app.cli_progress import bar

    card = client.project(wanted["project"])
    project, asset = card["project"], client.asset(card, wanted["asset"])
    body = {name: wanted[name] for name in OPTIONS if wanted[name] is not None}
    template = client.call("GET", f"/class-templates/{project['class_template_id']}")
    body |= {
        "asset_id": asset["id"],
        "motion": not wanted["no_motion"],
        "evidence": not wanted["everywhere"],
        "overwrite_anchors": wanted["overwrite_anchors"],
        "preview": wanted["preview"],
        "class_ids": _chosen(wanted["classes"], template["classes"], _("class")),
    }
    if wanted["tracks"]:
        rows = client.call("GET", f"/projects/{project['id']}/tracks")
        here = [row for row in rows if row["asset_id"] == asset["id"]]
        body["track_ids"] = _chosen(wanted["tracks"], here, _("track"))
    job = client.call("POST", f"/projects/{project['id']}/stabilise", json=body)
    with bar(_("Stabilising"), quiet=quiet) as progress:
        try:
            job = client.wait(job, progress)
        except KeyboardInterrupt:
            return _cancelled(client, job)
    return {**job["result"], "job": job["id"]}


def _chosen(names: tuple[str, ...], rows: list[dict[str, Any]], what: str) -> list[Any]:
    """The ids of the rows of these names or ids. Raises Refused, naming what there is, for one nobody knows."""
    from app.errors import Refused

    known = {row["name"].casefold(): row["id"] for row in rows} | {str(row["id"]): row["id"] for row in rows}
    for name in names:
        if name.casefold() not in known:
            there = ", ".join(row["name"] for row in rows[:30]) or _("none")
            raise Refused(
                _("There is no {what} “{name}” here. There are: {there}.").format(
                    what=what, name=name, there=there
                )
            )
    return [known[name.casefold()] for name in names]


def _cancelled(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Cancel the job; its result where it is done already."""
    from app.client import ApiError

    client.call("POST", f"/jobs/{job['id']}/cancel")
    try:
        job = client.wait(client.call("GET", f"/jobs/{job['id']}"))
        return {**job["result"], "job": job["id"]}  # it was faster than the person
    except ApiError:
        return {"cancelled": True, "job": job["id"]}


def _sentence(result: dict[str, Any]) -> str:
    if result.get("cancelled"):
        return _("Cancelled. Nothing was changed.")
    before, after = result["before"]["warped_instability"], result["after"]["warped_instability"]
    said = (
        _("{changed} of {frames} frames would change.")
        if result["preview"]
        else _("{changed} of {frames} frames changed: {regions} regions.")
    )
    lines = [said.format(**result)]
    if before is not None and after is not None:
        lines.append(_("Flicker {before:.3f} → {after:.3f}.").format(before=before, after=after))
    if result["skipped"]:
        lines.append(
            _("{skipped} frames were changed or approved meanwhile and stay as they are.").format(**result)
        )
    return " ".join([*lines, *result["notes"], _("Job {job}.").format(**result)])
