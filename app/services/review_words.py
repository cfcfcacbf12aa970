"""Why a frame should be looked at, in sentences of the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app import store as db
from app.i18n import gettext as _
from app.services.review_signals import Ground
from app.smoothing import FLICKER_LIMIT
from app.store.review import Doubt

MOST = 6
"""Reasons that are told of a frame, the strongest first."""
GONE = -0.95
"""Of its area a layer has lost that counts as missing."""


class Words:
    """What is needed to tell of a page of frames: names of classes, and the regions that are in doubt."""

    def __init__(self, here: Ground, names: dict[int, str], doubts: Sequence[Doubt]) -> None:
        self._here = here
        self._names = names
        self._doubts: dict[tuple[int, int], list[Doubt]] = {}
        for doubt in doubts:
            self._doubts.setdefault((doubt.layer, doubt.place), []).append(doubt)

    def reason(self, layer: int, place: int, kind: str, value: float) -> dict[str, Any]:
        """The fields of a Reason. `value`: as the maker of the finding in `app.algo.review` says."""
        if kind == "conflict":
            text = _("{pixels} px are claimed by classes of equal priority").format(pixels=round(value))
            return {"kind": kind, "text": text, "value": value}
        class_id, track = self._here.layer(layer)
        name = track.name if track and track.name else self._names.get(class_id, f"#{class_id}")
        region = self._worst(layer, place, kind)
        if kind == "neighbour":
            value = self._here.frame(int(value))[1]
        target = region.target if region is not None else None
        return {
            "kind": kind,
            "text": _sentence(kind, name, value, target),
            "value": round(value, 4),
            "class_id": class_id,
            "track_id": track.id if track else None,
            "region_id": region.region_id if region is not None else None,
        }

    def _worst(self, layer: int, place: int, kind: str) -> Doubt | None:
        name = {"certificate": "iou"}.get(kind, kind)
        if name not in ("score", "agreement", "iou"):
            return None
        known = [one for one in self._doubts.get((layer, place), []) if getattr(one, name) is not None]
        return min(known, key=lambda one: getattr(one, name), default=None)


def words(cur: db.Cursor, here: Ground, frames: Sequence[str]) -> Words:
    """For the frames of these ids."""
    template = db.class_templates.get(cur, here.project.class_template_id)
    names = {known.id: known.name for known in template.classes}
    return Words(here, names, db.review.doubts(cur, here.places, frames))


def _sentence(kind: str, name: str, value: float, target: float | None) -> str:
    match kind:
        case "flicker" if value > FLICKER_LIMIT:
            text = _("Flicker {value:.2f} on {name}, limit {limit:.2f}")
        case "flicker":
            text = _("Flicker {value:.2f} on {name}, more than usual")
        case "area" if value <= GONE:
            text = _("{name} is missing for a moment")
        case "area" if value < 0:
            text = _("{name} loses {percent} % of its area for one frame")
        case "area":
            text = _("{name} grows by {percent} % for one frame")
        case "agreement":
            text = _("Forward and backward differ by {rest} % on {name}")
        case "score":
            text = _("The engine was not sure of {name}: score {value:.2f}")
        case "certificate" if target is not None:
            text = _("Certificate {value:.2f} of {name}, target {target:.2f}")
        case "certificate":
            text = _("Certificate {value:.2f} of {name}")
        case "lost":
            text = _("{name} is lost here")
        case _:
            text = _("Next to a correction of {name} on frame {frame}")
    return text.format(
        name=name,
        value=value,
        limit=FLICKER_LIMIT,
        percent=round(100 * abs(value)),
        rest=round(100 * (1 - value)),
        target=target,
        frame=int(value) + 1,
    )
