"""What changed between two bundles, by frame and class.

Classes are matched by number and name, then by name, then by number. Frames are matched within their asset (same
id, else same stem and name) by index and content, then by content alone, then by index. Regions of a frame are
matched by id, then by equal geometry, then by overlap (intersection over union, IoU, of their pixels), so a
bundle can be compared with what became of it under new ids. Ids, authors and times are no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from app.formats import bundle
from app.mask_key import competes
from tasks.bundle_index import IndexedBundle
from tasks.bundle_maps import Painter, Pictures
from tasks.given_masks import notes_of
from tasks.matching import (
    Classes,
    Side,
    matched_assets,
    matched_frames,
    matched_regions,
    shown,
)

Pair = tuple[NDArray[Any], NDArray[Any]]
Kind = Literal["added", "removed", "changed", "reclassified"]


class RegionChange(Struct, kw_only=True, omit_defaults=True):
    """`id` in A (in B for an added one), `other` in B where it differs. `what`: the fields that changed."""

    kind: Kind
    id: str
    class_name: str = field(name="class")
    other: str = ""
    was: str = ""
    """The class before, for `reclassified`."""
    what: list[str] = field(default_factory=list)


class ClassRow(Struct, kw_only=True):
    """One class on one frame, or in total. `iou`: of the label maps; None where they were not drawn.

    `pixels_a`, `pixels_b`, `shared`: pixels of the class in A, in B and in both, of the maps that were drawn.
    A reclassified region counts for the class it has in B.
    """

    class_name: str = field(name="class")
    added: int = 0
    removed: int = 0
    changed: int = 0
    reclassified: int = 0
    iou: float | None = None
    pixels_a: int = 0
    pixels_b: int = 0
    shared: int = 0


class FrameDiff(Struct, kw_only=True):
    """`drawn`: whether label maps were compared; without the images only geometry is."""

    asset: str
    frame: str
    only_in: Literal["A", "B"] | None = None
    drawn: bool = True
    notes: list[str] = field(default_factory=list)
    classes: list[ClassRow] = field(default_factory=list)
    regions: list[RegionChange] = field(default_factory=list)


class Diff(Struct, kw_only=True):
    """`frames`: only those that differ. `undrawn`: how many of them were compared by geometry alone.

    `notes`: what could not be drawn as it was certified.
    """

    a: str
    b: str
    equal: bool
    frames_a: int
    frames_b: int
    project: list[str] = field(default_factory=list)
    frames: list[FrameDiff] = field(default_factory=list)
    totals: list[ClassRow] = field(default_factory=list)
    undrawn: int = 0
    notes: list[str] = field(default_factory=list)


def compare(
    a: IndexedBundle, b: IndexedBundle, pictures: Pictures, *, iou_below: float | None = None
) -> Diff:
    """Everything that differs, in the order of A, then what only B has.

    `iou_below`: leave out the classes of a frame whose label maps agree at least this well, with their
    regions.
    """
    classes = Classes(a.header.class_template.classes, b.header.class_template.classes)
    assets = matched_assets(a, b)
    work = _Comparison(a, b, pictures, classes)
    frames: list[FrameDiff] = []
    for left, right in matched_frames(a, b, assets):
        found = work.frame(left, right)
        if iou_below is not None:
            found = _without_small(found, iou_below)
        if found.notes or found.classes or found.only_in:
            frames.append(found)
    project = [*_project(a.header, b.header), *classes.differences(), *_named(a, b, assets)]
    return Diff(
        a=a.name,
        b=b.name,
        equal=not project and not frames,
        frames_a=a.frame_count,
        frames_b=b.frame_count,
        project=project,
        frames=frames,
        totals=_totals(frames),
        undrawn=sum(not found.drawn for found in frames),
        notes=notes_of(pictures.masks.missing),
    )


def _project(a: bundle.Header, b: bundle.Header) -> list[str]:
    out = [
        f"project: {name} {before} → {after}"
        for name in ("name", "status", "engine")
        if (before := getattr(a.project, name)) != (after := getattr(b.project, name))
    ]
    if a.class_template.name != b.class_template.name:
        out.append(f"class template: name {a.class_template.name} → {b.class_template.name}")
    if a.class_template.rules != b.class_template.rules:
        out.append("class template: other mapping rules")
    return out


def _named(a: IndexedBundle, b: IndexedBundle, assets: dict[str, str]) -> list[str]:
    """Assets and tracks of the same id that are called otherwise now."""
    out = [
        f"asset {old.name}: name {old.name} → {new.name}"
        for id, old in a.assets.items()
        if id in assets and (new := b.assets[assets[id]]).name != old.name
    ]
    out += [
        f"track {old.name or id}: name {shown(old.name)} → {shown(new.name)}"
        for id, old in a.tracks.items()
        if (new := b.tracks.get(id)) is not None and new.name != old.name
    ]
    return out


class _Comparison:
    def __init__(self, a: IndexedBundle, b: IndexedBundle, pictures: Pictures, classes: Classes) -> None:
        self._a, self._b, self._classes = a, b, classes
        self._painters = Painter(a, pictures), Painter(b, pictures)
        self._lookup = classes.lookup_b()
        self._same_rules = (a.header.class_template.classes, a.tracks) == (
            b.header.class_template.classes,
            b.tracks,
        )

    def frame(self, left: int | None, right: int | None) -> FrameDiff:
        if left is None or right is None:
            opened, number = (self._b, right) if left is None else (self._a, left)
            assert number is not None
            regions = len(opened.regions(number))
            asset, name = opened.label(opened.frame(number))
            only: Literal["A", "B"] = "B" if left is None else "A"
            return FrameDiff(
                asset=asset, frame=name, only_in=only, notes=[f"only in {only}, with {regions} regions"]
            )
        if self._same_rules and self._a.raw(left) == self._b.raw(right):
            return FrameDiff(asset="", frame="")
        a, b = self._side(self._a, left, {}), self._side(self._b, right, self._classes.of_b)
        asset, name = self._a.label(a.line)
        found = FrameDiff(asset=asset, frame=name, notes=self._notes(a.line, b.line))
        if self._paints(a, 0) == self._paints(b, 1) and [r.id for r in a.regions] == [
            r.id for r in b.regions
        ]:
            pairs = [(i, i) for i in range(len(a.regions))]
            found.regions = self._changes(a, b, pairs)
            found.classes = self._rows(found.regions, {})
            return found
        maps = self._maps(a, b)
        found.drawn = maps is not None
        winners, labels = maps or (None, None)
        found.regions = self._changes(a, b, matched_regions(a, b, winners))
        counts = {} if labels is None else self._counts(*labels)
        found.classes = self._rows(found.regions, counts)
        return found

    def _side(self, opened: IndexedBundle, number: int, numbers: dict[int, int]) -> Side:
        regions = opened.regions(number)
        return Side(
            opened.frame(number),
            regions,
            [numbers.get(line.class_id, line.class_id) for line in regions],
            [msgspec.json.encode((line.points, line.box, line.text, line.outline)) for line in regions],
        )

    def _notes(self, a: bundle.FrameLine, b: bundle.FrameLine) -> list[str]:
        out = []
        if a.index != b.index or self._a.label(a) != self._b.label(b):
            out.append("is “{} {}” in B".format(*self._b.label(b)))
        if (a.width, a.height) != (b.width, b.height):
            out.append(f"size {a.width}×{a.height} → {b.width}×{b.height} px")
        elif a.hash != b.hash:
            out.append("another image")
        if a.state != b.state:
            out.append(f"state {a.state} → {b.state}")
        return out

    def _paints(self, side: Side, which: int) -> tuple[object, ...]:
        """What the label map follows from: equal answers, equal maps."""
        places = self._painters[which].places
        engines = [
            (claim.engine, claim.weights) if not competes(claim.engine) else None
            for claim in self._painters[which].claims(side.regions)
        ]
        order = sorted(range(len(side.regions)), key=lambda i: (*places[side.regions[i].class_id], i))
        return (side.line.hash, side.numbers, side.geometry, engines, order)

    def _maps(self, a: Side, b: Side) -> tuple[Pair, Pair] | None:
        """Winners of A and B, and their label maps in the common numbers; None where they cannot be drawn."""
        if (a.line.width, a.line.height) != (b.line.width, b.line.height):
            return None
        mine = self._painters[0].paint(a.line, a.regions, b.line)
        theirs = None if mine is None else self._painters[1].paint(b.line, b.regions, a.line)
        if mine is None or theirs is None:
            return None
        labels = mine.labels.astype(np.uint32), self._lookup[theirs.labels]
        return (mine.winners, theirs.winners), labels

    @staticmethod
    def _counts(a: NDArray[Any], b: NDArray[Any]) -> dict[int, tuple[int, int, int]]:
        """Class number → its pixels in A, in B, in both."""
        parts = [
            dict(zip(*(v.tolist() for v in np.unique(p, return_counts=True)), strict=True))
            for p in (a, b, a[a == b])
        ]
        numbers = {number for part in parts for number in part if number}
        return {n: (parts[0].get(n, 0), parts[1].get(n, 0), parts[2].get(n, 0)) for n in numbers}

    def _changes(
        self, a: Side, b: Side, pairs: Sequence[tuple[int | None, int | None]]
    ) -> list[RegionChange]:
        names = self._classes.names
        out = []
        for i, j in pairs:
            if j is None:
                assert i is not None
                out.append(RegionChange(kind="removed", id=a.regions[i].id, class_name=names[a.numbers[i]]))
            elif i is None:
                out.append(RegionChange(kind="added", id=b.regions[j].id, class_name=names[b.numbers[j]]))
            else:
                old, new = a.regions[i], b.regions[j]
                what = [name for name in ("anchor", "attributes", "certificate") if _differs(old, new, name)]
                if a.geometry[i] != b.geometry[j]:
                    what.insert(0, "geometry")
                if self._track(self._a, old) != self._track(self._b, new):
                    what.append("track")
                if a.numbers[i] == b.numbers[j] and not what:
                    continue
                moved = a.numbers[i] != b.numbers[j]
                out.append(
                    RegionChange(
                        kind="reclassified" if moved else "changed",
                        id=old.id,
                        other="" if old.id == new.id else new.id,
                        class_name=names[b.numbers[j]],
                        was=names[a.numbers[i]] if moved else "",
                        what=what,
                    )
                )
        return out

    def _track(self, opened: IndexedBundle, line: bundle.RegionLine) -> object:
        """What names a track: its id where both bundles have it, else class and name."""
        if line.track is None or (line.track in self._a.tracks and line.track in self._b.tracks):
            return line.track
        return opened.tracks[line.track].name

    def _rows(
        self, changes: Sequence[RegionChange], counts: dict[int, tuple[int, int, int]]
    ) -> list[ClassRow]:
        """A row for each class with a changed region or a changed pixel, in the order of the template."""
        rows: dict[str, ClassRow] = {}
        for number, (in_a, in_b, shared) in sorted(counts.items()):
            name = self._classes.names[number]
            iou = shared / (in_a + in_b - shared)
            rows[name] = ClassRow(class_name=name, iou=iou, pixels_a=in_a, pixels_b=in_b, shared=shared)
        for change in changes:
            row = rows.setdefault(change.class_name, ClassRow(class_name=change.class_name))
            setattr(row, change.kind, getattr(row, change.kind) + 1)
        rank = {name: self._classes.rank(number) for number, name in self._classes.names.items()}
        kept = [row for row in rows.values() if _regions_of(row) or (row.iou is not None and row.iou < 1)]
        return sorted(kept, key=lambda row: rank[row.class_name])


def _differs(a: bundle.RegionLine, b: bundle.RegionLine, name: str) -> bool:
    return getattr(a, name) != getattr(b, name)


def _regions_of(row: ClassRow) -> int:
    return row.added + row.removed + row.changed + row.reclassified


def _without_small(found: FrameDiff, iou_below: float) -> FrameDiff:
    small = {row.class_name for row in found.classes if row.iou is not None and row.iou >= iou_below}
    found.classes = [row for row in found.classes if row.class_name not in small]
    found.regions = [change for change in found.regions if change.class_name not in small]
    return found


def _totals(frames: Sequence[FrameDiff]) -> list[ClassRow]:
    """The rows of all frames added up by class, the class of most changed regions first."""
    rows: dict[str, ClassRow] = {}
    for found in frames:
        for row in found.classes:
            total = rows.setdefault(row.class_name, ClassRow(class_name=row.class_name))
            for name in ("added", "removed", "changed", "reclassified", "pixels_a", "pixels_b", "shared"):
                setattr(total, name, getattr(total, name) + getattr(row, name))
    for total in rows.values():
        union = total.pixels_a + total.pixels_b - total.shared
        total.iou = total.shared / union if union else None
    return sorted(rows.values(), key=lambda row: (-_regions_of(row), row.class_name))
