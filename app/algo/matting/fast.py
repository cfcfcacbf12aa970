"""`matte-fast`: alpha by the colours of either side, smoothed along the edges of the image by a guided filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.algo.matting.upsample import guided
from app.algo.matting.work import Floats, Work

RADIUS, REGULAR = 4, 1e-4
"""Of the guided filter, at the working size."""
DECAY = 12.0
"""Pixels from the boundary over which colours lose their say."""


def alpha_fast(work: Work, band: NDArray[np.bool_]) -> Floats:
    """Alpha of the part of a frame: (h, w) float32, 0..1.

    `band`: (h, w) bool at the working size, where alpha is unknown.
    """
    return guided(work.image, guess(work, band), guide=work.small, radius=RADIUS, regular=REGULAR)


def guess(work: Work, band: NDArray[np.bool_]) -> Floats:
    """Alpha at the working size, pixel by pixel: by colour where the boundary is soft, else the mask."""
    seen = work.evidence
    say = seen.trust * seen.soft * np.exp(seen.distance / -DECAY) * band
    return (say * seen.likely + (1 - say) * work.share).astype(np.float32)
