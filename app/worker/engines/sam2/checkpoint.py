"""Folders of SAM 2.1 weights: read without running code from them, compared with the model before they serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.models.sam2_video.configuration_sam2_video import Sam2VideoConfig
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel
from transformers.utils import logging

from app.errors import Unavailable
from app.worker.engines import checkpoints
from app.worker.engines.devices import memory_errors

KIND = "sam2_video"
PARTS = {"vision_config": "sam2_vision_model", "backbone_config": "sam2_hiera_det_model"}
"""Parts of the configuration → the only kind of network that may be built for them."""
POSITIONS = ("prompt_encoder.shared_embedding", "shared_image_embedding")
"""Modules that hold the same matrix; some folders keep it once."""
MAX_SIDE = 4096


def load(folder: Path, device: str) -> Any:
    """The model on `device`, in float32, for inference. Raises Unavailable, saying what is wrong, OutOfMemory."""
    config = _config(folder)
    tensors = _tensors(folder)
    logging.disable_progress_bar()
    try:
        # Without values: a wrong configuration must not cost memory before it is found out.
        with torch.device("meta"):
            wanted = Sam2VideoModel(config).state_dict()
    except (
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        ArithmeticError,
        AttributeError,
    ) as exc:
        raise _refusal(folder, "its config.json describes no network that can be built") from exc
    try:
        checkpoints.compare(wanted, tensors, known=())
    except checkpoints.Unfit as exc:
        raise _refusal(folder, exc) from exc
    with memory_errors():
        make: Any = Sam2VideoModel.from_pretrained
        model, report = make(
            None,
            config=config,
            state_dict=tensors,
            dtype=torch.float32,
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        if left := [*report["missing_keys"], *report["mismatched_keys"]]:
            raise _refusal(folder, f"{len(left)} weights could not be filled in ({left[0]} …)")
        return model.eval().requires_grad_(False).to(device)


def _config(folder: Path) -> Sam2VideoConfig:
    path = folder / "config.json"
    if not path.is_file():
        raise _refusal(folder, "there is no config.json in it")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise _refusal(folder, "its config.json cannot be read") from exc
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind == "sam2":
        raise _refusal(folder, "it holds the part for images alone (model_type sam2); tracks need sam2_video")
    if not isinstance(content, dict) or kind != KIND:
        raise _refusal(
            folder, f"its config.json is that of another model ({str(kind)[:40]!r}); {KIND} is needed"
        )
    vision = content.get("vision_config")
    backbone = vision.get("backbone_config") if isinstance(vision, dict) else None
    for part, found in (("vision_config", vision), ("backbone_config", backbone)):
        if isinstance(found, dict) and found.get("model_type", PARTS[part]) != PARTS[part]:
            raise _refusal(folder, f"the {part} in its config.json is of another kind than {PARTS[part]}")
    # Weights in other formats would be unpacked by other packages.
    content.pop("quantization_config", None)
    try:
        config = Sam2VideoConfig.from_dict(content)
    except Exception as exc:  # the package's checks raise classes of several other packages
        raise _refusal(folder, "its config.json has values that this model does not take") from exc
    side = config.image_size
    if not isinstance(side, int) or not 16 <= side <= MAX_SIDE:
        raise _refusal(folder, f"its config.json asks for images of {str(side)[:40]} pixels")
    return config


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "model.safetensors"
    if not path.is_file():
        pickled = any(path.suffix in (".bin", ".pt", ".pth") for path in folder.iterdir())
        beside = "; files in other formats are not opened" if pickled else ""
        raise _refusal(folder, f"it needs model.safetensors{beside}")
    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError) as exc:
        raise _refusal(folder, "its model.safetensors is damaged or cut off; fetch it again") from exc
    one, other = (f"{module}.positional_embedding" for module in POSITIONS)
    for have, lack in ((one, other), (other, one)):
        if have in found and lack not in found:
            found[lack] = found[have].clone()
    return found


def _refusal(folder: Path, why: object) -> Unavailable:
    return Unavailable(f"The weights in {folder} cannot serve the engine sam2: {why}.")
