"""What is known of how good labels are, as msgspec Structs: measured against the frame before, and scored against
hidden ground truth. The words of the labels themselves are in `app/models.py`.
"""

from __future__ import annotations

from msgspec import Struct, field

from app.models import Id


class Stamp(Struct, kw_only=True, frozen=True):
    """What a frame's labels were like: two stamps that differ belong to different labels.

    `regions`: how many; `revisions`: the sum of theirs; `updated_at`: the newest of theirs, 0 without regions;
    `ranks`: a digest of the class template's priorities.
    """

    regions: int
    revisions: int
    updated_at: float
    ranks: str


class Measure(Struct, kw_only=True):
    """A layer of a frame against itself one frame earlier, fractions 0..1; None where nothing can be compared.

    `class_id` 0 = the frame as a whole, `track_id` "" = the class with all of its regions. `area` in pixels;
    `change`: of the area, relative to the larger one, -1..1. Warped: the earlier one is carried along by optical
    flow first.
    """

    asset_id: Id
    frame_index: int
    class_id: int
    track_id: str = ""
    area: int
    change: float | None = None
    iou: float | None = None
    dice: float | None = None
    warped_iou: float | None = None
    warped_dice: float | None = None
    boundary_f: float | None = None


class Measured(Struct, kw_only=True):
    """That a frame was measured; `regions` … `ranks` are the stamp of its regions and those of the frame before.

    `cut`: another shot begins with it; `contested`: pixels claimed by regions of several classes of one
    priority; `unlabelled`: pixels.
    """

    asset_id: Id
    frame_index: int
    regions: int
    revisions: int
    updated_at: float
    ranks: str
    cut: bool = False
    contested: int = 0
    unlabelled: int = 0


class Truth(Struct, kw_only=True):
    """A frame whose ground truth is kept hidden, for scoring only. `source`: what it came from, in words.

    `objects`: whether it tells objects of one class apart.
    """

    asset_id: Id
    frame_index: int
    source: str
    objects: bool = False
    actor: str = ""
    created_at: float = 0.0


class TruthCell(Struct, kw_only=True, array_like=True):
    """Pixels of a frame that are `truth` and are labelled `found` (class ids, 0 = unlabelled) by `author`."""

    truth: int
    found: int
    author: str
    pixels: int


class TruthObject(Struct, kw_only=True, array_like=True):
    """An object of the ground truth and a track on one frame, no farther apart than the tolerance of boundary F.

    `object`: what tells it apart in its asset, "" for a track that comes near none; `class_id`: of the object;
    `track_id`: "" for an object that no track comes near. `both`: pixels in both; `truth`, `found`: pixels of each;
    `boundary_f`: of the pair.
    """

    object: str
    class_id: int
    track_id: str
    both: int
    truth: int
    found: int
    boundary_f: float


class TruthScore(Struct, kw_only=True):
    """A frame's labels against its hidden ground truth; `regions` … `ranks` are the stamp of its regions.

    `truth_at`: `Truth.created_at` of what it was compared with.
    """

    asset_id: Id
    frame_index: int
    regions: int
    revisions: int
    updated_at: float
    ranks: str
    truth_at: float
    cells: list[TruthCell] = field(default_factory=list)
    objects: list[TruthObject] = field(default_factory=list)
    contours: list[tuple[int, float]] = field(default_factory=list)
    """Boundary F of every class that the ground truth shows."""


class Summary(Struct, kw_only=True):
    """Means over frames, 0..1, each over the frames that have the figure; None where none has.

    `instability` = 1 - `iou`, `warped_instability` = 1 - `warped_iou`, `consistency` (temporal consistency) =
    1 - `warped_instability`. `frames`: those that could be compared with the one before.
    """

    iou: float | None = None
    dice: float | None = None
    warped_iou: float | None = None
    warped_dice: float | None = None
    instability: float | None = None
    warped_instability: float | None = None
    consistency: float | None = None
    boundary_f: float | None = None
    frames: int = 0
