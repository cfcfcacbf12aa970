"""A network of one layer."""

from __future__ import annotations

from typing import Any

import torch


class MatAnyone2(torch.nn.Module):
    def __init__(self, cfg: Any, *, single_object: bool = False) -> None:
        super().__init__()
        if not single_object:
            raise ValueError("one network for one object was expected")
        if {"defaults", "hydra"} & set(cfg):
            raise ValueError("the parts of hydra were not taken out")
        if cfg.model.get("pretrained_resnet", True):
            raise ConnectionError("this would download weights")
        self.cfg = cfg
        self.layer = torch.nn.Linear(cfg.model.width, 1)
