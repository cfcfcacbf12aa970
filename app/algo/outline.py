"""Masks as rings of boundary points and back.

A ring is an (n, 2) float array of (x, y) in frame pixels, closed without repeating its first point; pixel
(0, 0) is the square from (0, 0) to (1, 1), so its centre is (.5, .5). All rings of a region are filled
together by the even-odd rule, so a hole is just another ring; outer rings run clockwise on the screen and
holes the other way, for readers that care.

`rasterise` samples pixel centres: a pixel is set where a ray to the left crosses the rings an odd number of
times. A centre exactly on an edge belongs to the area on its right. The corner rings of `trace` and the
midpoint rings of `trace_midpoints` give the mask back exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from app.algo.certificate import iou
from app.algo.fuse import bounding_box
from app.errors import Refused

Ring = np.ndarray
RingLike = np.ndarray | Sequence[Sequence[float]]

QUANTUM = 0.5
"""Simplified rings lie on half pixels."""
SMOOTHING = (0.0, 0.8, 1.5)
"""Sigmas in px of the copies that are simplified too."""
SMALL_SHARE = 0.3
"""Share of the allowed error that may go into leaving out small rings before simplifying."""


def trace(mask: np.ndarray) -> list[Ring]:
    """The boundary of an (H, W) bool mask as rings of pixel corners, only where the direction changes.

    Pixels that touch by a corner are joined (8-connected foreground), so a ring may pass one corner twice.
    """
    box = bounding_box(mask)
    if box is None:
        return []
    x0, y0, x1, y1 = box
    crop = np.pad(mask[y0:y1, x0:x1].astype(bool, copy=False), 1)
    nodes, flat, upright = _corner_graph(crop)
    return _walk(nodes, flat, upright, crop, x0, y0)


def trace_midpoints(mask: np.ndarray) -> list[Ring]:
    """The boundary as rings through the middle of every unit edge between a set and an unset pixel.

    The same rings as `trace` with corners cut by half a pixel: straight slanted edges become straight lines,
    which is what simplifying wants. Rasterising them gives the mask back exactly.
    """
    rings = trace(mask)
    if not rings:
        return []
    points, following, lengths = _joined(rings)
    ahead = points[following]
    steps = np.abs(ahead - points).sum(axis=1).astype(np.int64)
    position = np.arange(int(steps.sum())) - np.repeat(np.cumsum(steps) - steps, steps)
    middles = np.repeat(points, steps, axis=0)
    middles += np.repeat(np.sign(ahead - points), steps, axis=0) * (position + 0.5)[:, None]
    ends = np.cumsum(np.add.reduceat(steps, np.cumsum(lengths) - lengths))
    return np.split(middles, ends[:-1])


def rasterise(rings: Iterable[RingLike], shape: tuple[int, int]) -> np.ndarray:
    """Rings → (H, W) bool by the even-odd rule at pixel centres; parts outside the frame are cut off.

    Raises `Refused` for a ring of fewer than 3 points, of another shape or with coordinates that are not
    finite.
    """
    height, width = shape
    out = np.zeros(shape, bool)
    real_rings = [np.asarray(ring, np.float64) for ring in rings]
    if any(ring.ndim != 2 or ring.shape[1:] != (2,) or len(ring) < 3 for ring in real_rings):
        raise Refused("A ring of an outline needs at least three points (x, y).")
    if not real_rings or not height or not width:
        return out
    a, following, _ = _joined(real_rings)
    if not np.isfinite(a).all():
        raise Refused("A ring of an outline holds a coordinate that is not a number.")
    b = a[following]
    low, high = np.where((a[:, 1] <= b[:, 1])[:, None], a, b), np.where((a[:, 1] <= b[:, 1])[:, None], b, a)
    # Scanline y is crossed where low.y <= y + .5 < high.y: half open, so a shared vertex counts once.
    first = np.clip(np.ceil(low[:, 1] - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high[:, 1] - 0.5), 0, height).astype(np.int64)
    count = last - first
    real = count > 0
    if not real.any():
        return out
    first, count, low, high = first[real], count[real], low[real], high[real]
    rows = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    slope = (high[:, 0] - low[:, 0]) / (high[:, 1] - low[:, 1])
    crossing = np.repeat(low[:, 0], count) + (rows + 0.5 - np.repeat(low[:, 1], count)) * np.repeat(
        slope, count
    )
    columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    _fill_spans(out, rows, columns)
    return out


def quantise(rings: Iterable[RingLike], quantum: float = QUANTUM) -> list[Ring]:
    """Rings rounded to multiples of `quantum`, without repeated points; rings below 3 points go."""
    real = [np.asarray(ring, np.float64) for ring in rings]
    if not real:
        return []
    points, following, lengths = _joined(real)
    points = np.round(points / quantum) * quantum + 0.0
    keep = (points != points[following]).any(axis=1)
    ends = np.cumsum(np.add.reduceat(keep, np.cumsum(lengths) - lengths, dtype=np.int64))
    return [ring for ring in np.split(points[keep], ends[:-1]) if len(ring) >= 3]


def simplify(rings: Iterable[Ring], tolerance: float, quantum: float = QUANTUM) -> list[Ring]:
    """Douglas–Peucker at `tolerance` px on every ring, then `quantise`; rings that collapse are dropped."""
    out = []
    for ring in rings:
        kept = cv2.approxPolyDP(np.ascontiguousarray(ring, np.float32).reshape(-1, 1, 2), tolerance, True)
        out.append(kept.reshape(-1, 2))
    return quantise(out, quantum)


def simplify_to(
    mask: np.ndarray, iou_target: float = 0.95, *, quantum: float = QUANTUM, thorough: bool = True
) -> tuple[list[Ring], float]:
    """The sparsest outline found that gives `mask` (H, W) bool back at IoU >= `iou_target`.

    The largest Douglas–Peucker tolerance that meets the target is sought by bisection (to 5 %), on the mask
    and, where `thorough`, on slightly smoothed copies of it, whose boundaries spend no points on jitter; the
    fewest points win. Small rings whose loss the target allows are left out. Where rounding misses the
    target (specks) the exact corner rings are returned. Returns (rings, IoU reached); ([], 1.0) for an empty
    mask.
    """
    box = bounding_box(mask)
    if box is None:
        return [], 1.0
    x0, y0, x1, y1 = box
    crop = np.ascontiguousarray(mask[y0:y1, x0:x1])
    allowed = SMALL_SHARE * (1 - iou_target) * int(np.count_nonzero(crop))
    best: tuple[list[Ring], float] | None = None
    for sigma in SMOOTHING if thorough else (0.0,):
        source = _smoothed(crop, sigma)
        if sigma and iou(source, crop) < iou_target:
            break
        found = _simplest(_without_small(trace_midpoints(source), allowed), crop, iou_target, quantum)
        if found is not None and (best is None or _count(found[0]) < _count(best[0])):
            best = found
    if best is None:
        best = trace(crop), 1.0
    rings, value = _drop_small(*best, crop, iou_target)
    return [ring + np.array([x0, y0]) for ring in rings], value


def _simplest(
    rings: list[Ring], crop: np.ndarray, target: float, quantum: float
) -> tuple[list[Ring], float] | None:
    def reached(tolerance: float) -> tuple[list[Ring], float]:
        tried = simplify(rings, tolerance, quantum)
        return tried, iou(rasterise(tried, (crop.shape[0], crop.shape[1])), crop)

    low, high = 0.25, max(2.0, 0.25 * float(np.hypot(*crop.shape)))
    best = reached(low)
    if best[1] < target:
        return None
    while high / low > 1.05:
        middle = float(np.sqrt(low * high))
        tried = reached(middle)
        if tried[1] >= target:
            low, best = middle, tried
        else:
            high = middle
    return best


def _smoothed(crop: np.ndarray, sigma: float) -> np.ndarray:
    if not sigma:
        return crop
    # Replicated borders: a mask that is cut off by the frame or its box stays cut off there.
    blurred = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred > 0.5


def _without_small(rings: list[Ring], allowed: float) -> list[Ring]:
    """Without the smallest rings that together cover at most `allowed` px²; one always stays."""
    areas = np.array([abs(ring_area(ring)) for ring in rings])
    order = np.argsort(areas, kind="stable")
    gone = set(
        order[: min(int(np.searchsorted(np.cumsum(areas[order]), allowed, "right")), len(rings) - 1)].tolist()
    )
    return [ring for index, ring in enumerate(rings) if index not in gone]


def _count(rings: list[Ring]) -> int:
    return sum(map(len, rings))


def ring_area(ring: Ring) -> float:
    """Signed area in px², positive for rings that run clockwise on the screen (outer rings of `trace`)."""
    x, y = ring[:, 0], ring[:, 1]
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y))


def _drop_small(rings: list[Ring], value: float, crop: np.ndarray, target: float) -> tuple[list[Ring], float]:
    """Leave out the smallest rings while the IoU stays at the target: they cost bytes for few pixels."""
    order = sorted(range(len(rings)), key=lambda index: abs(ring_area(rings[index])))
    low, high = 0, len(rings) - 1
    best = (rings, value)
    while low < high:
        middle = (low + high + 1) // 2
        dropped = set(order[:middle])
        tried = [ring for index, ring in enumerate(rings) if index not in dropped]
        reached = iou(rasterise(tried, crop.shape), crop)
        if reached >= target:
            low, best = middle, (tried, reached)
        else:
            high = middle - 1
    return best


def _joined(rings: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All points in one array, the position of each point's successor in its ring, and the rings' lengths."""
    lengths = np.fromiter(map(len, rings), np.int64, len(rings))
    following = np.arange(1, int(lengths.sum()) + 1)
    ends = np.cumsum(lengths)
    following[ends - 1] = ends - lengths
    return np.concatenate(rings), following, lengths


