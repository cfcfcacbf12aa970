"""`<asset>_<target>.json` beside the files of a matte: what it was made of and by what, with licences.

Canonical: keys are sorted, one of the file and one frame a line, so that equal mattes have equal bytes and two can be
compared line by line. Frames are written as they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av
import msgspec
from msgspec import Struct, field

from app.formats.out.model import json_array
from app.formats.video_out import Timing
from app.matting import MatteParameters
from app.models import Certificate

FORMAT = 1
"""Goes up where a reader of the one before would misread the file."""

_PACKAGES = ("pointillist", "av", "numpy", "opencv-python-headless", "scipy", "torch", "diffusers")

_encoder = msgspec.json.Encoder(order="sorted")


class Made(Struct, kw_only=True):
    """An engine or weights: what it is called, and under which licence it may be used. `sha256`: of the file."""

    name: str
    id: str = ""
    sha256: str = ""
    licence: str = ""
    licence_url: str = ""


class Used(Struct, kw_only=True):
    """A region whose mask a frame's alpha was made of. `certificate` None where it has none."""

    id: str
    certificate: Certificate | None = None


class MatteFrame(Struct, kw_only=True):
    """A frame. `index`: in the asset, from 0; `time`: of the asset's clock in seconds, None where it has none; `tick`:
    when it is shown in the files, in ticks of `Clock.scale`. `regions` empty: the target is not in the frame.
    """

    index: int
    time: float | None
    tick: int
    regions: list[Used] = field(default_factory=list)


class Clock(Struct, kw_only=True):
    """`scale` ticks make a second; `last`: ticks that the last frame is shown; `exact`: whether the times are those
    of the source.
    """

    scale: int
    last: int
    exact: bool

    @classmethod
    def of(cls, timing: Timing) -> Clock:
        return cls(scale=timing.scale, last=timing.last, exact=timing.exact)


class Sidecar(Struct, kw_only=True):
    """All but the frames. `width`, `height`: of the frames in pixels; `target`: its name; `target_ids`: the tracks,
    classes or regions that it is made of, by what they are ("track_ids", …); `weights` None where the engine has
    none; `settings`: what decided its alphas beside the parameters; `background`: colour behind the foreground video;
    `files`: names of the files beside this one.
    """

    asset: str
    asset_id: str
    target: str
    target_ids: dict[str, list[str | int]]
    width: int
    height: int
    clock: Clock
    engine: Made
    weights: Made | None
    parameters: MatteParameters
    settings: dict[str, str | int] = field(default_factory=dict)
    background: str
    files: list[str]
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: versions())
    format: int = FORMAT


def versions() -> dict[str, str]:
    """Versions of what takes part, of the packages that are installed, and of FFmpeg's encoders."""
    found = {"libavcodec": ".".join(map(str, av.library_versions["libavcodec"]))}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_sidecar(path: Path, sidecar: Sidecar, frames: Iterable[MatteFrame]) -> None:
    """Write the file aside and rename it. Nothing is left where `frames` raises."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            known: dict[str, Any] = {name: getattr(sidecar, name) for name in sidecar.__struct_fields__}
            for number, name in enumerate(sorted([*known, "frames"])):
                file.write((b",\n" if number else b"{\n") + _encoder.encode(name) + b":")
                if name == "frames":
                    file.writelines(json_array(map(_encoder.encode, frames)))
                else:
                    file.write(_encoder.encode(known[name]))
            file.write(b"\n}\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
