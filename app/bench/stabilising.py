"""Flicker without lies: ground truth is damaged, smoothed, and compared with the ground truth again.

The damage is that of `app.bench.damage`. Every filter runs plain and along the motion (`_motion`), as a person would
run it: only where there is evidence of flicker. `default_everywhere` is the default filter without that restraint.

`iou_gt`: mean over the frames of the mean IoU over the layers of the ground truth. `instability`: mean over pairs of
neighbouring frames of one shot of the mean, over the layers of either, of 1 − IoU; `warped` ones after the earlier
frame was carried along the motion, where that can be trusted. `instability_removed`: the share of the warped
instability that the damage added which the filter took away. It may exceed 1: hand-drawn masks are not quite steady
themselves. `improvement_percent`: how much smaller the warped instability is than before. `iou_clean`: what a filter
leaves of undamaged masks. `bad_frames`: iou_gt of the frames where a component failed. `faults_only`: the default
where components fail and boundaries do not tremble; what becomes of those frames, and of the others. Ignored pixels
count on neither side; as labels they are unlabelled. Background is unlabelled too.

A data set needs masks on `LEAST_FRAMES` consecutive frames; of the longest such run `MOST_FRAMES` are taken. It is
`moving` where plain carrying of the ground truth is off by `MOVING` more than carrying along the motion. Figures over
all data sets weigh each alike; `ms_per_frame` is the default's, optical flow and all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.algo.motion import Picture, between, picture
from app.algo.stabilise import Shot, stabilise
from app.bench.damage import damaged
from app.bench.folders import DataSet
from app.errors import Refused
from app.smoothing import METHODS, Smoothing

SEED = 1
LEAST_FRAMES, MOST_FRAMES = 5, 20
MOVING = 0.02
UNKNOWN = 65_535
"""Number of ignored pixels while the labels are damaged."""

Labels = NDArray[np.uint16]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Film:
    """A run of frames. `truth`: layer numbers, 0 = unlabelled; `unknown`: (H, W) bool, where nobody knows."""

    name: str
    truth: list[Labels]
    unknown: list[NDArray[np.bool_]]
    images: Callable[[], Iterator[NDArray[np.uint8]]]


def run(folders: Sequence[Path], *, progress: Progress = lambda done, total: None) -> dict[str, Any]:
    """The figures of the benchmark. Raises Refused where no folder has masks on enough consecutive frames."""
    films = [film for data in map(DataSet, folders) if (film := film_of(data)) is not None]
    if not films:
        raise Refused(
            f"There is nothing to smooth: a data set needs masks on {LEAST_FRAMES} consecutive frames."
        )
    rows: dict[str, dict[str, Any]] = {}
    for done, film in enumerate(films):
        progress(done, len(films))
        rows[film.name] = judge(film)
    progress(len(films), len(films))
    names = filters()
    default = next(name for name, smoothing in names.items() if smoothing == Smoothing())
    over = {name: _mean([row["filters"][name] for row in rows.values()]) for name in names}
    return {
        "sequences": len(rows),
        "default": {"filter": default, **over[default]},
        "faults_only": _mean([row["faults_only"] for row in rows.values()]),
        "default_everywhere": _mean([row["filters"]["default_everywhere"] for row in rows.values()]),
        "filters": over,
        "ms_per_frame": float(np.median([row["ms_per_frame"] for row in rows.values()])),
        "per_sequence": rows,
    }


def filters() -> dict[str, Smoothing]:
    """Every filter with its default parameter: NAME as neighbours lie, NAME_motion along the motion."""
    out: dict[str, Smoothing] = {}
    for name, method in METHODS.items():
        given = int(method.default) if method.parameter == "window" else method.default
        for motion in (False, True):
            one = Smoothing(method=name, motion=motion)
            out[name + "_motion" * motion] = msgspec.structs.replace(one, **{method.parameter: given})
    return out


def film_of(data: DataSet) -> Film | None:
    """The frames of a data set that are judged, None where there are too few."""
    first, count = _longest(sorted(data.masks))
    if count < LEAST_FRAMES:
        return None
    places = range(first, first + min(count, MOST_FRAMES))
    stored = [data.labels(at) for at in places]
    unknown = [np.isin(labels, data.ignore) for labels in stored]
    truth = []
    for labels, void in zip(stored, unknown, strict=True):
        numbers = labels.astype(np.uint16) + np.uint16(1)
        numbers[np.isin(labels, data.background)] = 0
        numbers[void] = 0
        truth.append(numbers)
    return Film(data.name, truth, unknown, lambda: (data.image(at) for at in places))


def judge(film: Film) -> dict[str, Any]:
    """The figures of one data set."""
    marked = [
        np.where(void, np.uint16(UNKNOWN), one) for one, void in zip(film.truth, film.unknown, strict=True)
    ]
    broken_labels, broken = damaged(marked, SEED, ignore=[UNKNOWN])
    labels = [np.where(one == UNKNOWN, np.uint16(0), one) for one in broken_labels]
    started = time.process_time()
    pictures = [picture(image) for image in film.images()]
    default = smoothed(labels, pictures, Smoothing())
    seconds = time.process_time() - started
    before, clean = _figures(film, pictures, labels), _figures(film, pictures, film.truth)
    before["bad_frames"] = _agreement(film, labels, sorted(broken))
    out: dict[str, Any] = {}
    names = {**filters(), "default_everywhere": Smoothing(evidence=False)}
    for name, smoothing in names.items():
        result = default if smoothing == Smoothing() else smoothed(labels, pictures, smoothing)
        kept = smoothed(film.truth, pictures, smoothing)
        found = _figures(film, pictures, result)
        was, now, least = (one["warped_instability"] for one in (before, found, clean))
        out[name] = {
            "instability_removed": (was - now) / max(1e-6, was - least),
            "improvement_percent": 100 * (was - now) / max(1e-6, was),
            "iou_gt_gain": found["iou_gt"] - before["iou_gt"],
            **found,
            "iou_clean": _agreement(film, kept),
            "bad_frames": _agreement(film, result, sorted(broken)),
        }
    failing, failed = damaged(marked, SEED, ignore=[UNKNOWN], amplitude=0)
    failing = [np.where(one == UNKNOWN, np.uint16(0), one) for one in failing]
    mended = smoothed(failing, pictures, Smoothing())
    others = [at for at in range(len(labels)) if at not in failed]
    return {
        "frames": len(labels),
        "moving": bool(clean["instability"] - clean["warped_instability"] > MOVING),
        "ms_per_frame": 1000 * seconds / len(labels),
        "clean": clean,
        "damaged": before,
        "faults_only": {
            "bad_frames_before": _agreement(film, failing, sorted(failed)),
            "bad_frames": _agreement(film, mended, sorted(failed)),
            "iou_others": _agreement(film, mended, others),
        },
        "filters": out,
    }


def smoothed(labels: Sequence[Labels], pictures: Sequence[Picture], smoothing: Smoothing) -> list[Labels]:
    """All frames, smoothed."""
    shots = (Shot(one, shown) for one, shown in zip(labels, pictures, strict=True))
    return list(stabilise(shots, smoothing))


def _figures(film: Film, pictures: Sequence[Picture], labels: Sequence[Labels]) -> dict[str, float]:
    raw, warped = [], []
    for at in range(1, len(labels)):
        motion = between(pictures[at - 1], pictures[at])
        if motion.cut:
            continue
        known = ~film.unknown[at]
        raw.append(_off(labels[at - 1], labels[at], known & ~film.unknown[at - 1]))
        carried, valid = motion.carry(labels[at - 1])
        warped.append(_off(carried, labels[at], known & valid))
    return {
        "iou_gt": _agreement(film, labels),
        "instability": _known_mean(raw),
        "warped_instability": _known_mean(warped),
    }


def _agreement(film: Film, labels: Sequence[Labels], frames: Sequence[int] | None = None) -> float:
    found = []
    for at in range(len(labels)) if frames is None else frames:
        truth, known = film.truth[at], ~film.unknown[at]
        overlaps = _overlaps(truth, labels[at], known)
        there = {int(one) for one in np.unique(truth[known])}
        found.append(np.mean([value for layer, value in overlaps.items() if layer in there] or [np.nan]))
    return _known_mean(found)


def _off(before: Labels, after: Labels, where: NDArray[np.bool_]) -> float:
    return 1 - float(np.mean(list(_overlaps(before, after, where).values()) or [np.nan]))


def _overlaps(one: Labels, other: Labels, where: NDArray[np.bool_]) -> dict[int, float]:
    """IoU of every layer of either, over some pixels."""
    first, second = one[where].astype(np.intp), other[where].astype(np.intp)
    size = 1 + max(int(first.max(initial=0)), int(second.max(initial=0)))
    shared = np.bincount(first[first == second], minlength=size)
    union = np.bincount(first, minlength=size) + np.bincount(second, minlength=size) - shared
    return {layer: float(shared[layer] / union[layer]) for layer in range(1, size) if union[layer]}


def _known_mean(values: Sequence[Any]) -> float:
    known = [float(value) for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else 0.0


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _longest(places: Sequence[int]) -> tuple[int, int]:
    """(first, count) of the longest run of consecutive numbers; (0, 0) of none."""
    best, first = (0, 0), 0
    for at, place in enumerate(places):
        if at and place != places[at - 1] + 1:
            first = at
        if at - first + 1 > best[1]:
            best = (places[first], at - first + 1)
    return best
