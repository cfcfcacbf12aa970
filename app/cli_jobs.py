"""`pointillist jobs`: what runs and waits in the background; pause, resume and cancel it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

STATES = ("waiting", "running", "paused", "done", "failed", "cancelled")


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the commands to the program."""

    @main.group("jobs", invoke_without_command=True)
    @shared
    @click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True, help="How many.")
    @click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
    @click.pass_context
    def jobs(ctx: click.Context, state: str | None, limit: int, as_json: bool) -> None:
        """Show jobs, the newest first; pause, resume and cancel them."""
        if ctx.invoked_subcommand is not None:
            return
        with ctx.obj.client() as client:
            query = {"limit": limit, **({} if state is None else {"state": state})}
            found = client.call("GET", "/jobs", params=query)
        if as_json:
            click.echo(json.dumps(found))
            return
        for job in found:
            click.echo(_line(job))
        if not found:
            click.echo("No job.")

    for verb, what in (
        ("pause", "Let a job rest; what it has done is kept, and it survives a restart."),
        ("resume", "Let a paused job go on where it was."),
        ("cancel", "Stop a job; what it has done is kept."),
    ):
        jobs.command(verb, help=what)(shared(_ask(verb)))


def _ask(verb: str) -> Callable[..., None]:
    @click.argument("job", metavar="ID")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def ask(common: Any, job: str, as_json: bool) -> None:
        with common.client() as client:
            found = client.call("POST", f"/jobs/{job}/{verb}")
        click.echo(json.dumps(found) if as_json else _line(found))

    return ask


def _line(job: dict[str, Any]) -> str:
    far = f"{job['done']}/{job['total']}" if job["total"] else "-"
    return f"{job['id']}  {job['state']:<9}  {far:>13}  {job['title']}"
