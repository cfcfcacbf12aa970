"""Imported ground truth that stays hidden: label maps as they are, nothing becomes a region.

The report of the import has `kept` instead of certificates; records.jsonl holds a `KeptFrame` a line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from app.algo.scoring import VOID
from app.errors import Refused
from app.formats.truth.model import TruthFrame
from app.formats.truth_png import NumberedObject
from tasks import truth_maps
from tasks.import_masks import masks_of
from tasks.import_report import ImportArgs, ImportReport, KeptTruth, TargetFrame
from tasks.truth_files import KeptFrame, read_kept


class TruthKeeper:
    """Makes the maps of one frame after the other."""

    def __init__(self, folder: Path, args: ImportArgs) -> None:
        """`folder`: of the job. Raises Refused where the class template has no room for void."""
        truth_maps.require_room(args.class_template)
        self._folder = folder
        self._mapping = args.mapping
        # As exact as the source is: objects stay objects, and no piece is too small.
        self._options = replace(args.options, regions="auto", min_area=0)
        classes = args.class_template.classes
        self._rank = {known.id: (known.priority, order) for order, known in enumerate(classes)}

    def frame(self, truth: TruthFrame, frame: TargetFrame, void: set[str]) -> KeptFrame:
        """What is not of a class that is mapped, and not known to be of none, is void.

        Where objects overlap, the priorities of the class template decide, as they do for regions.
        """
        shape = (frame.height, frame.width)
        masks = masks_of(truth, self._mapping, void, shape, self._options)
        labels = np.full(shape, VOID, np.uint16)
        if masks.free is not None:
            labels[masks.free] = 0
        numbers = np.zeros(shape, np.uint16)
        rows: dict[str, NumberedObject] = {}
        for wanted in sorted(masks.wanted, key=lambda wanted: self._rank[wanted.class_id]):
            crop = wanted.crop
            height, width = crop.mask.shape
            window = slice(crop.y0, crop.y0 + height), slice(crop.x0, crop.x0 + width)
            labels[window][crop.mask] = wanted.class_id
            numbers[window][crop.mask] = self._number(rows, wanted.class_id, wanted.track)
        return truth_maps.stage(self._folder, frame.id, labels, numbers, list(rows.values()))

    @staticmethod
    def _number(rows: dict[str, NumberedObject], class_id: int, track: str | None) -> int:
        """0 where nothing ties the object to the other frames, or where there are too many."""
        if track is None:
            return 0
        key = f"{class_id}:{track[:200]}"
        if key not in rows and len(rows) >= VOID - 1:
            return 0
        return rows.setdefault(
            key, NumberedObject(number=len(rows) + 1, object=key, class_id=class_id)
        ).number


def summarise(records: Path, report: ImportReport) -> None:
    """Sum up what was kept. Raises Refused where no frame or no pixel of a class was."""
    kept = KeptTruth()
    for frame in read_kept(records):
        kept.frames += 1
        kept.objects += frame.objects
        kept.pixels += frame.pixels
        kept.void += frame.void
    if not kept.frames:
        raise Refused("Every frame that matches has hidden ground truth already, so nothing was kept.")
    if not kept.pixels:
        raise Refused("The ground truth holds no mask of a class that is mapped, so nothing was kept.")
    report.kept = kept
