"""What an import of ground truth is asked for, and what its report says: shared by the task and the services."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from app.models import ClassTemplate, Id

Match = Literal["auto", "name", "index", "pts"]
Keep = Literal["regions", "truth"]
FrameMatch = Literal["matched", "missing", "duplicate", "wrong-size", "unreadable"]
BINS = 20
"""Bins of the histogram of IoU over 0..1, the last one closed."""


class ImportOptions(Struct, kw_only=True, forbid_unknown_fields=True):
    """How masks become regions.

    `match`: how source frames find frames; `offset` is added to the source's index. `regions`: one region a
    class of a frame, one a connected piece, or as the source has it (auto: objects stay objects, label maps
    give one region a class). `budget`: points of a frame, 0 = outlines only. `min_area`: pixels; smaller
    pieces are left out and reported. `unlabelled`: whether pixels without a class must stay free
    ("background"), do not count ("open"), or the source's void does not count and the rest must stay free
    ("auto"). `wrong_size`: leave such frames out, or scale their masks to the frame. `existing`: what happens
    to the regions that matched frames have.
    """

    match: Match = "auto"
    offset: Annotated[int, Meta(ge=-10_000_000, le=10_000_000)] = 0
    regions: Literal["auto", "class", "piece"] = "auto"
    iou_target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95
    budget: Annotated[int, Meta(ge=0, le=2000)] = 300
    min_area: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    unlabelled: Literal["auto", "open", "background"] = "auto"
    wrong_size: Literal["skip", "scale"] = "skip"
    existing: Literal["keep", "replace", "skip"] = "replace"


class ImportArgs(Struct, kw_only=True):
    """The arguments of the job. `frames`: a JSONL file of `TargetFrame`; `mapping`: class key → class id, 0 =
    ignore; `keep`: whether masks become regions, or hidden ground truth for scoring only."""

    job_id: Id
    project_id: Id
    source: str
    name: str
    format: str | None
    dry_run: bool
    frames: str
    class_template: ClassTemplate
    mapping: dict[str, int] = field(default_factory=dict)
    options: ImportOptions = field(default_factory=ImportOptions)
    keep: Keep = "regions"


class TargetFrame(Struct, kw_only=True):
    """A frame that ground truth may belong to. `stem`: of its asset; `image`: path of its file; `truth`: whether
    it has hidden ground truth already.
    """

    id: str
    asset: str
    stem: str
    index: int
    name: str
    pts: float | None
    width: int
    height: int
    image: str
    regions: int = 0
    truth: bool = False


class FrameRow(Struct, kw_only=True):
    """A frame of the source: which frame it belongs to, or why it has none."""

    name: str
    state: FrameMatch
    frame_id: str | None = None
    index: int | None = None
    note: str = ""


class ClassRow(Struct, kw_only=True):
    """A class of the source: how much of it there is, and which class of the template it is taken for.

    `class_id`: None = not known, 0 = ignored. `why`: rule, name, colour, value, void, or "" where not known.
    """

    key: str
    name: str
    value: int | None = None
    colour: str | None = None
    void: bool = False
    frames: int = 0
    pixels: int = 0
    objects: int = 0
    class_id: int | None = None
    why: str = ""


class Counts(Struct, kw_only=True):
    """Frames of the source by what became of them; `without`: frames of the assets without ground truth."""

    frames: int = 0
    matched: int = 0
    missing: int = 0
    duplicate: int = 0
    wrong_size: int = 0
    unreadable: int = 0
    empty: int = 0
    without: int = 0
    existing: int = 0
    """Matched frames that have regions already."""
    truths: int = 0
    """Matched frames that have hidden ground truth already."""
    problems: int = 0


class Dropped(Struct, kw_only=True):
    """Pieces below the smallest area, which were left out."""

    pieces: int = 0
    pixels: int = 0


class Certificates(Struct, kw_only=True):
    """All certificates of the import. `histogram`: how many in each of `BINS` bins of IoU."""

    count: int = 0
    points: int = 0
    """Regions that are given back by points alone; the others have an outline."""
    outlines: int = 0
    mean_iou: float = 0.0
    min_iou: float = 1.0
    mean_boundary_f: float = 0.0
    below_target: int = 0
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)


class CertificateRow(Struct, kw_only=True):
    """One region and how well it gives its source mask back."""

    region_id: str
    frame_id: str
    class_id: int
    iou: float
    boundary_f: float
    exact: bool
    area: int


class KeptTruth(Struct, kw_only=True):
    """What is hidden ground truth now. `objects`: frames that tell objects apart; `pixels`: those of a class."""

    frames: int = 0
    objects: int = 0
    pixels: int = 0
    void: int = 0


class ImportReport(Struct, kw_only=True):
    """What a dry run found, or what an import did. Lists are cut off; the counts are not.

    `kept`: of an import as hidden ground truth, which makes no regions.
    """

    job_id: str
    dry_run: bool
    format: str
    format_title: str
    source: str
    match: Match
    counts: Counts = field(default_factory=Counts)
    frames: list[FrameRow] = field(default_factory=list)
    classes: list[ClassRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    regions: int = 0
    points: int = 0
    outlines: int = 0
    dropped: Dropped = field(default_factory=Dropped)
    certificates: Certificates = field(default_factory=Certificates)
    keep: Keep = "regions"
    kept: KeptTruth | None = None
    seconds: float = 0.0
