"""From clicks to masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.classic.features import Click, answer_features, click_features, disc_seeds
from app.algo.classic.pixels import Disc, settle, soft_to_mask
from app.algo.classic.prepare import Prepared
from app.algo.classic.walker import walk
from app.errors import Refused

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Bools = NDArray[np.bool_]
Box = tuple[float, float, float, float]

SHIFTS = (-2.0, 2.0)
"""Shifts of the score that give the second and third candidate."""
NEAREST_OTHERS = 24
"""Points of other regions taken as background seeds, nearest first; all of them claim their discs."""


@dataclass(frozen=True)
class Candidate:
    """One answer: (H, W) bool mask at full resolution and its estimated IoU, 0..1."""

    mask: Bools
    score: float


def node_share(prepared: Prepared, mask: Bools) -> Floats:
    """Share of each superpixel inside a full-resolution mask: (H, W) → (n,)."""
    small = mask.astype(np.float32)
    if small.shape != prepared.labels.shape:
        small = cv2.resize(small, (prepared.work_width, prepared.work_height), interpolation=cv2.INTER_AREA)
    inside = np.bincount(prepared.labels.ravel(), weights=small.ravel(), minlength=prepared.count)
    return (inside / prepared.area).astype(np.float32)


def read_clicks(prepared: Prepared, points: NDArray[np.float64]) -> list[Click]:
    """Full-resolution (N, 4) rows → clicks in the working image."""
    sx, sy = prepared.work_width / prepared.width, prepared.work_height / prepared.height
    scale = float(np.sqrt(sx * sy))
    out: list[Click] = []
    for x, y, label, reach in points.tolist():
        wx = min(max(x * sx, 0.0), float(prepared.work_width))
        wy = min(max(y * sy, 0.0), float(prepared.work_height))
        # Half a pixel tells nothing; beyond the image's own size neither.
        r = 0.0 if reach * scale < 0.5 else min(reach * scale, 2 * prepared.diagonal + 2)
        out.append(Click(wx, wy, label > 0.5, r, disc_seeds(prepared, wx, wy, r)))
    return out


def seeds_of(clicks: list[Click]) -> tuple[list[int], list[int]]:
    """Superpixels clamped inside and outside; the later click wins, centres over discs."""
    state: dict[int, bool] = {}
    for whole in (True, False):
        for click in clicks:
            if click.frame is not None and not whole:
                continue
            for node in click.seeds if whole else click.seeds[:1]:
                state[node] = click.positive
    return [k for k, v in state.items() if v], [k for k, v in state.items() if not v]


def solve(
    prepared: Prepared, clicks: list[Click], previous: Floats | None
) -> tuple[Floats, Floats, list[int], list[int]]:
    """Final logit and probability of each superpixel, and the clamped superpixels inside and outside."""
    inside, outside = seeds_of(clicks)
    features = click_features(prepared, clicks, previous)
    logit = prepared.model.first(features)
    walked = walk(prepared, logit, inside, outside)
    more = answer_features(prepared, logit, walked)
    logit = prepared.model.second(np.concatenate([features, more], axis=1))
    return logit, walk(prepared, logit, inside, outside), inside, outside


def expected_iou(prepared: Prepared, probability: Floats) -> float:
    """IoU of the mask {probability > ½} with a random object drawn from the probabilities, by its means."""
    chosen = probability > 0.5
    either = prepared.area @ np.maximum(probability, chosen)
    return float(prepared.area @ (probability * chosen) / max(float(either), 1e-6))


def _box_clicks(prepared: Prepared, box: Box) -> tuple[Click | None, Click]:
    """The surroundings of a full-resolution box as a negative click (None when nothing lies outside), and a
    positive one at its middle."""
    sx, sy = prepared.work_width / prepared.width, prepared.work_height / prepared.height
    x1, y1, x2, y2 = box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy
    x, y = prepared.centre[:, 0], prepared.centre[:, 1]
    outside = np.flatnonzero((x < x1) | (x > x2) | (y < y1) | (y > y2))
    reach = 0.3 * min(x2 - x1, y2 - y1)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    middle = Click(middle_x, middle_y, True, reach, disc_seeds(prepared, middle_x, middle_y, reach))
    if outside.size == 0:
        return None, middle
    seeds = tuple(int(i) for i in outside)
    return Click(middle_x, middle_y, False, 0.0, seeds, frame=(x1, y1, x2, y2)), middle


def _checked(points: NDArray[np.float64], columns: int, name: str) -> NDArray[np.float64]:
    points = np.asarray(points, np.float64)
    if points.size == 0:
        return np.zeros((0, columns))
    if points.ndim != 2 or points.shape[1] != columns or not np.isfinite(points).all():
        raise Refused(f"{name} must be an (n, {columns}) array of finite numbers, not {points.shape}.")
    return points


def _whole_box(prepared: Prepared, box: Box) -> tuple[int, int, int, int]:
    """Pixels whose centre lies inside the box, half open, clipped to the image."""
    x1, y1, x2, y2 = box
    if not np.isfinite(box).all() or x2 <= x1 or y2 <= y1:
        raise Refused("The box is empty; drag it from one corner to the opposite one.")
    tops = (prepared.width, prepared.height, prepared.width, prepared.height)
    first, second, third, fourth = (
        int(np.clip(np.ceil(value - 0.5), 0, top)) for value, top in zip(box, tops, strict=True)
    )
    return first, second, third, fourth


def segment(
    prepared: Prepared,
    points: NDArray[np.float64],
    *,
    box: Box | None = None,
    others: NDArray[np.float64] | None = None,
    previous: Bools | None = None,
) -> list[Candidate]:
    """Masks for clicks on one image.

    Every positive click lies inside and every negative click outside every answer; of contradicting clicks
    on one pixel the later wins. Nothing lies outside `box`; positive clicks outside it are ignored.
    Without any positive evidence (no positive click, no box) the answer is empty.

    Args:
        points: (N, 4) rows x, y, label (1 or 0), r (reach in pixels, 0 unknown), in order of clicking.
        box: x1, y1, x2, y2.
        others: (M, 3) rows x, y, r of positive points of other regions: they claim their discs except
            where this region's own clicks do, and count as background.
        previous: (H, W) bool, the answer that is being refined.

    Returns:
        Best guess first: three candidates for a single positive click, otherwise one.

    Raises:
        Refused: malformed or non-finite points, an empty box, `previous` of another size.
    """
    points = _checked(points, 4, "The points")
    rivals = _checked(others if others is not None else np.zeros((0, 3)), 3, "The points of other regions")
    if previous is not None and previous.shape != (prepared.height, prepared.width):
        raise Refused(
            f"The previous mask is {previous.shape}, the image {(prepared.height, prepared.width)}."
        )
    limits = None if box is None else _whole_box(prepared, box)
    discs = [Disc(x, y, max(0.0, r), label > 0.5) for x, y, label, r in points.tolist()]
    if limits is not None:
        keep = [not d.positive or _within(d.pixel(prepared.width, prepared.height), limits) for d in discs]
        discs = [d for d, kept in zip(discs, keep, strict=True) if kept]
        points = points[keep]
    clicks = read_clicks(prepared, points)
    rival_clicks: list[Click] = []
    if len(rivals):
        rows = np.concatenate([rivals[:, :2], np.zeros((len(rivals), 1)), rivals[:, 2:]], axis=1)
        if len(rows) > NEAREST_OTHERS and len(points):
            anchor = points[points[:, 2] > 0.5]
            anchor = anchor if len(anchor) else points
            gap = np.hypot(rows[:, None, 0] - anchor[:, 0], rows[:, None, 1] - anchor[:, 1]).min(axis=1)
            rows = rows[np.sort(np.argsort(gap, kind="stable")[:NEAREST_OTHERS])]
        rival_clicks = read_clicks(prepared, rows[:NEAREST_OTHERS])
    surroundings: list[Click] = []
    if box is not None:
        around, middle = _box_clicks(prepared, box)
        surroundings = [around] if around else []
        if not any(c.positive for c in clicks):
            clicks.insert(0, middle)
    if not any(c.positive for c in clicks):
        return [Candidate(np.zeros((prepared.height, prepared.width), bool), 0.0)]
    share = None if previous is None else node_share(prepared, previous)
    logit, walked, inside, outside = solve(prepared, surroundings + rival_clicks + clicks, share)
    answers = [walked]
    if len(points) == 1 and points[0, 2] > 0.5 and previous is None:
        answers += [walk(prepared, logit + shift, inside, outside) for shift in SHIFTS]
    rival_discs = [Disc(x, y, max(0.0, r), False) for x, y, r in rivals.tolist()]
    return [
        Candidate(
            settle(soft_to_mask(prepared, each), discs, rival_discs, limits), expected_iou(prepared, each)
        )
        for each in answers
    ]


def _within(pixel: tuple[int, int], limits: tuple[int, int, int, int]) -> bool:
    row, column = pixel
    return limits[0] <= column < limits[2] and limits[1] <= row < limits[3]
