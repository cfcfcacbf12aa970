"""An engine without pixels: discs and boxes at once, and faults on demand. For tests and `bench speed` only.

A prompt's text calls a fault: `hang`, `die`, `oom`, `slow` (half a second), `bug`; with `-once` it strikes
only the first time, also across a restart (a marker file in `run/`). `all` answers a mask of the whole frame.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.algo.render import Crop
from app.worker.engines import Prompt
from app.worker.protocol import Message

DEFAULT_RADIUS = 12.0


@dataclass(frozen=True)
class Features:
    nbytes: int = 1 << 20


@dataclass(frozen=True, eq=False)
class Answer:
    mask: np.ndarray
    score: float


class Fake:
    reads_frames = False
    prepare_s = 1.0
    weights = ""
    accepts: tuple[type[Message], ...] = ()

    def __init__(self, data: Path) -> None:
        self._run = data / "run"
        self._kept: tuple[Any, np.ndarray] | None = None

    def prepare(self, image: Any) -> Features:
        return Features()

    def segment(
        self,
        prepared: Features,
        shape: tuple[int, int],
        prompt: Prompt,
        others: Sequence[Prompt],
        previous: np.ndarray | None,
    ) -> list[Answer]:
        if prompt.text:
            self._fault(prompt.text)
        return [Answer(self._mask(shape, prompt), 0.9)]

    def prepare_render(self, image: Any) -> Features:
        return Features(0)

    def render(self, prepared: Features, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Crop]:
        return [Crop(self._mask(shape, prompt)) for prompt in prompts]

    def window(self, prepared: Features, box: tuple[int, int, int, int], shape: tuple[int, int]) -> None:
        return None

    def run(self, request: Message, frames: Callable[[Any], Any]) -> Iterator[Message]:
        yield from ()

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
        match fault:
            case "hang":
                threading.Event().wait()
            case "die":
                os._exit(9)
            case "oom":
                raise MemoryError
            case "slow":
                threading.Event().wait(0.5)
            case "bug":
                raise ZeroDivisionError("a bug in an engine")
