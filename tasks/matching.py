"""Which class, asset, frame and region of one bundle is which of another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.algo.outline import rasterise
from app.formats import bundle
from app.formats.bundle_lines import ClassLine
from tasks.bundle_index import IndexedBundle

SAME_CLASS_IOU = 0.3
OTHER_CLASS_IOU = 0.5
"""From this overlap on two regions without a common id count as one that changed."""
GUESSED_REACH = 4.0
ONLY_IN_B = 100_000
"""Added to the number of a class that A lacks."""


class Classes:
    """One numbering for the classes of both bundles: that of A, and beyond it for those that only B has."""

    def __init__(self, a: Sequence[ClassLine], b: Sequence[ClassLine]) -> None:
        self._a = {known.id: known for known in a}
        self._b = {known.id: known for known in b}
        self._orders = ([known.id for known in a], [known.id for known in b])
        self.of_b: dict[int, int] = {}
        free = dict(self._a)

        def pair(id: int, found: int) -> None:
            self.of_b[id] = found
            del free[found]

        for known in b:
            if known.id in free and free[known.id].name == known.name:
                pair(known.id, known.id)
        for known in b:
            same = [id for id, other in free.items() if other.name == known.name]
            if known.id not in self.of_b and same:
                pair(known.id, same[0])
        for known in b:
            if known.id not in self.of_b and known.id in free:
                pair(known.id, known.id)
        for known in b:
            self.of_b.setdefault(known.id, ONLY_IN_B + known.id)
        self.names = {ONLY_IN_B + known.id: known.name for known in b}
        self.names |= {known.id: known.name for known in a}

    def lookup_b(self) -> NDArray[np.uint32]:
        """Class id of B → common number, for whole label maps."""
        table = np.zeros(max(self.of_b, default=0) + 1, np.uint32)
        for id, number in self.of_b.items():
            table[id] = number
        return table

    def rank(self, number: int) -> int:
        """The place of a class in tables: the order of A's template, then that of B's."""
        if number < ONLY_IN_B:
            return self._orders[0].index(number)
        return len(self._orders[0]) + self._orders[1].index(number - ONLY_IN_B)

    def differences(self) -> list[str]:
        out = []
        back = {number: id for id, number in self.of_b.items()}
        for id in self._orders[0]:
            old = self._a[id]
            if id not in back:
                out.append(f"class {old.name}: removed")
                continue
            new = self._b[back[id]]
            out += [
                f"class {old.name}: {name} {shown(before)} → {shown(after)}"
                for name in old.__struct_fields__
                if (before := getattr(old, name)) != (after := getattr(new, name))
            ]
        out += [f"class {self._b[id].name}: added" for id in self._orders[1] if self.of_b[id] >= ONLY_IN_B]
        kept = [id for id in self._orders[0] if id in back]
        moved = [self.of_b[id] for id in self._orders[1] if self.of_b[id] < ONLY_IN_B]
        if kept != moved:
            out.append("classes: other order, which decides between equal priorities")
        return out


def shown(value: object) -> str:
    if isinstance(value, list):
        return f"({len(value)})"
    return "none" if value in (None, "") else str(value)


def matched_assets(a: IndexedBundle, b: IndexedBundle) -> dict[str, str]:
    """Asset of A → asset of B."""
    found = {id: id for id in a.assets if id in b.assets}
    free = [id for id in b.assets if id not in found]
    for id, line in a.assets.items():
        if id in found:
            continue
        for other in free:
            if (b.assets[other].stem, b.assets[other].name) == (line.stem, line.name):
                found[id] = other
                free.remove(other)
                break
    return found


class _Key(NamedTuple):
    asset: str
    position: int
    digest: bytes


def matched_frames(
    a: IndexedBundle, b: IndexedBundle, assets: dict[str, str]
) -> Iterable[tuple[int | None, int | None]]:
    """Pairs of frame numbers, None where one bundle has no such frame; in the order of A, then of B."""
    mine, theirs = _keys(a), _keys(b)
    partner: dict[int, int] = {}
    taken: set[int] = set()
    places = {(key.asset, key.position): number for number, key in enumerate(theirs)}
    here = [places.get((assets.get(key.asset, ""), key.position)) for key in mine]

    def pair(left: int, right: int | None) -> None:
        if right is not None and left not in partner and right not in taken:
            partner[left] = right
            taken.add(right)

    for left, right in enumerate(here):
        if right is not None and theirs[right].digest == mine[left].digest:
            pair(left, right)
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for right, key in reversed(list(enumerate(theirs))):
        if right not in taken:
            by_digest[key.digest].append(right)
    for left, key in enumerate(mine):
        if left not in partner and by_digest.get(key.digest):
            pair(left, by_digest[key.digest].pop())
    for left, right in enumerate(here):
        pair(left, right)
    for left in range(len(mine)):
        yield left, partner.get(left)
    for right in range(len(theirs)):
        if right not in taken:
            yield None, right


def _keys(opened: IndexedBundle) -> list[_Key]:
    return [_Key(line.asset, line.index, bytes.fromhex(line.hash)) for _, line in opened.frames()]


class Side(NamedTuple):
    """One frame of one bundle, ready to be compared."""

    line: bundle.FrameLine
    regions: list[bundle.RegionLine]
    numbers: list[int]
    """The common class number of each region."""
    geometry: list[bytes]


def matched_regions(
    a: Side, b: Side, winners: tuple[NDArray[Any], NDArray[Any]] | None
) -> list[tuple[int | None, int | None]]:
    """Pairs of positions; None where a region has no counterpart. In the order of A, then of B.

    `winners`: (H, W) position + 1 of the region seen at each pixel, for A and B; None where the image that
    would be needed is not at hand: then overlap is guessed.
    """
    partner: dict[int, int] = {}
    free_a, free_b = dict.fromkeys(range(len(a.regions))), dict.fromkeys(range(len(b.regions)))

    def pair(i: int, j: int) -> None:
        partner[i] = j
        del free_a[i], free_b[j]

    def pair_equal(mine: list[object], theirs: list[object]) -> None:
        waiting: dict[object, list[int]] = defaultdict(list)
        for j in reversed(list(free_b)):
            waiting[theirs[j]].append(j)
        for i in list(free_a):
            if waiting.get(mine[i]):
                pair(i, waiting[mine[i]].pop())

    pair_equal([line.id for line in a.regions], [line.id for line in b.regions])
    pair_equal(list(zip(a.numbers, a.geometry)), list(zip(b.numbers, b.geometry)))
    pair_equal(list(a.geometry), list(b.geometry))
    if free_a and free_b and (a.line.width, a.line.height) == (b.line.width, b.line.height):
        overlaps = _overlaps(*(winners or (guessed_winners(a), guessed_winners(b))), len(b.regions))
        for iou, i, j in overlaps:
            same = i in free_a and j in free_b and a.numbers[i] == b.numbers[j]
            if same and iou >= SAME_CLASS_IOU:
                pair(i, j)
        for iou, i, j in overlaps:
            if i in free_a and j in free_b and iou >= OTHER_CLASS_IOU:
                pair(i, j)
    out: list[tuple[int | None, int | None]] = [(i, partner.get(i)) for i in range(len(a.regions))]
    return out + [(None, j) for j in free_b]


def _overlaps(a: NDArray[Any], b: NDArray[Any], size_b: int) -> list[tuple[float, int, int]]:
    """(IoU, position in A, position in B) of all regions that share a pixel, the largest first."""
    codes = a.astype(np.int64) * (size_b + 1) + b
    both, counts = np.unique(codes, return_counts=True)
    i, j = np.divmod(both, size_b + 1)
    sum_a = np.bincount(i, counts)
    sum_b = np.bincount(j, counts)
    rows = []
    for x, y, shared in zip(i.tolist(), j.tolist(), counts.tolist(), strict=True):
        if x and y:
            rows.append((-shared / (sum_a[x] + sum_b[y] - shared), x - 1, y - 1))
    return [(-iou, x, y) for iou, x, y in sorted(rows)]


def guessed_winners(side: Side) -> NDArray[np.uint16]:
    """A winner map without the image, good enough to tell which region became which: points as discs."""
    shape = (side.line.height, side.line.width)
    out = np.zeros(shape, np.uint16)
    for number, line in enumerate(side.regions, 1):
        geometry = bundle.geometry_of(line)
        if geometry.outline:
            out[rasterise([np.asarray(ring) for ring in geometry.outline], shape)] = number
        for point in geometry.points:
            if point.label and not geometry.outline:
                reach = max(point.r, GUESSED_REACH)
                y0, x0 = max(0, int(point.y - reach)), max(0, int(point.x - reach))
                window = out[y0 : int(point.y + reach) + 1, x0 : int(point.x + reach) + 1]
                y, x = np.ogrid[: window.shape[0], : window.shape[1]]
                far = (x + x0 + 0.5 - point.x) ** 2 + (y + y0 + 0.5 - point.y) ** 2
                window[far <= reach * reach] = number
        if geometry.box is not None and not geometry.points and not geometry.outline:
            x1, y1, x2, y2 = (round(v) for v in geometry.box)
            out[y1:y2, x1:x2] = number
    return out
