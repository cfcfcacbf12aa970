"""Polygons, run lengths and small PNGs of annotation formats as mask crops. Pure but for the PNG decoder.

Coordinates are continuous and pixel centres lie at .5: a ring is filled by the even-odd rule and a pixel
belongs to it when its centre does (`polygon`; COCO's own rasteriser does the same after rounding to a fifth
of a pixel). Formats whose own tool counts pixels instead are drawn as that tool draws them, because only so
do their masks come back: `with_border` (LabelMe, Cityscapes, Supervisely), `at_pixels` (ISAT).

What cannot be drawn raises `Refused` with a sentence that fits behind "annotation 7 is left out:"; what was
drawn but deserves a remark carries it as a note.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from app.algo.fuse import bounding_box
from app.algo.labels import decode_rle
from app.algo.outline import rasterise
from app.errors import Refused
from app.formats.images import MAX_PIXELS, MAX_SIDE

MAX_COORDINATE = 1e6
MAX_CROSSINGS = 10_000_000
"""Edges times the rows that each passes: what one outline may cost."""
MAX_STEPS = 1_000_000_000
"""Corners times rows: what Pillow may take for one outline."""
SLACK = 1.0
"""px by which outlines may pass the border without a remark: many tools end theirs on the last pixel."""

Points = Sequence[Sequence[float]] | np.ndarray


class Piece(NamedTuple):
    """A mask: (h, w) bool, cut to its pixels, whose top left pixel lies at (x0, y0) of the frame."""

    mask: np.ndarray
    x0: int
    y0: int
    note: str = ""


class Empty(Refused):
    """An annotation without a single pixel."""


def check_size(width: float, height: float) -> tuple[int, int]:
    """A frame's size as whole numbers. Raises `Refused` when there is none or it is larger than any frame."""
    if not (width >= 1 and height >= 1) or int(width) != width or int(height) != height:
        raise Refused("the file does not say how large the image is.")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise Refused(f"the size {int(width)}×{int(height)} is larger than any image that is read.")
    return int(width), int(height)


def pairs(flat: Sequence[float]) -> np.ndarray:
    """x1, y1, x2, y2 … → (n, 2). Raises `Refused` for an odd number of coordinates."""
    if len(flat) % 2:
        raise Refused(f"its outline has {len(flat)} coordinates, an odd number, so one is missing.")
    return np.asarray(flat, np.float64).reshape(-1, 2)


def polygon(rings: Sequence[Points], width: int, height: int) -> Piece:
    """Rings of (x, y), filled together by the even-odd rule and cut off at the frame.

    Raises `Refused`: fewer than three points, coordinates that are no numbers or out of all bounds, an
    outline outside the frame, one so thin that it holds no pixel centre.
    """
    arrays = [_ring(ring) for ring in rings]
    if not arrays:
        raise Refused("it has no outline.")
    x0, y0, wide, high, cut = _frame_of(np.concatenate(arrays), width, height)
    if sum(_crossings(ring, height) for ring in arrays) > MAX_CROSSINGS:
        raise Refused("its outline is too intricate to be drawn.")
    mask = rasterise([ring - (x0, y0) for ring in arrays], (high, wide))
    return tight(mask, x0, y0, _note(arrays[0] if len(arrays) == 1 else None, mask, cut, width, height))


def with_border(ring: Points, width: int, height: int) -> Piece:
    """A ring of pixels, the border drawn and the inside filled, as Pillow's `polygon` does."""
    points = _ring(ring)
    x0, y0, wide, high, cut = _frame_of(points, width, height, border=1)
    if len(points) * high > MAX_STEPS:
        raise Refused("its outline is too intricate to be drawn.")
    canvas = Image.new("L", (wide, high))
    ImageDraw.Draw(canvas).polygon((points - (x0, y0)).ravel().tolist(), fill=1, outline=1)
    mask = np.asarray(canvas) > 0
    return tight(mask, x0, y0, _note(points, mask, cut, width, height))


