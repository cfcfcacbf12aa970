"""`pointillist auto-label`: an engine labels the frames of an asset, and the label maps become regions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from app import cli_then

if TYPE_CHECKING:
    from app.client import Client

OPTIONS = ("engine", "iou_target", "budget", "min_area", "regions", "existing")


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command("auto-label")
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of the asset.  [default: the only one]")
    @click.option("--engine", default="deeplabv3", show_default=True, help="Which engine labels.")
    @click.option("--start", type=click.IntRange(0), help="The first frame, counted from 0.")
    @click.option("--stop", type=click.IntRange(0), help="The last frame, counted from 0.")
    @click.option(
        "--map",
        "maps",
        multiple=True,
        metavar="ENGINE=CLASS",
        help="Map a class of the engine; may be repeated.",
    )
    @click.option("--ignore", "ignored", multiple=True, metavar="ENGINE", help="Leave a class out.")
    @click.option(
        "--rest",
        type=click.Choice(["ignore", "new"]),
        default="ignore",
        show_default=True,
        help="Classes that nothing fits.",
    )
    @click.option("--regions", type=click.Choice(["class", "piece"]), help="What becomes one region.")
    @click.option("--iou-target", type=click.FloatRange(0.5, 1), help="Below it a region gets an outline.")
    @click.option("--points", "budget", type=click.IntRange(0, 2000), help="Of a frame; 0 = outlines only.")
    @click.option("--min-area", type=click.IntRange(0), help="Leave smaller pieces out, in pixels.")
    @click.option(
        "--existing", type=click.Choice(["keep", "replace", "skip"]), help="Regions that are there."
    )
    @cli_then.options
    @click.option("--dry-run", is_flag=True, help="Only say what the classes would become.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def auto_label(common: Any, as_json: bool, **wanted: Any) -> None:
        """Let an engine label whole frames by its own classes."""
        with common.client() as client:
            result = label(client, wanted, quiet=as_json)
        if as_json:
            click.echo(json.dumps(result))
        else:
            show(result)


def label(client: Client, wanted: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Run it to the end, or for `dry_run` only decide about the classes. Raises ApiError or Refused.

    Returns {engine, mapping, unmatched} with names of classes, and after a run also {job, import_job, asset,
    frames, classes, regions, below_target, stages}, where `stages` are those of the job.
    """
    from app.cli_progress import bar

    card = client.project(wanted["project"])
    project_id = card["project"]["id"]
    asset = client.asset(card, wanted["asset"])
    template = client.call("GET", f"/class-templates/{card['project']['class_template_id']}")
    proposal = client.call(
        "GET", f"/projects/{project_id}/auto-label/mapping", params={"engine": wanted["engine"]}
    )
    mapping, left = decide(proposal, template["classes"], wanted)
    names = {known["id"]: known["name"] for known in template["classes"]}
    said = {
        "engine": wanted["engine"],
        "mapping": {name: names.get(class_id or 0) for name, class_id in mapping.items()},
        "unmatched": left,
    }
    if wanted["dry_run"]:
        return said
    new = wanted["rest"] == "new"
    body = {name: wanted[name] for name in OPTIONS if wanted[name] is not None}
    body |= {"asset_id": asset["id"], "mapping": mapping, "new_classes": new}
    body |= {name: wanted[name] for name in ("start", "stop") if wanted[name] is not None}
    body["then"] = cli_then.then_of(wanted)
    job = client.call("POST", f"/projects/{project_id}/auto-label", json=body)
    with bar("Labelling", quiet=quiet) as progress:
        job = client.wait(job, progress)
    found = job["result"]
    made = next(stage for stage in found["stages"] if stage["kind"] == "import_labels")
    return {
        **said,
        "job": job["id"],
        "import_job": made["job"],
        "asset": asset["id"],
        "frames": found["frames"],
        "classes": found["classes"],
        "regions": made["result"]["regions"],
        "below_target": made["result"]["below_target"],
        "stages": found["stages"],
    }


def decide(
    proposal: dict[str, Any], classes: list[dict[str, Any]], wanted: dict[str, Any]
) -> tuple[dict[str, int | None], list[str]]:
    """Class of the engine → class id, None = left out, and the classes that nothing was said about.

    Raises Refused for names that nobody knows.
    """
    from app.errors import Refused

    by_name = {known["name"].casefold(): known["id"] for known in classes}
    known = {row["name"].casefold(): row["name"] for row in proposal["classes"]}

    def own(name: str) -> str:
        if name.casefold() not in known:
            raise Refused(
                f"The engine {proposal['engine']} has no class “{name}”. It has: {', '.join(known.values())}."
            )
        return known[name.casefold()]

    mapping: dict[str, int | None] = {
        row["name"]: row["class_id"] for row in proposal["classes"] if row["why"]
    }
    for pair in wanted["maps"]:
        source, equals, target = pair.partition("=")
        if not equals or target.casefold() not in by_name:
            some = ", ".join(c["name"] for c in classes[:30])
            raise Refused(f"“{pair}” is no ENGINE=CLASS with a class of the template. Classes: {some}.")
        mapping[own(source)] = by_name[target.casefold()]
    mapping |= {own(name): None for name in wanted["ignored"]}
    return mapping, [row["name"] for row in proposal["classes"] if row["name"] not in mapping]


def show(result: dict[str, Any]) -> None:
    """A result for a terminal."""
    for name, target in result["mapping"].items():
        click.echo(f"  {name:16} → {target or 'left out'}")
    if result["unmatched"]:
        click.echo(f"  nothing fits: {', '.join(result['unmatched'])}", err=True)
    if "frames" in result:
        found = ", ".join(f"{name} ({frames})" for name, frames in result["classes"].items())
        click.echo(f"{result['frames']} frames show {found}.")
        click.echo(f"{result['regions']} regions, {result['below_target']} below the target.")
