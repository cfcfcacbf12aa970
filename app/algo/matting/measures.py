"""How far an alpha is from the true one, as the alpha matting benchmark and video matting papers say it.

SAD, MSE and the gradient error: Rhemann et al., "A perceptually motivated online benchmark for image matting", CVPR
2009; dtSSD: Erofeev et al., "Perceptually motivated benchmark for video matting", BMVC 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIGMA = 1.4
"""Of the derivatives of a Gaussian by which gradients are taken."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def sad(alpha: Floats, truth: Floats, where: Bools | None = None) -> float:
    """The sum of absolute errors of (H, W) alphas, in thousands of pixels, over `where` (H, W) bool or all."""
    return float(np.abs(_picked(alpha - truth, where)).sum(dtype=np.float64) / 1000)


def mse(alpha: Floats, truth: Floats, where: Bools | None = None) -> float:
    """The mean squared error of (H, W) alphas over `where` (H, W) bool or all; 0 over nothing."""
    return _mean(np.square(_picked(alpha - truth, where)))


def mad(alpha: Floats, truth: Floats, where: Bools | None = None) -> float:
    """The mean absolute error of (H, W) alphas over `where` (H, W) bool or all; 0 over nothing."""
    return _mean(np.abs(_picked(alpha - truth, where)))


def grad(alpha: Floats, truth: Floats, where: Bools | None = None) -> float:
    """The sum of squared differences of the gradients' lengths of (H, W) alphas, in thousands of pixels."""
    off = np.square(_slope(alpha) - _slope(truth))
    return float(_picked(off, where).sum(dtype=np.float64) / 1000)


def dtssd(alphas: Iterable[Floats], truths: Iterable[Floats] | None = None) -> float:
    """How much an alpha flickers along time: the root mean square of what changes from frame to frame otherwise than
    the truth does, the mean over the pairs of neighbours, × 100.

    Args:
        alphas: (H, W) float32, one a frame, each read once.
        truths: likewise; None = nothing should change, which suits pairs where nothing moves.
    """
    steps = (after - before for before, after in pairwise(alphas))
    if truths is not None:
        true_steps = (after - before for before, after in pairwise(truths))
        steps = (step - true for step, true in zip(steps, true_steps, strict=True))
    found = [math.sqrt(_mean(np.square(step))) for step in steps]
    return 100 * sum(found) / len(found) if found else 0.0


def _picked(plane: Any, where: Bools | None) -> Any:
    return plane if where is None else plane[where]


def _mean(values: Any) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else 0.0


def _slope(alpha: Floats) -> Any:
    """The lengths of the gradients."""
    radius = math.ceil(3 * SIGMA)
    at = np.arange(-radius, radius + 1, dtype=np.float64)
    bell = np.exp(-np.square(at) / (2 * SIGMA**2))
    bell /= bell.sum()
    slope = -at / SIGMA**2 * bell
    border = cv2.BORDER_REPLICATE
    across = cv2.sepFilter2D(alpha, cv2.CV_32F, slope, bell, borderType=border)
    down = cv2.sepFilter2D(alpha, cv2.CV_32F, bell, slope, borderType=border)
    return np.hypot(across, down)
