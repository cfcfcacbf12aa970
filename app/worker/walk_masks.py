"""Two walks between two anchors: the first leaves its masks on disk, the second fuses its own with them.

A file a frame, so that memory does not grow with the video.
"""

from __future__ import annotations

import bisect
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from app.algo.tracking.fusing import fuse
from app.worker.engines import Seen
from app.worker.parts import FrameRef


class Kept(Struct, kw_only=True, array_like=True):
    """A mask (H, W) cut to its box. `bits`: np.packbits of the crop, compressed."""

    object: int
    score: float
    x: int
    y: int
    w: int
    h: int
    bits: bytes


class BothWays:
    """What is done with the masks of a walk through `frames` that goes `forward` or not.

    `keep`, `fuse`: existing folders, or None; see `protocol.Track`.
    """

    def __init__(
        self, frames: Sequence[FrameRef], *, forward: bool, keep: Path | None, fuse: Path | None
    ) -> None:
        self._frames, self._forward, self._keep, self._fuse = frames, forward, keep, fuse
        self._anchors: dict[int, list[int]] = {}

    def anchor(self, thing: int, position: int) -> None:
        """A person confirmed the object on this frame."""
        known = self._anchors.setdefault(thing, [])
        if position not in known:
            bisect.insort(known, position)

    def share(self, thing: int, position: int) -> float | None:
        """Where a frame lies between the two anchors around it, 0..1; None on an anchor or beyond them."""
        known = self._anchors.get(thing, [])
        after = bisect.bisect_left(known, position)
        if not 0 < after < len(known) or known[after] == position:
            return None
        return (position - known[after - 1]) / (known[after] - known[after - 1])

    def take(self, position: int, seen: Sequence[Seen]) -> list[tuple[Seen, float | None]]:
        """What is to be reported of a frame, each object with the agreement of two walks, where there were two."""
        between = {
            one.object: share for one in seen if (share := self.share(one.object, position)) is not None
        }
        if self._keep is not None and between:
            _write(self._path(self._keep, position), [one for one in seen if one.object in between])
        if self._fuse is None:
            return [(one, None) for one in seen]
        before = _read(self._path(self._fuse, position), self._frames[position].shape)
        return [
            self._fused(one, before[one.object], between[one.object])
            for one in seen
            # An anchor that came during the first walk: of the frames before that, there is nothing to fuse.
            if one.object in between and one.object in before
        ]

    def _fused(self, now: Seen, before: Seen, share: float) -> tuple[Seen, float | None]:
        first, second = (now, before) if self._forward else (before, now)
        mask, agreement = fuse(first.mask, second.mask, share, (first.score, second.score))
        score = (1 - share) * first.score + share * second.score
        return Seen(now.object, mask, score, now.class_id), agreement

    def _path(self, folder: Path, position: int) -> Path:
        return folder / f"{self._frames[position].id}.masks"


def _write(path: Path, seen: Sequence[Seen]) -> None:
    rows = []
    for one in seen:
        mask = np.zeros((1, 1), bool) if one.mask is None else np.asarray(one.mask, bool)
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        bits = zlib.compress(np.packbits(mask[y : y + h, x : x + w]).tobytes(), 1)
        rows.append(Kept(object=one.object, score=one.score, x=x, y=y, w=w, h=h, bits=bits))
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.msgpack.encode(rows))
    os.replace(part, path)


def _read(path: Path, shape: tuple[int, int]) -> dict[int, Seen]:
    """What the other walk found on a frame of `shape` (H, W), by object; empty where it left nothing."""
    try:
        rows = msgspec.msgpack.decode(path.read_bytes(), type=list[Kept])
    except FileNotFoundError:
        return {}
    found = {}
    for kept in rows:
        mask = np.zeros(shape, bool)
        bits = np.frombuffer(zlib.decompress(kept.bits), np.uint8)
        crop = np.unpackbits(bits, count=kept.w * kept.h).reshape(kept.h, kept.w)
        mask[kept.y : kept.y + kept.h, kept.x : kept.x + kept.w] = crop
        found[kept.object] = Seen(kept.object, mask, kept.score)
    return found
