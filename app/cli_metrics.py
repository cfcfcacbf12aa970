"""`pointillist metrics`: how steady the labels of a project are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.i18n import gettext as _

if TYPE_CHECKING:
    from app.client import Client

COLUMNS = ("warped_instability", "instability", "iou", "dice", "boundary_f")


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of the asset.  [default: all of them]")
    @click.option("--measure", is_flag=True, help="First measure the frames whose labels changed.")
    @click.option("--all", "everything", is_flag=True, help="Measure every labelled frame.")
    @click.option(
        "--csv",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Save a row for each frame, class and track.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def metrics(common: Any, file: Path | None, as_json: bool, **wanted: Any) -> None:
        """Show how steady labels are from frame to frame, and how much of that is flicker."""
        with common.client() as client:
            result = read(client, wanted, file, quiet=as_json)
        if as_json:
            click.echo(json.dumps(result))
        else:
            for line in _lines(result):
                click.echo(line)


def read(client: Client, wanted: dict[str, Any], file: Path | None, *, quiet: bool) -> dict[str, Any]:
    """The figures of `GET /projects/{id}/metrics`, measured before where that is wanted. Raises ApiError."""
    from app.cli_progress import bar

    card = client.project(wanted["project"])
    path = f"/projects/{card['project']['id']}"
    asset = None if wanted["asset"] is None else client.asset(card, wanted["asset"])["id"]
    if wanted["measure"] or wanted["everything"]:
        body = {"asset_id": asset, "all": wanted["everything"]}
        job = client.call("POST", f"{path}/measure", json=body)
        with bar(_("Measuring"), quiet=quiet) as progress:
            client.wait(job, progress)
    query = {} if asset is None else {"asset_id": asset}
    if file is not None:
        client.download(f"{path}/metrics/file?" + "&".join(f"{k}={v}" for k, v in query.items()), file)
    found = client.call("GET", f"{path}/metrics", params=query)
    template = client.call("GET", f"/class-templates/{card['project']['class_template_id']}")
    names = {known["id"]: known["name"] for known in template["classes"]}
    for row in _classes(found):
        row["name"] = names.get(row["class_id"], "")
    return found


def _classes(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from found["classes"]
    for asset in found["assets"]:
        yield from asset["classes"]


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """A table: assets, under each its classes and tracks."""
    if not any(asset["measured"] or asset["summary"]["frames"] for asset in found["assets"]):
        yield _("Nothing has been measured yet. Add --measure.")
        return
    yield f"{'':<28}{_('flicker'):>9}{'1-IoU':>9}{'IoU':>9}{'Dice':>9}{'F':>9}{_('jumps'):>8}"
    for asset in found["assets"]:
        yield _row(asset["name"], asset["summary"], "")
        for row in asset["classes"]:
            yield _row(f"  {row['name']}", row, row["jumps"])
        for row in asset["tracks"]:
            yield _row(f"    {row['name'] or row['track_id'][-6:]}", row, row["jumps"])
    for asset in found["assets"]:
        yield _("%(name)s: %(over)s of %(frames)s frames flicker by more than %(limit)s.") % {
            "name": asset["name"],
            "over": asset["over_limit"],
            "frames": asset["summary"]["frames"],
            "limit": found["limit"],
        }
        if asset["stale"]:
            yield _("Labels of %(n)s frames changed since. Add --measure.") % {"n": asset["stale"]}


def _row(name: str, figures: dict[str, Any], jumps: object) -> str:
    cells = "".join(
        f"{'–' if figures[column] is None else format(figures[column], '.3f'):>9}" for column in COLUMNS
    )
    return f"{name[:27]:<28}{cells}{jumps!s:>8}"
