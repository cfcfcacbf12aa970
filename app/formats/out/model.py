"""What every writer of an export gets and gives: frames one at a time, then what belongs to all of them.

A frame becomes files by a pure step, so that it can be repeated after a kill; what the whole export needs to
know of a frame is one of those files too, a *fragment*, whose name begins with "@". Fragments are not packed:
`Writer.finish` reads them again, in order, and streams the files that concern all frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from app.formats.out.options import Objects, Options
from app.models import ClassDef, Track


@dataclass(frozen=True, slots=True)
class RegionOut:
    """A region as far as an export shows it. `track`: the number of its track in the project, from 1."""

    id: str
    class_id: int
    track: int | None = None
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str | int]:
        """The attributes, and the track as `track_id`."""
        return {**self.attributes} if self.track is None else {**self.attributes, "track_id": self.track}


@dataclass(slots=True, eq=False)
class FrameOut:
    """One frame to be written.

    `position`: 0-based among the exported frames; `folder`: of its asset, "" where there is only one asset;
    `sequence`: the asset's name as a file name; `name`: unique in its asset; `suffix`: of its image (".jpg").
    `winners`: (H, W) uint16, position in `regions` + 1 of the region that is seen, 0 unlabelled;
    `label_map`: (H, W) uint16 class ids.
    """

    position: int
    index: int
    sequence: str
    folder: str
    name: str
    suffix: str
    label_map: NDArray[np.uint16]
    winners: NDArray[np.uint16]
    regions: list[RegionOut]

    @property
    def path(self) -> str:
        """Folder and name, without suffix."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def height(self) -> int:
        return int(self.label_map.shape[0])

    @property
    def width(self) -> int:
        return int(self.label_map.shape[1])


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for a whole export. `tracks`: number n is the n-th.

    `survey` gives (sequence, regions) of every frame, in order, without pixels; it can be called again.
    """

    format: str
    title: str
    classes: list[ClassDef]
    tracks: list[Track]
    options: Options
    objects: Objects
    split: str
    survey: Callable[[], Iterator[tuple[str, list[RegionOut]]]]


Files = dict[str, bytes]
"""File name ("/" between folders) → content; names that begin with "@" are fragments."""

Pages = Callable[[], Iterable[Files]]
"""Gives the files of every frame again, in order."""

Streamed = Iterator[tuple[str, Iterable[bytes]]]
"""Names of files and their content in pieces; a content must be used up before the next name is asked for."""


class Writer(Protocol):
    """Writes one export. Making one raises Refused where the template does not suit the format."""

    notes: list[str]
    """What the user should know; complete after `finish` is used up."""

    def frame_files(self, frame: FrameOut) -> Files:
        """The files of a frame. Depends on the frame and the plan alone."""
        ...

    def image_name(self, frame: FrameOut) -> str:
        """Where the frame's image belongs, where images are wanted."""
        ...

    def finish(self, pages: Pages) -> Streamed:
        """The files that concern all frames."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """One object seen in a frame: `mask` (h, w) bool with its top left pixel at (x0, y0), tightly cut.

    `region` None where it stands for all pixels of the class.
    """

    class_id: int
    mask: NDArray[np.bool_]
    x0: int
    y0: int
    region: RegionOut | None = None


def things(frame: FrameOut, objects: Objects) -> Iterator[Thing]:
    """What is seen in a frame: one thing a class, by class id, or one a region, in their order."""
    source = frame.label_map if objects == "class" else frame.winners
    for number, box in enumerate(find_objects(source), 1):
        if box is None:
            continue
        region = None if objects == "class" else frame.regions[number - 1]
        yield Thing(
            class_id=region.class_id if region else number,
            mask=source[box] == number,
            x0=box[1].start,
            y0=box[0].start,
            region=region,
        )


def classes_file(plan: Plan, **facts: Any) -> tuple[str, list[bytes]]:
    """`classes.json`: what the classes are, with their colours, which most formats cannot say."""
    more = facts.pop("more", {})
    rows = [
        {
            "id": c.id,
            "name": c.name,
            "colour": c.colour,
            "value": c.exported_value,
            "priority": c.priority,
            "parent": c.parent,
            **more.get(c.id, {}),
        }
        for c in plan.classes
    ]
    return "classes.json", [pretty({**facts, "classes": rows})]


def pretty(value: Any) -> bytes:
    """JSON for people: indented, with a line end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def fragments(pages: Pages, name: str) -> Iterator[bytes]:
    """The fragments of that name of all frames that have one."""
    for page in pages():
        if name in page:
            yield page[name]


def json_array(items: Iterable[bytes]) -> Iterator[bytes]:
    """A JSON array of encoded items, one a line, without holding them."""
    yield b"["
    for number, item in enumerate(items):
        yield (b",\n" if number else b"\n") + item
    yield b"\n]"
