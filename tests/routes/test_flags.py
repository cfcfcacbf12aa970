"""Which regions the panels show as uncertain."""

from __future__ import annotations

from typing import Any

from app.models import Certificate, Geometry, new_id
from app.routes.workspace.flags import doubt_of, to_check
from app.services.views import RegionView


def region(**facts: Any) -> RegionView:
    known: dict[str, Any] = {
        "anchor": False, "track_id": None, "certificate": None, "score": None, "agreement": None,
    }  # fmt: skip
    return RegionView(
        id=new_id(),
        frame_id=f"{new_id()}-000000",
        class_id=1,
        geometry=Geometry(),
        area=1,
        author="classic",
        revision=1,
        order=0,
        **(known | facts),
    )


def certificate(iou: float, *, exact: bool = False) -> Certificate:
    return Certificate(engine="classic", iou=iou, boundary_f=iou, target=0.95, exact=exact)


def test_walks_that_disagree_a_low_score_and_a_missed_target_make_a_region_uncertain() -> None:
    def kind(**facts: Any) -> str | None:
        doubt = doubt_of(region(**facts))
        return None if doubt is None else f"{doubt.kind} {doubt.value}"

    assert kind(agreement=0.71, score=0.3) == "agreement 0.71"
    assert kind(agreement=0.8, score=0.49) == "score 0.49"
    assert kind(agreement=0.9, score=0.5, certificate=certificate(0.94)) == "certificate 0.94"
    assert kind(agreement=0.9, score=0.9, certificate=certificate(0.95)) is None
    assert kind() is None
    assert kind(anchor=True, agreement=0.1, score=0.1, certificate=certificate(0.5)) is None


def test_the_frame_counts_what_to_look_at_once() -> None:
    poor = region(anchor=True, certificate=certificate(0.9))
    drawn = region(anchor=True, certificate=certificate(0.9, exact=True))
    both = region(agreement=0.5, certificate=certificate(0.9))
    assert to_check([poor, drawn, both, region(score=0.9)]) == 2
