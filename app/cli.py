"""The command line: `pointillist serve | import | label | auto-label | track | metrics | truth | review | jobs |
export | diff | check | backup | restore | bench | engines | doctor`.

Every command that touches data is a client of the HTTP API: of the server given with --server, of the one
that runs on the data folder, or of one started for the time of the command. Errors are one sentence on
stderr and status 1. The global options may stand before or after the name of the command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, structs

from app import (
    cli_auto_label,
    cli_backup,
    cli_engines,
    cli_export,
    cli_jobs,
    cli_labels,
    cli_matte,
    cli_metrics,
    cli_queue,
    cli_review,
    cli_stabilise,
    cli_track,
    cli_truth,
)

if TYPE_CHECKING:
    from app.client import Client
    from app.settings import Settings

BENCHES = ("clicks", "convert", "matte", "review", "roundtrip", "speed", "stabilise", "track")
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


class Common(Struct, kw_only=True):
    """The global options."""

    data: Path | None
    server: str | None
    token: str | None
    config: Path | None

    def settings(self, **overrides: Any) -> Settings:
        """Settings of file, environment and command line. Raises UsageError for a wrong one."""
        from app.settings import load

        try:
            return load(self.config, data=self.data, token=self.token, **overrides)
        except ValueError as exc:
            raise click.UsageError(str(exc)) from exc

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the given server, the running one, or one that lives as long as the context."""
        from app.cli_server import connected

        with connected(self) as client:
            yield client


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """A global option given after the command replaces the one before it."""
    if value is not None and param.name is not None:
        ctx.obj = structs.replace(ctx.obj, **{param.name: value})


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the global options to a command."""
    for name, kind in (("--config", FILE), ("--token", str), ("--server", str), ("--data", FOLDER)):
        command = click.option(name, type=kind, hidden=True, expose_value=False, callback=_keep)(command)
    return command


class Sentences(click.Group):
    """Turns our errors into one sentence on stderr and status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        from app.errors import PointillistError

        try:
            return super().invoke(ctx)
        except PointillistError as exc:
            raise click.ClickException(exc.sentence) from exc


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=FOLDER, help="The data folder.  [default: data]")
@click.option("--server", metavar="URL", envvar="POINTILLIST_SERVER", help="Work with this server instead.")
@click.option("--token", metavar="TOKEN", envvar="POINTILLIST_TOKEN", help="The secret of the server.")
@click.option("--config", type=FILE, help="A settings file (TOML).")
@click.version_option(package_name="pointillist", prog_name="pointillist")
@click.pass_context
def main(
    ctx: click.Context, data: Path | None, server: str | None, token: str | None, config: Path | None
) -> None:
    """Dense video segmentation in which every label is a handful of points."""
    ctx.obj = Common(data=data, server=server, token=token, config=config)


@main.command()
@shared
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.  [default: 8787]")
@click.option("--open/--no-open", "open_browser", default=None, help="Open a browser.  [default: open]")
@click.option(
    "--allow", type=FOLDER, multiple=True, help="A folder from which may be imported by path; repeatable."
)
@click.pass_obj
def serve(
    common: Common, host: str | None, port: int | None, open_browser: bool | None, allow: tuple[Path, ...]
) -> None:
    """Run the server until Ctrl-C."""
    from app.cli_server import serve as run

    settings = common.settings(
        host=host, port=port, open_browser=open_browser, allowed_roots=[*map(str, allow)] or None
    )
    sys.exit(run(settings))


@main.command("import")
@shared
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--project", help="Name or id of the project; made if there is none.  [default: the file's name]"
)
@click.option("--name", help="The name of the asset.  [default: the file's name]")
@click.option("--fps", type=click.FloatRange(0, 1000, min_open=True), help="Keep so many frames a second.")
@click.option("--every", type=click.IntRange(1, 100_000), help="Keep every so many-th frame.")
@click.option("--start", type=click.FloatRange(0), help="Seconds from the beginning.")
@click.option("--stop", type=click.FloatRange(0), help="Seconds from the beginning.")
@click.option("--max-side", type=click.IntRange(0, 16384), help="Shrink frames to this side, in pixels.")
@click.option("--format", "image_format", type=click.Choice(["jpeg", "png"]), help="How frames are stored.")
@click.option("--class-template", help="Name, id or preset for a new project.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def import_(common: Common, path: Path, as_json: bool, **wanted: Any) -> None:
    """Import a video, a folder or zip of images, or a project bundle."""
    from app.cli_import import bring_in

    if wanted["fps"] is not None and wanted["every"] is not None:
        raise click.UsageError("Give either --fps or --every, not both.")
    with common.client() as client:
        result = bring_in(client, common.settings(), path, wanted, quiet=as_json)
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(f"{result['frames']} frames. Asset {result['asset']}, project {result['project']}.")


@main.command()
@shared
@click.option("--project", required=True, help="Name or id of the project.")
@click.option(
    "--clicks",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON: a list of {frame, class, points, box, outline, asset, engine, refine}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def label(common: Common, project: str, clicks: Path, as_json: bool) -> None:
    """Make regions from clicks in a JSON file."""
    from app.cli_label import label as run

    with common.client() as client:
        run(client, project, clicks, as_json=as_json)


@main.command()
@click.argument("name", type=click.Choice(BENCHES))
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of data sets: <name>/images, masks, classes.json.",
)
@click.option("--long", type=click.IntRange(min=100), help="Track a drawn video of so many frames.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(name: str, folder: Path | None, as_json: bool, long: int | None) -> None:
    """Measure how good or how fast it is."""
    from app.cli_bench import bench as run

    run(name, folder, as_json=as_json, long=long)


@main.command()
@shared
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def doctor(common: Common, as_json: bool) -> None:
    """Check this installation and the data folder."""
    from app.cli_doctor import doctor as run

    sys.exit(run(common.settings(), as_json=as_json))


cli_export.register(main, shared)
cli_review.register(main, shared)
cli_backup.register(main, shared)
cli_labels.register(main, shared)
cli_track.register(main, shared)
cli_matte.register(main, shared)
cli_metrics.register(main, shared)
cli_stabilise.register(main, shared)
cli_queue.register(main, shared)
cli_truth.register(main, shared)
cli_auto_label.register(main, shared)
cli_engines.register(main, shared)
cli_jobs.register(main, shared)


if __name__ == "__main__":
    main()
