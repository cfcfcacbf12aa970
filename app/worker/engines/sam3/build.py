"""The model of the package sam3: at its published size, or at another one that a checkpoint describes.

One image model with its interactive head; that head's model is the tracker, so one pass of the vision backbone
serves clicks, text and tracks.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from sam3 import model_builder as package
from sam3.model.geometry_encoders import SequenceGeometryEncoder
from sam3.model.position_encoding import PositionEmbeddingSine
from sam3.model.sam3_tracking_predictor import Sam3TrackerPredictor
from sam3.model.vitdet import ViT

from app.errors import Unavailable
from app.worker.engines.sam3.cpu import building

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
HEADS = 8
"""Attention heads of everything but the backbones; the mask decoder of the package fixes them."""


@dataclass(frozen=True)
class Architecture:
    """A size of the model. `size`: side of the square input in pixels; widths are channels."""

    size: int = 112
    patch: int = 14
    vision_width: int = 64
    vision_layers: int = 2
    vision_heads: int = 2
    text_width: int = 32
    text_layers: int = 2
    text_heads: int = 2
    width: int = 32
    hidden: int = 64
    layers: int = 2
    queries: int = 10
    memory_width: int = 16

    @property
    def side(self) -> int:
        """Patches along a side of the input."""
        return self.size // self.patch

    @classmethod
    def read(cls, value: object) -> Architecture:
        """From a checkpoint. Raises ValueError where it is none or larger than the published model."""
        names = [field.name for field in fields(cls)]
        if not isinstance(value, dict) or sorted(value, key=str) != sorted(names):
            raise ValueError("it does not state " + ", ".join(names))
        if any(type(number) is not int or not 1 <= number <= LARGEST[name] for name, number in value.items()):
            raise ValueError("its numbers are not those of a model of this kind")
        read = cls(**value)
        if read.size % read.patch or read.side < 4 or read.width % 32 or read.width % read.memory_width:
            raise ValueError("its sizes do not divide")
        if read.memory_width % 4 or read.vision_width % (4 * read.vision_heads):
            raise ValueError("its widths do not divide by four, as positions need")
        if read.text_width % read.text_heads:
            raise ValueError("its widths do not divide by its heads")
        return read


LARGEST = {
    "size": 1008,
    "patch": 16,
    "vision_width": 1024,
    "vision_layers": 32,
    "vision_heads": 16,
    "text_width": 1024,
    "text_layers": 24,
    "text_heads": 16,
    "width": 256,
    "hidden": 2048,
    "layers": 6,
    "queries": 200,
    "memory_width": 64,
}


def build(architecture: Architecture | None, device: str) -> Any:
    """The package's Sam3Image with random weights, in evaluation mode; None means the published size.

    Raises Unavailable where the vocabulary is missing, OutOfMemory.
    """
    with building(device), warnings.catch_warnings():
        # The tracker enters CUDA's autocast even where there is no CUDA, and torch says so.
        warnings.filterwarnings("ignore", message=".*CUDA is not available.*")
        if architecture is None:
            model: Any = package.build_sam3_image_model(
                bpe_path=str(vocabulary()),
                device=device,
                load_from_HF=False,
                checkpoint_path=None,
                enable_inst_interactivity=True,
            )
        else:
            model = _assemble(architecture).to(device).eval()
        text = model.backbone.language_backbone.encoder
        # The package leaves these without values, even without numbers.
        torch.nn.init.normal_(text.positional_embedding, std=0.01)
        torch.nn.init.normal_(text.text_projection, std=text.width**-0.5)
    # The tracker never leaves the autocast that it enters: other engines share this thread.
    model.inst_interactive_predictor.model.bf16_context.__exit__(None, None, None)
    return model.requires_grad_(False)


def vocabulary() -> Path:
    """The byte pair vocabulary, which the package sam3 lacks and open_clip brings. Raises Unavailable."""
    spec = importlib.util.find_spec("open_clip")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / VOCABULARY).is_file():
            return path
    raise Unavailable(f"The engine sam3 needs the package open_clip_torch, which brings {VOCABULARY}.")


def _assemble(a: Architecture) -> Any:
    vision = package.Sam3DualViTDetNeck(
        position_encoding=_positions(a.width),
        d_model=a.width,
        scale_factors=[4.0, 2.0, 1.0, 0.5],
        trunk=_vision(a),
        add_sam2_neck=True,
    )
    text = package.VETextEncoder(
        tokenizer=package.SimpleTokenizer(bpe_path=str(vocabulary())),
        d_model=a.width,
        width=a.text_width,
        heads=a.text_heads,
        layers=a.text_layers,
    )
    predictor = package.SAM3InteractiveImagePredictor(_tracker(a))
    predictor._bb_feat_sizes = [(scale * a.side, scale * a.side) for scale in (4, 2, 1)]
    return package.Sam3Image(
        backbone=package.SAM3VLBackbone(visual=vision, text=text, scalp=1),
        transformer=_detector(a),
        input_geometry_encoder=_geometry(a),
        segmentation_head=_masks(a),
        num_feature_levels=1,
        o2m_mask_predict=True,
        dot_prod_scoring=package.DotProductScoring(
            d_model=a.width,
            d_proj=a.width,
            prompt_mlp=package.MLP(
                a.width,
                a.hidden,
                a.width,
                2,
                dropout=0.1,
                residual=True,
                out_norm=torch.nn.LayerNorm(a.width),
            ),
        ),
        use_instance_query=False,
        multimask_output=True,
        inst_interactive_predictor=predictor,
        matcher=None,
    )


def _positions(width: int) -> PositionEmbeddingSine:
    return PositionEmbeddingSine(num_pos_feats=width, normalize=True, scale=None, temperature=10000)


def _attention(a: Architecture, **more: Any) -> Any:
    return package.MultiheadAttention(num_heads=HEADS, dropout=0.1, embed_dim=a.width, **more)


def _vision(a: Architecture) -> ViT:
    return ViT(
        img_size=a.size,
        pretrain_img_size=a.size,
        patch_size=a.patch,
        embed_dim=a.vision_width,
        depth=a.vision_layers,
        num_heads=a.vision_heads,
        mlp_ratio=2.0,
        norm_layer="LayerNorm",
        qkv_bias=True,
        use_abs_pos=True,
        tile_abs_pos=True,
        global_att_blocks=(a.vision_layers - 1,),
        rel_pos_blocks=(),
        use_rope=True,
        use_interp_rope=True,
        window_size=max(1, a.side // 2),
        pretrain_use_cls_token=True,
        retain_cls_token=False,
        ln_pre=True,
        bias_patch_embed=False,
    )


def _detector(a: Architecture) -> Any:
    encoder = package.TransformerEncoderFusion(
        layer=package.TransformerEncoderLayer(
            activation="relu",
            d_model=a.width,
            dim_feedforward=a.hidden,
            dropout=0.1,
            pos_enc_at_attn=True,
            pos_enc_at_cross_attn_keys=False,
            pos_enc_at_cross_attn_queries=False,
            pre_norm=True,
            self_attention=_attention(a, batch_first=True),
            cross_attention=_attention(a, batch_first=True),
        ),
        num_layers=a.layers,
        d_model=a.width,
        num_feature_levels=1,
        frozen=False,
        use_act_checkpoint=True,
        add_pooled_text_to_img_feat=False,
        pool_text_with_mask=True,
    )
    decoder = package.TransformerDecoder(
        layer=package.TransformerDecoderLayer(
            activation="relu",
            d_model=a.width,
            dim_feedforward=a.hidden,
            dropout=0.1,
            cross_attention=_attention(a),
            n_heads=HEADS,
            use_text_cross_attention=True,
        ),
        num_layers=a.layers,
        num_queries=a.queries,
        return_intermediate=True,
        box_refine=True,
        num_o2m_queries=0,
        dac=True,
        boxRPB="log",
        d_model=a.width,
        frozen=False,
        interaction_layer=None,
        dac_use_selfatt_ln=True,
        use_act_checkpoint=True,
        presence_token=True,
    )
    return package.TransformerWrapper(encoder=encoder, decoder=decoder, d_model=a.width)


def _geometry(a: Architecture) -> SequenceGeometryEncoder:
    return SequenceGeometryEncoder(
        pos_enc=_positions(a.width),
        encode_boxes_as_points=False,
        points_direct_project=True,
        points_pool=True,
        points_pos_enc=True,
        boxes_direct_project=True,
        boxes_pool=True,
        boxes_pos_enc=True,
        d_model=a.width,
        num_layers=a.layers,
        layer=package.TransformerEncoderLayer(
            activation="relu",
            d_model=a.width,
            dim_feedforward=a.hidden,
            dropout=0.1,
            pos_enc_at_attn=False,
            pre_norm=True,
            self_attention=_attention(a, batch_first=False),
            pos_enc_at_cross_attn_queries=False,
            pos_enc_at_cross_attn_keys=True,
            cross_attention=_attention(a, batch_first=False),
        ),
        use_act_ckpt=True,
        add_cls=True,
        add_post_encode_proj=True,
    )


def _masks(a: Architecture) -> Any:
    return package.UniversalSegmentationHead(
        hidden_dim=a.width,
        upsampling_stages=3,
        aux_masks=False,
        presence_head=False,
        dot_product_scorer=None,
        act_ckpt=True,
        cross_attend_prompt=package.MultiheadAttention(num_heads=HEADS, dropout=0, embed_dim=a.width),
        pixel_decoder=package.PixelDecoder(
            num_upsampling_stages=3, interpolation_mode="nearest", hidden_dim=a.width
        ),
    )


def _memory(a: Architecture) -> Any:
    block = package.CXBlock(
        dim=a.width, kernel_size=7, padding=3, layer_scale_init_value=1e-6, use_dwconv=True
    )
    return package.SimpleMaskEncoder(
        in_dim=a.width,
        out_dim=a.memory_width,
        position_encoding=_positions(a.memory_width),
        mask_downsampler=package.SimpleMaskDownSampler(
            embed_dim=a.width, kernel_size=3, stride=2, padding=1, interpol_size=[16 * a.side, 16 * a.side]
        ),
        fuser=package.SimpleFuser(layer=block, num_layers=2),
    )


def _tracker(a: Architecture) -> Sam3TrackerPredictor:
    def rope(**more: Any) -> Any:
        return package.RoPEAttention(
            embedding_dim=a.width,
            num_heads=1,
            downsample_rate=1,
            dropout=0.1,
            rope_theta=10000.0,
            feat_sizes=[a.side, a.side],
            use_fa3=False,
            use_rope_real=False,
            **more,
        )

    encoder = package.TransformerEncoderCrossAttention(
        remove_cross_attention_layers=[],
        batch_first=True,
        d_model=a.width,
        frozen=False,
        pos_enc_at_input=True,
        layer=package.TransformerDecoderLayerv2(
            cross_attention_first=False,
            activation="relu",
            dim_feedforward=a.hidden,
            dropout=0.1,
            pos_enc_at_attn=False,
            pre_norm=True,
            self_attention=rope(),
            d_model=a.width,
            pos_enc_at_cross_attn_keys=True,
            pos_enc_at_cross_attn_queries=False,
            cross_attention=rope(kv_in_dim=a.memory_width, rope_k_repeat=True),
        ),
        num_layers=a.layers,
        use_act_checkpoint=False,
    )
    return Sam3TrackerPredictor(
        image_size=a.size,
        num_maskmem=7,
        backbone=None,
        backbone_stride=a.patch,
        transformer=package.TransformerWrapper(encoder=encoder, decoder=None, d_model=a.width),
        maskmem_backbone=_memory(a),
        multimask_output_in_sam=True,
        forward_backbone_per_frame_for_eval=True,
        trim_past_non_cond_mem_for_eval=False,
        multimask_output_for_tracking=True,
        multimask_min_pt_num=0,
        multimask_max_pt_num=1,
        always_start_from_first_ann_frame=False,
        non_overlap_masks_for_mem_enc=False,
        non_overlap_masks_for_output=False,
        max_cond_frames_in_attn=4,
        offload_output_to_cpu_for_eval=False,
        sam_mask_decoder_extra_args={
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
        clear_non_cond_mem_around_input=True,
        fill_hole_area=0,
        use_memory_selection=False,
    )
