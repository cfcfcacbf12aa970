"""Masks and label maps in their other shapes: components, boxes, COCO RLE, packed bits, palettes. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import cv2
import numpy as np

from app.algo.fuse import Box, bounding_box
from app.errors import Refused

__all__ = [
    "Component",
    "Components",
    "area_of_rle",
    "bounding_box",
    "class_masks",
    "components",
    "compress_counts",
    "decode_rle",
    "encode_rle",
    "exported_values",
    "hex_colour",
    "pack_mask",
    "palette_bytes",
    "unpack_mask",
    "voc_colour_map",
]


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One connected piece of one class. `mask` is a bool crop at (x0, y0); `area` in pixels."""

    class_id: int
    mask: np.ndarray
    x0: int
    y0: int
    area: int

    @property
    def box(self) -> Box:
        return (self.x0, self.y0, self.x0 + self.mask.shape[1], self.y0 + self.mask.shape[0])

    def full(self, shape: tuple[int, int]) -> np.ndarray:
        """The mask in the whole frame, (H, W) bool."""
        out = np.zeros(shape, bool)
        x0, y0, x1, y1 = self.box
        out[y0:y1, x0:x1] = self.mask
        return out


@dataclass(slots=True)
class Components:
    """`kept`: by class id, then area falling. `small`: pieces under the area asked for, reported."""

    kept: list[Component] = field(default_factory=list)
    small: list[Component] = field(default_factory=list)

    @property
    def small_pixels(self) -> int:
        return sum(component.area for component in self.small)


def components(
    label_map: np.ndarray, *, min_area: int = 1, ignore: Collection[int] = (0,), connectivity: int = 8
) -> Components:
    """Connected components of every class of a label map.

    `label_map`: (H, W), integers or bool; values in `ignore` are not looked at (0 = unlabelled unless told
    otherwise).
    `connectivity`: 8 or 4. Components of fewer than `min_area` pixels go to `small`.
    """
    if connectivity not in (4, 8):
        raise Refused(f"Pixels touch by 4 or by 8 neighbours, not by {connectivity}.")
    found = Components()
    for value in np.unique(label_map):
        if int(value) in ignore:
            continue
        own = label_map == value
        box = bounding_box(own)
        if box is None:
            continue
        bx, by = box[0], box[1]
        crop = np.ascontiguousarray(own[by : box[3], bx : box[2]])
        count, numbered, stats, _ = cv2.connectedComponentsWithStats(
            crop.view(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
        )
        for index in sorted(range(1, count), key=lambda i: (-int(stats[i][4]), i)):
            x, y, w, h, area = (int(v) for v in stats[index])
            piece = Component(int(value), numbered[y : y + h, x : x + w] == index, bx + x, by + y, area)
            (found.kept if area >= min_area else found.small).append(piece)
    return found


def class_masks(label_map: np.ndarray, *, ignore: Collection[int] = (0,)) -> dict[int, np.ndarray]:
    """Class id → its (H, W) bool mask, for every id present but those in `ignore`."""
    return {int(v): label_map == v for v in np.unique(label_map) if int(v) not in ignore}


def exported_values(label_map: np.ndarray, values: dict[int, int], unlabelled: int) -> np.ndarray:
    """Class ids → the numbers written to an index PNG: (H, W) uint8, or uint16 where a number passes 255.

    `values`: class id → number; ids not in it and 0 become `unlabelled`.
    """
    table = np.full(65536, unlabelled, np.uint16)
    for class_id, value in values.items():
        table[class_id] = value
    table[0] = unlabelled
    largest = max([unlabelled, *values.values()])
    return np.take(table.astype(np.uint8 if largest <= 255 else np.uint16), label_map)


# COCO run lengths: column-major, starting with zeros. The compressed text is the published COCO API's: every
# count from the fourth on is a difference to the count two before; 5 bits a character from low to high, bit
# 5 = more follow, bit 4 of the last = sign, offset 48.


def encode_rle(mask: np.ndarray) -> dict[str, object]:
    """(H, W) bool → COCO compressed RLE `{"size": [H, W], "counts": text}`, the bytes pycocotools writes."""
    height, width = mask.shape
    counts = _run_lengths(np.asarray(mask, bool).ravel(order="F"))
    return {"size": [int(height), int(width)], "counts": compress_counts(counts)}


def compress_counts(counts: np.ndarray) -> str:
    """Run lengths (n,) int64, zeros first, as COCO's compressed text."""
    deltas = counts.copy()
    deltas[3:] -= counts[1:-2]
    return _compress(deltas)


def decode_rle(rle: dict[str, object]) -> np.ndarray:
    """COCO RLE, compressed (`counts` a text or bytes) or not (`counts` a list of ints) → (H, W) bool.

    Raises `Refused` where the counts do not add up to the size or the text is damaged.
    """
    height, width = _size_of(rle)
    counts = _counts_of(rle)
    # A single count past the size is caught on its own: sums of huge ones wrap round.
    if counts.size and (
        int(counts.min()) < 0 or int(counts.max()) > height * width or int(counts.sum()) != height * width
    ):
        raise Refused(
            f"The run lengths of a mask cover {int(counts.sum())} pixels but its size {height}×{width} has "
            f"{height * width}; the file is damaged or its size is swapped."
        )
    if not counts.size and height * width:
        raise Refused("The run lengths of a mask are empty although its size is not; the file is damaged.")
    values = np.zeros(counts.size, bool)
    values[1::2] = True
    return np.repeat(values, counts).reshape((height, width), order="F")


def area_of_rle(rle: dict[str, object]) -> int:
    """Pixels of a COCO RLE mask, without unpacking it."""
    return int(_counts_of(rle)[1::2].sum())


def _size_of(rle: dict[str, object]) -> tuple[int, int]:
    size = rle.get("size")
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(isinstance(v, int) and v >= 0 for v in size)
    ):
        raise Refused("A mask in run lengths needs a size [height, width] of two whole numbers.")
    if size[0] * size[1] > 2**31:
        raise Refused(f"A mask of {size[0]}×{size[1]} pixels is larger than any frame; the file is damaged.")
    return int(size[0]), int(size[1])


