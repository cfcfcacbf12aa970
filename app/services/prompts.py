"""Prompts: what an engine offers for them, whether they can be used, and the certified geometry of what is accepted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from app.errors import Refused
from app.models import Certificate, Frame, Geometry, quantise
from app.services import maps
from app.services.context import Context
from app.worker import protocol
from app.worker.protocol import Exemplar

__all__ = ["Exemplar", "accept", "check_geometry", "check_prompt", "proposals"]

TARGET_IOU = 0.95


def proposals(
    ctx: Context,
    frame_id: str,
    geometry: Geometry,
    *,
    exemplars: Sequence[Exemplar] = (),
    engine: str | None = None,
) -> dict[str, Any]:
    """Ask the engine for proposals; nothing is stored.

    Returns {proposals: [{id, rle (COCO), box (x, y, w, h), area, score, engine}], kind, presence, weights}.
    """
    current = maps.read_scene(ctx, frame_id)
    check_prompt(geometry, exemplars, current.frame)
    reply = ctx.worker.request(
        protocol.Predict(
            frame=maps.frame_ref(ctx.paths, current.frame),
            geometry=geometry,
            exemplars=list(exemplars),
            regions=current.specs(),
            engine=engine or current.project.engine,
            rle=True,
        )
    )
    assert isinstance(reply, protocol.Proposals)
    size = [current.frame.height, current.frame.width]
    found = [
        {
            "id": c.id,
            "rle": {"size": size, "counts": c.rle},
            "box": [c.x, c.y, c.w, c.h],
            "area": c.area,
            "score": c.score,
            "engine": reply.engine,
        }
        for c in reply.candidates
    ]
    return {"proposals": found, "kind": reply.kind, "presence": reply.presence, "weights": reply.weights}


def check_geometry(geometry: Geometry, frame: Frame) -> None:
    """Raise Refused, naming the point, for a region's geometry that does not lie on the frame. Nothing is clamped."""
    _check_places(geometry, frame)
    subject = any(p.label == 1 for p in geometry.points) or geometry.outline or geometry.box is not None
    if not subject and not (geometry.text or "").strip():
        raise Refused("A region needs at least one positive point, a box or an outline.")


def check_prompt(geometry: Geometry, exemplars: Sequence[Exemplar], frame: Frame) -> None:
    """Raise Refused for a prompt that does not lie on the frame or asks for nothing."""
    _check_places(geometry, frame)
    for exemplar in exemplars:
        _check_box(exemplar.box, frame, "An exemplar")
    if not any(exemplar.positive for exemplar in exemplars):
        check_geometry(geometry, frame)


def _check_places(geometry: Geometry, frame: Frame) -> None:
    for i, p in enumerate(geometry.points, 1):
        if not (_within(p.x, frame.width) and _within(p.y, frame.height)):
            raise Refused(
                f"Point {i} at ({p.x:g}, {p.y:g}) lies outside the frame of {frame.width} × {frame.height} px."
            )
    if geometry.box is not None:
        _check_box(geometry.box, frame, "The box")
    for ring in geometry.outline or ():
        if len(ring) < 3:
            raise Refused("A ring of the outline needs at least three points.")
        if not all(_within(x, frame.width) and _within(y, frame.height) for x, y in ring):
            raise Refused(f"The outline leaves the frame of {frame.width} × {frame.height} px.")


def _check_box(box: tuple[float, float, float, float], frame: Frame, name: str) -> None:
    x1, y1, x2, y2 = box
    inside = _within(x1, frame.width) and _within(x2, frame.width)
    inside = inside and _within(y1, frame.height) and _within(y2, frame.height)
    if not inside or x2 <= x1 or y2 <= y1:
        raise Refused(
            f"{name} must run from its top left to its bottom right inside {frame.width} × {frame.height} px."
        )


def _within(value: float, size: int) -> bool:
    return math.isfinite(value) and 0 <= value <= size


def accept(
    ctx: Context,
    current: maps.Scene,
    geometry: Geometry,
    proposal: str | None,
    engine: str | None,
    *,
    without: str | None,
) -> protocol.Accepted:
    """Let the worker turn prompts, or the proposal they led to, into points with a certificate.

    Text that found the proposal is not part of the geometry: points and box tell this instance from the others.
    Raises Refused where nothing is found, Unavailable.
    """
    reply = ctx.worker.request(
        protocol.Accept(
            frame=maps.frame_ref(ctx.paths, current.frame),
            geometry=geometry,
            regions=current.specs(without=without),
            engine=engine or current.project.engine,
            proposal=proposal,
            target=TARGET_IOU,
        )
    )
    assert isinstance(reply, protocol.Accepted)
    if reply.area <= 0:
        raise Refused("Nothing was found at these points. Move them, or add another.")
    reply.geometry = quantise(reply.geometry)
    reply.certificate = msgspec.convert(reply.certificate, Certificate, from_attributes=True)
    return reply
