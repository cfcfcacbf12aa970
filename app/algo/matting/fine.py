"""`matte-fine`: the closed form, drawn to the mask where the boundary is an edge and left free where it is soft.

Large frames are solved at the working size and carried to full size along the edges of the image; then the closed
form at full size sharpens that, drawn to it, as long as the band is not too large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.algo.matting.laplacian import solve
from app.algo.matting.upsample import guided
from app.algo.matting.work import Floats, Work

ON_EDGES, ON_HAIR = 0.1, 0.003
"""The weight of the mask against the closed form."""
SHARPEN = 0.2
"""The weight of the carried solution against the closed form at full size."""
MOST = 400_000
"""Pixels of a band that are sharpened at full size: about 250 MB."""
RADIUS, REGULAR = 2, 1e-5
"""Of the guided filter that carries a solution to full size."""


def alpha_fine(work: Work, band: NDArray[np.bool_]) -> Floats:
    """Alpha of the part of a frame: (h, w) float32, 0..1.

    `band`: (h, w) bool at the working size, where alpha is unknown.
    """
    free = work.evidence.soft
    strength = (ON_EDGES * (ON_HAIR / ON_EDGES) ** free).astype(np.float32)
    alpha = solve(work.small, work.share, strength, band)
    if work.factor == 1:
        return alpha
    alpha = guided(work.image, alpha, guide=work.small, radius=RADIUS, regular=REGULAR)
    whole = work.grown(band.astype(np.float32)) > 0
    alpha[~whole] = work.mask[~whole]
    if np.count_nonzero(whole) <= MOST:
        alpha = solve(work.image, alpha, np.full(alpha.shape, SHARPEN, np.float32), whole)
    return alpha
