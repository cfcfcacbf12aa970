"""A tiny VideoMaMa with random weights. What it answers means nothing: it proves plumbing, never accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel

DOWN = ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal")
UP = ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal")


@torch.inference_mode()
def save(folder: Path, seed: int = 0) -> None:
    """Write `unet` and `vae` as the published folders have them."""
    torch.manual_seed(seed)
    unet: Any = UNetSpatioTemporalConditionModel(
        in_channels=12,
        down_block_types=DOWN,
        up_block_types=UP,
        block_out_channels=(32, 64),
        addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=96,
        layers_per_block=1,
        cross_attention_dim=32,
        num_attention_heads=(1, 2),
    )
    vae: Any = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4,
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
    )
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae", variant="fp16")
