"""How soon a person who follows the review queue finds what is wrong, against frames in order and at random.

Labels with known errors are looked at as the product's queue says: the best frame is opened, corrected where it is
wrong, and the queue is made anew; what was measured with the frame before its correction is out of date. The queue
knows only what the product knows: areas, flicker measured against motion, scores and losses of the tracker, and what
was opened and corrected. Counted is the share of the errors found with the first tenth of the frames opened.

`damage` (the headline): ground truth with the seeded damage of `app.bench.damage`; a frame with a lost or spilled
component is an error. `tracker`: every object followed by `classic` from the first mask alone; a frame where the mean
IoU of its objects is below `GOOD` is an error, and the given frame counts nowhere. Where most of the frames are wrong
nobody can find many times more than by chance: `possible` is what an order that knows the errors would reach.

Data sets with a mask on every frame and `LEAST_FRAMES` of them. Figures over all of them weigh every run (data set and
seed) alike; a run without an error does not count. At random a tenth of the errors is expected. Where the frames in
order show nothing, half an error is taken as found, so that the ratio stays a number.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.algo import review
from app.algo.certificate import iou
from app.algo.metrics import neighbours
from app.algo.motion import Motion, between, picture
from app.bench import damage
from app.bench.folders import DataSet
from app.bench.tracking import walk
from app.errors import Refused
from app.smoothing import FLICKER_LIMIT
from app.worker.engines import Anchor, Engine, load

SHARE = 0.1
"""Of the frames are opened."""
GOOD = 0.75
LEAST_FRAMES = 10
SEEDS = (1, 2, 3)
ZERO = 65535
"""The number here of a class that data sets call 0."""

Labels = NDArray[np.uint16]
Progress = Callable[[int, int], None]


@dataclass
class Signals:
    """What a queue may know of a clip's labels. `score`: frame → layer → how sure the tracker was; `lost`: layer →
    frames where it was looked for and not seen."""

    labels: list[Labels]
    motions: Sequence[Motion]
    score: dict[int, dict[int, float]] = field(default_factory=dict)
    lost: dict[int, list[int]] = field(default_factory=dict)
    tracked: bool = False

    def __post_init__(self) -> None:
        self._opened: list[int] = []
        self._corrected: list[int] = []
        self._areas = [_areas(labels) for labels in self.labels]
        self._warped: list[dict[int, float]] = [{}]
        for before, after, motion in zip(self.labels[:-1], self.labels[1:], self.motions, strict=True):
            rows = neighbours(before, after, motion)
            self._warped.append(
                {n: 1 - row.warped_iou for n, row in rows.items() if n and row.warped_iou is not None}
            )

    def open(self, at: int, corrected: Labels | None) -> None:
        """A person looks at a frame, and labels it anew where it is wrong."""
        self._opened.append(at)
        if corrected is None:
            return
        self._corrected.append(at)
        self.labels[at] = corrected
        self._areas[at] = _areas(corrected)
        for frame in (at, at + 1):
            if frame < len(self._warped):
                self._warped[frame] = {}

    def next(self) -> int | None:
        """The frame to open, None where nothing looks wrong."""
        found = review.queue(self._findings(), opened=np.array(self._opened, np.int64), most=1)
        return int(found.place[0]) if len(found.place) else None

    def _findings(self) -> review.Findings:
        rows = sorted((n, at) for at, areas in enumerate(self._areas) for n in areas)
        layer, place = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
        area = np.array([self._areas[at][n] for n, at in rows], float)
        steady = sorted((n, at) for at, warped in enumerate(self._warped) for n in warped)
        followed, later = (np.array([row[i] for row in steady], np.int64) for i in (0, 1))
        px = np.array([self._areas[at].get(n, 0) for n, at in steady], float)
        warped = np.array([self._warped[at][n] for n, at in steady], float)
        parts = [
            review.areas(layer, place, area),
            review.flicker(followed, later, px, warped, limit=FLICKER_LIMIT),
        ]
        if self.tracked:
            parts += self._of_tracker(layer, place)
        return review.together(parts)

    def _of_tracker(self, layer: NDArray[Any], place: NDArray[Any]) -> Iterable[review.Findings]:
        corrected = set(self._corrected)
        anchor = np.isin(place, self._corrected)
        yield review.neighbour(layer, place, anchor, anchor.astype(float))
        scored = [
            (n, at, value)
            for at, row in self.score.items()
            if at not in corrected
            for n, value in row.items()
        ]
        if scored:
            yield review.score(*(np.array(column) for column in zip(*scored, strict=True)))
        for n, frames in self.lost.items():
            left = np.array(sorted(set(frames) - corrected))
            if len(left):
                runs = np.split(left, np.flatnonzero(np.diff(left) > 1) + 1)
                starts, lengths = np.array([run[0] for run in runs]), np.array([len(run) for run in runs])
                yield review.lost(np.full(len(runs), n), starts, lengths)


def run(
    folders: Sequence[Path], *, engine: Engine | None = None, progress: Progress = lambda done, total: None
) -> dict[str, Any]:
    """The figures of the benchmark; labels are tracked by `classic` unless another engine is given.

    Raises Refused where no folder has enough frames that all have masks.
    """
    films = [data for data in map(DataSet, folders) if len(data.masks) == len(data.images) >= LEAST_FRAMES]
    if not films:
        raise Refused("There is nothing to review: a data set needs ten frames that all have masks.")
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as place:
        chosen = engine or load("classic", Path(place))
        for done, data in enumerate(films):
            progress(done, len(films))
            rows[data.name] = judge(data, chosen)
    progress(len(films), len(films))
    headline = over([row["damage"] for row in rows.values()])
    return {
        "gain_over_random_at_10": headline.get("over_random"),
        "gain_over_order_at_10": headline.get("over_order"),
        "damage": headline,
        "tracker": over([row["tracker"] for row in rows.values()]),
        "sequences": len(rows),
        "per_sequence": rows,
    }


def judge(data: DataSet, engine: Engine) -> dict[str, Any]:
    """One data set: both kinds of errors."""
    truth = [_numbers(data, at) for at in range(len(data.images))]
    pictures = [picture(data.image(at)) for at in range(len(data.images))]
    motions = [between(before, after) for before, after in pairwise(pictures)]
    return {
        "damage": over([_damaged(truth, motions, seed) for seed in SEEDS]),
        "tracker": over([_tracked(data, engine, truth, motions)]),
    }


def over(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over runs that have errors, and how many times more the queue finds than the others."""
    rows = [row for row in rows if row.get("errors")]
    if not rows:
        return {"errors": 0}
    names = ("found", "in_order", "at_random", "possible")
    out = {name: float(np.mean([row[name] for row in rows])) for name in names}
    out |= {name: sum(row[name] for row in rows) for name in ("errors", "frames", "opened")}
    out["over_random"] = out["found"] / out["at_random"]
    out["over_order"] = out["found"] / max(out["in_order"], 0.5 / out["errors"])
    return out


