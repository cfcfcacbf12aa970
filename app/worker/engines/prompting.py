"""What engines that answer points and boxes share: prompts asked together, masks cut to their box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from app.algo.fuse import bounding_box
from app.algo.render import Crop
from app.worker.engines import Prompt


def is_ambiguous(prompt: Prompt) -> bool:
    """Whether it is one positive click alone, which may mean a part or the whole."""
    return prompt.box is None and len(prompt.points) == 1 and bool(prompt.points[0, 2] > 0.5)


def batches(prompts: Sequence[Prompt], size: int) -> Iterator[tuple[bool, list[int]]]:
    """(ambiguous, positions of at most `size` prompts) that may be asked together.

    Their numbers of points are equal, for padding would change the answers. Prompts without points and box
    are in none.
    """
    groups: dict[tuple[int, bool, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        if prompt.spatial:
            kind = (len(prompt.points), prompt.box is not None, is_ambiguous(prompt))
            groups.setdefault(kind, []).append(index)
    for (_, _, ambiguous), members in groups.items():
        for begin in range(0, len(members), size):
            yield ambiguous, members[begin : begin + size]


def cropped(mask: np.ndarray) -> Crop:
    """An (H, W) bool mask as a crop of its own memory."""
    box = bounding_box(mask)
    if box is None:
        return Crop(np.zeros((0, 0), bool))
    x0, y0, x1, y1 = box
    return Crop(mask[y0:y1, x0:x1].copy(), x0, y0)
