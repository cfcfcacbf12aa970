"""Which masks are kept as files, and where: the path follows from all that decides the mask.

Masks of engines whose regions do not compete depend on nothing but the frame, the region's own prompts and the
engine. The worker writes them; every process that draws reads them, so that a frame looks the same where the
engine is away. Nothing heavy may be imported here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from app.models import QUANTUM, Certificate, Geometry

VERSION = 1
COMPETING = frozenset({"", "outline", "classic", "fake"})
"""What certifies regions that compete for the pixels of their frame, or needs no engine to draw them."""


def competes(engine: str) -> bool:
    """Whether the regions that this engine certified compete for pixels. One that is not known does not."""
    return engine in COMPETING


def certifier(geometry: Geometry, certificate: Certificate | None) -> tuple[str, str]:
    """The engine that must draw a region and its weights; empty where an outline or nothing certified it.

    The weights are empty, too, where regions compete: the renderer's version stands for them.
    """
    if certificate is None or certificate.exact or geometry.outline:
        return "", ""
    return certificate.engine, "" if competes(certificate.engine) else certificate.weights


def key_of(frame_hash: str, geometry: Geometry, engine: str, weights: str) -> str:
    """32 hex digits for the mask that `engine` with `weights` gives a region's prompts on a frame."""
    points = [(_q(p.x), _q(p.y), p.label, _q(p.r)) for p in geometry.points]
    box = None if geometry.box is None else [_q(value) for value in geometry.box]
    decides = [VERSION, frame_hash, points, box, geometry.text, engine, weights]
    return hashlib.blake2b(msgspec.json.encode(decides), digest_size=16).hexdigest()


def path_of(data: Path, key: str) -> Path:
    """The file of a mask in a data folder (the format is in app/formats/mask_file.py)."""
    return data / "cache" / "masks" / key[:2] / f"{key}.msk"


def _q(value: float) -> int:
    return round(value * QUANTUM)
