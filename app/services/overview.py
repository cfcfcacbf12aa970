"""What the Dashboard draws of the quality of projects: how much they flicker, and how well regions are certified."""

from __future__ import annotations

from collections.abc import Sequence

from app import store as db
from app.models import Job, JobKind
from app.services.context import Context
from app.services.views import ProjectCard
from app.smoothing import FLICKER_LIMIT
from app.store.stats import Certificates, Flicker

MOST_JOBS = 500
"""Jobs of a project that are looked through."""
EDGES = (0.0, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0)


def flicker(ctx: Context, cards: Sequence[ProjectCard], most: int) -> dict[str, Flicker]:
    """Of each project by id, in at most `most` parts."""
    frames = {card.project.id: sum(asset.frame_count for asset in card.assets) for card in cards}
    key = ("flicker", most, tuple(frames.items()))
    return ctx.lasting.ask(key, lambda cur: db.stats.flicker(cur, frames, most, FLICKER_LIMIT))


def certificates(ctx: Context, project_id: str) -> Certificates:
    """The regions of a project by the IoU of their certificate, between EDGES."""
    key = ("certificates", project_id)
    return ctx.lasting.ask(key, lambda cur: db.stats.certificates(cur, project_id, EDGES))


def jobs_of(ctx: Context, project_id: str, *kinds: JobKind) -> list[Job]:
    """The newest jobs of these kinds, stages of others among them, the newest first."""
    found = ctx.store.read(lambda cur: db.jobs.listing(cur, project_id=project_id, limit=MOST_JOBS))
    return [job for job in found if job.kind in kinds]
