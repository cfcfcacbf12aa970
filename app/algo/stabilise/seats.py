"""A frame among its neighbours: its labels, how deep they are, and what its neighbours would say in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.motion import Field, Motion, Picture, between, difference, sample

DEPTH_PX = 3.0
"""Depth in a layer from which on a say counts in full, at REFERENCE pixels; larger frames: as much larger."""
DEEP = 255
"""What a full depth is stored as."""
REFERENCE = 854 * 480
UNLIKE = 13.0
"""Grey levels by which surroundings differ when a neighbour's say counts for 61 %: a standard deviation."""

FAR = 0.055
"""Way that a neighbour's say has come when it counts for half, as a share of the square root of the frame's pixels:
what is fast is blurred, turned and mistaken more often, however alike it looks."""

Labels = NDArray[Any]
Bools = NDArray[np.bool_]
Bytes = NDArray[Any]  # uint8
Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers


@dataclass(frozen=True)
class Shot:
    """A frame to smooth.

    Attributes:
        labels: (H, W) uint16 layer numbers, 0 = unlabelled, which counts as a layer like any other.
        picture: what it shows; None = it is not known, then it is of one shot with the frame before, and at rest.
        locked: layers that may neither gain nor lose a pixel here; None = all of them.
        scope: only changes from or to one of these layers are made; None = all changes.
    """

    labels: Labels
    picture: Picture | None = None
    locked: frozenset[int] | None = field(default_factory=frozenset)
    scope: frozenset[int] | None = None


@dataclass(frozen=True)
class Say:
    """What a neighbour says of a frame: labels (H, W) uint16, `depth` and `trust` (H, W) uint8, 255 = full."""

    labels: Labels
    depth: Bytes
    trust: Bytes


def scale_of(shape: tuple[int, ...]) -> float:
    """How much longer the sides of a frame (H, W) are than those of the frame that lengths are given for."""
    return (shape[0] * shape[1] / REFERENCE) ** 0.5


