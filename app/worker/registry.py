"""The table of engines: id → where its class is, what it can do, its licence, its memory and its weights.

It imports no engine, so the web process may read it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from app.errors import Refused
from app.worker.parts import EngineInfo


@dataclass(frozen=True)
class Entry:
    """`target`: "module:Class"; the class is called with the data folder and the weights that were found.

    `packages`: modules it imports, with the `extra` of this project that brings them. `hidden`: only there
    when asked for (tests, `bench speed`).
    """

    info: EngineInfo
    target: str
    packages: tuple[str, ...] = ()
    extra: str = ""
    files: tuple[str, ...] = ()
    """Names under `<data>/weights/` where weights are looked for: files, or folders that end with `/`."""
    hub: str = ""
    """Where they are fetched from: `owner/name` of a hub repository (`owner/name:file` for one file of it) or
    an https address."""
    gated: bool = False
    """Whether the hub gives them only to people who accepted the licence there."""
    without_gpu: str = ""
    """What a person must expect where there is no GPU, to follow "No GPU was found: "."""
    hidden: bool = False
    one_way: bool = False
    """Whether a walk back between two anchors would find the same as the walk there."""

    @property
    def folder(self) -> bool:
        """Whether its weights are a folder."""
        return any(name.endswith("/") for name in self.files)


SAM_LICENCE = "SAM License (Meta)"

TABLE: dict[str, Entry] = {
    "classic": Entry(
        EngineInfo(
            id="classic",
            name="Classic",
            can=("points", "box", "reach", "track"),
            licence="Same as Pointillist",
            weights="",
            needs_mb=64,
        ),
        "app.worker.engines.classic:Classic",
    ),
    "sam3": Entry(
        EngineInfo(
            id="sam3",
            name="Segment Anything 3",
            can=("points", "box", "text", "exemplars", "track", "find"),
            licence=SAM_LICENCE,
            licence_url="https://github.com/facebookresearch/sam3/blob/main/LICENSE",
            weights="sam3.pt (3.4 GB), by path or from the hub repository facebook/sam3",
            needs_mb=3300,
        ),
        "app.worker.engines.sam3:Sam3",
        packages=("torch", "torchvision", "sam3", "psutil", "triton", "open_clip"),
        extra="sam3",
        files=("sam3.pt",),
        hub="facebook/sam3:sam3.pt",
        gated=True,
        without_gpu="on a processor each new frame takes about a minute",
    ),
    "sam2": Entry(
        EngineInfo(
            id="sam2",
            name="Segment Anything 2.1",
            can=("points", "box", "track"),
            licence="Apache-2.0",
            licence_url="https://github.com/facebookresearch/sam2/blob/main/LICENSE",
            weights="a folder with config.json and model.safetensors, by path or from the hub repository "
            "facebook/sam2.1-hiera-large",
            needs_mb=900,
        ),
        "app.worker.engines.sam2:Sam2",
        packages=("torch", "transformers"),
        extra="sam2",
        files=("sam2/",),
        hub="facebook/sam2.1-hiera-large",
        without_gpu="on a processor each new frame takes up to a minute, about 8 seconds with "
        "facebook/sam2.1-hiera-tiny",
    ),
    "deeplabv3": Entry(
        EngineInfo(
            id="deeplabv3",
            name="DeepLabv3 ResNet-101",
            can=("label",),
            licence="BSD-3-Clause",
            licence_url="https://github.com/pytorch/vision/blob/main/LICENSE",
            weights="deeplabv3_resnet101_coco-586e9e4e.pth (233 MB), by path or from download.pytorch.org",
            needs_mb=250,
        ),
        "app.worker.engines.deeplabv3:DeepLabV3",
        packages=("torch", "torchvision"),
        extra="deeplabv3",
        files=("deeplabv3_resnet101_coco-586e9e4e.pth", "deeplabv3.pth"),
        hub="https://download.pytorch.org/models/deeplabv3_resnet101_coco-586e9e4e.pth",
        without_gpu="on a processor a frame takes 5 to 20 seconds",
    ),
    "interpolate": Entry(
        EngineInfo(
            id="interpolate",
            name="Interpolation of outlines",
            can=("track",),
            licence="Same as Pointillist",
            weights="",
            needs_mb=16,
            about="It moves and bends the outline from one anchor of a track to the next, without looking at the "
            "pictures. It works only between two anchors, and only where it is chosen.",
        ),
        "app.worker.engines.interpolate:Interpolate",
        one_way=True,
    ),
    "fake": Entry(
        EngineInfo(
            id="fake",
            name="Fake (tests)",
            can=("points", "box", "reach", "text", "exemplars", "track", "find", "label", "matte"),
            licence="Same as Pointillist",
            weights="",
            needs_mb=1,
        ),
        "app.worker.engines.fake:Fake",
        hidden=True,
    ),
    "fake-solo": Entry(
        EngineInfo(
            id="fake-solo",
            name="Fake whose regions do not compete (tests)",
            can=("points", "box"),
            licence="Same as Pointillist",
            weights="fake-solo.bin, any bytes",
            needs_mb=1,
        ),
        "app.worker.engines.fake:FakeSolo",
        files=("fake-solo.bin",),
        hidden=True,
    ),
}


def fake_wanted() -> bool:
    return os.environ.get("POINTILLIST_FAKE_ENGINE", "").lower() in ("1", "true", "yes", "on")


def entry_of(engine: str, *, fake: bool = False) -> Entry:
    """Raises Refused, naming the engines there are."""
    entry = TABLE.get(engine)
    if entry is None or (entry.hidden and not fake):
        known = ", ".join(name for name, found in TABLE.items() if fake or not found.hidden)
        raise Refused(f"There is no engine {engine[:50]!r}; choose one of: {known}.")
    return entry
