"""`pointillist import-labels`: ground truth becomes regions of a project's frames."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from app.client import Client
    from app.settings import Settings

LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")
OPTIONS = (
    "format", "match", "offset", "regions", "iou_target", "budget", "min_area", "unlabelled", "wrong_size",
    "existing", "remember", "keep",
)  # fmt: skip
WORST = 10


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command("import-labels")
    @shared
    @click.argument("path", type=click.Path(path_type=Path, exists=True))
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of one asset.  [default: all]")
    @click.option("--format", help="The format of the ground truth.  [default: what it looks like]")
    @click.option(
        "--match", type=click.Choice(["auto", "name", "index", "pts"]), help="How frames are found."
    )
    @click.option("--offset", type=int, help="Added to the index of each frame of the source.")
    @click.option(
        "--map", "maps", multiple=True, metavar="SOURCE=CLASS", help="Map a class; may be repeated."
    )
    @click.option("--ignore", "ignored", multiple=True, metavar="SOURCE", help="Leave a class out.")
    @click.option(
        "--rest", type=click.Choice(["refuse", "ignore", "new"]), default="refuse", show_default=True
    )
    @click.option("--regions", type=click.Choice(["auto", "class", "piece"]), help="What becomes one region.")
    @click.option("--iou-target", type=click.FloatRange(0.5, 1), help="Below it a region gets an outline.")
    @click.option("--points", "budget", type=click.IntRange(0, 2000), help="Of a frame; 0 = outlines only.")
    @click.option("--min-area", type=click.IntRange(0), help="Leave smaller pieces out, in pixels.")
    @click.option("--unlabelled", type=click.Choice(["auto", "open", "background"]))
    @click.option("--wrong-size", type=click.Choice(["skip", "scale"]))
    @click.option("--existing", type=click.Choice(["keep", "replace", "skip"]))
    @click.option("--remember/--no-remember", default=None, help="Keep the mapping as rules of the template.")
    @click.option(
        "--keep",
        type=click.Choice(["regions", "truth"]),
        help="truth: as hidden ground truth, for scoring only.  [default: regions]",
    )
    @click.option("--dry-run", is_flag=True, help="Only say what the source holds.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def import_labels(common: Any, path: Path, as_json: bool, **wanted: Any) -> None:
        """Turn ground truth (masks, polygons, run lengths) into regions of a project's frames."""
        with common.client() as client:
            result = bring_in(client, common.settings(), path, wanted, quiet=as_json)
        if as_json:
            click.echo(json.dumps(result))
        else:
            show(result)


def bring_in(
    client: Client, settings: Settings, path: Path, wanted: dict[str, Any], *, quiet: bool
) -> dict[str, Any]:
    """Look at the source, decide about its classes, import. Returns the report; raises ApiError or Refused."""
    card = client.project(wanted["project"])
    project_id = card["project"]["id"]
    body = {name: wanted[name] for name in OPTIONS if wanted[name] is not None}
    if wanted["asset"]:
        body["asset_id"] = client.asset(card, wanted["asset"])["id"]
    dry = _run(client, project_id, {**body, **_source(client, settings, path, quiet=quiet)}, "Reading", quiet)
    template = client.call("GET", f"/class-templates/{card['project']['class_template_id']}")
    mapping, new = decide(dry, template["classes"], wanted)
    if wanted["dry_run"]:
        return {**dry, "mapping": mapping}
    body |= {"from_job": dry["job_id"], "mapping": mapping, "new_classes": new, "dry_run": False}
    return _run(client, project_id, body, "Turning masks into points", quiet)


def _run(client: Client, project_id: str, body: dict[str, Any], title: str, quiet: bool) -> dict[str, Any]:
    from app.cli_progress import bar

    job = client.call("POST", f"/projects/{project_id}/imports", json=body)
    with bar(title, quiet=quiet) as progress:
        job = client.wait(job, progress)
    return client.call("GET", f"/imports/{job['id']}")


