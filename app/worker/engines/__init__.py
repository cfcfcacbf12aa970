"""What an engine is. Those there are stand in `app/worker/registry.py`.

An engine is made in the worker's main thread and only ever called from it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from app.errors import Unavailable
from app.matting import MatteParameters
from app.worker.registry import entry_of
from app.worker.weights import Found, info_of

Purpose = Literal["segment", "render", "text", "track"]
"""What a frame is prepared for."""


class Prepared(Protocol):
    """What an engine computed once for a frame. `nbytes`: memory it holds."""

    @property
    def nbytes(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Prompt:
    """The sparse geometry of one region for an engine.

    `points`: (N, 4) float64 rows (x, y, label, r); `box`: (x1, y1, x2, y2) or None; `text` or None. Text says
    what to look for in the whole frame; where there are points or a box, they decide and text does not.
    """

    points: Any
    box: tuple[float, float, float, float] | None = None
    text: str | None = None

    @property
    def spatial(self) -> bool:
        return self.box is not None or len(self.points) > 0


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask an engine offers. `mask`: (H, W) bool; `score`: 0..1, how sure the engine is.

    `memory`: whatever the engine wants back where the next prompt corrects this mask (logits), an array or
    None; it is kept as long as the proposal.
    """

    mask: Any
    score: float
    memory: Any = None


@dataclass(frozen=True, eq=False)
class Ask:
    """One prompt in its frame. `shape`: (H, W); `others`: the frame's other regions; `previous`: the candidate
    that this prompt corrects; `exemplars`: rows (x1, y1, x2, y2, positive).
    """

    shape: tuple[int, int]
    prompt: Prompt
    others: Sequence[Prompt] = ()
    previous: Candidate | None = None
    exemplars: Sequence[tuple[float, float, float, float, bool]] = ()

    @property
    def whole_frame(self) -> bool:
        """Whether all instances in the frame are asked for, by text or by exemplars."""
        return bool(self.exemplars) or (bool(self.prompt.text) and not self.prompt.spatial)


@dataclass(frozen=True, eq=False)
class Answer:
    """Candidates, best first. `kind`, `presence`: as in `Proposals`."""

    candidates: Sequence[Candidate]
    kind: Literal["alternatives", "instances"] = "alternatives"
    presence: float | None = None


@dataclass(frozen=True, eq=False)
class Anchor:
    """The confirmed mask of an object on the frame at `position`: (H, W) bool, of a matte as `np.asarray` gives it."""

    position: int
    object: int
    mask: Any
    class_id: int = 0


@dataclass(frozen=True, eq=False)
class Seen:
    """An object on a frame. `mask`: (H, W) bool, None or empty where it is not seen; `score` 0..1.

    The object's `class_id` where the engine found it itself (text), else 0.
    """

    object: int
    mask: Any
    score: float
    class_id: int = 0


@dataclass(eq=False)
class Plan:
    """A walk through `count` frames of shape (H, W) from position `start` to `stop`, both included; backward
    where `stop` < `start`.

    `prepared(position, purpose)`: what `prepare` made of that frame, from the cache of the worker (do not keep
    it); `image(position)`: (H, W, 3) uint8 RGB; `more()`: anchors that arrived since it was last called.
    """

    count: int
    shape: tuple[int, int]
    start: int
    stop: int
    anchors: Sequence[Anchor]
    prepared: Callable[[int, Purpose], Any]
    image: Callable[[int], Any]
    more: Callable[[], Sequence[Anchor]] = field(default=tuple)
    parameters: MatteParameters = field(default_factory=MatteParameters)
    """Of a matte."""
    done: Collection[int] = ()
    """Positions whose alpha is there already and is not asked for again."""

    @property
    def step(self) -> int:
        return 1 if self.stop >= self.start else -1

    @property
    def positions(self) -> range:
        return range(self.start, self.stop + self.step, self.step)


Walk = Iterator[tuple[int, Sequence[Seen]] | None]
"""(position, objects) for every frame in turn, and None between two steps of work on one frame, where the
worker may serve a click; closing it ends the work and frees its memory."""


