"""`pointillist track`: follow regions through a video, or find texts in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from app.client import Client

OPTIONS = ("start", "stop", "direction", "every", "threshold", "engine", "overwrite")


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of the asset.  [default: the only one]")
    @click.option(
        "--region", "regions", multiple=True, metavar="ID", help="Follow this region. May be repeated."
    )
    @click.option("--frame", type=click.IntRange(0), help="Follow all regions of this frame.")
    @click.option(
        "--text",
        "texts",
        multiple=True,
        metavar="TEXT=CLASS",
        help="Find this in the video; CLASS is a name or id. May be repeated.",
    )
    @click.option("--start", type=click.IntRange(0), help="The first frame.  [default: 0]")
    @click.option("--stop", type=click.IntRange(0), help="The last frame.  [default: the last of the asset]")
    @click.option("--direction", type=click.Choice(["forward", "backward", "both"]), help="From the regions.")
    @click.option("--every", type=click.IntRange(1, 1000), help="Look for texts on every so many-th frame.")
    @click.option("--threshold", type=click.FloatRange(0, 1), help="How sure the engine must be of a text.")
    @click.option("--engine", help="Which engine works.  [default: the project's, or one that can]")
    @click.option("--overwrite", is_flag=True, default=None, help="Also write to approved frames.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def track(common: Any, as_json: bool, **wanted: Any) -> None:
        """Follow regions through a video, or find texts in it."""
        if bool(wanted["texts"]) == bool(wanted["regions"] or wanted["frame"] is not None):
            raise click.UsageError("Give either --region or --frame, or --text.")
        with common.client() as client:
            result = run(client, wanted, quiet=as_json)
        if as_json:
            click.echo(json.dumps(result))
        else:
            click.echo(
                f"{result['regions']} regions on {result['frames']} frames in {len(result['tracks'])} tracks, "
                f"{result['lost']} times lost. Job {result['job']}."
            )


def run(client: Client, wanted: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Submit and wait. Returns the result of the job with its id; raises ApiError or Refused."""
    from app.cli_progress import bar

    card = client.project(wanted["project"])
    project, asset = card["project"], client.asset(card, wanted["asset"])
    body = {name: wanted[name] for name in OPTIONS if wanted[name] is not None}
    body["asset_id"] = asset["id"]
    if wanted["texts"]:
        template = client.call("GET", f"/class-templates/{project['class_template_id']}")
        body["texts"] = [text_class(pair, template["classes"]) for pair in wanted["texts"]]
    else:
        body["region_ids"] = [*wanted["regions"], *_of_frame(client, asset["id"], wanted["frame"])]
    job = client.call("POST", f"/projects/{project['id']}/tracks", json=body)
    with bar("Finding" if wanted["texts"] else "Tracking", quiet=quiet) as progress:
        job = client.wait(job, progress)
    return {**job["result"], "job": job["id"]}


def text_class(pair: str, classes: list[dict[str, Any]]) -> dict[str, Any]:
    """TEXT=CLASS as the API wants it. Raises Refused, naming the classes, for one that nobody knows."""
    from app.errors import Refused

    text, equals, name = pair.rpartition("=")
    known = {c["name"].casefold(): c["id"] for c in classes} | {str(c["id"]): c["id"] for c in classes}
    if not equals or not text.strip() or name.strip().casefold() not in known:
        names = ", ".join(c["name"] for c in classes[:30])
        raise Refused(f"“{pair}” is no TEXT=CLASS with a class of the template. Classes: {names}.")
    return {"text": text.strip(), "class_id": known[name.strip().casefold()]}


def _of_frame(client: Client, asset_id: str, frame: int | None) -> list[str]:
    if frame is None:
        return []
    from app.errors import Refused

    found = [region["id"] for region in client.call("GET", f"/frames/{asset_id}-{frame:06d}/regions")]
    if not found:
        raise Refused(f"Frame {frame} has no region to track.")
    return found
