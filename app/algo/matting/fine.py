"""`matte-fine`: the closed form, drawn to the mask where the boundary is an edge and left free where it is soft.

It is solved at the working size, mixed with `matte-fast`, whose errors are others, and carried to full size along the
edges of the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.algo.matting.fast import RADIUS, REGULAR, guess
from app.algo.matting.laplacian import solve
from app.algo.matting.upsample import guided
from app.algo.matting.work import Floats, Work

ON_EDGES, ON_HAIR = 0.03, 0.003
"""The weight of what is expected against the closed form. More on edges would serve exact masks, less those that are
off by pixels.
"""
COLOUR = 0.5
"""The share of colours in what is expected; the rest is the mask's."""
MIX = 0.3
"""The share of the fast engine."""
CARRY_RADIUS, CARRY_REGULAR = 1, 1e-5
"""Of the guided filter that carries a solution to full size."""


def alpha_fine(work: Work, band: NDArray[np.bool_]) -> Floats:
    """Alpha of the part of a frame: (h, w) float32, 0..1.

    `band`: (h, w) bool at the working size, where alpha is unknown.
    """
    by_colour = guess(work, band)
    expected = COLOUR * by_colour + (1 - COLOUR) * work.share
    strength = (ON_EDGES * (ON_HAIR / ON_EDGES) ** work.evidence.soft).astype(np.float32)
    alpha = solve(work.small, expected.astype(np.float32), strength, band)
    alpha += MIX * band * (guided(work.small, by_colour, radius=RADIUS, regular=REGULAR) - alpha)
    if work.factor == 1:
        return alpha
    return guided(work.image, alpha, guide=work.small, radius=CARRY_RADIUS, regular=CARRY_REGULAR)
