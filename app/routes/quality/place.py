"""What an address of the Quality page asks for, and what all of its sections show."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from msgspec import Struct

from app.models import Job, JobKind, Project
from app.routes.api.common import known_id
from app.services import class_templates, jobs, overview
from app.services.context import Context

Req = Request[Any, Any, Any]
KEYS = ("asset", "layer", "sort", "offset", "matrix")
NO_COLOUR = "#888888"


class AssetChoice(Struct, kw_only=True):
    id: str
    name: str
    frames: int


class Look(Struct, kw_only=True):
    name: str
    colour: str


class Place(Struct, kw_only=True):
    """`asset`: the one that was asked for, "" for all; `asked`: the whole query, without what is empty."""

    project: Project
    assets: list[AssetChoice]
    asset: str
    classes: dict[int, Look]
    asked: dict[str, str]

    @property
    def query(self) -> str:
        return f"?{urlencode(self.asked)}" if self.asked else ""

    @property
    def number(self) -> int:
        """How far into the queue; 0 for anything that is no such number."""
        text = self.asked.get("offset", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0

    def query_of(self, **wanted: object) -> str:
        """A query for the asset that was asked for, unless another is wanted."""
        values = {"asset": self.asset, **wanted}
        return urlencode({key: value for key, value in values.items() if value})

    def look(self, class_id: int) -> Look:
        return self.classes.get(class_id, Look(name=f"#{class_id}", colour=NO_COLOUR))

    def name_of(self, asset_id: str) -> str:
        return next((asset.name for asset in self.assets if asset.id == asset_id), "")

    def frame(self, asset_id: str, index: int, region_id: str | None = None) -> str:
        """The address of a frame in the workspace, and of a region on it."""
        query = {"asset": asset_id, "frame": index + 1} | ({"region": region_id} if region_id else {})
        return f"/workspace/{self.project.id}?{urlencode(query)}"


def place_of(request: Req, ctx: Context, project_id: str) -> Place:
    """Raises NotFound. An asset that the project does not have counts as none."""
    card = overview.card(ctx, known_id(project_id))
    rules = class_templates.get(ctx, card.project.class_template_id)
    asked = {key: request.query_params.get(key, "")[:100] for key in KEYS}
    assets = [AssetChoice(id=a.id, name=a.name, frames=a.frame_count) for a in card.assets if a.frame_count]
    return Place(
        project=card.project,
        assets=assets,
        asset=asked["asset"] if any(a.id == asked["asset"] for a in assets) else "",
        classes={c.id: Look(name=c.name, colour=c.colour) for c in rules.classes},
        asked={key: value for key, value in asked.items() if value},
    )


def latest_job(ctx: Context, project_id: str, *kinds: JobKind) -> Job | None:
    """An unfinished job of these kinds; without one the newest, where that failed."""
    found = overview.jobs_of(ctx, project_id, *kinds)
    unfinished = [job for job in found if job.state in jobs.UNFINISHED]
    newest = next(iter(unfinished or found), None)
    return newest if newest is not None and newest.state in (*jobs.UNFINISHED, "failed") else None


def busy(job: Job | None) -> bool:
    return job is not None and job.state in jobs.UNFINISHED


def decoded(raw: msgspec.Raw, kind: Any) -> Any:
    """What a job was asked or answers; None for what cannot be read as that."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
