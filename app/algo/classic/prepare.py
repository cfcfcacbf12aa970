"""What is computed once per image."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import SuperLU, splu

from app.algo.classic.borders import border_features, smoothing_matrix
from app.algo.classic.boundary import boundary_channels, histogram_channels, to_lab
from app.algo.classic.graph import Adjacency, Tree, adjacency, merge_tree, region_means, superpixels
from app.algo.classic.guided import GuidedFilter
from app.algo.classic.model import Model, default_model
from app.errors import Refused

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Ints = NDArray[np.int32]

WORKING_SIDE = 640
"""Longer side of the working image, pixels."""
CUTS = (300, 100, 40, 15)
"""Regions left in the merge tree at each cut."""
LOCALITIES = (0.003, 0.03)
"""Restart rates of the two cached diffusions, relative to the mean degree."""
CACHED_SEEDS = 64


@dataclass
class Prepared:
    """One image made ready for clicks. Sizes in pixels; n superpixels, m borders of the working image."""

    width: int
    height: int
    image: NDArray[np.uint8]
    work_width: int
    work_height: int
    labels: Ints
    area: Floats
    centre: Floats
    colour: Floats
    histograms: Floats
    adjacency: Adjacency
    probability: Floats
    smooth: sparse.csr_matrix
    trees: tuple[Tree, ...]
    cuts: tuple[Ints, ...]
    cut_histograms: tuple[Floats, ...]
    cut_colours: tuple[Floats, ...]
    frame_share: Floats
    graphs: tuple[sparse.csr_matrix, ...]
    weights: Floats
    frame_distance: Floats
    diffusions: tuple[SuperLU, ...]
    restarts: tuple[float, ...]
    guided: GuidedFilter
    model: Model
    _cache: OrderedDict[Any, Any] = field(default_factory=OrderedDict, repr=False)

    @property
    def count(self) -> int:
        """Number of superpixels."""
        return len(self.area)

    @property
    def diagonal(self) -> float:
        """Length scale of the working image: the square root of its area."""
        return float(np.sqrt(self.work_width * self.work_height))

    @property
    def nbytes(self) -> int:
        """Bytes held, factorisations and the full seed cache estimated from above."""
        total = self.guided.nbytes + CACHED_SEEDS * 7 * 4 * self.count
        for item in fields(self):
            value = getattr(self, item.name)
            for part in value if isinstance(value, tuple) else (value,):
                total += int(getattr(part, "nbytes", 0))
        for solver in self.diffusions:
            total += 16 * solver.nnz
        pairs = self.adjacency
        return total + pairs.pixels_a.nbytes * 3 + 40 * len(self.probability) * len(self.graphs)

    def from_seeds(self, seeds: tuple[int, ...]) -> Floats:
        """Distances of every superpixel from the nearest of `seeds`: (7, n) float32, cached.

        Rows: geodesic by border probability, by colour, by length; two diffusion affinities (−log); merge
        height of the first seed in both trees.
        """
        hit = self._cache.get(seeds)
        if hit is not None:
            self._cache.move_to_end(seeds)
            return hit
        index = np.array(seeds)
        rows = [dijkstra(graph, directed=False, indices=index, min_only=True) for graph in self.graphs]
        unit = np.zeros(self.count)
        for solver, restart in zip(self.diffusions, self.restarts, strict=True):
            # Restart mass equal to the restart rate keeps every affinity within 0..1.
            unit[index] = restart
            rows.append(-np.log(np.clip(solver.solve(unit), 1e-12, 1)))
        rows.extend(tree.ultrametric(seeds[0]) for tree in self.trees)
        result = np.nan_to_num(np.stack(rows), posinf=1e3).astype(np.float32)
        self._cache[seeds] = result
        if len(self._cache) > CACHED_SEEDS:
            self._cache.popitem(last=False)
        return result


def working_size(width: int, height: int) -> tuple[int, int]:
    """Size of the working image: longer side at most `WORKING_SIDE`."""
    scale = min(1.0, WORKING_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _symmetric(ends: Ints, values: NDArray[np.floating], count: int) -> sparse.csr_matrix:
    a, b = ends[:, 0], ends[:, 1]
    rows, columns = np.concatenate([a, b]), np.concatenate([b, a])
    data = np.concatenate([values, values]).astype(np.float64)
    return sparse.csr_matrix((data, (rows, columns)), shape=(count, count))


def laplacian(ends: Ints, weights: NDArray[np.floating], count: int) -> sparse.csc_matrix:
    """Graph Laplacian of symmetric weights."""
    matrix = _symmetric(ends, weights, count)
    degree = np.asarray(matrix.sum(axis=1)).ravel()
    return (sparse.diags_array(degree) - matrix).tocsc()


def prepare(image: NDArray[np.uint8], *, model: Model | None = None) -> Prepared:
    """Prepare one image for `segment`.

    Args:
        image: (H, W, 3) uint8 RGB, any size from 1×1.
        model: coefficients; the shipped table when None.

    Raises:
        Refused: `image` is not a non-empty (H, W, 3) uint8 array.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise Refused(
            f"A picture must be a non-empty (H, W, 3) uint8 RGB array, not {image.shape} {image.dtype}."
        )
    model = model or default_model()
    height, width = image.shape[:2]
    work_width, work_height = working_size(width, height)
    small = np.ascontiguousarray(image)
    if (work_width, work_height) != (width, height):
        size = (work_width, work_height)
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
    lab = cv2.GaussianBlur(to_lab(small), (0, 0), 1.0)
    bins = histogram_channels(lab)
    channels = boundary_channels(lab, bins)
    labels = superpixels(np.ascontiguousarray(channels[..., -1]))
    count = int(labels.max()) + 1
    pairs = adjacency(labels)
    area = np.bincount(labels.ravel(), minlength=count).astype(np.float32)
    colour = region_means(labels, lab, count)
    histograms = region_means(labels, bins, count)
    smooth = smoothing_matrix(pairs, area)
    evidence = border_features(pairs, channels, colour, histograms, area, smooth)
    probability = (1 / (1 + np.exp(-model.border(evidence)))).astype(np.float32)
    return finish(
        image, labels, lab, pairs, area, colour, histograms, probability, smooth, GuidedFilter(small), model
    )