def follow(
    signals: Signals, truth: Sequence[Labels], errors: set[int], given: frozenset[int] = frozenset()
) -> dict[str, float]:
    """Open a tenth of the frames as the queue says. `given`: frames that everybody knows to be right."""
    frames = [at for at in range(len(truth)) if at not in given]
    budget = math.ceil(SHARE * len(frames))
    opened: list[int] = []
    for at in given:
        signals.open(at, None)
    while len(opened) < budget:
        at = signals.next()
        if at is None:
            at = next(frame for frame in frames if frame not in opened)
        signals.open(at, truth[at] if at in errors else None)
        opened.append(at)
    total = len(errors)
    return {
        "errors": total,
        "frames": len(frames),
        "opened": budget,
        "found": len(errors.intersection(opened)) / total if total else 0.0,
        "in_order": len(errors.intersection(frames[:budget])) / total if total else 0.0,
        "at_random": budget / len(frames),
        "possible": min(1.0, budget / total) if total else 0.0,
    }


def _damaged(truth: Sequence[Labels], motions: Sequence[Motion], seed: int) -> dict[str, float]:
    labels, broken = damage.damaged(truth, seed)
    return follow(Signals(labels, motions), truth, set(broken))


def _tracked(
    data: DataSet, engine: Engine, truth: Sequence[Labels], motions: Sequence[Motion]
) -> dict[str, float]:
    objects = [int(n) for n in np.unique(truth[0]) if n]
    if not objects:
        return {}
    anchors = [Anchor(0, n, truth[0] == n, n) for n in objects]
    walked = walk(engine, data, 0, len(truth) - 1, anchors)
    labels, errors = [truth[0]], set()
    score: dict[int, dict[int, float]] = {}
    lost: dict[int, list[int]] = {n: [] for n in objects}
    for at in range(1, len(truth)):
        seen = walked.seen.get(at, {})
        found = np.zeros_like(truth[at])
        for n in objects:
            found[walked.mask(at, n, found.shape)] = n
        labels.append(found)
        score[at] = {n: kept.score for n, kept in seen.items()}
        for n in objects:
            if n not in seen:
                lost[n].append(at)
        if np.mean([iou(truth[at] == n, found == n) for n in objects]) < GOOD:
            errors.add(at)
    signals = Signals(labels, motions, score, lost, tracked=True)
    return follow(signals, truth, errors, frozenset({0}))


def _numbers(data: DataSet, at: int) -> Labels:
    """(H, W) uint16: values of the mask, with 0 for background and what nobody knows; a class 0 becomes `ZERO`."""
    values = data.labels(at).astype(np.uint16)
    nothing = np.isin(values, [*data.background, *data.ignore])
    return np.where(nothing, 0, np.where(values == 0, ZERO, values)).astype(np.uint16)


def _areas(labels: Labels) -> dict[int, int]:
    pixels = np.bincount(labels.ravel())
    return {int(n): int(pixels[n]) for n in np.flatnonzero(pixels) if n}