class Seat:
    """A frame while it is within reach of the one that is smoothed.

    Args:
        moving: neighbours are carried along the motion; otherwise they are taken as they lie.
    """

    def __init__(self, shot: Shot, before: Seat | None, *, moving: bool) -> None:
        self.shot = shot
        self.moving = moving
        self.serial = 0 if before is None else before.serial + 1
        """Number of the frame."""
        self.shot_serial = 0
        """Number of the shot that it belongs to."""
        self._joined = False
        """Whether this frame and the one before are of one shot."""
        self._motion: Motion | None = None
        """From the frame before."""
        self._before = before
        self._after: Seat | None = None
        if before is not None:
            before._after = self
            self._joined = shot.labels.shape == before.shot.labels.shape
            if before.shot.picture is not None and shot.picture is not None:
                self._motion = between(before.shot.picture, shot.picture)
                self._joined &= not self._motion.cut
            self.shot_serial = before.shot_serial + (not self._joined)

    def settle(self) -> None:
        """Drop what only this frame's own smoothing needs."""
        self.__dict__.pop("earlier", None)
        self.__dict__.pop("later", None)

    def leave(self) -> None:
        """Let go of the neighbours, which would keep all the frames of the past alive."""
        if self._after is not None:
            self._after._before = None
        self._before = self._after = None

    @cached_property
    def inner(self) -> Bytes:
        """(H, W): 1 where the layer goes on up, down, left and right, else 0."""
        labels = self.shot.labels
        inner = np.ones(labels.shape, np.uint8)
        rows, columns = labels[1:] == labels[:-1], labels[:, 1:] == labels[:, :-1]
        inner[1:] &= rows
        inner[:-1] &= rows
        inner[:, 1:] &= columns
        inner[:, :-1] &= columns
        return inner

    @cached_property
    def depth(self) -> Bytes:
        """(H, W): distance to another layer, 255 = deep."""
        # From the centre of a pixel next to the boundary it is half a pixel to it.
        distance = cv2.distanceTransform(self.inner, cv2.DIST_L2, cv2.DIST_MASK_5) + np.float32(0.5)
        full = max(1.5, DEPTH_PX * scale_of(self.inner.shape))
        return (np.minimum(distance, np.float32(full)) * np.float32(255 / full)).astype(np.uint8)

    @cached_property
    def earlier(self) -> Say | None:
        """What the frame before says of this one; None where there is none of this shot."""
        return next(self.says(-1, 1), None)

    @cached_property
    def later(self) -> Say | None:
        """What the next frame says of this one."""
        return next(self.says(1, 1), None)

    def all_says(self, reach: int) -> list[Say]:
        """Of the neighbours up to `reach` frames away, the nearest first."""
        first = [one for one in (self.earlier, self.later) if one is not None]
        return [*first, *self.says(-1, reach, 2), *self.says(1, reach, 2)]

    def says(self, way: int, reach: int, start: int = 1) -> Iterator[Say]:
        """Of the neighbours from `start` to `reach` frames before (way −1) or after (1), as far as the shot goes."""
        along: Field | None = None
        here = self
        for step in range(1, reach + 1):
            there = here._before if way < 0 else here._after
            joint = here if way < 0 else there
            if there is None or joint is None or not joint._joined:
                return
            if self.moving and joint._motion is not None and joint._motion.fields is not None:
                onward = joint._motion.fields[0 if way < 0 else 1]
                along = onward if along is None else along.through(onward)
            here = there
            if step >= start:
                yield self._say(there, along)

    def passed(self, planes: Sequence[Labels]) -> tuple[list[Labels], Bytes] | None:
        """Planes (H, W) of the frame before as they lie in this one, copies, and how far that is to be trusted.

        None where there is no frame of this shot before.
        """
        before = self._before
        if before is None or not self._joined:
            return None
        along = self._motion.fields[0] if self.moving and self._motion and self._motion.fields else None
        if along is None:
            return [plane.copy() for plane in planes], self._trust(before, None)[1]
        places, trust = self._trust(before, along)
        return [sample(plane, places) for plane in planes], trust

    def _say(self, there: Seat, along: Field | None) -> Say:
        places, trust = self._trust(there, along)
        if along is None:
            return Say(there.shot.labels, there.depth, trust)
        return Say(sample(there.shot.labels, places), sample(there.depth, places), trust)

    def _trust(self, there: Seat, along: Field | None) -> tuple[Floats, Bytes]:
        """Where this frame's pixels lie in another, and (H, W) how far that is to be trusted."""
        height, width = self.shot.labels.shape
        if along is None:
            return np.empty(0), np.full((height, width), 255, np.uint8)
        places, valid = along.places((height, width))
        way = np.square(along.offsets).sum(-1)
        far = FAR**2 * way.size
        trust = 255 * far / (far + way)
        if self.shot.picture is not None and there.shot.picture is not None:
            off = difference(self.shot.picture.grey, there.shot.picture.grey, along.offsets)
            trust *= np.exp(np.square(off) * np.float32(-0.5 / UNLIKE**2))
        large = cv2.resize(trust.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        return places, np.where(valid, large, np.uint8(0))


def winners(
    own: Labels, own_weight: Bytes | None, says: Sequence[tuple[Labels, Bytes, Bytes | None]]
) -> Labels:
    """The layer (H, W) that has the largest weight at each pixel; a frame's own one where another is not larger.

    Args:
        own: (H, W) the frame's labels, and their weight (H, W) uint8; None = 255.
        says: the neighbours' labels, weights (0 = nothing is said) and second weights (None = 255), each (H, W).
    """
    contested = np.zeros(own.shape, bool)
    for labels, weight, _ in says:
        contested |= (labels != own) & (weight > 0)
    where = np.flatnonzero(contested)
    if not where.size:
        return own
    claims = np.stack([plane.ravel()[where] for plane in (own, *(labels for labels, _, _ in says))])
    weights = np.full(claims.shape, 255 * 255, np.int32)
    if own_weight is not None:
        weights[0] = own_weight.ravel()[where].astype(np.int32) * 255
    for row, (_, weight, other) in zip(weights[1:], says, strict=True):
        row[:] = weight.ravel()[where]
        row *= 255 if other is None else other.ravel()[where]
    best = np.where(claims == claims[0], weights, 0).sum(0)
    winner = claims[0].copy()
    for claim in claims[1:]:
        total = np.where(claims == claim, weights, 0).sum(0)
        better = total > best
        best[better], winner[better] = total[better], claim[better]
    out = own.copy()
    out.ravel()[where] = winner
    return out
