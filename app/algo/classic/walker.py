"""Random walker with prior on the superpixel graph (Grady 2005)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from app.algo.classic.prepare import Prepared, laplacian

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers

PRIOR_WEIGHT = 0.6
"""Pull of the prior relative to the mean degree of the graph, for a superpixel of mean area."""


def walk(prepared: Prepared, logit: Floats, inside: list[int], outside: list[int]) -> Floats:
    """Probability of each superpixel of belonging to the object.

    Minimises Σ w_ij (x_i − x_j)² + Σ γ a_i (x_i − σ(logit_i))² with x = 1 on `inside` and 0 on `outside`.

    Returns:
        (n,) float32 in 0..1.
    """
    count = prepared.count
    prior = 1 / (1 + np.exp(-np.clip(logit.astype(np.float64), -12, 12)))
    if count == 1:
        return np.ones(1, np.float32) if inside else prior.astype(np.float32)
    matrix = laplacian(prepared.adjacency.ends, prepared.weights, count)
    degree = matrix.diagonal()
    pull = PRIOR_WEIGHT * float(degree.mean()) * prepared.area / prepared.area.mean()
    clamp = 1e4 * float(degree.mean())
    right = pull * prior
    pull = pull.astype(np.float64)
    pull[outside] = clamp
    right[outside] = 0
    pull[inside] = clamp
    right[inside] = clamp
    solver = splu(
        (matrix + sparse.diags_array(pull)).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        options={"SymmetricMode": True},
    )
    return np.clip(solver.solve(right), 0, 1).astype(np.float32)
