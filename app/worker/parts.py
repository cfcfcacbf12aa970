"""What the messages of the pipe are made of, and their base. Nothing heavy may be imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.models import FrameId, Geometry, Id


class FrameRef(Struct, kw_only=True):
    """One image. `path` relative to the data folder or absolute inside it; `hash` identifies its content."""

    id: FrameId
    path: str
    hash: str
    width: Annotated[int, Meta(ge=1, le=65535)]
    height: Annotated[int, Meta(ge=1, le=65535)]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height, self.width


class RegionSpec(Struct, kw_only=True):
    """What rendering needs of a region. `order`: position of its class in the class template (ties of
    priority). `engine`, `weights`: those that certified its mask, as `app.mask_key.certifier` says them.
    """

    id: Id
    class_id: int
    priority: int
    order: int
    geometry: Geometry
    engine: str = ""
    weights: str = ""


Ability = Literal["points", "box", "reach", "text", "exemplars", "track", "find", "label", "matte"]
"""What an engine can do: prompts it understands, `track` masks through a video, `find` text in a video,
`label` whole frames by its own classes, `matte` masks into alphas."""


class EngineInfo(Struct, kw_only=True):
    """An engine as the pages and the doctor show it. `needs_mb` is the memory it takes beside frame
    features.
    """

    id: str
    name: str
    can: tuple[Ability, ...]
    licence: str
    weights: str
    """Where its weights come from; empty where it needs none."""
    needs_mb: int
    available: bool = True
    state: Literal["ready", "no-package", "no-weights", "bad-weights"] = "ready"
    reason: str = ""
    """Why it cannot run, in a sentence."""
    step: str = ""
    """The exact next step that would make it run, in words that end with `command` where there is one."""
    command: str = ""
    """The command of that step, to copy."""
    note: str = ""
    """What to know although it can run (no GPU: it will be slow)."""
    about: str = ""
    """What else to know of it, in a sentence or two."""
    licence_url: str = ""
    weights_licence: str = ""
    """Of its weights, where it is another than `licence`."""
    weights_licence_url: str = ""
    in_worker: bool = True
    """False where it runs in the consumer of jobs: it is never loaded or unloaded then."""
    file: str = ""
    """The weights in use: a path, empty where there are none."""
    sha256: str = ""
    """Of the weights in use; empty where not computed yet."""


class Message(Struct, kw_only=True, tag_field="type", tag=str.lower):
    """Base of everything on the pipe. `request` 0: nobody waits for an answer."""

    request: int = 0
