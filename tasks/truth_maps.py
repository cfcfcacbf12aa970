"""Maps of hidden ground truth: written to a job's folder, read beside the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.algo.scoring import VOID
from app.errors import Refused
from app.formats import truth_png
from app.formats.truth_png import NumberedObject
from app.models import ClassTemplate
from tasks import truth_files
from tasks.channel import write_aside
from tasks.truth_files import KeptFrame


@dataclass(slots=True, eq=False)
class TruthMap:
    """`labels`: (H, W) uint16 class ids, 0 = of no class, `VOID`; `numbers`: (H, W) uint16, as `rows` says, None
    where objects are not told apart.
    """

    labels: NDArray[np.uint16]
    numbers: NDArray[np.uint16] | None
    rows: list[NumberedObject]


def require_room(template: ClassTemplate) -> None:
    """Raises Refused where a class has the number that stands for void."""
    for known in template.classes:
        if known.id == VOID:
            raise Refused(
                f"The class “{known.name}” has the number {VOID}, which stands for void in hidden ground truth. "
                "Use a class template without that number."
            )


def stage(
    folder: Path,
    frame_id: str,
    labels: NDArray[np.uint16],
    numbers: NDArray[np.uint16],
    rows: Sequence[NumberedObject],
) -> KeptFrame:
    """Write the maps of a frame into the job's folder; `numbers` only where it shows one of `rows`.

    Past `truth_png.MAX_OBJECTS` objects the rest is not told apart.
    """
    target = truth_files.staged_map(folder, frame_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    seen = np.zeros(1 << 16, bool)
    seen[np.unique(numbers)] = True
    shown = [row for row in rows if seen[row.number]][: truth_png.MAX_OBJECTS]
    if shown:
        data = truth_png.encode_objects(numbers, shown)
        write_aside(truth_files.staged_objects(folder, frame_id), data, durable=True)
    write_aside(target, truth_png.encode_map(labels), durable=True)
    void = int(np.count_nonzero(labels == VOID))
    return KeptFrame(
        frame_id=frame_id,
        objects=bool(shown),
        pixels=int(np.count_nonzero(labels)) - void,
        void=void,
    )


def load(folder: Path, index: int, shape: tuple[int, int]) -> TruthMap:
    """The hidden ground truth of a frame; `folder`: as `truth_files.folder_of` says.

    Raises Refused, naming the frame, where it is gone, damaged or of another size.
    """
    name = f"The hidden ground truth of frame {index}"
    path = truth_files.map_path(folder, index)
    try:
        labels = truth_png.decode_map(path.read_bytes(), shape, name)
        told = truth_files.objects_path(folder, index)
        if not told.exists():
            return TruthMap(labels, None, [])
        numbers, rows = truth_png.decode_objects(told.read_bytes(), shape, name)
    except FileNotFoundError as exc:
        raise Refused(f"{name} is gone. Delete it, or keep it once more.") from exc
    except OSError as exc:
        raise Refused(f"{name} cannot be read: {exc.strerror}.") from exc
    return TruthMap(labels, numbers, rows)
