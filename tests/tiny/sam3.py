"""A tiny SAM 3 with random weights. What it answers means nothing: it proves plumbing, never accuracy.

Some biases of the heads are set so that its masks are neither empty nor the whole frame and a text has a few
instances; where they lie and how they look stays random.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from app.worker.engines.sam3.build import Architecture, build
from app.worker.engines.sam3.checkpoint import published
from app.worker.engines.sam3.cpu import calling
from app.worker.engines.sam3.features import Encoder

CARRIER = 3.0
"""Value of the mask decoder's first channel, by which its masks are shifted."""
SHARE = 0.25
"""Of the frame that a mask of the calibrating click covers."""
INSTANCES = 3
CELLS = (2, 8, 24, 48)
"""Sizes of the spots in the pictures that the biases are fitted on."""


def save(path: Path, seed: int = 0) -> None:
    """Write a checkpoint as the published one is laid out, with the architecture that makes it loadable."""
    torch.manual_seed(seed)
    architecture = Architecture()
    model = build(architecture, "cpu")
    encoder = Encoder(model, "cpu")
    states = [encoder.processor.set_image(_picture(cell)) for cell in CELLS]
    _shift_masks(model, states[0])
    _fit_detector(model, encoder, states)
    torch.save({"model": published(model.state_dict()), "architecture": asdict(architecture)}, path)


def _shift_masks(model: Any, state: dict[str, Any]) -> None:
    """Let every mask of the interactive head cover some of the frame."""
    decoder = model.inst_interactive_predictor.model.sam_mask_decoder
    decoder.output_upscaling[3].weight[:, 0] = 0
    decoder.output_upscaling[3].bias[0] = CARRIER
    decoder.conv_s0.weight[0] = 0
    decoder.conv_s0.bias[0] = 0
    for head in decoder.output_hypernetworks_mlps:
        head.layers[-1].weight[0] = 0
        head.layers[-1].bias[0] = 0
    click = {"point_coords": torch.tensor([[64.0, 48.0]]), "point_labels": torch.tensor([1])}
    for several, tokens in ((False, [0]), (True, [1, 2, 3])):
        with calling("cpu"):
            logits = model.predict_inst(state, **click, multimask_output=several, return_logits=True)[2]
        for token, plane in zip(tokens, logits, strict=True):
            shift = -float(torch.from_numpy(plane).quantile(1 - SHARE)) / CARRIER
            decoder.output_hypernetworks_mlps[token].layers[-1].bias[0] = shift


def _fit_detector(model: Any, encoder: Encoder, states: list[dict[str, Any]]) -> None:
    """Let the detector be sure that there is something, its first few queries score well, and all have a
    mask.
    """
    model.transformer.decoder.presence_token_head.layers[-1].bias += 4
    head = model.segmentation_head
    head.instance_seg_head.weight[0] = 0
    head.instance_seg_head.bias[0] = CARRIER
    last = head.mask_predictor.mask_embed.layers[-1]
    last.weight[0] = 0
    last.bias[0] = 0
    queries, masks = [], []
    for state in states:
        for words in ("disc", "a red car", "something"):
            with calling("cpu"):
                found = model.forward_grounding(
                    backbone_out={
                        **state["backbone_out"],
                        **model.backbone.forward_text([words], device="cpu"),
                    },
                    find_input=encoder.processor.find_stage,
                    geometric_prompt=model._get_dummy_prompt(),
                    find_target=None,
                )
            queries.append(found["queries"][0])
            masks.append(found["pred_masks"][0].flatten(1))
    last.bias[0] = -float(torch.cat(masks).quantile(1 - SHARE / 2, dim=1).median()) / CARRIER

    rows = torch.cat(queries).clone()
    wanted = torch.where(torch.arange(len(rows)) % len(queries[0]) < INSTANCES, 1.8, -2.4)
    rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
    fitted = torch.linalg.lstsq(rows.T @ rows + 0.1 * torch.eye(rows.shape[1]), rows.T @ wanted).solution
    scoring = model.dot_prod_scoring
    direction = torch.nn.functional.normalize(torch.randn(scoring.d_proj), dim=0)
    scoring.prompt_proj.weight *= 0.1
    scoring.prompt_proj.bias[:] = direction * scoring.d_proj**0.5
    scoring.hs_proj.weight[:] = torch.outer(direction, fitted[:-1])
    scoring.hs_proj.bias[:] = direction * fitted[-1]


def _picture(cell: int) -> torch.Tensor:
    """(3, 96, 128) uint8: random colours in soft spots of `cell` pixels."""
    colours = torch.rand(1, 3, 96 // cell + 1, 128 // cell + 1)
    return (255 * torch.nn.functional.interpolate(colours, (96, 128), mode="bilinear")[0]).byte()
