"""The job "matte_preview": the matte of one target on one frame as small files to look at.

| file | content |
|---|---|
| alpha.png | alpha, 8-bit grey |
| rgba.png | estimated colours with alpha |
| trimap.png | 8-bit grey: 0 background, 128 unknown, 255 foreground |
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.algo.matting import METHODS
from app.algo.matting.foreground import foreground
from app.errors import Refused
from app.formats.matte_rgba import levels
from app.matting import MatteParameters
from tasks.channel import Channel, write_aside
from tasks.given_masks import GivenMasks, notes_of
from tasks.matte_alphas import mattes_of, read_alpha
from tasks.matte_files import Target, alpha_path
from tasks.rendering import read_frame
from tasks.snapshot import Snapshot

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
STAND_IN = "matte-fast"
"""Whose trimap is shown where an engine of the worker made the alpha."""


class PreviewArgs(Struct, kw_only=True):
    """`alphas`: a folder where an engine of the worker left the alpha; "" = it is made here."""

    input: str
    data_dir: str
    out_dir: str
    target: Target
    engine: str
    parameters: MatteParameters
    alphas: str = ""


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Write the three files. Returns {width, height, ms, notes}. Raises Refused."""
    asked = msgspec.convert(args, PreviewArgs)
    snapshot = Snapshot(Path(asked.input))
    entry = next(snapshot.frames(snapshot.sections[0]))
    given, image = GivenMasks(Path(asked.data_dir)), read_frame(entry)
    begun = time.perf_counter()
    engine = asked.engine if asked.engine in METHODS else STAND_IN
    (found,) = mattes_of(entry, image, [asked.target], engine, asked.parameters, given)
    if found is None:
        raise Refused(f"Nothing of “{asked.target.name}” is seen on this frame: other regions cover it.")
    alpha = found.alpha
    if asked.alphas:
        theirs = read_alpha(alpha_path(Path(asked.alphas), 0, entry.frame.index), alpha.shape)
        if theirs is None:
            raise Refused(f"The engine {asked.engine[:40]} left no alpha of this frame.")
        alpha = theirs
    channel.check()
    colours, seen = foreground(image, alpha), levels(alpha)
    ms = (time.perf_counter() - begun) * 1000
    red, green, blue = cv2.split(colours)
    out = Path(asked.out_dir)
    _write(out / "trimap.png", found.trimap)
    _write(out / "rgba.png", cv2.merge([blue, green, red, seen]))
    _write(out / "alpha.png", seen)
    return {
        "width": entry.frame.width,
        "height": entry.frame.height,
        "ms": round(ms, 1),
        "notes": notes_of(given.missing),
    }


def _write(path: Path, pixels: NDArray[Any]) -> None:
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels), _PNG)
    if not done:
        raise Refused("The preview could not be written as PNG.")
    write_aside(path, data.tobytes())
