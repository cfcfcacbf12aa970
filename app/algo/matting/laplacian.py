"""The matting Laplacian on a band of pixels, and alpha as its minimum under a prior.

Levin, Lischinski and Weiss, "A closed-form solution to natural image matting", TPAMI 2008: in every window of 3 × 3
pixels alpha is a linear function of the colour. Only windows that touch the band are built, and what is stored grows
with the band, not with the image. Alone, and with nothing but certain pixels around the band, the minimum leaks
wherever both sides share colours; here every pixel of the band is also drawn to a prior, as strongly as that is sure.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import cg

REGULAR = 1e-5
"""Variance of colours (0..1) below which a window is flat."""
PRECISE, MOST_STEPS = 1e-3, 400
"""Residual of the conjugate gradients, relative, and their steps at most."""
WINDOWS = 32_768
"""Windows built at once: 40 MB."""
_SQUARE = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]

Floats = NDArray[np.float32]


def solve(image: Floats, prior: Floats, strength: Floats, band: NDArray[np.bool_]) -> Floats:
    """Alpha within a band.

    Args:
        image: (h, w, 3) float32, 0..1.
        prior: (h, w) float32, 0..1: what alpha is expected to be; outside the band, what it is.
        strength: (h, w) float32, > 0: the weight of the prior against the Laplacian.
        band: (h, w) bool, where alpha is unknown.

    Returns:
        (h, w) float32, 0..1; the prior outside the band.
    """
    alpha = prior.ravel().copy()
    unknown = np.flatnonzero(band)
    if unknown.size:
        matrix, pull = _equations(image, prior, band, unknown)
        weight = strength.ravel()[unknown]
        matrix.setdiag(matrix.diagonal() + weight)
        pull += weight * alpha[unknown]
        ease = sparse.diags_array(1 / np.maximum(matrix.diagonal(), 1e-6))
        found, _ = cg(matrix, pull, x0=alpha[unknown], rtol=PRECISE, maxiter=MOST_STEPS, M=ease)
        alpha[unknown] = np.clip(found, 0, 1)
    return alpha.reshape(prior.shape)


def _equations(
    image: Floats, prior: Floats, band: NDArray[np.bool_], unknown: NDArray[Any]
) -> tuple[Any, Floats]:
    """The Laplacian among the unknown pixels (n, n) and what the known ones around them add to the right (n,)."""
    height, width = band.shape
    touched = cv2.dilate(band.view(np.uint8), np.ones((5, 5), np.uint8)).view(np.bool_)
    places = np.flatnonzero(touched)
    number = np.full(height * width, places.size, np.int32)
    number[places] = np.arange(places.size, dtype=np.int32)
    stencil = _stencil(image, band, number, places.size)
    rows = number[unknown]
    around = np.array([y * width + x for y in range(-2, 3) for x in range(-2, 3)], np.int64)
    # Places beyond the image have no weight: any number will do.
    columns = number[np.clip(unknown[:, None] + around, 0, number.size - 1)]
    columns[columns == places.size] = 0
    starts = np.arange(0, 25 * unknown.size + 1, 25, dtype=np.int32)
    whole = sparse.csr_array(
        (stencil[:, rows].T.ravel(), columns.ravel(), starts), shape=(unknown.size, places.size)
    )
    del stencil, columns
    known = prior.ravel()[places]
    known[rows] = 0
    pull = np.asarray(-(whole @ known), np.float32)
    return whole[:, rows], pull


def _stencil(image: Floats, band: NDArray[np.bool_], number: NDArray[np.int32], count: int) -> Floats:
    """(25, count) float32: the Laplacian between a numbered pixel and those up to two beside it, row by row."""
    width = band.shape[1]
    centres = cv2.dilate(band.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
    centres[[0, -1]] = False
    centres[:, [0, -1]] = False
    offsets = np.array([y * width + x for y, x in _SQUARE], np.int64)
    colours = image.reshape(-1, 3)
    stencil = np.zeros((25, count), np.float32)
    windows = np.flatnonzero(centres)
    for begin in range(0, windows.size, WINDOWS):
        pixels = windows[begin : begin + WINDOWS, None] + offsets
        apart = colours[pixels]
        apart -= apart.mean(1, keepdims=True)
        spread = np.matmul(apart.transpose(0, 2, 1), apart) / 9
        spread[:, range(3), range(3)] += REGULAR / 9
        alike = np.matmul(np.matmul(apart, np.linalg.inv(spread)), apart.transpose(0, 2, 1))
        alike = (alike + 1) / -9
        alike[:, range(9), range(9)] += 1
        rows = number[pixels]
        for i, (y, x) in enumerate(_SQUARE):
            for j, (other_y, other_x) in enumerate(_SQUARE):
                # A window has each place but once, so that plain addition loses nothing.
                stencil[(other_y - y + 2) * 5 + other_x - x + 2, rows[:, i]] += alike[:, i, j]
    return stencil
