"""`pointillist export`: submit, wait, download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from app.cli_progress import bar
from app.client import Client
from app.i18n import gettext as _


def export(client: Client, project: str, out: Path, wanted: dict[str, Any], *, as_json: bool) -> None:
    """Run an export and save its files in `out`. Raises ApiError."""
    card = client.project(project)
    body: dict[str, Any] = {"format": wanted["format"], "only_labelled": not wanted["all_frames"]}
    if wanted["asset"]:
        body["asset_id"] = client.asset(card, wanted["asset"])["id"]
    names = ("opacity", "edges", "media", "objects", "split", "shared_values")
    body |= {name: wanted[name] for name in names if wanted[name] is not None}
    if wanted["unlabelled"] is not None:
        body["unlabelled_value"] = wanted["unlabelled"]
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
