"""`pointillist track`: follow regions through a video, or find texts in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from app import cli_then
from app.i18n import gettext as _

if TYPE_CHECKING:
    from app.client import Client

OPTIONS = ("start", "stop", "direction", "every", "threshold", "engine", "overwrite")
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of the asset.  [default: the only one]")
    @click.option("--frame", type=click.IntRange(0), help="Follow regions of this frame, counted from 0.")
    @click.option(
        "--whole-frame", is_flag=True, help="All regions of --frame; so without --class or --track."
    )
    @click.option(
        "--class",
        "classes",
        multiple=True,
        metavar="NAME",
        help="Of --frame only the regions of this class. May be repeated.",
    )
    @click.option("--track", "track_name", metavar="NAME", help="Follow this track again, from its anchors.")
    @click.option(
        "--region", "regions", multiple=True, metavar="ID", help="Follow this region. May be repeated."
    )
    @click.option(
        "--text",
        "texts",
        multiple=True,
        metavar="TEXT=CLASS",
        help="Find this in the video; CLASS is a name or id. May be repeated.",
    )
    @click.option(
        "--direction",
        type=click.Choice(["forward", "backward", "both", "between"]),
        help="From the regions on, or between their anchors.  [default: forward]",
    )
    @click.option("--start", type=click.IntRange(0), help="The first frame.  [default: 0]")
    @click.option("--stop", type=click.IntRange(0), help="The last frame.  [default: the last of the asset]")
    @click.option("--frames", type=click.IntRange(1), metavar="N", help="Follow over N frames, then stop.")
    @click.option("--every", type=click.IntRange(1, 1000), help="Look for texts on every so many-th frame.")
    @click.option("--threshold", type=click.FloatRange(0, 1), help="How sure the engine must be of a text.")
    @click.option("--engine", help="Which engine works.  [default: the project's, or one that can]")
    @click.option("--overwrite", is_flag=True, default=None, help="Also write to approved frames.")
    @cli_then.options
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def track(common: Any, as_json: bool, **wanted: Any) -> None:
        """Follow regions through a video, or find texts in it. Ctrl-C cancels and keeps what was found."""
        check_usage(wanted)
        with common.client() as client:
            result = run(client, wanted, quiet=as_json)
        click.echo(json.dumps(result) if as_json else _sentence(result))
        if result.get("cancelled"):
            raise SystemExit(INTERRUPTED)


def check_usage(wanted: dict[str, Any]) -> None:
    """Raise UsageError for options that contradict each other."""
    of_frame = wanted["frame"] is not None
    sources = [bool(wanted["texts"]), bool(wanted["regions"]), of_frame or bool(wanted["track_name"])]
    if sum(sources) != 1:
        raise click.UsageError(_("Give one of --frame, --track, --region and --text."))
    if (wanted["classes"] or wanted["whole_frame"]) and not of_frame:
        raise click.UsageError(_("--class and --whole-frame need --frame."))
    if wanted["whole_frame"] and (wanted["classes"] or wanted["track_name"]):
        raise click.UsageError(_("--whole-frame means all regions: leave --class and --track out."))
    if wanted["frames"] and wanted["direction"] == "between":
        raise click.UsageError(_("Between anchors the anchors are the ends: leave --frames out."))
    ends = {"backward": ("start",), "both": ("start", "stop")}.get(wanted["direction"] or "", ("stop",))
    if wanted["frames"] and any(wanted[end] is not None for end in ends):
        raise click.UsageError(
            _("--frames says where to stop: leave {option} out.").format(option=f"--{ends[-1]}")
        )


def run(client: Client, wanted: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Submit and wait. Returns the result of the job with its id, or what is kept after Ctrl-C.

    Raises ApiError or Refused.
    """
    from app.cli_progress import bar

    card = client.project(wanted["project"])
    project, asset = card["project"], client.asset(card, wanted["asset"])
    body = {name: wanted[name] for name in OPTIONS if wanted[name] is not None}
    body["asset_id"] = asset["id"]
    template = client.call("GET", f"/class-templates/{project['class_template_id']}")
    if wanted["texts"]:
        body["texts"] = [text_class(pair, template["classes"]) for pair in wanted["texts"]]
        begin = [wanted["start"] or 0]
    else:
        sources = _sources(client, project["id"], asset["id"], wanted, template["classes"])
        body["region_ids"] = [region["id"] for region in sources]
        begin = [int(region["frame_id"][25:]) for region in sources]
    if wanted["frames"]:
        _limit(body, begin, wanted["frames"], asset["frame_count"] - 1, looking=bool(wanted["texts"]))
    body["then"] = cli_then.then_of(wanted)
    job = client.call("POST", f"/projects/{project['id']}/tracks", json=body)
    with bar(_("Finding") if wanted["texts"] else _("Tracking"), quiet=quiet) as progress:
        try:
            job = client.wait(job, progress)
        except KeyboardInterrupt:
            return _cancelled(client, job)
    return {**job["result"], "job": job["id"]}


