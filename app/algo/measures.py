"""How well a mask agrees with the ground truth: the two measures of DAVIS.

F. Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.algo.certificate import boundary_f, iou


@dataclass(frozen=True)
class Agreement:
    """`j`: region similarity (IoU); `f`: contour accuracy; both 0..1."""

    j: float
    f: float

    @property
    def both(self) -> float:
        """J&F, their mean."""
        return (self.j + self.f) / 2


def agreement(truth: np.ndarray, found: np.ndarray, void: np.ndarray | None = None) -> Agreement:
    """J and F of two (H, W) bool masks. `void`: (H, W) bool, pixels nobody knows the truth of; they count on
    neither side.

    Two empty masks agree: 1. The boundaries match within 0.8 % of the frame's diagonal, rounded up.
    """
    if void is not None:
        truth, found = truth & ~void, found & ~void
    return Agreement(iou(truth, found), boundary_f(truth, found))


def mean(of: Iterable[Agreement]) -> Agreement | None:
    """The mean of both measures; None of nothing."""
    rows = [(one.j, one.f) for one in of]
    return Agreement(*np.mean(rows, axis=0).tolist()) if rows else None
