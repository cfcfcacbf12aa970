"""Folders of VideoMaMa's weights: read without running code from them, compared with the models before they serve.

A folder holds `unet` as its authors published it, and `vae` as Stable Video Diffusion has it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from diffusers.utils import logging
from safetensors import SafetensorError
from safetensors.torch import load_file

from app.errors import Unavailable
from app.worker.engines import checkpoints
from app.worker.engines.devices import memory_errors
from app.worker.registry import TABLE
from app.worker.weight_files import file_of

CHANNELS = 12
"""Of the denoiser's input: noise, the frame and its mask, four each."""
OTHERS = {8: "those of Stable Video Diffusion itself", 9: "the variant that takes a mask of one channel"}
LATENT = 4


def unet(folder: Path, device: str, dtype: torch.dtype) -> Any:
    """The denoiser for inference. Raises Unavailable, saying what is wrong, OutOfMemory."""
    config = _config(folder, "unet", UNetSpatioTemporalConditionModel.__name__)
    channels = config.get("in_channels")
    if channels != CHANNELS:
        known = f" ({OTHERS[channels]})" if isinstance(channels, int) and channels in OTHERS else ""
        raise _refusal(
            folder,
            f"its denoiser takes {str(channels)[:20]} channels{known}, not the {CHANNELS} of VideoMaMa",
        )
    if config.get("out_channels", LATENT) != LATENT or not isinstance(
        config.get("cross_attention_dim", 1024), int
    ):
        raise _refusal(folder, "unet/config.json describes another model")
    return _filled(UNetSpatioTemporalConditionModel, folder, "unet", config).to(device, dtype)


def vae(folder: Path, device: str, dtype: torch.dtype) -> Any:
    """The encoder in 32 bits, because it overflows in 16, and the decoder in `dtype`. Raises as `unet` does."""
    config = _config(folder, "vae", AutoencoderKLTemporalDecoder.__name__)
    sides = config.get("block_out_channels")
    if config.get("latent_channels", LATENT) != LATENT or not isinstance(sides, list) or len(sides) != 4:
        raise _refusal(folder, "vae/config.json describes another model than that of Stable Video Diffusion")
    model = _filled(AutoencoderKLTemporalDecoder, folder, "vae", config).to(device, torch.float32)
    model.decoder.to(dtype)
    return model


def _filled(kind: Any, folder: Path, part: str, config: dict[str, Any]) -> Any:
    logging.set_verbosity_error()
    try:
        # Without values: filling a large model with random ones takes minutes.
        with torch.device("meta"):
            model = kind.from_config(config)
    except Exception as exc:  # the package's checks raise classes of several other packages
        raise _refusal(folder, f"{part}/config.json describes no model that can be built") from exc
    tensors = _tensors(folder, part)
    try:
        checkpoints.compare(model.state_dict(), tensors, known=())
    except checkpoints.Unfit as exc:
        raise _refusal(folder, f"in {part}, {exc}") from exc
    with memory_errors():
        model.load_state_dict(tensors, strict=True, assign=True)
        return model.eval().requires_grad_(False)


def _config(folder: Path, part: str, kind: str) -> dict[str, Any]:
    path = folder / part / "config.json"
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise _refusal(folder, f"there is no {part}/config.json in it") from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise _refusal(folder, f"its {part}/config.json cannot be read") from exc
    found = content.get("_class_name") if isinstance(content, dict) else None
    if found != kind:
        raise _refusal(
            folder, f"its {part}/config.json is that of another model ({str(found)[:50]!r}); {kind} is needed"
        )
    # Weights in other formats would be unpacked by other packages.
    content.pop("quantization_config", None)
    return content


def _tensors(folder: Path, part: str) -> dict[str, torch.Tensor]:
    file = next(
        file_of(folder, one)
        for one in TABLE["videomama"].parts
        if one.name.startswith(f"{part}/") and one.name.endswith(".safetensors")
    )
    if file is None:
        raise _refusal(
            folder, f"there is no file of weights (safetensors) in {part}; other formats are not opened"
        )
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as exc:
        raise _refusal(folder, f"{part}/{file.name} is damaged or cut off; fetch it again") from exc


def _refusal(folder: Path, why: object) -> Unavailable:
    return Unavailable(f"The weights in {folder} cannot serve the engine videomama: {why}.")
