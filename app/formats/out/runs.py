"""COCO run lengths of everything in a frame at once: the frame is looked through one time, not once a mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from app.algo.labels import compress_counts


class Runs(NamedTuple):
    """One value's pixels: `counts` = the compressed text, `bbox` = [x, y, width, height] in pixels."""

    value: int
    counts: str
    area: int
    bbox: tuple[int, int, int, int]


def runs_of(values: np.ndarray) -> Iterator[Runs]:
    """The run lengths of every value but 0 of an (H, W) array of unsigned integers, by value."""
    height = values.shape[0]
    flat = values.ravel(order="F")
    edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    found = flat[edges[:-1]]
    # A stable sort keeps the runs of one value in the order of the pixels.
    order = np.argsort(found, kind="stable")
    bounds = np.flatnonzero(np.diff(found[order])) + 1
    for part in np.split(order, bounds):
        value = int(found[part[0]])
        if not value:
            continue
        starts, ends = edges[part], edges[part + 1]
        counts = np.empty(2 * len(part), np.int64)
        counts[0::2] = starts - np.concatenate([[0], ends[:-1]])
        counts[1::2] = ends - starts
        if ends[-1] < flat.size:
            counts = np.append(counts, flat.size - ends[-1])
        x0, x1 = int(starts[0]) // height, (int(ends[-1]) - 1) // height
        # A run that goes on in the next column touches the top and the bottom row.
        wraps = bool((starts // height != (ends - 1) // height).any())
        y0 = 0 if wraps else int((starts % height).min())
        y1 = height - 1 if wraps else int(((ends - 1) % height).max())
        yield Runs(
            value, compress_counts(counts), int((ends - starts).sum()), (x0, y0, x1 - x0 + 1, y1 - y0 + 1)
        )
