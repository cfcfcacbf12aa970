"""What a person may ask of mattes: the parameters with their ranges, who reads which, and the kinds of output.

The engines are in `app/algo/matting` and `app/worker/engines`, the files in `app/formats`. Nothing heavy may be
imported here: pages, the command line, the consumer and the worker all read these tables.
"""

from __future__ import annotations

from msgspec import Struct

from app.errors import Refused


class Parameter(Struct, frozen=True, kw_only=True):
    """A number of `MatteParameters`: its range in steps of `step`, and its unit (empty: a count)."""

    title: str
    least: float
    most: float
    step: float
    unit: str = ""


PARAMETERS: dict[str, Parameter] = {
    "band": Parameter(title="Band width", least=1, most=200, step=1, unit="px"),
    "erode": Parameter(title="Erode", least=0, most=100, step=1, unit="px"),
    "dilate": Parameter(title="Dilate", least=0, most=100, step=1, unit="px"),
    "warm_up": Parameter(title="Warm-up", least=0, most=50, step=1),
    "tile": Parameter(title="Tile", least=256, most=2048, step=64, unit="px"),
    "chunk": Parameter(title="Chunk", least=4, most=64, step=1),
    "overlap": Parameter(title="Overlap", least=0, most=16, step=1),
}

READ: dict[str, tuple[str, ...]] = {
    "matte-fast": ("band", "erode", "dilate", "steady"),
    "matte-fine": ("band", "erode", "dilate", "steady"),
    "matanyone": ("erode", "dilate", "warm_up"),
    "videomama": ("erode", "dilate", "chunk", "overlap", "tile"),
}
"""Engine → the fields of `MatteParameters` that it reads."""


class MatteParameters(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a matte is made of masks.

    `band`: pixels on either side of a mask's boundary whose alpha is unknown, None = as the picture asks for;
    `erode`, `dilate`: pixels by which masks shrink and grow first, in this order; `steady`: average alphas along
    time where nothing moves; `warm_up`: times an engine sees its first frame before it begins; `tile`: side in
    pixels of the squares in which large frames are done, 0 = as large as the engine was trained with; `chunk`: frames
    done at once; `overlap`: frames that a chunk shares with the one before.
    """

    band: float | None = None
    erode: int = 0
    dilate: int = 0
    steady: bool = False
    warm_up: int = 10
    tile: int = 0
    overlap: int = 2
    chunk: int = 16


class Output(Struct, frozen=True, kw_only=True):
    """A kind of file. `suffix`: what its name ends with, after the asset's and the target's."""

    title: str
    suffix: str
    note: str


OUTPUTS: dict[str, Output] = {
    "alpha-mp4": Output(
        title="Alpha video", suffix="_alpha.mp4", note="H.264. White is the target, black is not."
    ),
    "foreground-mp4": Output(
        title="Foreground video",
        suffix="_foreground.mp4",
        note="H.264. The target on one colour, without spill.",
    ),
    "rgba-png": Output(
        title="PNG sequence", suffix="_rgba.zip", note="One PNG with transparency a frame, in a ZIP."
    ),
    "webm": Output(title="WebM with alpha", suffix="_rgba.webm", note="VP9. Plays transparent in browsers."),
    "prores": Output(title="ProRes 4444", suffix="_rgba.mov", note="For editing programs. Large files."),
    "preview-mp4": Output(
        title="Preview", suffix="_preview.mp4", note="H.264. The target on a checkerboard."
    ),
}


def check(parameters: MatteParameters) -> None:
    """Raise Refused, naming the range, for a parameter that lies outside its own."""
    for name, one in PARAMETERS.items():
        value: float | None = getattr(parameters, name)
        if value is None or (name == "tile" and value == 0):
            continue
        # Not the other way round: NaN lies in no range.
        if not one.least <= value <= one.most:
            unit = f" {one.unit}" if one.unit else ""
            raise Refused(
                f"{one.title} must lie between {one.least:g} and {one.most:g}{unit}; {value:g} does not."
            )
    if parameters.tile % 64:
        raise Refused(f"Tile must be a multiple of 64 px; {parameters.tile} is not.")
    if parameters.overlap * 2 > parameters.chunk:
        raise Refused(
            f"Overlap may be half of a chunk at most, {parameters.chunk // 2} frames here; "
            f"{parameters.overlap} is more."
        )
