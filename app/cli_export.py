"""`pointillist export`: submit, wait, download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.formats.out import FORMATS
from app.i18n import gettext as _

if TYPE_CHECKING:
    from app.client import Client

OPTIONS = (
    "opacity", "outlines", "outline_width", "labels", "audio", "quality", "max_side", "arrangement", "lossless",
    "media", "objects", "split", "shared_values",
)  # fmt: skip


class FrameRange(click.ParamType[tuple[int | None, int | None]]):
    """A:B, A: or :B."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        first, colon, last = str(value).partition(":")
        if not colon or not all(part == "" or part.isdecimal() for part in (first, last)):
            self.fail(f"{value!r} is no A:B of frame indices.", param, ctx)
        return (int(first) if first else None, int(last) if last else None)


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--format", "format", required=True, type=click.Choice(list(FORMATS)))
    @click.option("--asset", help="Name or id of one asset.  [default: all]")
    @click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        help="The folder for the files.",
    )
    @click.option(
        "--unlabelled", type=click.IntRange(0, 65535), help="What unlabelled pixels are written as."
    )
    @click.option("--all-frames", is_flag=True, help="Write frames without regions too.")
    @click.option("--media/--no-media", default=None, help="Pack the frames' images too.")
    @click.option("--objects", type=click.Choice(["class", "region"]), help="What one annotation stands for.")
    @click.option("--split", help="The name of the part of the data set, such as train.")
    @click.option("--shared-values", is_flag=True, default=None, help="Let classes of one value merge.")
    @click.option(
        "--range", "frames", type=FrameRange(), metavar="A:B", help="Of a video: its frames, both included."
    )
    @click.option("--opacity", type=click.FloatRange(0, 1), help="Of the labels in an overlay.")
    @click.option("--outlines/--no-outlines", default=None, help="Draw the borders of the labels.")
    @click.option("--outline-width", type=click.FloatRange(0.5, 20), help="In pixels.  [default: as suits]")
    @click.option(
        "--labels",
        is_flag=False,
        flag_value="track",
        type=click.Choice(["none", "class", "track"]),
        help="Draw names beside the objects.  [without a value: track]",
    )
    @click.option("--audio/--no-audio", default=None, help="Keep the sound of the source.")
    @click.option(
        "--quality", type=click.Choice(["preview", "standard", "high"]), help="How well videos are encoded."
    )
    @click.option(
        "--max-side", type=click.IntRange(0, 16384), help="Shrink the video to this side, in pixels."
    )
    @click.option("--stacked", "arrangement", flag_value="stacked", help="The original above the overlay.")
    @click.option(
        "--class", "classes", multiple=True, metavar="NAME", help="A mask video of this class; repeatable."
    )
    @click.option(
        "--track", "tracks", multiple=True, metavar="NAME", help="A mask video of this track; repeatable."
    )
    @click.option("--lossless", is_flag=True, default=None, help="Mask videos as FFV1 in Matroska.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def export(common: Any, project: str, out: Path, as_json: bool, **wanted: Any) -> None:
        """Export label maps, a data set in one of many formats, videos or a project bundle."""
        with common.client() as client:
            run(client, project, out, wanted, as_json=as_json)


def run(client: Client, project: str, out: Path, wanted: dict[str, Any], *, as_json: bool) -> None:
    """Run an export and save its files in `out`. Raises ApiError, or Refused for names that nobody knows."""
    from app.cli_progress import bar

    card = client.project(project)
    body = _body(client, card, wanted)
    job = client.call("POST", f"/projects/{card['project']['id']}/exports", json=body)
    with bar(_("Exporting"), quiet=as_json) as show:
        job = client.wait(job, show)
    out.mkdir(parents=True, exist_ok=True)
    result = job["result"]
    saved = []
    for entry in result["files"]:
        target = out / Path(entry["name"]).name
        with bar(_("Downloading"), quiet=as_json, size=True) as show:
            client.download(f"/jobs/{job['id']}/files/{entry['name']}", target, show)
        saved.append({**entry, "path": str(target)})
    if as_json:
        click.echo(json.dumps({**result, "files": saved, "job": job["id"]}))
        return
    for entry in saved:
        click.echo(f"{entry['path']}  {entry['bytes']} bytes")
    for note in result["notes"]:
        click.echo(note, err=True)


def _body(client: Client, card: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"format": wanted["format"], "only_labelled": not wanted["all_frames"]}
    if wanted["asset"]:
        body["asset_id"] = client.asset(card, wanted["asset"])["id"]
    body |= {name: wanted[name] for name in OPTIONS if wanted[name] is not None}
    if wanted["unlabelled"] is not None:
        body["unlabelled_value"] = wanted["unlabelled"]
    if wanted["frames"] is not None:
        body["start"], body["stop"] = wanted["frames"]
    project = card["project"]
    if wanted["classes"]:
        template = client.call("GET", f"/class-templates/{project['class_template_id']}")
        body["class_ids"] = [named("class", name, template["classes"]) for name in wanted["classes"]]
    if wanted["tracks"]:
        tracks = client.call("GET", f"/projects/{project['id']}/tracks")
        body["track_ids"] = [named("track", name, tracks) for name in wanted["tracks"]]
    return body


def named(what: str, wanted: str, rows: list[dict[str, Any]]) -> Any:
    """The id of the row of that id or name. Raises Refused, naming some, where there is none, or more than one."""
    from app.errors import Refused

    found = [row["id"] for row in rows if wanted == str(row["id"])]
    found = found or [row["id"] for row in rows if wanted.casefold() == row["name"].casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(f"The name “{wanted}” stands for {len(found)}: name the {what} by its id.")
    names = ", ".join(row["name"] for row in rows[:30]) or "none"
    raise Refused(f"The project has no {what} “{wanted}”. It has: {names}.")
