"""The table of engines: id → where its class is, what it can do, its licence, its memory and its weights.

Only the worker calls `load`; the table itself imports no engine, so the web process may read it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from app.errors import Refused, Unavailable
from app.worker.protocol import EngineInfo, Message


class Prepared(Protocol):
    """What an engine computed once for a frame. `nbytes`: memory it holds."""

    @property
    def nbytes(self) -> int: ...


class Candidate(Protocol):
    """`mask`: (H, W) bool; `score`: 0..1, how sure the engine is."""

    @property
    def mask(self) -> Any: ...
    @property
    def score(self) -> float: ...


class Engine(Protocol):
    """One model. An engine is made in the worker's main thread and only ever called from it.

    The methods below are those of engines that can segment. `accepts` names the further requests (tracking,
    matting …) that `run` answers by a stream of replies: the worker serves clicks and looks for Cancel
    between two of them.
    """

    reads_frames: bool
    """False where `prepare` needs no pixels (it then gets None)."""
    prepare_s: float
    """Upper bound for the seconds one preparation takes; the watchdog waits that long."""
    weights: str
    """Hash of the weights, empty without."""
    accepts: tuple[type[Message], ...]

    def prepare(self, image: Any) -> Prepared:
        """`image`: (H, W, 3) uint8 RGB."""
        ...

    def segment(
        self, prepared: Any, shape: tuple[int, int], prompt: Prompt, others: Sequence[Prompt], previous: Any
    ) -> Sequence[Candidate]:
        """Masks for `prompt`, best first. `others`: the frame's other regions; `previous`: (H, W) bool or
        None.
        """
        ...

    def prepare_render(self, image: Any) -> Prepared:
        """What `render` needs; the answer of `prepare` where that is the same."""
        ...

    def render(self, prepared: Any, shape: tuple[int, int], prompts: Sequence[Prompt]) -> list[Any]:
        """One app.algo.render.Crop per prompt, all competing for the pixels. `prepared`: of
        `prepare_render`.
        """
        ...

    def window(self, prepared: Any, box: tuple[int, int, int, int], shape: tuple[int, int]) -> Any:
        """What `render` needs to draw the part (x0, y0, x1, y1) of a frame at `shape` (h, w).

        None where the engine can only draw whole frames.
        """
        ...

    def run(self, request: Message, frames: Callable[[Any], Prepared]) -> Iterator[Message]: ...


@dataclass(frozen=True, eq=False)
class Prompt:
    """The sparse geometry of one region for an engine.

    `points`: (N, 4) float64 rows (x, y, label, r); `box`: (x1, y1, x2, y2) or None; `text` or None.
    """

    points: Any
    box: tuple[float, float, float, float] | None = None
    text: str | None = None


@dataclass(frozen=True)
class Entry:
    info: EngineInfo
    target: str
    """"module:Class"; the class is called with the data folder."""
    hidden: bool = False
    """Only there when asked for (tests, `bench speed`)."""


TABLE: dict[str, Entry] = {
    "classic": Entry(
        EngineInfo(
            id="classic",
            name="Classic",
            can=("points", "box", "reach"),
            licence="Same as Pointillist",
            weights="",
            needs_mb=64,
        ),
        "app.worker.engines.classic:Classic",
    ),
    "fake": Entry(
        EngineInfo(
            id="fake",
            name="Fake (tests)",
            can=("points", "box", "reach", "text"),
            licence="Same as Pointillist",
            weights="",
            needs_mb=1,
        ),
        "app.worker.engines.fake:Fake",
        hidden=True,
    ),
}


def fake_wanted() -> bool:
    return os.environ.get("POINTILLIST_FAKE_ENGINE", "").lower() in ("1", "true", "yes", "on")


def infos(*, fake: bool = False) -> list[EngineInfo]:
    """The engines of this installation, each with the reason why it cannot run where it cannot."""
    return [_checked(entry) for entry in TABLE.values() if fake or not entry.hidden]


def entry_of(engine: str, *, fake: bool = False) -> Entry:
    """Raises Refused, naming the engines there are."""
    entry = TABLE.get(engine)
    if entry is None or (entry.hidden and not fake):
        known = ", ".join(name for name, found in TABLE.items() if fake or not found.hidden)
        raise Refused(f"There is no engine {engine[:50]!r}; choose one of: {known}.")
    return entry


def load(engine: str, data: Path, *, fake: bool = False) -> Engine:
    """Import and make an engine. Raises Refused for an unknown one, Unavailable where it cannot run."""
    module, _, name = entry_of(engine, fake=fake).target.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except ImportError as exc:
        raise Unavailable(f"The engine {engine} cannot run here: {exc}.") from exc
    return kind(data)


def _checked(entry: Entry) -> EngineInfo:
    module = entry.target.partition(":")[0]
    if importlib.util.find_spec(module) is None:
        return msgspec.structs.replace(entry.info, available=False, reason="Its program is not installed.")
    return entry.info
