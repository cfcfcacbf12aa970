"""The embedded engine on the CPU, without weights: an adapter of app.algo.classic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from app.algo import classic
from app.algo.compete import VERSION, PreparedFrame, RegionSeeds, prepare_compete
from app.algo.render import Crop, competing
from app.worker.engines import Answer, Ask, Candidate, Engine, Plan, Prompt, Walk
from app.worker.engines.classic_track import track
from app.worker.weights import Found


@dataclass(frozen=True, eq=False)
class Smooth:
    """What rendering needs of a frame: far less than what clicks need."""

    frame: PreparedFrame

    @property
    def nbytes(self) -> int:
        return self.frame.smooth.nbytes


class Classic(Engine):
    reads_frames = True
    competes = True
    prepare_s = 30.0
    weights = VERSION
    device = "cpu"
    tiers = {"segment": ("segment",), "render": ("render",)}

    def __init__(self, data: Path, weights: Found | None = None) -> None:
        pass

    def nbytes(self) -> int:
        return 0

    def prepare(self, image: np.ndarray, tier: str) -> classic.Prepared | Smooth:
        return Smooth(prepare_compete(image)) if tier == "render" else classic.prepare(image)

    def segment(self, prepared: classic.Prepared, ask: Ask) -> Answer:
        found = classic.segment(
            prepared,
            ask.prompt.points,
            box=ask.prompt.box,
            others=_claimed(ask.others),
            previous=None if ask.previous is None else ask.previous.mask,
        )
        return Answer([Candidate(one.mask, float(one.score)) for one in found])

    def render(self, prepared: Smooth, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Crop]:
        return competing(prepared.frame, [RegionSeeds(prompt.points, prompt.box) for prompt in prompts])

    def window(self, prepared: Smooth, box: tuple[int, int, int, int], shape: tuple[int, int]) -> Smooth:
        x0, y0, x1, y1 = box
        part = prepared.frame.smooth[y0:y1, x0:x1]
        if part.shape[:2] != shape:
            part = cv2.resize(part, shape[::-1], interpolation=cv2.INTER_AREA)
        return Smooth(PreparedFrame(np.ascontiguousarray(part)))

    def track(self, plan: Plan) -> Walk:
        return track(plan)


def _claimed(others: Sequence[Prompt]) -> np.ndarray | None:
    """The positive points of the other regions as (M, 3) rows (x, y, r), or None."""
    rows = [prompt.points[prompt.points[:, 2] > 0.5][:, [0, 1, 3]] for prompt in others if len(prompt.points)]
    return np.concatenate(rows) if rows else None
