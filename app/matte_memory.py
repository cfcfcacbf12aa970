"""What a matte costs before it is begun: chunks, tiles, memory and, where that is known, time.

The worker's engines cut videos and frames by the same functions, so what the estimate says is what happens.
Memory is calculated from the shapes of the networks and time is measured where there is a number; both are
guides, not promises. Nothing heavy may be imported here: pages and the command line read it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.matting import MatteParameters

Span = tuple[int, int]
"""Begin and end of a part, the end not included."""

STEP = 64
"""VideoMaMa works at sizes that are multiples of this many pixels; others come back smaller."""
LONG, SHORT = 1024, 576
"""Size in pixels of the frames that VideoMaMa was trained with."""
TILE_OVERLAP = 64
"""Pixels that two neighbouring tiles share at least."""
CELL = 8
"""Pixels of a frame to a side of a cell of the latent picture; tiles begin at multiples of it."""
DECODED = 8
"""Frames that VideoMaMa decodes together where memory allows: another number gives other alphas."""
ENCODED = 2
"""Frames that it encodes together; the number changes nothing but memory."""
CAP, FLOOR = 1080, 96
"""MatAnyone sees frames with a short side of so many pixels at most, because its memory grows with their area
squared, and at least, because it compares 30 cells of 16×16 px."""
WITHOUT_WEIGHTS = {"matte-fast": (0.15, 0.36, 0.45), "matte-fine": (0.35, 0.55, 0.45)}
"""Engine → seconds of one core for a frame of any size, what a frame of 1920×1080 px takes beside that, and GiB for
one; alpha, foreground and two videos.
"""

_GIB = 1 << 30
_TRAINED = LONG * SHORT
_CPU_S_PER_PIXEL = 1.5 / (512 * 288)
"""MatAnyone at its published size with two threads: 1.5 s a frame of 512×288 px."""


@dataclass(frozen=True)
class Need:
    """What a matte of one target takes. `memory`: bytes at the peak, weights included; None where an engine
    says nothing of it. `seconds`: None where nobody measured it. `tiles`: to a frame.
    """

    memory: int | None
    seconds: float | None
    chunks: int = 1
    tiles: int = 1


def need(
    engine: str,
    size: tuple[int, int],
    frames: int,
    parameters: MatteParameters,
    *,
    anchors: int = 1,
    gpu: bool = False,
) -> Need:
    """The cost of `frames` frames of `size` (width, height) in pixels with an engine of `app.matting.READ`.

    `anchors`: confirmed masks that MatAnyone walks from. An engine that is not known here says nothing.
    """
    if engine == "matanyone":
        return _matanyone(size, frames, parameters, anchors, gpu)
    if engine == "videomama":
        return _videomama(size, frames, parameters, gpu)
    if engine in WITHOUT_WEIGHTS:
        share = size[0] * size[1] / (1920 * 1080)
        any_size, by_size, gib = WITHOUT_WEIGHTS[engine]
        return Need(memory=int(gib * share * _GIB), seconds=frames * (any_size + share * by_size))
    return Need(memory=None, seconds=None)


# How a video and a frame are cut


def chunks(start: int, stop: int, length: int, overlap: int) -> list[Span]:
    """Parts of `length` frames that cover `start` … `stop` - 1, each sharing `overlap` with the one before.

    The last may be shorter. `overlap` is at most half of `length`, so no frame lies in more than two parts.
    """
    found = [(start, min(stop, start + length))]
    while found[-1][1] < stop:
        begin = found[-1][1] - overlap
        found.append((begin, min(stop, begin + length)))
    return found


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The size (width, height) in multiples of 64 px that VideoMaMa works at for a frame of `size`."""
    width, height = (max(STEP, STEP * round(side / STEP)) for side in size)
    return width, height


def tiles(size: tuple[int, int], side: int = 0) -> tuple[list[Span], list[Span]]:
    """Columns and rows of the tiles of a frame of `size`, which is `fitted`.

    `side`: of square tiles in px, a multiple of 64; 0: one tile where the frame has no more pixels than those of
    the training, else tiles of that size. They overlap by 64 px or more and are spread evenly.
    """
    width, height = size
    if side:
        wide, high = side, side
    elif width * height <= _TRAINED:
        wide, high = width, height
    else:
        wide, high = (LONG, SHORT) if width >= height else (SHORT, LONG)
    return _spread(width, min(wide, width)), _spread(height, min(high, height))


def _spread(length: int, side: int) -> list[Span]:
    if side >= length:
        return [(0, length)]
    count = math.ceil((length - TILE_OVERLAP) / (side - TILE_OVERLAP))
    begins = [CELL * round((length - side) * index / (count - 1) / CELL) for index in range(count)]
    return [(begin, begin + side) for begin in begins]


def capped(size: tuple[int, int]) -> tuple[int, int]:
    """The size (width, height) at which MatAnyone sees a frame of `size`: the short side 96 to 1080 px.

    Tiny frames are stretched, because an odd shape must not make a large one of them.
    """
    short = min(size)
    scale = min(CAP, short) / short
    width, height = (max(FLOOR, round(side * scale)) for side in size)
    return width, height


# What it costs


def _matanyone(
    size: tuple[int, int], frames: int, parameters: MatteParameters, anchors: int, gpu: bool
) -> Need:
    width, height = capped(size)
    cells = width * height / 256
    # Similarities of the cells of a frame to those of five remembered ones, in float32, about three times at once.
    affinity = 3 * 5 * cells * cells * 4
    memory = 0.13 * _GIB + affinity + 0.35 * _GIB * width * height / (1920 * 1080)
    # From every anchor it walks both ways, and warms up for each.
    steps = frames + 2 * anchors * (parameters.warm_up + 1)
    seconds = None if gpu else steps * width * height * _CPU_S_PER_PIXEL
    return Need(memory=int(memory), seconds=seconds)


def _videomama(size: tuple[int, int], frames: int, parameters: MatteParameters, gpu: bool) -> Need:
    columns, rows = tiles(fitted(size), parameters.tile)
    spans = chunks(0, max(1, frames), parameters.chunk, parameters.overlap)
    share = (columns[0][1] * rows[0][1]) / _TRAINED
    length = spans[0][1]
    decoded = min(DECODED if gpu else DECODED // 2, length)
    # GiB in 16-bit numbers: of the denoiser, of a part that decodes and of one that encodes (in 32 bits).
    working = max(1.5 + 0.15 * length * share, 1.125 * decoded * share, 2 * 0.7 * ENCODED * share)
    weights = 2.84 + 0.18
    memory = (weights + working) * _GIB * (1 if gpu else 2)
    return Need(memory=int(memory), seconds=None, chunks=len(spans), tiles=len(columns) * len(rows))


def seam(spans: Sequence[Span], index: int, at: int) -> float:
    """The weight of part `index` of `spans` at `at`: rises and falls in a straight line where it overlaps others.

    The weights of all parts at one place sum up to 1 where at most two of them overlap there.
    """
    begin, end = spans[index]
    weight = 1.0
    if index > 0 and at < (shared := spans[index - 1][1]):
        weight = (at - begin + 1) / (shared - begin + 1)
    if index + 1 < len(spans) and at >= (shared := spans[index + 1][0]):
        weight = min(weight, (end - at) / (end - shared + 1))
    return weight
