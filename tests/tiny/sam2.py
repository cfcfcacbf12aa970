"""A tiny SAM 2.1 with random weights. What it answers means nothing: it proves plumbing, never accuracy.

The mask decoder is shifted so that its masks cover a part of the frame, and the score of presence so that a
track sees its object; where the masks lie and how they look stays random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers.models.sam2_video.configuration_sam2_video import Sam2VideoConfig
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel
from transformers.utils import logging

SIDE = 128
HIDDEN = 128
CARRIER = 3.0
"""Value of the mask decoder's first channel, by which its masks are shifted."""
SHARE = 0.3
"""Of the frame that a mask of the calibrating click covers."""


def config() -> Sam2VideoConfig:
    sides = [[SIDE // stride] * 2 for stride in (4, 8, 16)]
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 16,
                "image_size": [SIDE, SIDE],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [16, 32, 64, 128],
                "num_attention_heads_per_stage": [1, 1, 2, 4],
                "window_size_per_stage": [8, 4, 8, 4],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": sides,
            "fpn_hidden_size": HIDDEN,
        },
        prompt_encoder_config={"hidden_size": HIDDEN, "image_size": SIDE},
        mask_decoder_config={
            "hidden_size": HIDDEN,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
        image_size=SIDE,
        memory_attention_hidden_size=HIDDEN,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=sides[2],
        memory_encoder_hidden_size=HIDDEN,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=HIDDEN,
        memory_fuser_embed_dim=HIDDEN,
        memory_fuser_intermediate_dim=64,
    )


@torch.inference_mode()
def save(folder: Path, seed: int = 0) -> None:
    """Write `config.json` and `model.safetensors` as the published folders have them."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    model: Any = Sam2VideoModel(config()).eval()
    for value in model.parameters():
        # The package begins these with zeros, which would leave parts of the model without effect.
        if not value.any():
            value.normal_(std=0.02)
    _shift(model)
    model.save_pretrained(folder)


def _shift(model: Any) -> None:
    decoder = model.mask_decoder
    decoder.upscale_conv2.weight[:, 0] = 0
    decoder.upscale_conv2.bias[0] = CARRIER
    decoder.conv_s0.weight[0] = 0
    decoder.conv_s0.bias[0] = 0
    decoder.pred_obj_score_head.proj_out.bias += 4
    for head in decoder.output_hypernetworks_mlps:
        head.proj_out.weight *= 20
        head.proj_out.weight[0] = 0
        head.proj_out.bias[0] = 0
    image = torch.nn.functional.interpolate(torch.randn(1, 3, 9, 9), (SIDE, SIDE), mode="bilinear")
    maps = model.get_image_embeddings(image)
    sparse, dense = model.prompt_encoder(
        input_points=torch.full((1, 1, 1, 2), SIDE / 2),
        input_labels=torch.ones(1, 1, 1, dtype=torch.int32),
        input_boxes=None,
        input_masks=None,
    )
    decoder.dynamic_multimask_via_stability = False
    for several, tokens in ((False, [0]), (True, [1, 2, 3])):
        logits = decoder(
            image_embeddings=maps[-1],
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=maps[:-1],
        )[0][0, 0]
        for token, plane in zip(tokens, logits, strict=True):
            shift = -float(plane.flatten().quantile(1 - SHARE)) / CARRIER
            decoder.output_hypernetworks_mlps[token].proj_out.bias[0] = shift
