"""Mask → region in the context of a frame: the person's points first, distilled ones, an outline where
needed.

Most objects are small in their frame, so the loop of drawing and comparing runs in a window around the mask
first; what it found is then confirmed, and if need be corrected, in the whole frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from app.algo.certificate import boundary_f
from app.algo.distil import Distilled, RenderMask, distil_mask, outline_only
from app.algo.fuse import Box, bounding_box
from app.algo.outline import rasterise
from app.algo.render import Crop, settle
from app.models import QUANTUM, Certificate, Geometry, Point, quantise
from app.worker.engines import Engine, Prompt
from app.worker.tracing import OUTLINE_TARGET

BUDGET = 16
"""Points a region may have before an outline is the better description."""
WINDOW = 120_000
"""Pixels of a window; a larger one is drawn smaller, so that a person never waits for the frame's size."""
DRAWINGS = 30
CONFIRMING = 1
"""Drawings of the whole frame where a window was drawn before."""
SPARE = 0.005
"""IoU beyond the target that a smaller drawing must reach, for a little is lost on the way back."""
SHARP = 0.9
"""Boundary F, within `SHARP_WITHIN` of the diagonal, that points must reach: the IoU of a large mask hardly
sees spikes, a person does."""
SHARP_WITHIN = 0.002
"""2 px at 480p, 4 px at 1080p."""
MARGIN = 0.5
"""What the window shows around the mask, as a share of the mask's longer side."""

DrawIn = Callable[[Box, tuple[int, int]], RenderMask | None]
"""A window (x0, y0, x1, y1) and the shape (h, w) it is drawn at → how to draw there: points (n, 4) in the
drawing's pixels → (h, w) bool; None where the engine can only draw whole frames."""


def to_region(
    mask: np.ndarray,
    asked: Geometry,
    draw: RenderMask,
    draw_in: DrawIn,
    *,
    engine: str,
    weights: str,
    target: float,
) -> tuple[Geometry, Certificate, np.ndarray]:
    """The geometry that gives `mask` (H, W) bool back, its certificate, and the mask as it will be rendered.

    `asked`: what the person placed; these points stay, ahead of those that are added. `draw`: points (n, 4)
    of this region → its (H, W) bool mask among the frame's other regions. Raises Refused for an empty mask.
    """
    own = np.array([(p.x, p.y, p.label, p.r) for p in quantise(asked).points], np.float64).reshape(-1, 4)
    found = _distilled(mask, own, draw, draw_in, target)
    points, outline, drawn = found.points, None, found.mask
    if found.outline is not None:
        outline = [[(x, y) for x, y in ring.tolist()] for ring in found.outline]
    rows = [Point(x=x, y=y, label=1 if label > 0.5 else 0, r=r) for x, y, label, r in points.tolist()]
    geometry = quantise(Geometry(points=rows, box=asked.box, text=asked.text, outline=outline))
    if geometry.outline:
        drawn = rasterise(geometry.outline, (mask.shape[0], mask.shape[1]))
    certificate = Certificate(
        engine="outline" if found.exact else engine,
        weights="" if found.exact else weights,
        iou=found.iou,
        boundary_f=found.boundary_f,
        target=target,
        exact=found.exact,
    )
    return geometry, certificate, drawn


