"""`pointillist review`: the frames that a person should look at next, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from app.i18n import gettext as _


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the command to the program."""

    @main.command()
    @shared
    @click.option("--project", required=True, help="Name or id of the project.")
    @click.option("--asset", help="Name or id of an asset.  [default: all of them]")
    @click.option("--limit", type=click.IntRange(0, 500), default=20, show_default=True, help="How many.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def review(common: Any, project: str, asset: str | None, limit: int, as_json: bool) -> None:
        """Show which frames to look at next, the most promising first, and why."""
        with common.client() as client:
            card = client.project(project)
            query: dict[str, Any] = {"limit": limit}
            if asset is not None:
                query["asset_id"] = client.asset(card, asset)["id"]
            found = client.call("GET", f"/projects/{card['project']['id']}/review", params=query)
        if as_json:
            click.echo(json.dumps(found))
            return
        for entry in found["queue"]:
            why = "; ".join(reason["text"] for reason in entry["reasons"])
            click.echo(f"{entry['gain']:.2f}  {entry['asset_name']} {entry['index'] + 1}  {why}")
        click.echo(
            _(
                "{to_review} to look at; {seen} of {frames} frames were opened, {approved} are approved."
            ).format(**found)
        )
