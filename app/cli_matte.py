"""`pointillist matte`: cut objects out of a video, and save the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli_export import FrameRange, named
from app.i18n import gettext as _
from app.matting import OUTPUTS

if TYPE_CHECKING:
    from app.client import Client

PARAMETERS = ("band", "erode", "dilate", "steady", "warm_up", "tile", "overlap", "chunk")
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of the asset.  [default: the only one]")
    @click.option("--track", "tracks", multiple=True, metavar="NAME", help="Cut out this track; repeatable.")
    @click.option("--class", "classes", multiple=True, metavar="NAME", help="Cut out this class; repeatable.")
    @click.option("--region", "regions", multiple=True, metavar="ID", help="Cut out this region; repeatable.")
    @click.option("--together", is_flag=True, help="All of them in one matte, not one each.")
    @click.option("--name", help="What that matte is called in the names of the files.")
    @click.option(
        "--range",
        "frames",
        type=FrameRange(),
        metavar="A:B",
        help="Frame indices, both included.  [default: all]",
    )
    @click.option("--engine", help="What makes the alphas.  [default: as suits]")
    @click.option(
        "--output",
        "outputs",
        multiple=True,
        type=click.Choice(list(OUTPUTS)),
        help="Repeatable.  [default: alpha-mp4]",
    )
    @click.option("--background", metavar="COLOUR", help="Behind the foreground video.  [default: #00ff00]")
    @click.option("--audio/--no-audio", default=True, help="Keep the sound of the source.")
    @click.option("--band", type=float, help="Pixels of unknown alpha beside the edge.  [default: as suits]")
    @click.option("--erode", type=int, help="Shrink the masks first, in pixels.")
    @click.option("--dilate", type=int, help="Grow the masks then, in pixels.")
    @click.option("--steady", is_flag=True, default=None, help="Average alphas where nothing moves.")
    @click.option("--warm-up", type=int, help="Times an engine sees its first frame.")
    @click.option("--tile", type=int, help="Side of tiles in pixels, a multiple of 64.")
    @click.option("--overlap", type=int, help="Frames that chunks share.")
    @click.option("--chunk", type=int, help="Frames done at once.")
    @click.option("--estimate", is_flag=True, help="Only say what it would take.")
    @click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        help="The folder for the files.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def matte(common: Any, project: str, out: Path, as_json: bool, **wanted: Any) -> None:
        """Cut tracks, classes or regions out of a video: alpha, foreground and more.

        Ctrl-C cancels; the alphas that were made are kept for a retry.
        """
        if not (wanted["tracks"] or wanted["classes"] or wanted["regions"]):
            raise click.UsageError("Say what to cut out: --track, --class or --region.")
        with common.client() as client:
            run(client, project, out, wanted, as_json=as_json)


def run(client: Client, project: str, out: Path, wanted: dict[str, Any], *, as_json: bool) -> None:
    """Make the mattes and save their files in `out`. Raises ApiError, or Refused for names that nobody knows."""
    from app.cli_progress import bar

    card = client.project(project)
    body, place = _body(client, card, wanted), f"/projects/{card['project']['id']}/mattes"
    found = client.call("POST", f"{place}/estimate", json=body)
    if wanted["estimate"]:
        click.echo(json.dumps(found) if as_json else _estimated(found))
        return
    if not as_json:
        for sentence in [_licence(found), *found["limits"]]:
            click.echo(sentence, err=True)
    job = client.call("POST", place, json={**body, "engine": found["engine"]})
    with bar(_("Cutting out"), quiet=as_json) as show:
        try:
            job = client.wait(job, show)
        except KeyboardInterrupt:
            client.call("POST", f"/jobs/{job['id']}/cancel")
            click.echo(_("Cancelled. Job {id} goes on with a retry.").format(id=job["id"]), err=True)
            raise SystemExit(INTERRUPTED) from None
    out.mkdir(parents=True, exist_ok=True)
    saved = []
    for entry in job["result"]["files"]:
        target = out / Path(entry["name"]).name
        with bar(_("Downloading"), quiet=as_json, size=True) as show:
            client.download(f"/jobs/{job['id']}/files/{entry['name']}", target, show)
        saved.append({**entry, "path": str(target)})
    if as_json:
        click.echo(json.dumps({**job["result"], "files": saved, "job": job["id"]}))
        return
    for entry in saved:
        click.echo(f"{entry['path']}  {entry['bytes']} bytes")
    for note in job["result"]["notes"]:
        click.echo(note, err=True)


def _body(client: Client, card: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    project = card["project"]
    ids: dict[str, list[Any]] = {"track_ids": [], "class_ids": [], "region_ids": list(wanted["regions"])}
    if wanted["classes"]:
        template = client.call("GET", f"/class-templates/{project['class_template_id']}")
        ids["class_ids"] = [named("class", name, template["classes"]) for name in wanted["classes"]]
    if wanted["tracks"]:
        rows = client.call("GET", f"/projects/{project['id']}/tracks")
        ids["track_ids"] = [named("track", name, rows) for name in wanted["tracks"]]
    if wanted["together"]:
        targets: list[dict[str, Any]] = [dict(ids)]
    else:
        targets = [{kind: [id]} for kind, many in ids.items() for id in many]
    if wanted["name"]:
        targets[0]["name"] = wanted["name"]
    body: dict[str, Any] = {
        "asset_id": client.asset(card, wanted["asset"])["id"],
        "targets": targets,
        "sound": wanted["audio"],
        "parameters": {name: wanted[name] for name in PARAMETERS if wanted[name] is not None},
    }
    body |= {name: wanted[name] for name in ("engine", "background") if wanted[name]}
    if wanted["outputs"]:
        body["outputs"] = list(wanted["outputs"])
    if wanted["frames"] is not None:
        body["start"], body["stop"] = wanted["frames"]
    return body


def _estimated(found: dict[str, Any]) -> str:
    said = _("{frames} frames with {engine}").format(**found)
    if found["seconds"] is not None:
        said += _(", about {seconds:.0f} s").format(**found)
    if found["memory_mb"] is not None:
        said += _(", {memory_mb} MB of memory").format(**found)
    lines = [f"{said}.", _licence(found), *found["limits"]]
    if not found["available"]:
        lines.append(f"{found['reason']} {found['step']}.")
    if found["recommended"] != found["engine"]:
        lines.append(_("{recommended} suits better: {why}").format(**found))
    return "\n".join(lines)


def _licence(found: dict[str, Any]) -> str:
    said = _("Licence of {engine}: {licence}.").format(**found)
    if found["weights_licence"]:
        said += " " + _("Of its weights: {weights_licence}.").format(**found)
    return said
