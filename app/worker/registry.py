"""The table of engines: id → where its class is, what it can do, its licence, its memory and its weights.

It imports no engine, so the web process may read it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from app.errors import Refused
from app.worker.parts import EngineInfo


@dataclass(frozen=True)
class Part:
    """A file in a folder of weights. `name`: relative to the folder; `others`: names it may have instead.

    `hub`: the hub repository that has it under `name`, where that is another than the folder's.
    """

    name: str
    others: tuple[str, ...] = ()
    hub: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.others)


@dataclass(frozen=True)
class Guest:
    """A package that this project neither ships nor installs by an extra, because of its licence.

    `modules`: names it may have, the first is preferred; `needs`: modules that it imports; `terms`: its licence in
    words; `install`: arguments of the runs of pip that bring it, one after the other.
    """

    modules: tuple[str, ...]
    needs: tuple[str, ...]
    terms: str
    install: tuple[tuple[str, ...], ...]


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
    guest: Guest | None = None
    place: Literal["worker", "consumer"] = "worker"
    """The process it runs in. One of the consumer is no class of the worker: its `target` is empty."""
    files: tuple[str, ...] = ()
    """Names under `<data>/weights/` where weights are looked for: files, or folders that end with `/`."""
    parts: tuple[Part, ...] = (Part("config.json"), Part("model.safetensors"))
    """What a folder of weights must hold."""
    hub: str = ""
    """Where they are fetched from: `owner/name` of a hub repository (`owner/name:file` for one file of it) or
    an https address."""
    gated: bool = False
    """Whether the hub gives them only to people who accepted the licence there."""
    gate: str = ""
    """The hub repository whose licence that is, where it is another than `hub`."""
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
MATANYONE_LICENCE = "NTU S-Lab License 1.0 (non-commercial)"
SVD = "stabilityai/stable-video-diffusion-img2vid-xt"

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
    "matte-fast": Entry(
        EngineInfo(
            id="matte-fast",
            name="Guided filter",
            can=("matte",),
            licence="Same as Pointillist",
            weights="",
            needs_mb=300,
            about="It refines the edge of any mask by the colours on either side of it. It knows nothing of motion.",
        ),
        "",
        place="consumer",
    ),
    "matte-fine": Entry(
        EngineInfo(
            id="matte-fine",
            name="Closed-form matting",
            can=("matte",),
            licence="Same as Pointillist",
            weights="",
            needs_mb=600,
            about="It solves for the alpha of the edge of any mask, frame by frame: finer than matte-fast, and slower.",
        ),
        "",
        place="consumer",
    ),
    "matanyone": Entry(
        EngineInfo(
            id="matanyone",
            name="MatAnyone",
            can=("matte",),
            licence=MATANYONE_LICENCE,
            licence_url="https://github.com/pq-yang/MatAnyone2/blob/main/LICENSE",
            weights_licence=MATANYONE_LICENCE,
            weights_licence_url="https://github.com/pq-yang/MatAnyone2/blob/main/LICENSE",
            weights="matanyone2.pth (141 MB), by path or from the releases of pq-yang/MatAnyone2",
            needs_mb=200,
            about="It follows a person through the video from one mask or several. Its frames are seen with a short "
            "side of 1080 px at most.",
        ),
        "app.worker.engines.matanyone:MatAnyone",
        packages=("torch", "torchvision"),
        extra="deeplabv3",
        guest=Guest(
            modules=("matanyone2", "matanyone"),
            needs=("omegaconf", "huggingface_hub", "imageio", "tqdm"),
            terms=f"It has a licence of its own, {MATANYONE_LICENCE}, so Pointillist does not bring it along",
            # What the package itself demands cannot be installed beside this project.
            install=(
                ("--no-deps", "matanyone2-runtime==0.2.0"),
                ("omegaconf", "huggingface_hub", "imageio", "tqdm"),
            ),
        ),
        files=("matanyone2.pth", "matanyone.pth"),
        hub="https://github.com/pq-yang/MatAnyone2/releases/download/v1.0.0/matanyone2.pth",
        without_gpu="on a processor a frame of 512×288 px takes about 1.5 seconds, one of 1920×1080 px about 20",
    ),
    "videomama": Entry(
        EngineInfo(
            id="videomama",
            name="VideoMaMa",
            can=("matte",),
            licence="Same as Pointillist; it uses diffusers (Apache-2.0)",
            licence_url="https://github.com/huggingface/diffusers/blob/main/LICENSE",
            weights_licence="Stability AI Community License; the authors' code is CC BY-NC 4.0 (non-commercial)",
            weights_licence_url="https://github.com/cvlab-kaist/VideoMaMa#-license",
            weights="a folder with unet/ and vae/, by path or from the hub repositories SammyLim/VideoMaMa and "
            f"{SVD}",
            needs_mb=3300,
            about="It needs a mask of the object on every frame: track it first. It works on 16 frames at once, and on "
            "tiles where they are larger than 1024×576 px.",
        ),
        "app.worker.engines.videomama:VideoMaMa",
        packages=("torch", "diffusers", "safetensors"),
        extra="videomama",
        files=("videomama/",),
        # Fetched in this order: a licence that was not accepted shows before the large file.
        parts=(
            Part(
                "vae/diffusion_pytorch_model.fp16.safetensors",
                others=("vae/diffusion_pytorch_model.safetensors",),
                hub=SVD,
            ),
            Part("vae/config.json", hub=SVD),
            Part("unet/diffusion_pytorch_model.safetensors"),
            Part("unet/config.json"),
        ),
        hub="SammyLim/VideoMaMa",
        gated=True,
        gate=SVD,
        without_gpu="on a processor 16 frames take many minutes",
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