def _fill_spans(out: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Toggle every row at its columns and fill between: parity by runs, which is a memset for long spans."""
    width = out.shape[1]
    # Column `width` is one past the row's end: rows of width + 1 keep a toggle there from leaking into the
    # next row.
    where = np.sort(rows * (width + 1) + columns)
    top, bottom = int(rows.min()), int(rows.max()) + 1
    edges = np.concatenate([[top * (width + 1)], where, [bottom * (width + 1)]])
    parity = np.zeros(edges.size - 1, bool)
    parity[1::2] = True
    filled = np.repeat(parity, np.diff(edges)).reshape(bottom - top, width + 1)
    out[top:bottom] = filled[:, :width]


def _corner_graph(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners of a padded mask and their partners along the horizontal and the vertical boundary edge.

    Corners sorted by row hold horizontal edges as pairs (1st-2nd, 3rd-4th …), sorted by column vertical
    ones. A corner where two pixels touch diagonally appears twice; its two copies are told apart so that
    each turns round an unset pixel, which joins the set ones.
    """
    nw, ne, sw, se = crop[:-1, :-1], crop[:-1, 1:], crop[1:, :-1], crop[1:, 1:]
    ys, xs = np.nonzero(nw ^ ne ^ sw ^ se)
    dy, dx = np.nonzero((nw == se) & (ne == sw) & (nw != ne))
    falling = nw[dy, dx]
    # Set pixels NW and SE: the copies turn by (N, E) and (W, S). NE and SW: by (N, W) and (S, E).
    nodes = np.concatenate([np.stack([ys, xs], 1), np.stack([dy, dx], 1), np.stack([dy, dx], 1)])
    single, double = len(ys), len(dy)
    left_first = np.zeros(single + 2 * double, np.int8)
    left_first[single : single + double] = np.where(falling, 1, 0)
    left_first[single + double :] = np.where(falling, 0, 1)
    north_first = np.zeros(single + 2 * double, np.int8)
    north_first[single + double :] = 1
    flat = np.empty(len(nodes), np.int64)
    order = np.lexsort((left_first, nodes[:, 1], nodes[:, 0]))
    flat[order[0::2]], flat[order[1::2]] = order[1::2], order[0::2]
    upright = np.empty(len(nodes), np.int64)
    order = np.lexsort((north_first, nodes[:, 0], nodes[:, 1]))
    upright[order[0::2]], upright[order[1::2]] = order[1::2], order[0::2]
    return nodes, flat, upright


def _walk(
    nodes: np.ndarray, flat: np.ndarray, upright: np.ndarray, crop: np.ndarray, x0: int, y0: int
) -> list[Ring]:
    flat_list, upright_list = flat.tolist(), upright.tolist()
    seen = bytearray(len(nodes))
    rings = []
    for start in np.lexsort((nodes[:, 1], nodes[:, 0])).tolist():
        if seen[start]:
            continue
        path, node = [], start
        while not seen[node]:
            other = flat_list[node]
            seen[node] = seen[other] = 1
            path += (node, other)
            node = upright_list[other]
        corners = nodes[path]
        # The first corner is the ring's top left one; below its edge lies the ring's inside.
        y = corners[0][0]
        if not crop[y + 1, min(corners[0][1], corners[1][1]) + 1]:
            corners = corners[::-1]
        rings.append(corners[:, ::-1].astype(np.float64) + np.array([x0, y0]))
    return rings