def decide(
    report: dict[str, Any], classes: list[dict[str, Any]], wanted: dict[str, Any]
) -> tuple[dict[str, int], dict[str, Any]]:
    """The mapping and the new classes from the options. Raises Refused for names that nobody knows."""
    from app.errors import Refused

    by_name = {known["name"].casefold(): known["id"] for known in classes}
    rows = {row["name"].casefold(): row["key"] for row in report["classes"]}
    rows |= {row["key"].casefold(): row["key"] for row in report["classes"]}

    def key_of(name: str) -> str:
        if name.casefold() not in rows:
            known = ", ".join(row["name"] for row in report["classes"][:30])
            raise Refused(f"The source has no class “{name}”. It has: {known}.")
        return rows[name.casefold()]

    mapping = {row["key"]: row["class_id"] for row in report["classes"] if row["class_id"] is not None}
    for pair in wanted["maps"]:
        source, equals, target = pair.rpartition("=")
        if not equals or target.casefold() not in by_name:
            known = ", ".join(c["name"] for c in classes[:30])
            raise Refused(f"“{pair}” is no SOURCE=CLASS with a class of the template. Classes: {known}.")
        mapping[key_of(source)] = by_name[target.casefold()]
    mapping |= {key_of(name): 0 for name in wanted["ignored"]}
    rest = [row for row in report["classes"] if row["key"] not in mapping]
    new: dict[str, Any] = {}
    if wanted["rest"] == "ignore":
        mapping |= {row["key"]: 0 for row in rest}
    elif wanted["rest"] == "new":
        for number, row in enumerate(rest):
            new[row["key"]] = {"name": row["name"][:100], "colour": row["colour"] or _colour(number)}
    elif rest and not wanted["dry_run"]:
        names = ", ".join(row["name"] for row in rest[:10])
        raise Refused(
            f"{len(rest)} classes of the source have no class of the template: {names}. "
            "Use --map, --ignore, or --rest ignore or new."
        )
    return mapping, new


def _colour(number: int) -> str:
    import colorsys

    r, g, b = colorsys.hls_to_rgb((number * 0.618034) % 1, 0.5, 0.6)
    return f"#{int(r * 255):02x}{int(g * 255):02x}{int(b * 255):02x}"


def _source(client: Client, settings: Settings, path: Path, *, quiet: bool) -> dict[str, str]:
    from app.cli_progress import bar

    path = path.resolve()
    if client.url.startswith(LOCAL) and any(path.is_relative_to(root) for root in settings.allowed_roots):
        return {"path": str(path)}
    with tempfile.TemporaryDirectory(prefix="pointillist-") as folder:
        if path.is_dir():
            packed = Path(folder) / f"{path.name}.zip"
            pack(path, packed)
            path = packed
        with bar("Uploading", quiet=quiet, size=True) as progress:
            return {"upload_id": client.upload(path, path.name, progress)}


def pack(folder: Path, target: Path) -> None:
    """All files below a folder as a zip, sorted by path; videos and hidden files left out."""
    from app.errors import Refused

    found = sorted(
        Path(base) / name
        for base, _folders, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and not name.lower().endswith((".mp4", ".mov", ".avi", ".mkv", ".webm"))
    )
    if not found:
        raise Refused(f"The folder {folder} holds no files.")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in found:
            archive.write(path, path.relative_to(folder))


def show(report: dict[str, Any]) -> None:
    """A report for a terminal."""
    counts = report["counts"]
    click.echo(f"{report['source']}: {report['format_title']}, frames found by {report['match']}")
    words = ("matched", "missing", "duplicate", "wrong_size", "unreadable", "without")
    click.echo("  ".join(f"{word.replace('_', ' ')} {counts[word]}" for word in words))
    for row in report["frames"][:WORST]:
        if row["state"] != "matched" or row["note"]:
            click.echo(f"  {row['state']}: {row['name']} {row['note']}")
    for row in report["classes"]:
        target = {None: "?", 0: "ignored"}.get(row["class_id"], f"class {row['class_id']}")
        click.echo(
            f"  {row['name']:24} {row['pixels']:>12} px in {row['frames']:>5} frames → {target} {row['why']}"
        )
    for sentence in report["problems"][:WORST]:
        click.echo(f"  {sentence}", err=True)
    if counts["problems"] > WORST:
        click.echo(f"  … {counts['problems']} problems in all", err=True)
    if report["kept"] is not None:
        kept = report["kept"]
        click.echo(f"{kept['frames']} frames are hidden ground truth now, {kept['pixels']} px of a class.")
    elif not report["dry_run"]:
        found = report["certificates"]
        click.echo(
            f"{report['regions']} regions, {report['points']} points, {report['outlines']} outlines; "
            f"IoU mean {found['mean_iou']:.4f}, least {found['min_iou']:.4f}, "
            f"{found['below_target']} below the target."
        )