def text_class(pair: str, classes: list[dict[str, Any]]) -> dict[str, Any]:
    """TEXT=CLASS as the API wants it. Raises Refused, naming the classes, for one that nobody knows."""
    from app.errors import Refused

    text, equals, name = pair.rpartition("=")
    class_id = _known(classes).get(name.strip().casefold())
    if not equals or not text.strip() or class_id is None:
        raise Refused(
            _("“{pair}” is no TEXT=CLASS with a class of the template. Classes: {names}.").format(
                pair=pair, names=_names(classes)
            )
        )
    return {"text": text.strip(), "class_id": class_id}


def _known(classes: list[dict[str, Any]]) -> dict[str, int]:
    return {c["name"].casefold(): c["id"] for c in classes} | {str(c["id"]): c["id"] for c in classes}


def _names(rows: list[dict[str, Any]]) -> str:
    return ", ".join(row["name"] for row in rows[:30]) or _("none")


def _limit(body: dict[str, Any], begin: list[int], frames: int, last: int, *, looking: bool) -> None:
    """Let the job end after so many frames beside those that it begins with."""
    direction = body.get("direction", "forward")
    if direction != "backward":
        body["stop"] = min(last, max(begin) + frames - (1 if looking else 0))
    if direction in ("backward", "both"):
        body["start"] = max(0, min(begin) - frames)


def _sources(
    client: Client, project_id: str, asset_id: str, wanted: dict[str, Any], classes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The regions to follow. Raises Refused where there is none."""
    from app.errors import Refused

    if wanted["regions"]:
        return [client.call("GET", f"/regions/{region}") for region in wanted["regions"]]
    track = None
    indices = [wanted["frame"]]
    if wanted["track_name"]:
        track = _track(client, project_id, asset_id, wanted["track_name"])
        if wanted["frame"] is None:
            indices = _begins(client, asset_id, track, wanted["direction"])
    known = _known(classes)
    unknown = [name for name in wanted["classes"] if name.casefold() not in known]
    if unknown:
        raise Refused(
            _("The class template has no class “{name}”. Classes: {names}.").format(
                name=unknown[0], names=_names(classes)
            )
        )
    chosen = {known[name.casefold()] for name in wanted["classes"]}
    found = [
        region
        for index in indices
        for region in client.call("GET", f"/frames/{asset_id}-{index:06d}/regions")
        if (track is None or region["track_id"] == track["id"])
        and (not chosen or region["class_id"] in chosen)
    ]
    if not found:
        what = wanted["track_name"] or ", ".join(wanted["classes"])
        raise Refused(
            _("Frame {frame} has no region of {what} to track.").format(frame=indices[0], what=what)
            if what
            else _("Frame {frame} has no region to track.").format(frame=indices[0])
        )
    return found


def _track(client: Client, project_id: str, asset_id: str, name: str) -> dict[str, Any]:
    from app.errors import Refused

    rows = client.call("GET", f"/projects/{project_id}/tracks")
    here = [row for row in rows if row["asset_id"] == asset_id]
    found = [row for row in here if name in (row["id"], row["name"])]
    if len(found) > 1:
        raise Refused(
            _("There are {n} tracks named “{name}”; use the id instead.").format(n=len(found), name=name)
        )
    if not found:
        raise Refused(
            _("The asset has no track “{name}”. Tracks: {names}.").format(name=name, names=_names(here))
        )
    return found[0]


def _begins(client: Client, asset_id: str, track: dict[str, Any], direction: str | None) -> list[int]:
    """The frames of the anchors to follow a track from; of its first or last region where it has none."""
    lanes = client.call("GET", f"/assets/{asset_id}/lanes")
    listed = [one for lane in lanes["classes"] for one in lane["tracks"] if one["id"] == track["id"]]
    anchors = listed[0]["anchors"] if listed else []
    if direction == "between" and anchors:
        return anchors
    if direction == "backward":
        return [max(anchors, default=track["last"])]
    return [min(anchors, default=track["first"])]


def _cancelled(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Cancel the job. On how many frames is kept what it found, or its result where it is done already."""
    from app.client import ApiError

    client.call("POST", f"/jobs/{job['id']}/cancel")
    try:
        job = client.wait(client.call("GET", f"/jobs/{job['id']}"))
        return {**job["result"], "job": job["id"]}  # it was faster than the person
    except ApiError as exc:
        job = exc.extra.get("job", job)  # pyright: ignore[reportAssignmentType]
    frames = (job.get("result") or {}).get("frames", job["done"])
    return {"cancelled": True, "frames": frames, "job": job["id"]}


def _sentence(result: dict[str, Any]) -> str:
    if result.get("cancelled"):
        if not result["frames"]:
            return _("Cancelled before the first frame. Nothing was changed.")
        return _("Cancelled. What was found on {frames} frames is kept; one undo takes it back.").format(
            frames=result["frames"]
        )
    return _("{regions} regions on {frames} frames in {tracks} tracks, {lost} times lost. Job {job}.").format(
        **{**result, "tracks": len(result["tracks"])}
    )
