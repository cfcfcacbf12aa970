"""`matte-fast`: alpha by the colours of either side, smoothed along the edges of the image by a guided filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.algo.matting.upsample import guided
from app.algo.matting.work import Floats, Work

RADIUS, REGULAR = 2, 1e-4
"""Of the guided filter, at the working size."""
DECAY = 12.0
"""Pixels from the boundary over which colours lose their say."""


def alpha_fast(work: Work, band: NDArray[np.bool_]) -> Floats:
    """Alpha of the part of a frame: (h, w) float32, 0..1.

    `band`: (h, w) bool at the working size, where alpha is unknown.
    """
    seen = work.evidence
    say = seen.trust * seen.soft * np.exp(seen.distance / -DECAY) * band
    guess = say * seen.likely + (1 - say) * work.share
    return guided(work.image, guess.astype(np.float32), guide=work.small, radius=RADIUS, regular=REGULAR)
