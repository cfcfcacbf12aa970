"""Which regions of trackers a person should look at, and why."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from app.services.views import RegionView

LEAST_AGREEMENT = 0.8
LEAST_SCORE = 0.5


class Doubt(Struct, kw_only=True):
    """Why a region is uncertain, and the value that says so, 0..1."""

    kind: Literal["agreement", "score", "certificate"]
    value: float


def doubt_of(region: RegionView) -> Doubt | None:
    """What speaks against a region that no person confirmed: walks that disagree, a low score, a missed target."""
    if region.anchor:
        return None
    if region.agreement is not None and region.agreement < LEAST_AGREEMENT:
        return Doubt(kind="agreement", value=region.agreement)
    if region.score is not None and region.score < LEAST_SCORE:
        return Doubt(kind="score", value=region.score)
    certificate = region.certificate
    if certificate is not None and certificate.iou < certificate.target:
        return Doubt(kind="certificate", value=certificate.iou)
    return None


def to_check(regions: list[RegionView]) -> int:
    """How many are uncertain, or miss their certificate's target although a person confirmed them."""
    missed = [r for r in regions if r.certificate is not None and not r.certificate.exact]
    below = {r.id for r in missed if r.certificate is not None and r.certificate.iou < r.certificate.target}
    return len(below | {r.id for r in regions if doubt_of(r) is not None})
