"""An object by one mask, then alone: J and F of tracks as DAVIS judges them (semi-supervised).

Every value of the given mask is an object of its own; background and ignored values are none, and ignored
pixels count on neither side. `forward`: the first mask is given, `backward`: the last one, `two_anchors`: both,
to a walk each way, fused frame by frame as the product does it. Scored is every frame that has a mask except the
given ones: first the mean over the frames, then over the objects, then over the data sets. An object that is not
in a given mask does not count.

The headline means are over the data sets whose masks show exactly one object, over all of them where there is
none: with two objects or whole classes ("stuff", such as road and sky in CamVid) a data set is reported under
`per_sequence` alone, where each value of a given mask counts as an object.

`recovered`: an object lies behind a grey sheet for ten frames in the middle, its box and a margin; `J` over the
frames after it came back, `lost`: the share of the frames meanwhile where nothing of it was reported. Over data
sets of one object with a mask on every frame, 24 at least.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from app.algo.measures import agreement, mean
from app.algo.tracking.fusing import fuse
from app.bench.folders import DataSet
from app.errors import Refused
from app.worker.engines import Anchor, Engine, Plan, Purpose, load

HIDDEN = 10
HIDDEN_OF = 24
"""Frames a data set must have for its object to be hidden."""
MARGIN_PX = 8
GREY = 128
SEEN_PX = 4
"""A mask of fewer pixels counts as not seen, as in the worker."""
PREPARED = 2
"""Prepared frames that are kept."""

Read = Callable[[int], np.ndarray]
Progress = Callable[[int, int], None]


class Kept:
    """A mask (H, W) bool in an eighth of its memory."""

    def __init__(self, mask: np.ndarray, score: float) -> None:
        self.score = score
        self._shape = mask.shape
        self._bits = np.packbits(mask)

    @property
    def mask(self) -> np.ndarray:
        return np.unpackbits(self._bits, count=int(np.prod(self._shape))).reshape(self._shape).view(bool)


@dataclass
class Walked:
    """What a walk answered. `seen`: position → object → mask, where it was seen; `seconds`: of every frame."""

    seen: dict[int, dict[int, Kept]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def mask(self, at: int, number: int, shape: tuple[int, ...]) -> np.ndarray:
        kept = self.seen.get(at, {}).get(number)
        return np.zeros(shape, bool) if kept is None else kept.mask


def run(
    folders: Sequence[Path], *, engine: Engine | None = None, progress: Progress = lambda done, total: None
) -> dict[str, Any]:
    """The figures of the benchmark, by default of `classic`.

    Raises Refused where no folder has two frames with masks and an object on the first of them.
    """
    films = [data for data in map(DataSet, folders) if len(data.masks) > 1 and data.objects(min(data.masks))]
    if not films:
        raise Refused("There is nothing to track: a data set needs two frames with masks.")
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as place:
        chosen = engine or load("classic", Path(place))
        judged: dict[str, dict[str, Any]] = {}
        hidden: list[tuple[float, float]] = []
        for done, data in enumerate(films):
            progress(done, len(films))
            judged[data.name] = judge(chosen, data)
            if judged[data.name]["objects"] == 1 and len(data.masks) == len(data.images) >= HIDDEN_OF:
                hidden.append(_hide(chosen, data))
    progress(len(films), len(films))
    return _headline(judged, hidden)


def _headline(judged: dict[str, dict[str, Any]], hidden: list[tuple[float, float]]) -> dict[str, Any]:
    one = [row for row in judged.values() if row["objects"] == 1] or list(judged.values())
    out: dict[str, Any] = {"sequences": len(one)}
    for way in ("forward", "backward", "two_anchors"):
        rows = [row[way] for row in one if way in row]
        if rows:
            out[way] = {key: float(np.mean([row[key] for row in rows])) for key in ("J", "F", "JF")}
    out["ms_per_frame"] = float(np.median([row["ms_per_frame"] for row in one]))
    if hidden:
        back, lost = zip(*hidden, strict=True)
        out["recovered"] = {"J": float(np.mean(back)), "lost": float(np.mean(lost))}
    out["per_sequence"] = judged
    return out


def judge(engine: Engine, data: DataSet) -> dict[str, Any]:
    """J, F and J&F of each way through one data set; a way without a frame to score is left out."""
    first, last = min(data.masks), max(data.masks)
    given = {at: _anchors(data, at) for at in (first, last)}
    numbers = [anchor.object for anchor in given[first]]
    both = [*given[first], *given[last]]
    there = walk(engine, data, first, last, given[first])
    shown = {value for at in data.masks for value in data.objects(at)}
    out: dict[str, Any] = {"objects": len(shown), "ms_per_frame": 1000 * float(np.median(there.seconds))}
    ways = {"forward": (there, numbers, {first})}
    if given[last]:
        back = walk(engine, data, last, first, given[last])
        ways["backward"] = (back, [anchor.object for anchor in given[last]], {last})
        pair = (walk(engine, data, first, last, both), walk(engine, data, last, first, both[::-1]))
        of_both = sorted({anchor.object for anchor in both})
        ways["two_anchors"] = (_fused(*pair, first, last), of_both, {first, last})
    for way, (walked, objects, skipped) in ways.items():
        scored = [at for at in data.masks if at not in skipped]
        if scored:
            out[way] = _scores(data, walked, objects, scored)
    return out


def walk(
    engine: Engine, data: DataSet, start: int, stop: int, anchors: Sequence[Anchor], image: Read | None = None
) -> Walked:
    """Let an engine follow the objects of the anchors from position `start` to `stop`.

    `image`: what is shown instead of the data set's own images.
    """
    read = image or data.image
    ready: OrderedDict[tuple[int, str], Any] = OrderedDict()

    def prepared(at: int, purpose: Purpose) -> Any:
        tiers = engine.tiers[purpose]
        for tier in tiers:
            if (at, tier) in ready:
                return ready[at, tier]
        while len(ready) >= PREPARED:
            ready.popitem(last=False)
        ready[at, tiers[0]] = made = engine.prepare(read(at), tiers[0])
        return made

    height, width = read(start).shape[:2]
    plan = Plan(len(data.images), (height, width), start, stop, list(anchors), prepared, read)
    walked = Walked()
    started = time.perf_counter()
    with contextlib.closing(cast(Any, engine.track(plan))) as steps:
        for step in steps:
            if step is None:
                continue
            walked.seconds.append(time.perf_counter() - started)
            at, seen = step
            walked.seen[at] = {
                one.object: Kept(np.asarray(one.mask, bool), one.score)
                for one in seen
                if one.mask is not None and np.count_nonzero(one.mask) >= SEEN_PX
            }
            started = time.perf_counter()
    return walked


def _fused(there: Walked, back: Walked, first: int, last: int) -> Walked:
    """The two walks between two anchors, frame by frame."""
    out = Walked()
    for at in there.seen:
        pairs = (there.seen[at], back.seen.get(at, {}))
        for number in pairs[0].keys() | pairs[1].keys():
            one, other = (pair.get(number) for pair in pairs)
            share = (at - first) / max(1, last - first)
            masks = (None if one is None else one.mask, None if other is None else other.mask)
            scores = (one.score if one else 0.0, other.score if other else 0.0)
            mask, _ = fuse(*masks, share, scores)
            if mask is not None:
                out.seen.setdefault(at, {})[number] = Kept(mask, 1.0)
    return out


def _anchors(data: DataSet, at: int) -> list[Anchor]:
    labels = data.labels(at)
    return [Anchor(at, value, labels == value, value) for value in data.objects(at)]


def _scores(data: DataSet, walked: Walked, objects: Sequence[int], scored: Sequence[int]) -> dict[str, float]:
    found: dict[int, list[Any]] = {number: [] for number in objects}
    for at in scored:
        labels = data.labels(at)
        void = np.isin(labels, data.ignore) if data.ignore else None
        for number, rows in found.items():
            rows.append(agreement(labels == number, walked.mask(at, number, labels.shape), void))
    total = mean(one for rows in found.values() if (one := mean(rows)) is not None)
    assert total is not None
    return {"J": total.j, "F": total.f, "JF": total.both}


def _hide(engine: Engine, data: DataSet) -> tuple[float, float]:
    """(mean J after the object came back, share of the frames behind the sheet where nothing was reported)."""
    middle = len(data.images) // 2
    hidden = range(middle - HIDDEN // 2, middle - HIDDEN // 2 + HIDDEN)
    (anchor, *_) = _anchors(data, 0)

    def image(at: int) -> np.ndarray:
        shown = data.image(at)
        if at in hidden:
            shown = shown.copy()
            x, y, w, h = cv2.boundingRect((data.labels(at) == anchor.object).astype(np.uint8))
            sheet = (
                slice(max(0, side - MARGIN_PX), side + size + MARGIN_PX) for side, size in ((y, h), (x, w))
            )
            shown[tuple(sheet)] = GREY
        return shown

    walked = walk(engine, data, 0, len(data.images) - 1, [anchor], image)
    after = range(hidden.stop, len(data.images))
    back = _scores(data, walked, [anchor.object], after)["J"]
    return back, float(np.mean([not walked.seen.get(at) for at in hidden]))
