"""What a smoothed frame becomes: its regions' new masks as a point and an outline, for the database."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from app.algo.compete import PreparedFrame, prepare_compete, seeds_of
from app.algo.render import Claims, Crop, competing, region_masks
from app.algo.reshape import Shape, reshape
from app.models import Certificate, Region
from tasks.given_masks import GivenMasks
from tasks.layers import Layers
from tasks.rendering import read_frame
from tasks.snapshot import FrameEntry, HeaderEntry
from tasks.stabilise_files import CHANGES, FrameChange, RegionChange, StabiliseArgs, read_lines
from tasks.stabilise_maps import LayerMaps

AUTHOR = "stabilise"


class Reshaping:
    """Writes the changes of frames as lines; those that are there already are not found again."""

    def __init__(self, folder: Path, args: StabiliseArgs, header: HeaderEntry, layers: Layers) -> None:
        self._args, self._layers = args, layers
        self._ranks = {c.id: (c.priority, order) for order, c in enumerate(header.class_template.classes)}
        self._defaults = {
            c.id: {one.name: one.default for one in c.attributes if one.default}
            for c in header.class_template.classes
        }
        self._attributes: dict[str, dict[str, str]] = {}
        """Those of a track's latest region."""
        path = folder / CHANGES
        self._known = {line.index for line in read_lines(path, FrameChange)}
        self._file = path.open("ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def frame(self, entry: FrameEntry, smooth: LayerMaps, after: LayerMaps, given: GivenMasks) -> None:
        """Find what becomes of a frame's regions, and keep what it shows then in `after`."""
        index = entry.frame.index
        if index not in self._known and (target := smooth.read(index)) is not None:
            tracks = {region.id: region for region in entry.regions}
            found = reshape(
                entry.specs,
                [self._layers.number(spec.class_id, tracks[spec.id].track_id) for spec in entry.specs],
                [tracks[spec.id].anchor and not self._args.overwrite_anchors for spec in entry.specs],
                target,
                lambda layer: (self._layers.of(layer)[0], *self._ranks[self._layers.of(layer)[0]]),
                _Drawing(entry, given),
                iou_target=self._args.iou_target,
            )
            if found is not None:
                after.write(index, entry.frame.id, found.layers, self._layers)
                line = FrameChange(
                    frame_id=entry.frame.id,
                    index=index,
                    stamp=[(region.id, region.revision) for region in entry.regions],
                    changed=[
                        RegionChange(
                            id=entry.specs[place].id,
                            geometry=shape.geometry,
                            certificate=self._certificate(shape),
                            area=shape.area,
                        )
                        for place, shape in found.changed.items()
                    ],
                    gone=[entry.specs[place].id for place in found.gone],
                    added=[
                        self._region(entry, number, layer, shape)
                        for number, (layer, shape) in enumerate(found.added)
                    ],
                )
                self._file.write(msgspec.json.encode(line) + b"\n")
                self._file.flush()
        for region in entry.regions:
            if region.track_id is not None:
                self._attributes[region.track_id] = region.attributes

    def _region(self, entry: FrameEntry, number: int, layer: int, shape: Shape) -> Region:
        class_id, track_id = self._layers.of(layer)
        # An id that follows from the job, so that a job that goes on makes the same; ids sort as they are painted.
        salt = hashlib.sha256(f"{self._args.job_id} {entry.frame.id}".encode()).hexdigest()[:18]
        return Region(
            id=f"{salt}{number:06x}",
            frame_id=entry.frame.id,
            class_id=class_id,
            geometry=shape.geometry,
            track_id=track_id,
            anchor=False,
            certificate=self._certificate(shape),
            area=shape.area,
            author=AUTHOR,
            attributes=self._attributes.get(track_id or "", self._defaults.get(class_id, {})),
        )

    def _certificate(self, shape: Shape) -> Certificate:
        return Certificate(
            engine="outline",
            iou=shape.iou,
            boundary_f=shape.boundary_f,
            target=self._args.iou_target,
            exact=True,
        )


class _Drawing:
    """Draws a frame's regions, those that are given in the place of its own, too."""

    def __init__(self, entry: FrameEntry, given: GivenMasks) -> None:
        self._entry = entry
        self._shape = (entry.frame.height, entry.frame.width)
        self._fixed = given.of(entry.frame.hash, self._shape, entry.specs)
        self._prepared: PreparedFrame | None = None

    def __call__(self, claims: Sequence[Claims]) -> list[Crop]:
        known = {id(spec): crop for spec, crop in zip(self._entry.specs, self._fixed, strict=True)}
        fixed = [known.get(id(claim)) for claim in claims]
        return region_masks(self._compete, self._shape, claims, fixed)

    def _compete(self, claims: Sequence[Claims]) -> list[Crop]:
        if self._prepared is None:
            self._prepared = prepare_compete(read_frame(self._entry))
        return competing(self._prepared, [seeds_of(claim.geometry) for claim in claims])
