"""What the web process asks of the engine worker."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from app.matting import MatteParameters
from app.models import ClassDef, Coordinate, Geometry
from app.worker.parts import FrameRef, Message, RegionSpec


class Exemplar(Struct, kw_only=True, forbid_unknown_fields=True):
    """A box (x1, y1, x2, y2) around an example of what is looked for, or of what is not."""

    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    positive: bool = True


class Predict(Message):
    """Ask for masks of `geometry`. `regions`: the frame's other regions, without the one that is refined."""

    frame: FrameRef
    geometry: Geometry
    engine: str
    regions: list[RegionSpec] = field(default_factory=list)
    previous: str | None = None
    """Id of the proposal this one corrects."""
    exemplars: list[Exemplar] = field(default_factory=list)
    rle: bool = False
    """Whether the masks are wanted as COCO RLE as well (scripts)."""


class Accept(Message):
    """Turn a proposal (or a fresh prediction) into a region's geometry with its certificate."""

    frame: FrameRef
    geometry: Geometry
    engine: str
    regions: list[RegionSpec] = field(default_factory=list)
    proposal: str | None = None
    target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95


class Render(Message):
    """Ask who wins each pixel of the frame; `regions` in the order their index is to be reported."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str


class LabelPng(Message):
    """Ask for the label map as a PNG file: `mode` palette, index or colour (app/formats/label_png.py)."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    mode: str
    classes: list[ClassDef]
    unlabelled: int | None = None


class Trace(Message):
    """Ask what the regions at the positions `wanted` look like: each as an outline with a certificate."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    wanted: list[int]
    target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95


class Inspect(Message):
    """Ask who covers pixel (x, y) of the frame: column and row, inside it."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    x: int
    y: int


class WhatIf(Message):
    """Ask which pixels would change class if classes had other ranks (class id → priority, order)."""

    frame: FrameRef
    regions: list[RegionSpec]
    engine: str
    ranks: dict[int, tuple[int, int]]


class TrackAnchor(Struct, kw_only=True):
    """A confirmed region of a tracked object. `position`: index into the request's frames; `object`: a number
    that the caller chose. `others`: the other regions of the frame, where they decide what the region covers.
    """

    position: int
    object: int
    region: RegionSpec
    others: list[RegionSpec] = field(default_factory=list)
    confirmed: bool = True
    """False for a mask that only tells where an interrupted walk had got to."""
    more: list[RegionSpec] = field(default_factory=list)
    """Further regions of the object on this frame. Of a matte: its mask is what is seen of all of them."""
    places: list[int] = field(default_factory=list)
    """Where `region` and `more` stand, ascending, in the painting order of all regions; empty = before `others`."""


class Track(Message):
    """Ask for objects in other frames, from their anchors. Answered by a stream: `Tracked` for each frame from
    `start` to `stop` (positions, both included; `start` > `stop` runs backward), then `Ended`.

    Objects may have their first anchor later than `start`; they are looked for from there on.
    """

    frames: list[FrameRef]
    anchors: list[TrackAnchor]
    start: int
    stop: int
    engine: str
    target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95
    keep: str = ""
    """A folder in the data folder where masks between two anchors of their object are left for a walk back."""
    fuse: str = ""
    """The folder where a walk the other way left its masks: those found now are fused with them. Only objects
    are reported that lie between two of their anchors."""


class AddAnchor(Message):
    """Correct an object of the running Track `track`, or add one to it, from the next frame on. Not
    answered.
    """

    track: int
    anchor: TrackAnchor


class TextClass(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to look for, and the class that what is found gets."""

    text: Annotated[str, Meta(min_length=1, max_length=200)]
    class_id: int


class Find(Message):
    """Ask for all instances of some texts in a video: detection on every `every`-th frame, tracks between.

    Answered as Track is; each `Tracked` object names its class. Objects are numbered from `first_object` on.
    `known`: objects found before an interruption, anchored at `start`.
    """

    frames: list[FrameRef]
    texts: list[TextClass]
    start: int
    stop: int
    engine: str
    every: Annotated[int, Meta(ge=1, le=1000)] = 10
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    first_object: int = 0
    known: list[TrackAnchor] = field(default_factory=list)
    target: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.95


class Label(Message):
    """Ask an engine that knows classes of its own to label whole frames.

    Answered by a stream: `Labelled` for each frame from `start` on, then `Ended`. The label maps are written as
    8-bit index PNGs into `folder` (relative to the data folder), which exists, named by `names`.
    """

    frames: list[FrameRef]
    names: list[str]
    folder: str
    engine: str
    start: int = 0


class Matte(Message):
    """Ask for the alpha of one object on the frames from `start` to `stop`, as for `Track`, from its confirmed
    regions: engines want one or several, which may lie outside that range, or one on every frame.

    Answered by a stream: `Matted` for each frame, in any order, then `Ended`. The alphas are written as 16-bit grey
    PNGs into `folder` (relative to the data folder), which exists, named by `names`.
    """

    frames: list[FrameRef]
    anchors: list[TrackAnchor]
    names: list[str]
    folder: str
    start: int
    stop: int
    engine: str
    parameters: MatteParameters = field(default_factory=MatteParameters)
    done: list[int] = field(default_factory=list)
    """Positions whose alpha is there already: they are not answered again."""


class LoadEngine(Message):
    """Load an engine now; answered by `EngineLoaded`, or by a failure that says why it cannot serve."""

    engine: str


class UnloadEngine(Message):
    """Give an engine's memory back (its weights changed, or it is in the way); answered by `Pong`."""

    engine: str


class Forget(Message):
    """No frame is open any more: drop what was prepared. Not answered."""


class Warm(Message):
    """These frames will be needed: the first (the open one) soon, the others when there is nothing else to
    do.

    A later Warm replaces an earlier one.
    """

    frames: list[FrameRef]
    engine: str = "classic"


class Cancel(Message):
    """Forget `request`: it is dropped from the queue or stopped between two steps. No answer is sent for
    it.
    """


class Ping(Message):
    """Answered at once by the reader, even while an engine works."""