Alphas = Iterator[tuple[int, Any] | None]
"""As `Walk`, with the alpha of each frame: (H, W) float32, 0 = background to 1 = object. The frames that are not
done come once each, in any order: an engine may walk back from a later mask."""


class OutOfMemory(MemoryError):
    """The device of the engine has too little free memory."""


class Engine:
    """One model; the base of all. An engine has the methods that `can` of its entry in the table promises, and
    only those are called.

    Any method may raise OutOfMemory; the worker then calls `shrink`, unloads other engines, and tries again.
    """

    reads_frames: bool
    """False where `prepare` needs no pixels (it then gets None)."""
    competes: bool
    """Whether the regions of a frame compete for its pixels; where not, a mask depends on its own prompts
    alone."""
    prepare_s: float
    """Upper bound for the seconds one preparation takes; the watchdog waits that long."""
    weights: str
    """The first 16 hex digits of the weights' SHA-256; the version of the algorithm where it has no weights."""
    device: str
    """cpu, cuda …"""
    tiers: ClassVar[Mapping[Purpose, tuple[str, ...]]] = {}
    """Purpose → the kinds of preparation that serve it; the first is the one to make."""
    classes: Sequence[str] = ()
    """The engine's own classes; the index is the value in `label`'s map."""

    def nbytes(self) -> int:
        """Memory of the model on its device, without what was prepared."""
        raise NotImplementedError

    def prepare(self, image: Any, tier: str) -> Prepared:
        """`image`: (H, W, 3) uint8 RGB."""
        raise NotImplementedError

    def segment(self, prepared: Any, ask: Ask) -> Answer:
        """`prepared`: for the purpose `text` where `ask.whole_frame`, else `segment`."""
        raise NotImplementedError

    def render(self, prepared: Any, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Any]:
        """One app.algo.render.Crop per prompt. `prepared`: for the purpose `render`."""
        raise NotImplementedError

    def window(self, prepared: Any, box: tuple[int, int, int, int], shape: tuple[int, int]) -> Any:
        """What `render` needs to draw the part (x0, y0, x1, y1) of a frame at `shape` (h, w).

        None where the engine can only draw whole frames.
        """
        return None

    def track(self, plan: Plan) -> Walk:
        """Follow the objects of the plan's anchors. Every object that has its anchor is reported on every
        frame; an anchor's own mask is reported on its own frame."""
        raise NotImplementedError

    def find(self, plan: Plan, texts: Sequence[tuple[str, int]], every: int, threshold: float) -> Walk:
        """Look for every (text, class id) on each `every`-th frame and track what is found between; anchors of
        the plan are objects known before, new ones are numbered after them."""
        raise NotImplementedError

    def label(self, image: Any) -> Any:
        """(H, W) uint8: the engine's own class of every pixel."""
        raise NotImplementedError

    def matte(self, plan: Plan) -> Alphas:
        """The alpha of the only object of the plan's anchors, on every frame that is not done."""
        raise NotImplementedError

    def settings(self, plan: Plan) -> dict[str, str | int]:
        """What decides the alphas of a plan beside its parameters, for the record: seeds, sizes of batches …"""
        return {}

    def shrink(self) -> bool:
        """Work in smaller batches from now on; False where that is not possible."""
        return False

    def close(self) -> None:
        """Let go of everything, so that the memory is free when the last reference goes."""


def load(engine: str, data: Path, *, weights: Found | None = None, fake: bool = False) -> Engine:
    """Import and make an engine. `weights`: where they lie, for an engine that has some.

    Raises Refused for an unknown engine, Unavailable where it cannot run (package missing, weights missing or
    not those of this engine), OutOfMemory.
    """
    entry = entry_of(engine, fake=fake)
    info = info_of(entry, data)
    if info.state == "no-package" or (weights is None and not info.available):
        # Known without importing anything, which takes a minute on some machines.
        raise Unavailable(f"{info.reason} {info.step}.")
    module, _, name = entry.target.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except ImportError as exc:
        raise Unavailable(f"The engine {engine} cannot run here: {exc}.") from exc
    return kind(data, weights)
