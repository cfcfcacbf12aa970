"""The page, and each of its sections as a panel that the script asks for anew when something happened."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.routes.page import FullPage, Page, language, render, shell
from app.routes.quality import review, stabilised, stability, truth
from app.routes.quality.place import Place, place_of
from app.services.context import Context

Req = Request[Any, Any, Any]


class Quality(FullPage):
    template: ClassVar[str] = "quality/index.html"
    here: Place
    review: review.ReviewSection
    stability: stability.StabilitySection
    stabilised: stabilised.StabilisedSection
    truth: truth.TruthSection


class ReviewPanel(Page):
    template: ClassVar[str] = "quality/_review.html"
    here: Place
    review: review.ReviewSection


class StabilityPanel(Page):
    template: ClassVar[str] = "quality/_stability.html"
    here: Place
    stability: stability.StabilitySection


class StabilisedPanel(Page):
    template: ClassVar[str] = "quality/_stabilised.html"
    here: Place
    stabilised: stabilised.StabilisedSection


class TruthPanel(Page):
    template: ClassVar[str] = "quality/_truth.html"
    here: Place
    truth: truth.TruthSection


@get("/quality/{project_id:str}", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Response[Any]:
    around, place = shell(request, ctx, "dashboard"), place_of(request, ctx, project_id)
    return render(
        request,
        Quality(
            shell=around,
            here=place,
            review=review.section(ctx, place),
            stability=stability.section(ctx, place),
            stabilised=stabilised.section(ctx, place),
            truth=truth.section(ctx, place),
        ),
    )


@get("/quality/{project_id:str}/_review", sync_to_thread=True, include_in_schema=False)
def read_review(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Response[Any]:
    language(request, ctx)
    place = place_of(request, ctx, project_id)
    return render(request, ReviewPanel(here=place, review=review.section(ctx, place)))


@get("/quality/{project_id:str}/_stability", sync_to_thread=True, include_in_schema=False)
def read_stability(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Response[Any]:
    language(request, ctx)
    place = place_of(request, ctx, project_id)
    return render(request, StabilityPanel(here=place, stability=stability.section(ctx, place)))


@get("/quality/{project_id:str}/_stabilised", sync_to_thread=True, include_in_schema=False)
def read_stabilised(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Response[Any]:
    language(request, ctx)
    place = place_of(request, ctx, project_id)
    return render(request, StabilisedPanel(here=place, stabilised=stabilised.section(ctx, place)))


@get("/quality/{project_id:str}/_truth", sync_to_thread=True, include_in_schema=False)
def read_truth(request: Req, ctx: NamedDependency[Context], project_id: FromPath[str]) -> Response[Any]:
    language(request, ctx)
    place = place_of(request, ctx, project_id)
    return render(request, TruthPanel(here=place, truth=truth.section(ctx, place)))


handlers = [index, read_review, read_stability, read_stabilised, read_truth]