def _counts_of(rle: dict[str, object]) -> np.ndarray:
    counts = rle.get("counts")
    if isinstance(counts, str | bytes):
        deltas = _expand(counts)
        deltas[1::2] = np.cumsum(deltas[1::2])
        deltas[2::2] = np.cumsum(deltas[2::2])
        return deltas
    if isinstance(counts, list) and all(isinstance(v, int) and abs(v) < 2**62 for v in counts):
        return np.asarray(counts, np.int64)
    raise Refused("A mask in run lengths needs counts: a text (compressed) or a list of whole numbers.")


def _run_lengths(flat: np.ndarray) -> np.ndarray:
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges)
    if flat.size and flat[0]:
        counts = np.concatenate([[0], counts])
    return counts.astype(np.int64)


def _compress(values: np.ndarray) -> str:
    # As many 5-bit groups as leave a sign bit: n groups hold -16·32^(n-1) … 16·32^(n-1) - 1.
    magnitude = np.where(values < 0, -values - 1, values)
    groups = np.ones(values.size, np.int64)
    limit = 16
    while (over := magnitude >= limit).any():
        groups += over
        limit *= 32
    ends = np.cumsum(groups)
    position = np.arange(int(ends[-1]) if ends.size else 0) - np.repeat(ends - groups, groups)
    bits = (np.repeat(values, groups) >> (5 * position)) & 31
    bits |= (position < np.repeat(groups, groups) - 1).astype(np.int64) << 5
    return (bits + 48).astype(np.uint8).tobytes().decode("ascii")


def _expand(text: str | bytes) -> np.ndarray:
    raw = text.encode("ascii", "replace") if isinstance(text, str) else text
    codes = np.frombuffer(raw, np.uint8).astype(np.int64) - 48
    if not codes.size:
        return np.zeros(0, np.int64)
    last = (codes & 32) == 0
    if codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise Refused(
            "The compressed run lengths of a mask hold characters outside the format; the file is damaged."
        )
    number = np.cumsum(last) - last
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    position = np.arange(codes.size) - starts[number]
    if position.max() > 11:
        raise Refused("The compressed run lengths of a mask hold an impossible number; the file is damaged.")
    values = np.add.reduceat((codes & 31) << (5 * position), starts)
    negative = (codes[ends] & 16) != 0
    return np.where(negative, values - (np.int64(1) << (5 * (ends - starts + 1))), values)


def pack_mask(mask: np.ndarray, *, x0: int = 0, y0: int = 0) -> tuple[Box, bytes]:
    """A mask as the bounding box of its pixels and one bit a pixel.

    `mask`: (h, w) bool whose top left pixel lies at (x0, y0). Returns ((x0, y0, x1, y1), bits): the crop row
    by row, each row padded to a whole byte, the first pixel in a byte's highest bit. Empty: ((x0, y0, x0,
    y0), b"").
    """
    box = bounding_box(mask)
    if box is None:
        return (x0, y0, x0, y0), b""
    left, top, right, bottom = box
    bits = np.packbits(mask[top:bottom, left:right], axis=1).tobytes()
    return (x0 + left, y0 + top, x0 + right, y0 + bottom), bits


def unpack_mask(box: Box, bits: bytes) -> np.ndarray:
    """The bool crop that `pack_mask` packed. Raises `Refused` where the bytes do not fit the box."""
    height, width = box[3] - box[1], box[2] - box[0]
    stride = (width + 7) // 8
    if height < 0 or width < 0 or len(bits) != height * stride:
        raise Refused(f"{len(bits)} bytes of mask do not fit a box of {width}×{height} px.")
    if not bits:
        return np.zeros((height, width), bool)
    rows = np.frombuffer(bits, np.uint8).reshape(height, stride)
    return np.unpackbits(rows, axis=1, count=width).view(bool)


def voc_colour_map(count: int = 256) -> np.ndarray:
    """The PASCAL VOC palette, (count, 3) uint8 RGB: the bits of the index dealt to r, g, b from the top."""
    colours = np.zeros((count, 3), np.uint8)
    index = np.arange(count)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def hex_colour(text: str) -> tuple[int, int, int]:
    """`#rrggbb` → (r, g, b). Raises `Refused` for anything else."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise Refused(f"{text!r} is not a colour; write it like #1e90ff.")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def palette_bytes(colours: dict[int, str]) -> bytes:
    """768 bytes for an 8-bit palette PNG: the given "#rrggbb" at their values, the VOC colours elsewhere."""
    table = voc_colour_map(256)
    for value, colour in colours.items():
        if 0 <= value < 256:
            table[value] = hex_colour(colour)
    return table.tobytes()
