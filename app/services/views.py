"""What services answer with where a plain row is not enough. Pages and the API show the same Structs."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from app.formats.out.options import Options
from app.models import Asset, Certificate, Frame, Geometry, Job, Project, Sampling


class Progress(Struct, kw_only=True):
    frames: int = 0
    done: int = 0
    approved: int = 0
    regions: int = 0
    certified: int = 0


class ProjectCard(Struct, kw_only=True):
    """A project as the Library and Dashboard show it. `cover` is a frame id or None."""

    project: Project
    assets: list[Asset]
    progress: Progress
    cover: str | None = None
    class_template: str = ""
    job: Job | None = None
    """The job that still works on it, if any."""


class RegionView(Struct, kw_only=True):
    id: str
    frame_id: str
    class_id: int
    geometry: Geometry
    track_id: str | None
    anchor: bool
    certificate: Certificate | None
    area: int
    author: str
    revision: int
    order: int
    """Position in painting order on its frame, 0 first."""
    attributes: dict[str, str] = field(default_factory=dict)
    score: float | None = None
    agreement: float | None = None


class FrameView(Struct, kw_only=True):
    frame: Frame
    asset: Asset
    project_id: str
    regions: list[RegionView]
    key: str
    """Content key of the frame's region map."""


class FrameCell(Struct, kw_only=True):
    """A frame in the timeline; `regions` = how many it has."""

    id: str
    index: int
    pts: float | None
    width: int
    height: int
    state: str
    revision: int
    regions: int


class FramePage(Struct, kw_only=True):
    asset: str
    total: int
    start: int
    frames: list[FrameCell]


class Timeline(Struct, kw_only=True):
    """`states`: runs of (start, length, state); `regions`: runs (start, length) of frames that have regions."""

    total: int
    fps: float | None
    duration: float | None
    states: list[tuple[int, int, str]]
    regions: list[tuple[int, int]]


class EditView(Struct, kw_only=True):
    id: str
    seq: int
    kind: str
    label: str
    frame_id: str | None
    actor: str
    at: float


class RegionResult(Struct, kw_only=True):
    """`region` is None after a delete; `created` is False when the request was a retry."""

    region: RegionView | None
    edit: EditView
    key: str
    created: bool = True


class RegionsResult(Struct, kw_only=True):
    """The regions that one edit added, in painting order; `created` is False when the request was a retry."""

    regions: list[RegionView]
    edit: EditView
    key: str
    created: bool = True


class NewRegion(Struct, kw_only=True, forbid_unknown_fields=True):
    """`attributes`: those that the class has; what is left out gets the default of the class."""

    id: str
    class_id: int
    geometry: Geometry
    track_id: str | None = None
    proposal: str | None = None
    engine: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


class RegionPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is None stays. `attributes` changes those that it names; an empty value takes one out.

    `anchor`: whether a person confirmed the region; new points make it one. Trackers keep off anchors.
    """

    class_id: int | None = None
    attributes: dict[str, str] | None = None
    geometry: Geometry | None = None
    proposal: str | None = None
    engine: str | None = None
    anchor: bool | None = None


class Probe(Struct, kw_only=True):
    """What a source holds, before importing it. `strip` are small previews spread over the duration."""

    kind: str
    readable: bool
    sentence: str
    name: str
    info: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    id: str = ""
    preview_url: str = ""
    strip: list[str] = field(default_factory=list)


class NewAsset(Struct, kw_only=True, forbid_unknown_fields=True):
    upload_id: str | None = None
    path: str | None = None
    name: str | None = None
    id: str | None = None
    sampling: Sampling = field(default_factory=Sampling)


class MapFile(Struct, kw_only=True):
    """A file in the cache and the key (strong ETag) of its content.

    `body`: what must not be cached, for regions were drawn by a stand-in, as `substituted` says; no file then.
    """

    path: str
    key: str
    body: bytes = b""
    substituted: str = ""


class SoundView(Struct, kw_only=True):
    """Whether an exported video can have sound; `sentence` says why not."""

    available: bool
    sentence: str = ""
    codec: str = ""


class NewExport(Options, kw_only=True, forbid_unknown_fields=True):
    """What to export. A format heeds the options that its row in `app/formats/out` names."""

    format: str
    asset_id: str | None = None
    id: str | None = None
