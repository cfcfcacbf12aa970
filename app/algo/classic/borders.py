"""What is known about each border between two superpixels, and the probability that it separates objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from app.algo.classic.boundary import BINS, EDGE_CHANNELS
from app.algo.classic.graph import Adjacency

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers

BORDER_FEATURES = EDGE_CHANNELS + 4 + 12 + 2


@dataclass(frozen=True)
class Mlp:
    """A small fully connected network with tanh units, applied to standardised inputs.

    mean, scale: (d,); weights: list of (in, out); biases: list of (out,). Output: logit(s).
    """

    mean: Floats
    scale: Floats
    weights: list[Floats]
    biases: list[Floats]

    def __call__(self, features: Floats) -> Floats:
        """(n, d) → (n,) when the last layer has one output, else (n, k)."""
        x = np.clip((features - self.mean) * self.scale, -5, 5).astype(np.float32)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if i < len(self.weights) - 1:
                np.tanh(x, out=x)
        return x[:, 0] if x.shape[1] == 1 else x


def chi2_groups(a: Floats, b: Floats) -> Floats:
    """χ² distances of the L, a, b and texture parts of two sets of histograms: (m, 40) ×2 → (m, 4)."""
    ratio = (a - b) ** 2 / (a + b + np.float32(1e-6))
    return 0.5 * np.add.reduceat(ratio, np.arange(0, 4 * BINS, BINS), axis=1)


def smoothing_matrix(adjacency: Adjacency, area: Floats) -> sparse.csr_matrix:
    """Row-stochastic averaging over a superpixel and its neighbours, weighted by area."""
    count = len(area)
    a, b = adjacency.ends[:, 0], adjacency.ends[:, 1]
    rows = np.concatenate([a, b, np.arange(count)])
    columns = np.concatenate([b, a, np.arange(count)])
    matrix = sparse.csr_matrix((area[columns], (rows, columns)), shape=(count, count))
    total = np.asarray(matrix.sum(axis=1)).ravel()
    matrix.data /= np.repeat(np.maximum(total, 1e-6), np.diff(matrix.indptr))
    return sparse.csr_matrix(matrix, dtype=np.float32)


def border_features(
    adjacency: Adjacency,
    channels: Floats,
    colour: Floats,
    histograms: Floats,
    area: Floats,
    smooth: sparse.csr_matrix,
) -> Floats:
    """Features of every border.

    Args:
        channels: (H, W, EDGE_CHANNELS). colour: (n, 3) mean Lab. histograms: (n, 40). area: (n,) pixels.
        smooth: `smoothing_matrix`.

    Returns:
        (m, BORDER_FEATURES) float32.
    """
    flat = channels.reshape(-1, channels.shape[2])
    a, b = adjacency.ends[:, 0], adjacency.ends[:, 1]
    strengths = np.stack(
        [adjacency.mean(np.ascontiguousarray(flat[:, c])) for c in range(flat.shape[1])], axis=1
    )
    gap = np.abs(colour[a] - colour[b])
    # A bounded average keeps neighbours across the border from blurring it away entirely.
    once = smooth @ histograms
    thrice = smooth @ (smooth @ once)
    total = float(area.sum())
    small = np.minimum(area[a], area[b])
    return np.concatenate(
        [
            strengths,
            gap / 20,
            np.sqrt((gap**2).sum(axis=1, keepdims=True)) / 20,
            chi2_groups(histograms[a], histograms[b]),
            4 * chi2_groups(once[a], once[b]),
            10 * chi2_groups(thrice[a], thrice[b]),
            np.log(adjacency.length)[:, None],
            np.log(small / total * len(area) + 0.05)[:, None],
        ],
        axis=1,
    ).astype(np.float32)
