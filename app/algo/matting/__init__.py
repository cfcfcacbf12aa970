"""Mattes without weights: from a mask to alpha.

A mask's boundary gets a band in which alpha is unknown (`band`), as wide as the picture asks for; an engine of
`METHODS` finds alpha there. Nothing here is random, and nothing depends on other frames; `steady` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.algo.matting.band import UNKNOWN, reshaped, trimap
from app.algo.matting.fast import alpha_fast
from app.algo.matting.fine import alpha_fine
from app.algo.matting.work import Work, work_on
from app.matting import MatteParameters

Floats = NDArray[np.float32]

METHODS: dict[str, Callable[[Work, NDArray[np.bool_]], Floats]] = {
    "matte-fast": alpha_fast,
    "matte-fine": alpha_fine,
}
"""Engine → alpha of the part of a frame around the boundary, given the band at the working size."""


@dataclass(frozen=True)
class Matte:
    """alpha: (H, W) float32, 0..1; trimap: (H, W) uint8, 0 background, 128 unknown, 255 foreground."""

    alpha: Floats
    trimap: NDArray[np.uint8]


def matte(
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    engine: str = "matte-fine",
    parameters: MatteParameters | None = None,
    uncertainty: Floats | None = None,
) -> Matte:
    """The matte of a mask.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool.
        engine: of `METHODS`.
        parameters: `band`, `erode` and `dilate` are read.
        uncertainty: (H, W) float32, 0..1, on the pixels of the mask, how unsure its boundary is around there.
    """
    asked = parameters or MatteParameters()
    mask = reshaped(mask, asked.erode, asked.dilate)
    work = work_on(image, mask, beyond=3 * (asked.band or 0))
    known = trimap(mask, width=asked.band, uncertainty=uncertainty, work=work)
    return Matte(_alpha(known, mask, work, engine), known)


def _alpha(known: NDArray[np.uint8], mask: NDArray[np.bool_], work: Work | None, engine: str) -> Floats:
    """Alpha: the mask where it is known, that of an engine elsewhere."""
    out = mask.astype(np.float32)
    if work is None:
        return out
    unknown = known[work.box] == UNKNOWN
    band = work.shrunk(unknown.astype(np.float32)) > 0
    if band.any():
        out[work.box][unknown] = METHODS[engine](work, band)[unknown]
    return out
