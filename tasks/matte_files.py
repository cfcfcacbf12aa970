"""What the jobs "matte" and "matte_alpha" are asked, and the files that they keep in their folder.

| file | content |
|---|---|
| input.jsonl | the frames of the range with their regions, as `tasks.snapshot` |
| alphas/<target>/<index>.png | alpha of a target on a frame, 16-bit grey; no file where it has no mask |
| steady/alphas/… | the same, averaged along time, where that is asked for |
| partial.jsonl | one `Done` a line |
| written.json | `Written`, of the files that are whole |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from app.matting import MatteParameters
from app.models import Id
from tasks.channel import cut_lines, read_partial
from tasks.snapshot import FrameEntry

ALPHAS = "alphas"
STEADY = "steady"
"""The folder of a job under which averaged alphas lie, as the others do in the job's own."""


class Target(Struct, kw_only=True):
    """What gets a matte of its own: the pixels of all regions that are in one of the lists.

    `name`: as people call it; no two targets of a job are called the same.
    """

    name: str
    track_ids: list[Id] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)
    region_ids: list[Id] = field(default_factory=list)

    def wanted(self, entry: FrameEntry) -> list[int]:
        """The positions in `entry.specs` of the regions that belong to the target."""
        tracks = {region.id: region.track_id for region in entry.regions}
        return [
            position
            for position, spec in enumerate(entry.specs)
            if spec.class_id in self.class_ids
            or spec.id in self.region_ids
            or tracks.get(spec.id) in self.track_ids
        ]


class Engine(Struct, kw_only=True):
    """What made the alphas. `weights`: what they are called, "" where it has none; `sha256`: of them."""

    id: str
    name: str
    licence: str = ""
    licence_url: str = ""
    weights: str = ""
    weights_licence: str = ""
    weights_licence_url: str = ""
    sha256: str = ""


class MatteArgs(Struct, kw_only=True):
    """`start`, `stop`: frame indices, both included. `end`: when the frame behind the last one is due, on the clock
    of the frames, None where there is none. `alphas`: a job folder where an engine of the worker left the alphas;
    "" = they are made here.
    """

    asset_id: Id
    data_dir: str
    out_dir: str
    input: str
    start: int
    stop: int
    targets: list[Target]
    engine: Engine
    parameters: MatteParameters = field(default_factory=MatteParameters)
    outputs: list[str]
    background: str = "#00ff00"
    sound: bool = True
    end: float | None = None
    alphas: str = ""
    settings: dict[str, str | int] = field(default_factory=dict)
    """Of an engine of the worker: what decided the alphas beside the parameters."""


class Done(Struct, kw_only=True):
    """A frame whose alphas are on the disk. `seen`: by target, whether it has one; `stood_in`: engine → how many of
    its masks were not at hand.
    """

    index: int
    seen: list[bool]
    stood_in: dict[str, int] = field(default_factory=dict)


class Written(Struct, kw_only=True):
    """What is known of the files that are whole. `dtssd`: name of a target → its flicker, as `tasks.matte_flicker`."""

    notes: list[str] = field(default_factory=list)
    dtssd: dict[str, float] = field(default_factory=dict)


def alpha_path(folder: Path, target: int, index: int) -> Path:
    """The alpha of the target with this position on a frame, in the folder of a job."""
    return folder / ALPHAS / str(target) / f"{index:06d}.png"


def done_of(folder: Path, targets: int) -> dict[int, Done]:
    """What earlier executions of a job finished, by frame index, as far as its files are still there."""
    cut_lines(folder / "partial.jsonl")
    found: dict[int, Done] = {}
    offset = 0
    while True:
        records, offset = read_partial(folder, offset)
        if not records:
            return found
        for done in msgspec.convert(records, list[Done]):
            if _is_there(folder, done, targets):
                found[done.index] = done


def _is_there(folder: Path, done: Done, targets: int) -> bool:
    return len(done.seen) == targets and all(
        alpha_path(folder, number, done.index).exists() for number, seen in enumerate(done.seen) if seen
    )


def plain(args: Struct) -> dict[str, Any]:
    """The arguments as plain data, as they travel in the queue."""
    return msgspec.to_builtins(args)
