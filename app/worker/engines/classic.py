"""The embedded engine on the CPU, without weights: an adapter of app.algo.classic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.algo import classic
from app.worker.engines import Prompt
from app.worker.protocol import Message


class Classic:
    reads_frames = True
    prepare_s = 30.0
    weights = ""
    accepts: tuple[type[Message], ...] = ()

    def __init__(self, data: Path) -> None:
        pass

    def prepare(self, image: np.ndarray) -> classic.Prepared:
        return classic.prepare(image)

    def segment(
        self,
        prepared: classic.Prepared,
        shape: tuple[int, int],
        prompt: Prompt,
        others: Sequence[Prompt],
        previous: np.ndarray | None,
    ) -> list[classic.Candidate]:
        return classic.segment(
            prepared, prompt.points, box=prompt.box, others=_claimed(others), previous=previous
        )

    def render(
        self, prepared: classic.Prepared, shape: tuple[int, int], prompts: Sequence[Prompt]
    ) -> list[np.ndarray]:
        return [
            self.segment(prepared, shape, prompt, [*prompts[:index], *prompts[index + 1 :]], None)[0].mask
            for index, prompt in enumerate(prompts)
        ]

    def run(self, request: Message, frames: Callable[[Any], Any]) -> Iterator[Message]:
        yield from ()


def _claimed(others: Sequence[Prompt]) -> np.ndarray | None:
    """The positive points of the other regions as (M, 3) rows (x, y, r), or None."""
    rows = [prompt.points[prompt.points[:, 2] > 0.5][:, [0, 1, 3]] for prompt in others if len(prompt.points)]
    return np.concatenate(rows) if rows else None
