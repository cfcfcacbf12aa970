"""What the Dashboard and the Quality page ask again and again; answered once until something is written."""

from __future__ import annotations

from collections.abc import Sequence

from app import i18n
from app import store as db
from app.models import Job, JobKind
from app.services import projects, review, truth_scores, truths
from app.services.context import Context
from app.services.review import ReviewView
from app.services.truth_scores import Scores
from app.services.truths import TruthView
from app.services.views import ProjectCard
from app.smoothing import FLICKER_LIMIT
from app.store.stats import Certificates, Flicker

MOST_JOBS = 500
"""Jobs of a project that are looked through."""
EDGES = (0.0, 0.85, 0.9, 0.95, 0.97, 0.99, 1.0)


def cards(ctx: Context) -> list[ProjectCard]:
    """All projects that are not in the trash, the newest first."""
    return ctx.lasting.ask("cards", lambda _cur: projects.listing(ctx))


def card(ctx: Context, project_id: str) -> ProjectCard:
    """Raises NotFound."""
    return ctx.lasting.ask(("card", project_id), lambda _cur: projects.card(ctx, project_id))


def queue(ctx: Context, project_id: str, asset_id: str | None, limit: int, offset: int = 0) -> ReviewView:
    """A part of the review queue, with its reasons in the language of the request."""
    key = ("queue", project_id, asset_id, limit, offset, i18n.current())
    return ctx.lasting.ask(
        key, lambda _cur: review.queue(ctx, project_id, asset_id=asset_id, limit=limit, offset=offset)
    )


def hidden(ctx: Context, project_id: str) -> TruthView:
    """Which frames have hidden ground truth."""
    return ctx.lasting.ask(("hidden", project_id), lambda _cur: truths.view(ctx, project_id))


def scores(ctx: Context, project_id: str, asset_id: str | None) -> Scores:
    """How the labels of a project, or of one of its assets, compare with hidden ground truth."""
    key = ("scores", project_id, asset_id)
    return ctx.lasting.ask(key, lambda _cur: truth_scores.view(ctx, project_id, asset_id))


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