def disc_with_border(cx: float, cy: float, radius: float, width: int, height: int) -> Piece:
    """A circle of pixels round a pixel, as Pillow's `ellipse` does."""
    corners = np.array([(cx - radius, cy - radius), (cx + radius, cy + radius), (cx + radius, cy - radius)])
    x0, y0, wide, high, cut = _frame_of(_ring(corners), width, height, border=1)
    canvas = Image.new("L", (wide, high))
    (left, top), (right, bottom) = (corners - (x0, y0))[:2].tolist()
    ImageDraw.Draw(canvas).ellipse((left, top, right, bottom), fill=1, outline=1)
    return tight(np.asarray(canvas) > 0, x0, y0, _note(None, canvas, cut, width, height))


def at_pixels(ring: Points, width: int, height: int) -> Piece:
    """A ring whose whole numbers are the middles of pixels, those on the ring included.

    The rule of scikit-image's `polygon`, in time that does not grow with area times points. That a middle
    lies on an edge is only looked for between whole numbers.
    """
    points = _ring(ring)
    x0, y0, wide, high, cut = _frame_of(points, width, height, border=1)
    if _crossings(points, height) > MAX_CROSSINGS:
        raise Refused("its outline is too intricate to be drawn.")
    mask = rasterise([points - (x0 - 0.5, y0 - 0.5)], (high, wide))
    x, y = _on_edges(points)
    inside = (x >= x0) & (x < x0 + wide) & (y >= y0) & (y < y0 + high)
    mask[y[inside] - y0, x[inside] - x0] = True
    return tight(mask, x0, y0, _note(points, mask, cut, width, height))


def union(pieces: Sequence[Piece]) -> Piece:
    """All pieces as one mask."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        raise Refused("it has no outline.")
    x0, y0 = min(piece.x0 for piece in pieces), min(piece.y0 for piece in pieces)
    x1 = max(piece.x0 + piece.mask.shape[1] for piece in pieces)
    y1 = max(piece.y0 + piece.mask.shape[0] for piece in pieces)
    out = np.zeros((y1 - y0, x1 - x0), bool)
    for mask, x, y, _ in pieces:
        out[y - y0 : y - y0 + mask.shape[0], x - x0 : x - x0 + mask.shape[1]] |= mask
    return Piece(out, x0, y0, next((piece.note for piece in pieces if piece.note), ""))


def subtract(piece: Piece, hole: Piece) -> Piece:
    """`piece` without the pixels of `hole`. Raises `Empty` when nothing is left."""
    y, x = hole.y0 - piece.y0, hole.x0 - piece.x0
    mask = piece.mask.copy()
    into = mask[max(0, y) : max(0, y + hole.mask.shape[0]), max(0, x) : max(0, x + hole.mask.shape[1])]
    into &= ~hole.mask[max(0, -y) :, max(0, -x) :][: into.shape[0], : into.shape[1]]
    return tight(mask, piece.x0, piece.y0, piece.note)


def ellipse(cx: float, cy: float, rx: float, ry: float, width: int, height: int, angle: float = 0.0) -> Piece:
    """The pixels whose centres lie in an ellipse, turned clockwise on the screen by `angle` degrees."""
    numbers = np.array([cx, cy, rx, ry, angle])
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > MAX_COORDINATE:
        raise Refused("its centre or radius is not a usable number.")
    if rx <= 0 or ry <= 0:
        raise Refused("its radius is 0, so it has no area.")
    turn = np.deg2rad(angle)
    reach_x = float(np.hypot(rx * np.cos(turn), ry * np.sin(turn)))
    reach_y = float(np.hypot(rx * np.sin(turn), ry * np.cos(turn)))
    x0, x1 = max(0, int(cx - reach_x)), min(width, int(np.ceil(cx + reach_x)))
    y0, y1 = max(0, int(cy - reach_y)), min(height, int(np.ceil(cy + reach_y)))
    if x0 >= x1 or y0 >= y1:
        raise Refused(f"it lies wholly outside the image of {width}×{height} px.")
    x = np.arange(x0, x1)[None, :] + 0.5 - cx
    y = np.arange(y0, y1)[:, None] + 0.5 - cy
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    cut = cx - reach_x < -SLACK or cy - reach_y < -SLACK or cx + reach_x > width + SLACK
    cut = cut or cy + reach_y > height + SLACK
    note = "it reaches outside the image and is cut off there" if cut else ""
    return tight((along / rx) ** 2 + (across / ry) ** 2 <= 1, x0, y0, note)


def coco_rle(rle: dict[str, object], width: int, height: int) -> Piece:
    """COCO run lengths, compressed or not, whose size must be that of the image."""
    size = rle.get("size")
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise Refused(
            f"its run lengths are for another size than the image, which is {height}×{width} high×wide."
        )
    counts = rle.get("counts")
    if isinstance(counts, list) and not all(isinstance(v, int) and 0 <= v <= width * height for v in counts):
        raise Refused("its run lengths hold a number that is negative or larger than the image.")
    return tight(decode_rle({"size": [height, width], "counts": counts}), 0, 0)


def cvat_rle(text: str, left: int, top: int, box: tuple[int, int], width: int, height: int) -> Piece:
    """CVAT's run lengths: row by row over a box of (width, height) at (left, top), beginning with unset pixels."""
    try:
        counts = np.array([int(part) for part in text.split(",")], np.int64)
    except (ValueError, OverflowError) as exc:
        raise Refused("its run lengths are not whole numbers.") from exc
    wide, high = box
    if wide < 1 or high < 1 or wide > MAX_SIDE or high > MAX_SIDE or wide * high > MAX_PIXELS:
        raise Refused(f"its box of {wide}×{high} px is not a possible size.")
    if int(counts.min()) < 0:
        raise Refused("its run lengths hold a negative number.")
    if int(counts.max()) > wide * high or int(counts.sum()) != wide * high:
        raise Refused(
            f"its run lengths cover {int(min(counts.sum(), 2**53))} pixels, but its box of {wide}×{high} "
            f"has {wide * high}."
        )
    values = np.zeros(counts.size, bool)
    values[1::2] = True
    return paste(np.repeat(values, counts).reshape(high, wide), left, top, width, height)


