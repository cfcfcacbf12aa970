"""The fitted coefficients: small networks read from one NumPy archive without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from app.algo.classic.borders import Mlp

TABLE = Path(__file__).with_name("coefficients.npz")
PARTS = ("border", "first", "second")


@dataclass(frozen=True)
class Model:
    """border: border features → logit of an object boundary; first, second: superpixel features → logit of
    belonging to the object before and after re-estimation."""

    border: Mlp
    first: Mlp
    second: Mlp


def pack(networks: dict[str, Mlp]) -> dict[str, np.ndarray]:
    """Networks → named arrays for `np.savez`; weights are kept in half precision."""
    arrays: dict[str, np.ndarray] = {}
    for name, net in networks.items():
        arrays[f"{name}.mean"] = net.mean.astype(np.float32)
        arrays[f"{name}.scale"] = net.scale.astype(np.float32)
        for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            arrays[f"{name}.w{i}"] = weight.astype(np.float16)
            arrays[f"{name}.b{i}"] = bias.astype(np.float32)
    return arrays


def unpack(arrays: dict[str, np.ndarray], name: str) -> Mlp:
    """The network called `name` of `pack`."""
    layers = sum(1 for key in arrays if key.startswith(f"{name}.w"))
    return Mlp(
        arrays[f"{name}.mean"],
        arrays[f"{name}.scale"],
        [arrays[f"{name}.w{i}"].astype(np.float32) for i in range(layers)],
        [arrays[f"{name}.b{i}"] for i in range(layers)],
    )


@cache
def default_model() -> Model:
    """The table shipped beside this module."""
    with np.load(TABLE, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return Model(*(unpack(arrays, name) for name in PARTS))
