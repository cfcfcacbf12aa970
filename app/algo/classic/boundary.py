"""Boundary evidence of one image: colour and texture gradients like Pb (Martin, Fowlkes, Malik 2004).

Everything here works on a float Lab image whose longer side is at most a few hundred pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers

BINS = 10
"""Soft bins of each of L, a, b."""
TEXTURES = 10
"""Orientation energy channels."""
RADII = (3, 6, 12)
"""Radii of the displaced boxes, pixels."""
GROUPS = ("l", "a", "b", "texture")
EDGE_CHANNELS = len(RADII) * len(GROUPS) + 2
"""χ² of each group at each radius, gradient at σ 1, combined edge."""

_RANGES = ((0.0, 100.0), (-45.0, 45.0), (-45.0, 55.0))


def to_lab(image: NDArray[np.uint8]) -> Floats:
    """CIE Lab of an RGB image: (H, W, 3) uint8 → (H, W, 3) float32, L 0..100."""
    return cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)


def soft_bins(channel: Floats, low: float, high: float) -> Floats:
    """Linear membership of each pixel in `BINS` equally spaced bins: (H, W) → (H, W, BINS), rows sum to 1."""
    position = np.clip((channel - low) / (high - low), 0, 1) * (BINS - 1)
    centres = np.arange(BINS, dtype=np.float32)
    return np.maximum(0, 1 - np.abs(position[..., None] - centres)).astype(np.float32)


def texture_channels(lightness: Floats) -> Floats:
    """Orientation energies of the lightness, soft-normalised: (H, W) → (H, W, TEXTURES), rows sum to ≤ 1.

    Four unsigned gradient orientations at σ 1 and at σ 2, and two half-rectified blob channels.
    """
    fine = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    coarse = cv2.GaussianBlur(lightness, (0, 0), 2.0)
    out = np.empty((*lightness.shape, TEXTURES), np.float32)
    for scale, smooth in enumerate((fine, coarse)):
        gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3) / 8
        gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) / 8
        for i in range(4):
            angle = np.pi * i / 4
            out[..., 4 * scale + i] = np.abs(np.float32(np.cos(angle)) * gx + np.float32(np.sin(angle)) * gy)
    blob = fine - coarse
    out[..., 8] = np.maximum(blob, 0)
    out[..., 9] = np.maximum(-blob, 0)
    total = out.sum(axis=2, keepdims=True)
    return out / (total + np.float32(4.0))


def histogram_channels(lab: Floats) -> Floats:
    """(H, W, 3) Lab → (H, W, 40): 10 soft bins of each of L, a, b and 10 texture channels."""
    parts = [soft_bins(lab[..., i], *_RANGES[i]) for i in range(3)]
    parts.append(texture_channels(np.ascontiguousarray(lab[..., 0])))
    return np.concatenate(parts, axis=2)


def boundary_channels(lab: Floats, histograms: Floats) -> Floats:
    """Per-pixel boundary evidence.

    Args:
        lab: (H, W, 3) float32, already smoothed with σ 1.
        histograms: (H, W, 40) float32 of `histogram_channels`.

    Returns:
        (H, W, EDGE_CHANNELS) float32: for each radius the χ² distance of L, a, b, texture at the
        orientation where their sum is largest (0..1 each), then the Lab gradient / 10 capped at 1, then the
        combined edge strength.
    """
    height, width = lab.shape[:2]
    out = np.zeros((height, width, EDGE_CHANNELS), np.float32)
    planes = np.ascontiguousarray(np.moveaxis(histograms, 2, 0))
    combined = np.zeros((height, width), np.float32)
    for s, radius in enumerate(RADII):
        side = 2 * radius + 1
        means = [cv2.blur(plane, (side, side), borderType=cv2.BORDER_REPLICATE) for plane in planes]
        best = np.zeros((height, width), np.float32)
        groups = out[..., s * 4 : s * 4 + 4]
        diagonal = max(1, round(radius * 0.7071))
        for dx, dy in ((radius, 0), (0, radius), (diagonal, diagonal), (diagonal, -diagonal)):
            distances = np.zeros((4, height, width), np.float32)
            # Both displaced boxes are read from one padded copy as views: no gather per channel.
            for index, mean in enumerate(means):
                padded = cv2.copyMakeBorder(mean, radius, radius, radius, radius, cv2.BORDER_REPLICATE)
                a = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
                b = padded[radius - dy : radius - dy + height, radius - dx : radius - dx + width]
                difference = cv2.subtract(a, b)
                total = a + b + np.float32(1e-6)
                distances[index // BINS] += cv2.divide(cv2.multiply(difference, difference), total)
            distances *= 0.5
            total = distances.sum(axis=0)
            better = total > best
            best[better] = total[better]
            groups[better] = np.moveaxis(distances, 0, 2)[better]
        combined += best
    combined /= len(RADII)
    gx = cv2.Sobel(lab, cv2.CV_32F, 1, 0, ksize=3) / 8
    gy = cv2.Sobel(lab, cv2.CV_32F, 0, 1, ksize=3) / 8
    gradient = np.sqrt((gx * gx + gy * gy).sum(axis=2))
    out[..., -2] = np.minimum(gradient / 10, 1)
    out[..., -1] = np.minimum(combined / 1.2, 1) + 0.6 * out[..., -2]
    return out