def _distilled(
    mask: np.ndarray, own: np.ndarray, draw: RenderMask, draw_in: DrawIn, target: float
) -> Distilled:
    budget = max(BUDGET, len(own))
    box = bounding_box(mask)
    if box is None:
        return distil_mask(mask, draw)

    def sharp_as(wanted: np.ndarray, shape: tuple[int, int]) -> Callable[[np.ndarray], bool]:
        # Rounded to whole pixels here: rounding up, as the measure does, would be lax in a small window.
        diagonal = float(np.hypot(*shape))
        within = max(0.5, round(SHARP_WITHIN * diagonal) - 0.5) / diagonal
        return lambda drawn: boundary_f(drawn, wanted, tolerance=within, shape=shape) >= SHARP

    frame = (mask.shape[0], mask.shape[1])
    window = _around(box, frame[1], frame[0])
    x0, y0, x1, y1 = window
    scale = min(1.0, float(np.sqrt(WINDOW / ((x1 - x0) * (y1 - y0)))))
    there = (max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale)))
    draw_there = draw_in(window, there)
    small = mask[y0:y1, x0:x1]
    if there != small.shape:
        shrunk = cv2.resize(small.astype(np.uint8) * 255, there[::-1], interpolation=cv2.INTER_AREA)
        small = shrunk > 127
    points, confirming = own, DRAWINGS
    if draw_there is not None and small.any():
        into = Window(window, there)
        near = distil_mask(
            small,
            draw_there,
            start_points=into.there(own),
            target=target if scale == 1 else min(1.0, target + SPARE),
            budget=budget,
            with_outline=False,
            max_renders=DRAWINGS,
            good=sharp_as(small, (round(frame[0] * scale), round(frame[1] * scale))),
        )
        if not near.met:
            return outline_only(mask, points=own, target=max(target, OUTLINE_TARGET))
        points, confirming = into.back(near.points), CONFIRMING
        points[: len(own)] = own
    found = distil_mask(
        mask,
        draw,
        start_points=points,
        target=target,
        budget=budget,
        with_outline=False,
        max_renders=confirming,
        good=sharp_as(mask, frame),
    )
    return found if found.met else outline_only(mask, points=own, target=max(target, OUTLINE_TARGET))


def drawing_of(
    engine: Engine,
    prepared: Any,
    shape: tuple[int, int],
    asked: Geometry,
    others: Sequence[Prompt],
    exact: Sequence[Crop | None],
    check: Callable[[], None],
) -> tuple[RenderMask, DrawIn]:
    """How a region's points are drawn among the frame's other regions: in the whole frame, and in a window.

    `prepared`: the frame for rendering; `asked`: the region's box; `others`, `exact`: the rivals' prompts and
    their masks where these are fixed; `check`: raises Cancelled when nobody waits any more.
    """

    def draw(points: np.ndarray) -> np.ndarray:
        check()
        prompts = [*others, Prompt(points, asked.box, asked.text)]
        crops = engine.render(prepared, shape, prompts)
        if engine.competes:
            crops = settle(crops, [*exact, None], shape, prompts)
        return crops[-1].full(shape)

    def draw_in(box: Box, there: tuple[int, int]) -> RenderMask | None:
        part = engine.window(prepared, box, there)
        if part is None:
            return None
        into = Window(box, there)
        near = [
            replace(other, points=into.there(other.points), box=into.prompt_box(other.box))
            for other in others
        ]

        def draw_there(points: np.ndarray) -> np.ndarray:
            check()
            prompt = Prompt(points, into.prompt_box(asked.box), asked.text)
            return engine.render(part, there, [*near, prompt])[-1].full(there)

        return draw_there

    return draw, draw_in


@dataclass(frozen=True)
class Window:
    """A part (x0, y0, x1, y1) of a frame and the shape (h, w) it is drawn at."""

    box: Box
    shape: tuple[int, int]

    @property
    def _factors(self) -> np.ndarray:
        x0, y0, x1, y1 = self.box
        fx, fy = self.shape[1] / (x1 - x0), self.shape[0] / (y1 - y0)
        return np.array([fx, fy, 1.0, float(np.sqrt(fx * fy))])

    @property
    def _origin(self) -> np.ndarray:
        return np.array([self.box[0], self.box[1], 0.0, 0.0])

    def there(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 4) of the frame in the drawing."""
        return (points - self._origin) * self._factors

    def back(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 4) of the drawing in the frame, in steps of 1/QUANTUM px."""
        return np.round((points / self._factors + self._origin) * QUANTUM) / QUANTUM

    def prompt_box(
        self, box: tuple[float, float, float, float] | None
    ) -> tuple[float, float, float, float] | None:
        if box is None:
            return None
        corners = np.array([[box[0], box[1], 1, 0], [box[2], box[3], 1, 0]])
        (a, b, *_), (c, d, *_) = self.there(corners).tolist()
        return a, b, c, d


def _around(box: Box, width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    margin = int(MARGIN * max(x1 - x0, y1 - y0)) + 16
    return max(0, x0 - margin), max(0, y0 - margin), min(width, x1 + margin), min(height, y1 + margin)
