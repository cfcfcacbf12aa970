"""Several objects through a video, frame by frame, by local matching of patches.

Each object is matched with its anchors, its previous mask and a few in between (`matching`), pulled to the edges
of the image (`refining`) and searched for in the whole frame where it was lost (`searching`). The features of a
frame are computed once; what is kept does not grow with the video.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import cv2
import numpy as np

from app.algo.tracking.features import Bools, Floats, Frame, grid_of, is_cut, shrunk, working_shape
from app.algo.tracking.following import Followed, Guess
from app.algo.tracking.refining import applied


@dataclass(frozen=True, eq=False)
class Sight:
    """An object on a frame. `mask`: (H, W) bool, None where it is not seen; `score`: 0..1, how like the truth the
    mask should be.
    """

    mask: Bools | None
    score: float


class Tracker:
    """Follows objects through frames of one shape (H, W).

    The frames are given in the order of the walk, forward or backward, one `step` each.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._work = working_shape(shape)
        self._objects: dict[int, Followed] = {}
        self._before: Frame | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered."""
        return sum(one.nbytes for one in self._objects.values())

    def anchors(self, number: int) -> list[int]:
        """The positions of an object's anchors that are remembered."""
        return list(self._objects[number].anchors) if number in self._objects else []

    def remember(self, number: int, position: int, frame: Frame, mask: Bools) -> None:
        """A confirmed mask (H, W) bool of an object on another frame than those the walk is at, behind or ahead."""
        self._object(number).remember(position, frame, mask)

    def forget(self, number: int, position: int) -> None:
        """Let go of an anchor, if it is known."""
        if number in self._objects:
            self._objects[number].forget(position)

    def lose(self, number: int) -> None:
        """Say that an object is not where it was thought to be; it is searched for from the next frame on."""
        self._object(number).lose()

    def adopt(self, number: int, other: Tracker) -> None:
        """Go on with an object as another tracker left it on the frame before."""
        self._objects[number] = other._objects[number]
        if self._before is None:
            self._before = other._before

    def _object(self, number: int) -> Followed:
        return self._objects.setdefault(number, Followed(self._work))

    def step(
        self, position: int, frame: Frame, confirmed: dict[int, Bools]
    ) -> Generator[None, None, dict[int, Sight]]:
        """Follow all objects to a frame; yields between two steps of work and returns object → Sight.

        `confirmed`: the masks (H, W) bool of the anchors on this very frame; they are reported as they are and
        no other object gets their pixels.
        """
        flows = self._flows(frame)
        yield None
        guesses: dict[int, Guess] = {}
        for number, followed in self._objects.items():
            if number in confirmed:
                continue
            for guess in followed.look(position, frame, flows.get(followed.cell)):
                if guess is not None:
                    guesses[number] = guess
                yield None
        sights = {number: Sight(mask, 1.0) for number, mask in confirmed.items()}
        for number, mask in confirmed.items():
            self._object(number).place(position, frame, mask)
            yield None
        masks = self._compete(frame, guesses, confirmed)
        for number, followed in self._objects.items():
            if number in confirmed:
                continue
            mask = masks.get(number)
            followed.take(frame, mask)
            sights[number] = Sight(mask, 0.0 if mask is None else guesses[number].score)
            yield None
        frame.release()
        self._before = frame
        return sights

    def _flows(self, frame: Frame) -> dict[int, Floats]:
        """Cell size → (rows, columns, 2) float32, where each cell was on the frame before, in cells. Where a shot
        ends all objects are lost."""
        before = self._before
        cells = {one.cell for one in self._objects.values() if not one.lost}
        if before is None or not cells:
            return {}
        if is_cut(frame, before):
            for one in self._objects.values():
                one.lose()
            return {}
        flow = self._flow.calc(frame.grey, before.grey, None)  # type: ignore[arg-type]
        return {cell: shrunk(flow, grid_of(self._work, cell)) * np.float32(2 / cell) for cell in cells}

    def _compete(
        self, frame: Frame, guesses: dict[int, Guess], confirmed: dict[int, Bools]
    ) -> dict[int, Bools]:
        """Object → its mask (H, W): each pixel goes to the object that claims it most, if any."""
        best = np.full(self._shape, 0.5, np.float32)
        for mask in confirmed.values():
            best[mask] = np.inf
        scale_y, scale_x = self._shape[0] / self._work[0], self._shape[1] / self._work[1]
        claims: dict[int, tuple[tuple[slice, slice], Floats]] = {}
        for number, guess in guesses.items():
            top, left, bottom, right = guess.box
            part = (
                slice(round(top * scale_y), round(bottom * scale_y)),
                slice(round(left * scale_x), round(right * scale_x)),
            )
            claim = applied(guess.planes, frame.image[part])
            claims[number] = (part, claim)
            np.maximum(best[part], claim, out=best[part])
        masks: dict[int, Bools] = {}
        taken = np.zeros(self._shape, bool) if len(claims) > 1 else None
        for number, (part, claim) in claims.items():
            won = (claim >= best[part]) & (claim > 0.5)
            if taken is not None:
                won &= ~taken[part]
                taken[part] |= won
            if won.any():
                masks[number] = np.zeros(self._shape, bool)
                masks[number][part] = won
        return masks