def finish(
    image: NDArray[np.uint8],
    labels: Ints,
    lab: Floats,
    pairs: Adjacency,
    area: Floats,
    colour: Floats,
    histograms: Floats,
    probability: Floats,
    smooth: sparse.csr_matrix,
    guided: GuidedFilter,
    model: Model,
) -> Prepared:
    count = len(area)
    work_height, work_width = labels.shape
    scale = float(np.sqrt(labels.size))
    ys, xs = np.mgrid[0:work_height, 0:work_width].astype(np.float32) + np.float32(0.5)
    centre = region_means(labels, np.stack([xs, ys], axis=2), count)
    ends = pairs.ends
    step = np.sqrt(((centre[ends[:, 0]] - centre[ends[:, 1]]) ** 2).sum(axis=1)) / scale
    gap = np.sqrt(((colour[ends[:, 0]] - colour[ends[:, 1]]) ** 2).sum(axis=1)) / 30
    barrier = -np.log(np.maximum(1 - probability, 1e-3)) - np.log(1 - 0.02) + 0.002
    graphs = (
        _symmetric(ends, barrier + 0.2 * step, count),
        _symmetric(ends, gap + 0.2 * step, count),
        _symmetric(ends, step + 1e-6, count),
    )
    weights = (pairs.length * np.exp(-6 * probability)).astype(np.float32)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    frame_share = (np.bincount(edge, minlength=count) / np.sqrt(area)).astype(np.float32)
    on_frame = np.flatnonzero(frame_share > 0)
    frame_distance = np.stack(
        [dijkstra(graph, directed=False, indices=on_frame, min_only=True) for graph in graphs]
    )
    parts = histograms * np.repeat(np.array([1, 1, 1, 1], np.float32) / 4, histograms.shape[1] // 4)
    trees = tuple(
        merge_tree(ends, pairs.length, probability, parts * mix, area, power)
        for mix, power in ((1.0, 0.25), (0.3, 0.1))
    )
    cuts = tuple(trees[0].cut(regions) for regions in CUTS)

    def over(cut: Ints, values: Floats) -> Floats:
        total = np.bincount(cut, weights=area)
        sums = [np.bincount(cut, weights=area * values[:, c]) for c in range(values.shape[1])]
        return (np.stack(sums, axis=1) / total[:, None]).astype(np.float32)

    base = laplacian(ends, weights, count)
    mean_degree = float(base.diagonal().mean()) or 1.0
    restarts = tuple(rate * mean_degree for rate in LOCALITIES)
    diffusions = tuple(splu((base + sparse.diags_array(np.full(count, rate))).tocsc()) for rate in restarts)
    return Prepared(
        width=image.shape[1],
        height=image.shape[0],
        image=image,
        work_width=work_width,
        work_height=work_height,
        labels=labels,
        area=area,
        centre=centre,
        colour=colour,
        histograms=histograms,
        adjacency=pairs,
        probability=probability,
        smooth=smooth,
        trees=trees,
        cuts=cuts,
        cut_histograms=tuple(over(cut, histograms) for cut in cuts),
        cut_colours=tuple(over(cut, colour) for cut in cuts),
        frame_share=frame_share,
        graphs=graphs,
        weights=weights,
        frame_distance=np.nan_to_num(frame_distance, posinf=1e3).astype(np.float32),
        diffusions=diffusions,
        restarts=restarts,
        guided=guided,
        model=model,
    )
