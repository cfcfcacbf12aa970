"""Where hidden ground truth lies, and what a job that made some hands over. Light: the web process reads it too.

`assets/<id>/truth/<index>.png` is the map of classes, `<index>.objects.png` the map of objects where the source
tells them apart (both as in app/formats/truth_png.py). Nothing that a page or an export reads leads there. A job
writes them to its own folder; they take their place when its result is brought into the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from tasks.channel import cut_lines

STAGED = "kept"
"""The folder in a job's own folder."""


class KeptFrame(Struct, kw_only=True):
    """A frame whose truth a job wrote. `objects`: whether there is a map of objects; `pixels`: those of a class."""

    frame_id: str
    objects: bool = False
    pixels: int = 0
    void: int = 0


def folder_of(data: Path, asset_id: str) -> Path:
    return data / "assets" / asset_id / "truth"


def map_path(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.png"


def objects_path(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.objects.png"


def staged_map(job_folder: Path, frame_id: str) -> Path:
    return job_folder / STAGED / f"{frame_id}.png"


def staged_objects(job_folder: Path, frame_id: str) -> Path:
    return job_folder / STAGED / f"{frame_id}.objects.png"


def read_kept(records: Path) -> Iterator[KeptFrame]:
    """The complete records of a job, one a line; a torn last line is cut off first."""
    cut_lines(records)
    decode = msgspec.json.Decoder(KeptFrame).decode
    if records.exists():
        with records.open("rb") as file:
            for line in file:
                yield decode(line)
