"""What every reader of ground truth gives: frames one at a time, as label values or as objects.

A reader never holds more than one frame's pixels. What concerns one annotation is a sentence in the frame's
`problems` and that annotation is left out; what concerns the whole source raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from msgspec import Struct


class SourceClass(Struct, kw_only=True, frozen=True):
    """A class as the source knows it, which the user maps to a class of the template.

    `key` tells the classes of one source apart and stays the same when it is read again: "value:7",
    "colour:#804080" or "name:car". `value` and `colour` ("#rrggbb") where the source states them.
    """

    key: str
    name: str
    value: int | None = None
    colour: str | None = None
    void: bool = False
    """The source itself says that these pixels mean nothing (VOC's 255, COCO's void, an "unlabelled" entry)."""


@dataclass(slots=True, eq=False)
class TruthObject:
    """One annotated thing: its class, and its mask, (h, w) bool with the top left pixel at (x0, y0)."""

    key: str
    mask: np.ndarray
    x0: int = 0
    y0: int = 0
    track: str | None = None
    """What ties the same thing together through frames, where the source says so."""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class TruthFrame:
    """One annotated frame.

    `name`: of the image it belongs to, as the source calls it, folders included, "/" between them; `index`:
    the frame's number where the source counts frames; `pts`: seconds where it has times. Either `values`
    (H, W) unsigned integers with `keys` (value → class key; values without a key are problems), or
    `objects`, in the order they are painted (later ones lie on top).
    """

    name: str
    width: int
    height: int
    index: int | None = None
    pts: float | None = None
    values: np.ndarray | None = None
    keys: dict[int, str] = field(default_factory=dict)
    objects: list[TruthObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Reader(Protocol):
    """An opened source of ground truth.

    Readers of objects (`objects.ObjectReader`) also have `size_of`: set it to a function (name, index) →
    (width, height) or None of the project's frames before calling `frames`, for sources that neither state
    sizes nor carry the images (YOLO). A frame whose size nobody knows has the size 0 × 0 and a problem.
    """

    @property
    def format(self) -> str: ...

    @property
    def count(self) -> int:
        """How many frames `frames` will give, as far as that is known without reading them."""
        ...

    @property
    def problems(self) -> list[str]:
        """What is wrong with the source as a whole, short of refusing it."""
        ...

    def classes(self) -> list[SourceClass]:
        """The classes the source declares; more may turn up in the frames (`found` of the reader)."""
        ...

    def found(self, key: str) -> SourceClass:
        """The class behind a key that a frame gave, declared or not."""
        ...

    def frames(self) -> Iterator[TruthFrame]:
        """Every frame, in the source's order; can be called again."""
        ...


class Files(Protocol):
    """The files of a source: a folder, a zip archive, or one file. Names are relative, "/" between parts."""

    @property
    def title(self) -> str:
        """The source as the user knows it: the name of the folder, the archive or the file."""
        ...

    @property
    def names(self) -> list[str]:
        """All files in natural order, hidden and system files left out."""
        ...

    def read(self, name: str, limit: int = ...) -> bytes:
        """One file whole. Raises Refused naming it when it is damaged or larger than `limit`."""
        ...

    def head(self, name: str, size: int = 4096) -> bytes:
        """The first bytes of one file."""
        ...

    def close(self) -> None: ...
