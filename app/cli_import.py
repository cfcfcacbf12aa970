"""`pointillist import`: a file or folder becomes an asset, a bundle becomes a project."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from app.cli_progress import bar
from app.client import ApiError, Client
from app.errors import Refused
from app.formats.bundle import TEXT_NAME
from app.i18n import gettext as _
from app.settings import Settings

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def bring_in(
    client: Client, settings: Settings, path: Path, wanted: dict[str, Any], *, quiet: bool
) -> dict[str, Any]:
    """Import `path` and wait. Returns {project, asset, frames, job}; `asset` None for a bundle.

    `wanted`: the options of the command. Raises ApiError or Refused.
    """
    path = path.resolve()
    if is_bundle(path):
        return _restore(client, path, quiet=quiet)
    project_id = _project(client, wanted["project"] or path.stem, wanted["class_template"])
    body: dict[str, Any] = {"sampling": sampling(wanted), "name": wanted["name"] or path.name}
    if client.url.startswith(LOCAL) and any(path.is_relative_to(root) for root in settings.allowed_roots):
        body["path"] = str(path)
    else:
        body["upload_id"] = _upload(client, path, quiet=quiet)
    made = client.call("POST", f"/projects/{project_id}/assets", json=body)
    with bar(_("Extracting"), quiet=quiet) as show:
        job = client.wait(made["job"], show)
    asset = client.call("GET", f"/assets/{made['asset']['id']}")
    return {
        "project": project_id,
        "asset": asset["id"],
        "frames": asset["frame_count"],
        "state": asset["state"],
        "job": job["id"],
    }


def is_bundle(path: Path) -> bool:
    """Whether a file is a project bundle: a zip with its text in it, or the text alone."""
    if path.is_dir():
        return False
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return TEXT_NAME in archive.namelist()
    return path.suffix == ".jsonl"


def sampling(wanted: dict[str, Any]) -> dict[str, Any]:
    """The sampling of the API from the options."""
    out: dict[str, Any] = {
        key: wanted[key] for key in ("start", "stop", "max_side") if wanted[key] is not None
    }
    if wanted["fps"] is not None:
        out |= {"mode": "fps", "fps": wanted["fps"]}
    if wanted["every"] is not None:
        out |= {"mode": "nth", "nth": wanted["every"]}
    if wanted["image_format"]:
        out["format"] = wanted["image_format"]
    return out


def _project(client: Client, wanted: str, class_template: str | None) -> str:
    """The id of the project of that name or id; a new one where there is none."""
    cards = client.call("GET", "/projects")
    if any(wanted in (card["project"]["id"], card["project"]["name"]) for card in cards):
        return client.project(wanted)["project"]["id"]
    body = {"name": wanted}
    if class_template:
        body["class_template_id"] = _template(client, class_template)
    return client.call("POST", "/projects", json=body)["id"]


def _template(client: Client, wanted: str) -> str:
    known = client.call("GET", "/class-templates")
    presets = client.call("GET", "/class-templates/presets")
    if wanted in presets and all(wanted not in (row["id"], row["name"]) for row in known):
        return client.call("POST", "/class-templates", json={"name": presets[wanted], "preset": wanted})["id"]
    try:
        return client.class_template(wanted)["id"]
    except ApiError as exc:
        raise ApiError(f"{exc.sentence} Presets: {', '.join(presets)}.") from exc


def _upload(client: Client, path: Path, *, quiet: bool) -> str:
    if path.is_dir():
        with tempfile.TemporaryDirectory(prefix="pointillist-") as folder:
            packed = Path(folder) / f"{path.name}.zip"
            pack_images(path, packed)
            with bar(_("Uploading"), quiet=quiet, size=True) as show:
                return client.upload(packed, packed.name, show)
    with bar(_("Uploading"), quiet=quiet, size=True) as show:
        return client.upload(path, path.name, show)


def pack_images(folder: Path, target: Path) -> None:
    """The images of a folder and its subfolders as a zip, stored, sorted by path; Refused without any."""
    found = [
        Path(base) / name
        for base, _folders, names in os.walk(folder)
        for name in names
        if name.lower().endswith(IMAGES) and not name.startswith(".")
    ]
    if not found:
        raise Refused(_("The folder {folder} holds no images.").format(folder=folder))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in sorted(found):
            archive.write(path, path.relative_to(folder))


def _restore(client: Client, path: Path, *, quiet: bool) -> dict[str, Any]:
    with bar(_("Uploading"), quiet=quiet, size=True) as show:
        upload_id = client.upload(path, path.name, show)
    job = client.call("POST", "/imports", json={"upload_id": upload_id})
    with bar(_("Restoring"), quiet=quiet) as show:
        job = client.wait(job, show)
    result = job["result"]
    return {
        "project": result["project_id"],
        "asset": None,
        "frames": result["frames"],
        "state": "ready",
        "job": job["id"],
    }
