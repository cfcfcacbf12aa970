"""Damage as segmenters do it, seeded: boundaries that tremble on every frame, and components that fail on a few.

Every frame is bent by a smooth random displacement, drawn anew for each: normal, with a standard deviation of
`AMPLITUDE_PX` in x and in y, and correlated over `CORRELATION_PX` (there the correlation has fallen to 1/e). On a share
`BROKEN` of the frames, one at least, a component is lost to its surroundings or spills over them. Ignored pixels stay
where they are, and nothing else becomes one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

AMPLITUDE_PX = 3.0
CORRELATION_PX = 15.0
BROKEN = 0.05
LEAST_SHARE, MOST_SHARE = 0.002, 0.4
"""Share of the frame that a component has which is lost or spills; where there is none, the largest of any size."""
SPILLED = 0.5
"""Area that a spill adds, as a share of the component's: a disc around a point of its boundary."""

Labels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happened to a frame. `label` lost or gained `pixels` of them."""

    kind: Literal["lost", "spilled"]
    label: int
    pixels: int


class Damage(NamedTuple):
    """Damaged labels, one map a frame, and the frames where a component failed: position → what happened."""

    labels: list[Labels]
    broken: dict[int, Fault]


def damaged(
    labels: Sequence[Labels],
    seed: int,
    *,
    ignore: Collection[int] = (),
    background: Collection[int] = (0,),
    amplitude: float = AMPLITUDE_PX,
) -> Damage:
    """Damage label maps (H, W) of any integer type; the same seed always does the same to the same maps.

    `ignore`: values of pixels that nobody knows; `background`: values whose components neither fail nor spill;
    `amplitude`: of the boundaries, in px; 0 = they stay where they are.
    """
    rng = np.random.default_rng(seed)
    count = min(len(labels), max(1, round(BROKEN * len(labels))))
    chosen = {int(at) for at in rng.choice(len(labels), count, replace=False)} if len(labels) else set()
    broken: dict[int, Fault] = {}
    out: list[Labels] = []
    for at, truth in enumerate(labels):
        bent = _bent(truth, amplitude, rng)
        if at in chosen and (fault := _fail(bent, rng, {*ignore, *background})) is not None:
            broken[at] = fault
        if ignore:
            unknown = np.isin(truth, list(ignore))
            bent = np.where(unknown | np.isin(bent, list(ignore)), truth, bent)
        out.append(bent)
    return Damage(out, broken)


def _bent(labels: Labels, amplitude: float, rng: np.random.Generator) -> Labels:
    height, width = labels.shape
    # White noise blurred by a Gaussian of sigma s has the correlation exp(-d²/4s²).
    sigma = CORRELATION_PX / 2
    margin = int(3 * sigma)
    noise = rng.standard_normal((height + 2 * margin, width + 2 * margin, 2)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)[margin:-margin, margin:-margin]
    # The same blur leaves the deviation 1 / (2 s √π) of white noise.
    places = smooth * np.float32(amplitude * 2 * sigma * np.pi**0.5)
    places[..., 0] += np.arange(width, dtype=np.float32)
    places[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    stored = labels.astype(np.uint16)
    none: Any = None
    bent = cv2.remap(stored, places, none, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return bent.astype(labels.dtype)


def _fail(labels: Labels, rng: np.random.Generator, spared: Collection[int]) -> Fault | None:
    """Let a component of the map fail, in place. None where there is none that could."""
    found = _components(labels, spared)
    if not found:
        return None
    fitting = [one for one in found if LEAST_SHARE <= one[1].mean() <= MOST_SHARE]
    label, mask = fitting[int(rng.integers(len(fitting)))] if fitting else found[0]
    if rng.random() < 0.5 and (around := _surroundings(labels, mask, label)) is not None:
        labels[mask] = around
        return Fault("lost", label, int(np.count_nonzero(mask)))
    edge = np.argwhere(mask & ~cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool))
    y, x = edge[int(rng.integers(len(edge)))]
    radius = max(4, round((2 * SPILLED * np.count_nonzero(mask) / np.pi) ** 0.5))
    disc = np.zeros(labels.shape, np.uint8)
    cv2.circle(disc, (int(x), int(y)), radius, 1, cv2.FILLED)
    new = disc.view(bool) & (labels != label)
    labels[new] = label
    return Fault("spilled", label, int(np.count_nonzero(new)))


def _components(labels: Labels, spared: Collection[int]) -> list[tuple[int, NDArray[np.bool_]]]:
    """(label, (H, W) bool) of every 8-connected component, the largest first."""
    out: list[tuple[int, int, NDArray[np.bool_]]] = []
    for label in (int(one) for one in np.unique(labels) if one not in spared):
        count, numbered, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
        for number in range(1, count):
            out.append((int(stats[number, cv2.CC_STAT_AREA]), label, numbered == number))
    return [(label, mask) for _, label, mask in sorted(out, key=lambda one: -one[0])]


def _surroundings(labels: Labels, mask: NDArray[np.bool_], label: int) -> int | None:
    """The label that most of the pixels next to a component have."""
    ring = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool) & ~mask & (labels != label)
    values, counts = np.unique(labels[ring], return_counts=True)
    return int(values[counts.argmax()]) if values.size else None
