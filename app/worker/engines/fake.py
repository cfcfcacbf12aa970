"""An engine without pixels: discs and boxes at once, and faults on demand. For tests and `bench speed` only.

A prompt's text calls a fault: `hang`, `die`, `oom`, `slow` (half a second), `bug`; with `-once` it strikes
only the first time, also across a restart (a marker file in `run/`). `all` answers a mask of the whole frame,
`pair` two instances.

Walks through videos read `<data>/run/fake-walk`, lines of `FAULT POSITION`: the fault strikes before that position
is answered, once for each line. The fault `wait` lasts until its line is taken out of the file; clicks are served
meanwhile. The lines of `<data>/run/fake-load` are faults that strike whenever it is loaded; `refuse` refuses its
weights.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.algo.render import Crop
from app.errors import Unavailable
from app.worker.engines import Alphas, Answer, Ask, Candidate, Engine, Plan, Prompt, Seen, Walk
from app.worker.weights import Found

DEFAULT_RADIUS = 12.0


@dataclass(frozen=True)
class Features:
    nbytes: int = 1 << 20


class Fake(Engine):
    reads_frames = False
    competes = True
    prepare_s = 1.0
    weights = ""
    device = "cpu"
    tiers = {
        "segment": ("features",),
        "render": ("nothing",),
        "text": ("features",),
        "track": ("features",),
    }
    classes: Sequence[str] = ("background", "left", "right")

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        self._run = data / "run"
        self._kept: tuple[Any, np.ndarray] | None = None
        self._labelled = 0
        for fault in _lines(self._run / "fake-load"):
            self._strike(fault)

    def nbytes(self) -> int:
        return 1 << 20

    def prepare(self, image: Any, tier: str) -> Features:
        return Features() if tier == "features" else Features(0)

    def segment(self, prepared: Features, ask: Ask) -> Answer:
        if ask.prompt.text:
            self._fault(ask.prompt.text)
        if ask.exemplars or (ask.prompt.text == "pair" and not ask.prompt.spatial):
            return self._instances(ask)
        return Answer([Candidate(self._mask(ask.shape, ask.prompt), 0.9)])

    def render(self, prepared: Features, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Crop]:
        return [Crop(self._mask(shape, prompt)) for prompt in prompts]

    def track(self, plan: Plan) -> Walk:
        """Every object stands still, as its anchor shows it; one that is empty there is not seen."""
        anchors = list(plan.anchors)
        for position in plan.positions:
            yield None
            yield from self._walk_fault(position)
            anchors += plan.more()
            latest = {a.object: a for a in anchors if (position - a.position) * plan.step >= 0}
            yield position, [Seen(a.object, a.mask, 0.9, a.class_id) for a in latest.values()]

    def find(self, plan: Plan, texts: Sequence[tuple[str, int]], every: int, threshold: float) -> Walk:
        """Each text is one object in the middle third of the frame; the anchor of its class, where there is one."""
        height, width = plan.shape
        mask = np.zeros(plan.shape, bool)
        mask[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = True
        known = {a.class_id: a.object for a in plan.anchors}
        first = max(known.values(), default=-1) + 1
        objects = [(known.get(class_id, first + k), class_id) for k, (_, class_id) in enumerate(texts)]
        masks = {number: mask for number, _ in objects}
        for position in plan.positions:
            yield None
            yield from self._walk_fault(position)
            masks |= {a.object: a.mask for a in plan.more()}
            yield position, [Seen(number, masks[number], 0.8, class_id) for number, class_id in objects]

    def label(self, image: np.ndarray) -> np.ndarray:
        """Class 1 in the left half, 2 in the right. The position of faults counts from when it was loaded."""
        for _ in self._walk_fault(self._labelled):
            pass
        self._labelled += 1
        out = np.full(image.shape[:2], 2, np.uint8)
        out[:, : image.shape[1] // 2] = 1
        return out

    def matte(self, plan: Plan) -> Alphas:
        """The newest anchor's mask, half transparent along its edge."""
        for position in plan.positions:
            if position in plan.done:
                continue
            yield None
            yield from self._walk_fault(position)
            behind = [a for a in plan.anchors if (position - a.position) * plan.step >= 0]
            mask = np.asarray(min(behind or plan.anchors, key=lambda a: abs(position - a.position)).mask)
            inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            yield position, (mask.astype(np.float32) + inside) / 2

    def _instances(self, ask: Ask) -> Answer:
        """The inside of each positive exemplar; for the text `pair` the left and the right third."""
        height, width = ask.shape
        boxes = [box[:4] for box in ask.exemplars if box[4]]
        boxes = boxes or [(0, 0, width / 3, height), (2 * width / 3, 0, width, height)]
        masks = [self._mask(ask.shape, Prompt(np.zeros((0, 4)), box)) for box in boxes]
        found = [Candidate(mask, 0.9 - 0.1 * k) for k, mask in enumerate(masks)]
        return Answer(found, kind="instances", presence=0.95)

    def _mask(self, shape: tuple[int, int], prompt: Prompt) -> np.ndarray:
        """The union of the positive points' discs without the negative ones', or the box, or everything."""
        height, width = shape
        if prompt.text == "all":
            if self._kept is None or self._kept[0] != shape:
                self._kept = (shape, np.ones(shape, bool))
            return self._kept[1]
        mask = np.zeros(shape, bool)
        if prompt.box is not None and not len(prompt.points):
            x1, y1, x2, y2 = (max(0, round(value)) for value in prompt.box)
            mask[y1:y2, x1:x2] = True
        for x, y, label, r in sorted(prompt.points.tolist(), key=lambda point: -point[2]):
            r = r or DEFAULT_RADIUS
            x0, x1 = max(0, int(x - r) - 1), min(width, int(x + r) + 2)
            y0, y1 = max(0, int(y - r) - 1), min(height, int(y + r) + 2)
            rows, columns = np.ogrid[y0:y1, x0:x1]
            disc = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= r * r
            mask[y0:y1, x0:x1][disc] = label == 1
        return mask

    def _fault(self, text: str) -> None:
        fault, _, once = text.partition("-")
        if once == "once":
            marker = self._run / f"fake-{fault}"
            if marker.exists():
                return
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        self._strike(fault)

    def _walk_fault(self, position: int) -> Iterator[None]:
        plan = self._run / "fake-walk"
        for line in _lines(plan):
            fault, _, at = line.partition(" ")
            if at != str(position):
                continue
            if fault == "wait":
                while line in _lines(plan):
                    threading.Event().wait(0.01)
                    yield None
            else:
                rest = _lines(plan)
                rest.remove(line)
                plan.write_text("\n".join(rest))
                self._strike(fault)

    def _strike(self, fault: str) -> None:
        match fault:
            case "hang":
                threading.Event().wait()
            case "die":
                os._exit(9)
            case "oom":
                raise MemoryError
            case "slow":
                threading.Event().wait(0.5)
            case "refuse":
                raise Unavailable("These are no weights of this engine.")
            case "bug":
                raise ZeroDivisionError("a bug in an engine")


class FakeSolo(Fake):
    """Regions drawn each for itself, with weights that may be absent or change: any bytes in a file."""

    competes = False

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        super().__init__(data)
        if weights is None:
            raise Unavailable("The weights of fake-solo are not on this machine.")
        self.weights = weights.sha256[:16]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