def paste(mask: np.ndarray, x0: int, y0: int, width: int, height: int) -> Piece:
    """A mask (h, w) bool laid on the frame at (x0, y0), cut off at the frame's border."""
    high, wide = mask.shape
    left, upper = max(0, -x0), max(0, -y0)
    right, lower = min(wide, width - x0), min(high, height - y0)
    if left >= right or upper >= lower:
        raise Refused(f"its mask lies wholly outside the image of {width}×{height} px.")
    cut = mask[upper:lower, left:right]
    lost = cut.shape != mask.shape and np.count_nonzero(cut) != np.count_nonzero(mask)
    note = "its mask reaches outside the image and is cut off there" if lost else ""
    return tight(cut, x0 + left, y0 + upper, note)


def tight(mask: np.ndarray, x0: int, y0: int, note: str = "") -> Piece:
    """Cut to the pixels that are set. Raises `Refused` when none is."""
    box = bounding_box(mask)
    if box is None:
        raise Empty("it covers no pixel.")
    left, top, right, bottom = box
    cut = mask[top:bottom, left:right]
    # A view would keep the whole frame's pixels alive behind a small object.
    return Piece(cut if cut.size * 2 > mask.size else cut.copy(), x0 + left, y0 + top, note)


def png_mask(data: bytes, largest: tuple[int, int]) -> np.ndarray:
    """A small PNG as (h, w) bool: what is not transparent where it has transparency, else what is not 0.

    `largest`: (width, height) that it may have at most.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width > largest[0] or image.height > largest[1]:
                raise Refused(f"its mask of {image.width}×{image.height} px is larger than the image.")
            image.load()
            if image.mode in ("RGBA", "LA", "PA"):
                return np.asarray(np.asarray(image.getchannel("A")) > 0)
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, TypeError, KeyError) as exc:
        raise Refused("its mask is not a PNG that can be read.") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise Refused("its mask is larger than any image that is read.") from exc
    return np.asarray(values.any(axis=2) if values.ndim == 3 else values != 0)


def from_base64(text: str) -> bytes:
    """Raises `Refused` for what is not base64; line breaks are left out."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Refused("its mask is not base64 text.") from exc


