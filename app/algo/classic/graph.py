"""Superpixels, their adjacency graph and merge trees."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Ints = NDArray[np.int32]

MARKERS = 1500
"""Grid markers of the superpixel watershed on a full-size working image."""
COMPACTNESS = 5e-4


def superpixels(edge: Floats, markers: int = MARKERS) -> Ints:
    """Watershed superpixels on an edge map from grid markers moved to local minima: (H, W) → labels 0..n-1.

    Compact watershed after Neubert & Protzel 2014 as implemented by scikit-image.
    """
    height, width = edge.shape
    step = max(1.0, float(np.sqrt(height * width / markers)))
    rows = max(1, round(height / step))
    columns = max(1, round(width / step))
    reach = int(step / 3)
    seeds = np.zeros((height, width), np.int32)
    smooth = cv2.GaussianBlur(edge, (0, 0), 0.8)
    label = 0
    for i in range(rows):
        for j in range(columns):
            y = min(height - 1, int((i + 0.5) * height / rows))
            x = min(width - 1, int((j + 0.5) * width / columns))
            y0, x0 = max(0, y - reach), max(0, x - reach)
            window = smooth[y0 : y + reach + 1, x0 : x + reach + 1]
            dy, dx = divmod(int(window.argmin()), window.shape[1])
            if seeds[y0 + dy, x0 + dx] == 0:
                label += 1
                seeds[y0 + dy, x0 + dx] = label
    labels = watershed(edge, seeds, compactness=COMPACTNESS)  # pyright: ignore[reportArgumentType]
    return labels.astype(np.int32) - 1


@dataclass(frozen=True)
class Adjacency:
    """Borders between superpixels.

    ends: (m, 2) int32, first < second; length: (m,) float32 pixel pairs across the border;
    pixels_a, pixels_b: (k,) int64 flat pixel indices on both sides; border: (k,) int64 row of `ends`.
    """

    ends: Ints
    length: Floats
    pixels_a: NDArray[np.int64]
    pixels_b: NDArray[np.int64]
    border: NDArray[np.int64]

    def mean(self, values: NDArray[np.floating]) -> Floats:
        """Mean over each border of the larger of the two sides: (H·W,) → (m,)."""
        across = np.maximum(values[self.pixels_a], values[self.pixels_b])
        total = np.bincount(self.border, weights=across, minlength=len(self.length))
        return (total / self.length).astype(np.float32)


def adjacency(labels: Ints) -> Adjacency:
    """4-neighbour borders of a label image."""
    height, width = labels.shape
    index = np.arange(height * width).reshape(height, width)
    a = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    b = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    flat = labels.ravel()
    differ = flat[a] != flat[b]
    a, b = a[differ], b[differ]
    low = np.minimum(flat[a], flat[b]).astype(np.int64)
    high = np.maximum(flat[a], flat[b]).astype(np.int64)
    count = int(flat.max()) + 1
    keys, border, length = np.unique(low * count + high, return_inverse=True, return_counts=True)
    ends = np.stack([keys // count, keys % count], axis=1).astype(np.int32)
    return Adjacency(ends, length.astype(np.float32), a, b, border.astype(np.int64))


def region_means(labels: Ints, values: Floats, count: int) -> Floats:
    """Mean of each channel over each superpixel: (H, W) and (H, W, C) → (count, C)."""
    flat = labels.ravel()
    area = np.maximum(np.bincount(flat, minlength=count), 1)
    channels = values.reshape(flat.size, -1)
    out = np.empty((count, channels.shape[1]), np.float32)
    for c in range(channels.shape[1]):
        out[:, c] = np.bincount(flat, weights=channels[:, c], minlength=count) / area
    return out


@dataclass(frozen=True)
class Tree:
    """Binary merge tree over n superpixels: nodes 0..n-1 are leaves, n..2n-2 merges in order of merging.

    parent: (2n-1,) int32, the root's is itself; height: (2n-1,) float32, monotone to the root, leaves 0;
    children: (n-1, 2) int32; order: (n,) leaves such that every node's leaves are order[start:stop];
    start, stop: (2n-1,) int32.
    """

    parent: Ints
    height: Floats
    children: Ints
    order: Ints
    start: Ints
    stop: Ints

    def ancestors(self, leaf: int) -> list[int]:
        """Nodes from `leaf` up to the root, both included."""
        path = [leaf]
        while (up := int(self.parent[path[-1]])) != path[-1]:
            path.append(up)
        return path

    def ultrametric(self, leaf: int) -> Floats:
        """Merge height at which each superpixel joins `leaf`: (n,) float32."""
        out = np.empty(len(self.order), np.float32)
        for node in reversed(self.ancestors(leaf)):
            out[self.order[self.start[node] : self.stop[node]]] = self.height[node]
        return out

    def cut(self, regions: int) -> Ints:
        """Labels 0..k-1 of the superpixels when the first merges leave `regions` regions."""
        leaves = len(self.children) + 1
        label = np.arange(2 * leaves - 1)
        stop = max(0, leaves - max(1, regions))
        for node in range(leaves + stop - 1, -1, -1):
            up = self.parent[node]
            if up < leaves + stop and up != node:
                label[node] = label[up]
        return np.unique(label[:leaves], return_inverse=True)[1].astype(np.int32)


def merge_tree(
    ends: Ints, length: Floats, strength: Floats, colour: Floats, area: Floats, power: float
) -> Tree:
    """Greedy region merging.

    The cost of a pair is (mean border strength + colour distance) · (smaller area)^power; strengths are
    averaged over joined borders by length, colours over regions by area.

    Args:
        ends: (m, 2) pairs. length: (m,). strength: (m,) border strength 0..1. colour: (n, C) features in
            which half the L1 distance is comparable with strength. area: (n,) in pixels.
        power: exponent of the smaller area; 0 ignores size.
    """
    count = len(area)
    total = 2 * count - 1
    features = np.zeros((total, colour.shape[1]), np.float64)
    features[:count] = colour
    sizes = np.zeros(total)
    sizes[:count] = area
    neighbours: list[dict[int, tuple[float, float]]] = [{} for _ in range(total)]
    parent = np.arange(total, dtype=np.int32)
    height = np.zeros(total, np.float32)
    children = np.zeros((max(0, count - 1), 2), np.int32)
    gap = 0.5 * np.abs(colour[ends[:, 0]] - colour[ends[:, 1]]).sum(axis=1)
    small = np.minimum(area[ends[:, 0]], area[ends[:, 1]])
    costs = (strength + gap) * small**power
    heap: list[tuple[float, int, int]] = []
    for (a, b), weight, value, cost in zip(
        ends.tolist(), length.tolist(), strength.tolist(), costs.tolist(), strict=True
    ):
        neighbours[a][b] = neighbours[b][a] = (weight, weight * value)
        heap.append((cost, a, b))
    heapq.heapify(heap)
    alive = [True] * total
    current = 0.0
    node = count
    while heap and node < total:
        cost, a, b = heapq.heappop(heap)
        if not (alive[a] and alive[b]):
            continue
        alive[a] = alive[b] = False
        current = max(current, cost)
        height[node] = current
        children[node - count] = a, b
        parent[a] = parent[b] = node
        sizes[node] = sizes[a] + sizes[b]
        features[node] = (features[a] * sizes[a] + features[b] * sizes[b]) / sizes[node]
        joined: dict[int, tuple[float, float]] = {}
        for old in (a, b):
            for other, (weight, value) in neighbours[old].items():
                if other in (a, b) or not alive[other]:
                    continue
                before = joined.get(other, (0.0, 0.0))
                joined[other] = (before[0] + weight, before[1] + value)
        neighbours[a] = neighbours[b] = {}
        neighbours[node] = joined
        if joined:
            others = list(joined)
            distance = 0.5 * np.abs(features[others] - features[node]).sum(axis=1)
            smaller = np.minimum(sizes[others], sizes[node]) ** power
            for k, other in enumerate(others):
                pair = joined[other]
                neighbours[other].pop(a, None)
                neighbours[other].pop(b, None)
                neighbours[other][node] = pair
                heapq.heappush(heap, ((pair[1] / pair[0] + distance[k]) * smaller[k], other, node))
        node += 1
        alive[node - 1] = True
    start = np.zeros(total, np.int32)
    width = np.ones(total, np.int32)
    for k in range(count - 1):
        width[count + k] = width[children[k, 0]] + width[children[k, 1]]
    for k in range(count - 2, -1, -1):
        first, second = children[k]
        start[first] = start[count + k]
        start[second] = start[count + k] + width[first]
    order = np.empty(count, np.int32)
    order[start[:count]] = np.arange(count, dtype=np.int32)
    return Tree(parent, height, children, order, start, (start + width).astype(np.int32))
