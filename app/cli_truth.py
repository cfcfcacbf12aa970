"""`pointillist truth list | keep | delete | score | scores`: ground truth that is kept hidden, for scoring only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.i18n import gettext as _
from app.i18n import ngettext

if TYPE_CHECKING:
    from app.cli import Common

project_option = click.option("--project", required=True, help="Name or id of the project.")
asset_option = click.option("--asset", help="Name or id of the asset.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the commands to the command line; `shared` adds the global options to a command."""
    main.add_command(truth)
    for command in (listing, keep, delete, score, scores):
        truth.add_command(shared(command))


@click.group()
def truth() -> None:
    """Keep ground truth hidden, and score labels against it.

    Import ground truth as hidden on the import page, or with import-labels --keep truth.
    """


@click.command("list")
@project_option
@json_option
@click.pass_obj
def listing(common: Common, project: str, as_json: bool) -> None:
    """Say which frames have hidden ground truth."""
    with common.client() as client:
        found = client.call("GET", f"/projects/{client.project(project)['project']['id']}/truth")
    if as_json:
        click.echo(json.dumps(found))
        return
    if not found["frames"]:
        click.echo(_("There is no hidden ground truth."))
    for asset in found["assets"]:
        runs = ", ".join(_run(*run) for run in asset["runs"])
        line = _("{asset}: {n} of {frames} frames ({runs})")
        click.echo(line.format(asset=asset["name"], n=asset["truths"], frames=asset["frames"], runs=runs))
        for source in asset["sources"]:
            line = _("{n} from {source}, kept by {actor}")
            click.echo("  " + line.format(n=source["frames"], source=source["source"], actor=source["actor"]))


@click.command()
@project_option
@asset_option
@click.option("--frame", "frames", type=click.IntRange(0), multiple=True, help="An index; repeatable.")
@click.option("--count", type=click.IntRange(1), help="Draw so many of the done and approved frames.")
@click.option("--seed", type=click.IntRange(0), help="The same seed draws the same frames.")
@click.option("--hold-out", is_flag=True, help="Take their regions away, to be made afresh.")
@click.option("--open", "open_", is_flag=True, help="Unlabelled pixels do not count.")
@json_option
@click.pass_obj
def keep(
    common: Common,
    project: str,
    asset: str | None,
    frames: tuple[int, ...],
    count: int | None,
    seed: int | None,
    hold_out: bool,
    open_: bool,
    as_json: bool,
) -> None:
    """Keep the labels of frames as hidden ground truth."""
    with common.client() as client:
        card = client.project(project)
        body = {
            "asset_id": client.asset(card, asset)["id"],
            "frames": list(frames) or None,
            "count": count,
            "seed": seed,
            "hold_out": hold_out,
            "unlabelled": "open" if open_ else "background",
        }
        job = client.wait(client.call("POST", f"/projects/{card['project']['id']}/truth", json=body))
    result = job["result"]
    if as_json:
        click.echo(json.dumps({"job": job["id"], **result}))
        return
    runs = ", ".join(_run(*run) for run in result["runs"])
    number = result["frames"]
    line = ngettext(
        "Kept the labels of {n} frame ({runs}).", "Kept the labels of {n} frames ({runs}).", number
    )
    click.echo(line.format(n=number, runs=runs))
    for note in result["notes"]:
        click.echo(note, err=True)


@click.command()
@project_option
@asset_option
@click.option("--frame", type=click.IntRange(0), help="The index of one frame.")
@click.option("--all", "all_", is_flag=True, help="Of all assets of the project.")
@click.pass_obj
def delete(common: Common, project: str, asset: str | None, frame: int | None, all_: bool) -> None:
    """Delete hidden ground truth and the scores that came of it."""
    if all_ and (asset is not None or frame is not None):
        raise click.UsageError(_("Give either --all, or an asset and a frame."))
    with common.client() as client:
        card = client.project(project)
        chosen = None if all_ else client.asset(card, asset)["id"]
        wanted = {key: value for key, value in (("asset_id", chosen), ("index", frame)) if value is not None}
        said = client.call("DELETE", f"/projects/{card['project']['id']}/truth", params=wanted)
    click.echo(said["what"])


@click.command()
@project_option
@asset_option
@click.option("--all", "all_", is_flag=True, help="Also frames that did not change since they were scored.")
@json_option
@click.pass_obj
def score(common: Common, project: str, asset: str | None, all_: bool, as_json: bool) -> None:
    """Compare labels with the hidden ground truth, and print the scores."""
    with common.client() as client:
        card = client.project(project)
        chosen = client.asset(card, asset)["id"] if asset else None
        base = f"/projects/{card['project']['id']}"
        job = client.wait(client.call("POST", f"{base}/score", json={"asset_id": chosen, "all": all_}))
        found = client.call("GET", f"{base}/scores", params={"asset_id": chosen} if chosen else {})
    _print(found, as_json=as_json)
    for note in job["result"]["notes"]:
        click.echo(note, err=True)


@click.command()
@project_option
@asset_option
@click.option("--csv", "table", type=click.Path(path_type=Path, dir_okay=False), help="Save a table here.")
@json_option
@click.pass_obj
def scores(common: Common, project: str, asset: str | None, table: Path | None, as_json: bool) -> None:
    """Print the scores as they are; with --csv save a row for each frame and class."""
    with common.client() as client:
        card = client.project(project)
        chosen = {"asset_id": client.asset(card, asset)["id"]} if asset else {}
        base = f"/projects/{card['project']['id']}"
        if table is not None:
            query = "".join(f"&{key}={value}" for key, value in chosen.items())
            client.download(f"{base}/scores/file?format=csv{query}", table)
            return
        found = client.call("GET", f"{base}/scores", params=chosen)
    _print(found, as_json=as_json)


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    for line in [json.dumps(found)] if as_json else _told(found):
        click.echo(line)


def _told(found: dict[str, Any]) -> Iterator[str]:
    """The scores as lines for a terminal."""
    line = _("{n} of {frames} frames with hidden ground truth are scored.")
    yield line.format(n=found["scored"], frames=found["frames"])
    if found["stale"]:
        yield _("{n} of them changed since: score again.").format(n=found["stale"])
    if not found["scored"]:
        return
    line = _("mIoU {miou}  pixel accuracy {accuracy}  boundary F {f}")
    yield line.format(
        miou=_figure(found["miou"]),
        accuracy=_figure(found["pixel_accuracy"]),
        f=_figure(found["boundary_f"]),
    )
    rows = found["classes"]
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        line = _("IoU {iou}  precision {precision}  recall {recall}  boundary F {f}")
        figures = line.format(
            iou=_figure(row["iou"]),
            precision=_figure(row["precision"]),
            recall=_figure(row["recall"]),
            f=_figure(row["boundary_f"]),
        )
        yield f"  {row['name']:<{width}}  {figures}"
    for row in found["annotators"]:
        line = _("{author}: mIoU {miou}, {n} frames")
        yield line.format(author=row["author"], miou=_figure(row["miou"]), n=row["frames"])
    for row in found["tracks"]:
        line = _("{object} → {track}: J&F {jf}, {n} frames")
        yield line.format(
            object=row["object"], track=row["name"] or _("no track"), jf=_figure(row["jf"]), n=row["frames"]
        )


def _figure(value: float | None) -> str:
    return "    –" if value is None else f"{value:.3f}"


def _run(start: int, length: int) -> str:
    return str(start) if length == 1 else f"{start}–{start + length - 1}"