def inflate(data: bytes, limit: int) -> bytes:
    """zlib, at most `limit` bytes."""
    machine = zlib.decompressobj()
    try:
        out = machine.decompress(data, limit)
    except zlib.error as exc:
        raise Refused("its mask cannot be unpacked.") from exc
    if machine.unconsumed_tail or not machine.eof:
        raise Refused("its mask unpacks to more than an image holds, or is cut off.")
    return out


def _ring(ring: Points) -> np.ndarray:
    if not isinstance(ring, np.ndarray):
        if any(len(point) != 2 for point in ring):
            raise Refused("a point of its outline is not a pair (x, y).")
        ring = np.array(ring, np.float64).reshape(-1, 2)
    if len(ring) < 3:
        raise Refused(f"its outline has only {len(ring)} point{'s' * (len(ring) != 1)}; three are needed.")
    if not np.isfinite(ring).all() or np.abs(ring).max() > MAX_COORDINATE:
        raise Refused("its outline holds a coordinate that is not a usable number.")
    return ring


def _frame_of(
    points: np.ndarray, width: int, height: int, border: int = 0
) -> tuple[int, int, int, int, bool]:
    """(x0, y0, width, height) of the part of the frame that a ring can reach, and whether the frame cuts it.

    `border`: 1 where whole numbers are pixels, so that the last one counts.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    if high[0] <= -border or high[1] <= -border or low[0] >= width or low[1] >= height:
        raise Refused(f"its outline lies wholly outside the image of {width}×{height} px.")
    x0, y0 = max(0, int(np.floor(low[0]))), max(0, int(np.floor(low[1])))
    x1 = min(width, int(np.ceil(high[0])) + border)
    y1 = min(height, int(np.ceil(high[1])) + border)
    if x0 >= x1 or y0 >= y1:
        raise Empty("it covers no pixel.")
    cut = bool((low < -SLACK).any() or high[0] > width + SLACK or high[1] > height + SLACK)
    return x0, y0, x1 - x0, y1 - y0, cut


def _on_edges(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The whole-numbered points on the edges between whole-numbered corners, as (x, y)."""
    ahead = np.roll(ring, -1, axis=0)
    real = ((ring == np.floor(ring)) & (ahead == np.floor(ahead))).all(axis=1)
    start, step = ring[real].astype(np.int64), (ahead - ring)[real].astype(np.int64)
    count = np.gcd(np.abs(step[:, 0]), np.abs(step[:, 1]))
    start, step, count = start[count > 0], step[count > 0], count[count > 0]
    if int(count.sum()) > MAX_CROSSINGS:
        raise Refused("its outline is too intricate to be drawn.")
    position = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    points = np.repeat(start, count, axis=0) + position[:, None] * np.repeat(
        step // count[:, None], count, axis=0
    )
    return points[:, 0], points[:, 1]


def _note(ring: np.ndarray | None, mask: Any, cut: bool, width: int, height: int) -> str:
    if cut:
        return "it reaches outside the image and is cut off there"
    if ring is None or ring.min() < 0 or ring[:, 0].max() > width or ring[:, 1].max() > height:
        return ""
    return _self_crossing(ring, mask)


def _crossings(ring: np.ndarray, height: int) -> int:
    y = np.clip(ring[:, 1], 0, height)
    return int(np.abs(y - np.roll(y, 1)).sum()) + len(ring)


def _self_crossing(ring: np.ndarray, mask: np.ndarray) -> str:
    """A remark when the ring's signed area and its pixels differ by more than its edges can explain."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    area = abs(float((x * y2 - x2 * y).sum())) / 2
    edges = float(np.hypot(x2 - x, y2 - y).sum())
    if abs(area - np.count_nonzero(mask)) <= edges + 4:
        return ""
    return "its outline crosses itself; what it encloses twice is left open (even-odd rule)"
