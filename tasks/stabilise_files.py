"""What the job "stabilise" is asked, and the files that it keeps in its folder.

| file | content |
|---|---|
| before/<index>.gz | what a frame shows by layer, as `app.formats.map_file`; with frames around the range |
| smooth/<index>.gz | what the filter made of it; no file where nothing changed |
| after/<index>.gz | what the stored regions show, where the job changed them |
| smoothing.json | how far the filter is: the same digest, and the index of the next frame |
| smooth.json | there once the filter is through: the digest of all that decides its result |
| changes.jsonl | one `FrameChange` a line |
| measured.jsonl | one `Row` a line |
| curve.json | `Curve` |
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from app.models import Certificate, Geometry, Id, Region
from app.smoothing import Smoothing
from tasks.channel import cut_lines

S = TypeVar("S", bound=Struct)
CHANGES, MEASURED, CURVE = "changes.jsonl", "measured.jsonl", "curve.json"
FILTERING, FILTERED = "smoothing.json", "smooth.json"


class StabiliseArgs(Struct, kw_only=True):
    """`start`, `stop`: frame indices, both included; the snapshot `input` holds frames around them, too.

    `class_ids`, `track_ids`: what may gain or lose pixels, everything where both are empty. `preview`: change no
    region. `from_folder`: of a job whose maps serve here, too, if its labels and filter were the same.
    """

    job_id: Id
    asset_id: Id
    data_dir: str
    input: str
    start: int
    stop: int
    smoothing: Smoothing
    class_ids: list[int] = field(default_factory=list)
    track_ids: list[Id] = field(default_factory=list)
    overwrite_anchors: bool = False
    preview: bool = False
    from_folder: str = ""
    iou_target: float = 0.98
    actor: str = ""
    label: str = ""
    """What the edit is called."""


class RegionChange(Struct, kw_only=True):
    """A region's new shape."""

    id: Id
    geometry: Geometry
    certificate: Certificate
    area: int


class FrameChange(Struct, kw_only=True):
    """What becomes of a frame's regions. `stamp`: all of them with their revisions, as they were looked at."""

    frame_id: str
    index: int
    stamp: list[tuple[str, int]]
    changed: list[RegionChange]
    gone: list[str]
    added: list[Region]


class Curve(Struct, kw_only=True):
    """By frame from `start` on: warped instability before and after, None where it cannot be compared with the
    frame before, and how many pixels show another layer.
    """

    start: int
    before: list[float | None]
    after: list[float | None]
    changed: list[int]


def read_lines(path: Path, kind: type[S]) -> Iterator[S]:
    """The complete lines of a file; a torn last one is cut off first."""
    cut_lines(path)
    decode = msgspec.json.Decoder(kind).decode
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                yield decode(line)
