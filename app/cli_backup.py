"""`pointillist backup` while the server runs, and `pointillist restore` while none does."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from app.cli import Common


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the commands to the command line; `shared` adds the global options to a command."""
    main.add_command(shared(backup))
    main.add_command(shared(restore))


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy the backup here too, as real files: for another disk.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def backup(common: Common, out: Path | None, as_json: bool) -> None:
    """Back up the data folder; a server may run and be worked with.

    The backup lies in the data folder under backups/ and shares the space of the images; it protects against
    mistakes. Against a broken disk use --out.
    """
    import msgspec

    from app.errors import Refused

    with common.client() as client:
        made = client.call("POST", "/backups", timeout=3600)
    copied = None
    if out is not None:
        source = Path(made["path"])
        if not source.is_dir():
            raise Refused(f"The backup is made, but {source} on the server cannot be reached from here.")
        copied, part = out / made["name"], out / f".{made['name']}.part"
        try:
            shutil.copytree(source, part)
            part.rename(copied)
        except (OSError, shutil.Error) as exc:
            shutil.rmtree(part, ignore_errors=True)
            raise Refused(f"The backup is made in {source}, but not copied to {out}: {exc}.") from exc
    if as_json:
        click.echo(msgspec.json.encode({**made, "copied": None if copied is None else str(copied)}).decode())
        return
    click.echo(
        f"{made['path']}  {made['files']} files, {made['bytes']} bytes, {made['linked']} of them linked"
    )
    if copied is not None:
        click.echo(str(copied))


@click.command()
@click.argument("backup", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def restore(common: Common, backup: str | None, as_json: bool) -> None:
    """Put a backup back into the data folder; no server may run on it.

    BACKUP is a name, the path of a backup's folder, or `latest`; without it the backups are listed. What is
    replaced is moved to backups/damaged-…, so a restore can be taken back.
    """
    import msgspec

    from app.errors import Refused
    from app.services import backups
    from app.store import Store
    from app.supervisor import Lock

    if common.server:
        raise Refused("A backup is restored on the machine of the data folder, without --server.")
    data = common.settings().data
    if backup is None:
        known = backups.listing(data)
        if as_json:
            click.echo(msgspec.json.encode(known).decode())
            return
        for one in known:
            made_at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.made_at))
            click.echo(f"{one.name}  {made_at}  {one.files} files, {one.bytes} bytes")
        if not known:
            click.echo(f"There is no backup in {data / 'backups'}.", err=True)
        return
    data.mkdir(parents=True, exist_ok=True)
    lock = Lock(data)
    try:
        done = backups.restore(data, backup)
        # The database is opened once, so that a damaged backup is told now and not at the next start.
        Store.open(data).close()
    finally:
        lock.release()
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
        return
    made_at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(done.made_at))
    click.echo(f"The state of {made_at} is back. What was there before lies in {done.aside}.")
