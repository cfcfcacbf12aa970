"""`fuse_ms` of the speed benchmark: a 1080p frame of 200 regions in 20 classes, masks at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import cv2
import numpy as np

from app.algo.fuse import Layer, fuse, refuse, union_box

SHAPE = (1080, 1920)
REGIONS = 200
CLASSES = 20


def scene(seed: int = 0) -> list[Layer]:
    """200 layers with blob masks, log-uniform in size from 8 px to most of the frame (seeded)."""
    rng = np.random.default_rng(seed)
    layers = []
    for index in range(REGIONS):
        radius = float(np.exp(rng.uniform(np.log(8), np.log(500))))
        centre = rng.uniform((0, 0), (SHAPE[1], SHAPE[0]))
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        radii = radius * rng.uniform(0.6, 1.2, 40)
        polygon = centre + np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)
        mask = np.zeros(SHAPE, np.uint8)
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], (1,))
        class_id = index % CLASSES + 1
        # A person keeps big classes (road, sky) low and small ones high: so does the scene.
        layers.append(Layer(class_id, class_id, class_id, mask.astype(bool)).cropped())
    return layers


def run(repeats: int = 15) -> dict[str, float]:
    """Median ms, one thread: `full` = all layers; `incremental` = after one middle-sized region moved."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        layers = scene()
        full = _milliseconds(lambda: fuse(layers, SHAPE), repeats)
        before = fuse(layers, SHAPE)
        by_area = sorted(range(REGIONS), key=lambda index: int(layers[index].mask.sum()))
        moved_index = by_area[REGIONS // 2]
        moved = list(layers)
        old = layers[moved_index]
        moved[moved_index] = replace(old, x0=min(max(0, old.x0 + 25), SHAPE[1] - old.mask.shape[1]))
        changed = union_box(old.box, moved[moved_index].box)
        incremental = _milliseconds(lambda: refuse(before, moved, changed), repeats)
    finally:
        cv2.setNumThreads(threads)
    return {"full": full, "incremental": incremental}


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return round(median(times), 2)
