"""Names drawn beside the objects of a picture: white with a dark halo, inside the frame, clear of each other.

The fonts are those that OpenCV brings along (Latin, Greek, Cyrillic, Chinese, Japanese, Korean and more), so a
name looks the same on every machine. A character that they lack comes from a font of the system if one has it,
else it is drawn as a box.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import find_objects

LARGEST = 40
"""Characters of a name; longer ones end in an ellipsis."""

MOST = 60
"""Names in a picture: those of the largest objects."""

FALLBACKS = (
    "NotoSans-Bold.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans.ttf", "NotoEmoji-Regular.ttf", "Symbola.ttf",
    "seguisym.ttf", "seguiemj.ttf", "Arial Unicode.ttf", "Apple Symbols.ttf",
)  # fmt: skip
"""Outline fonts that are tried, in this order, for what OpenCV's fonts lack."""

LOOKED_AT = 360
"""Lines at which objects are looked at to find places for their names."""

ROOM = 12
"""An object this many times as large as its name takes it in again, wherever the name stood before."""

_HALO = 0.8
_WEIGHT = 600


class Named(Struct, frozen=True):
    """An object of a frame: `key` is the same for the same object in other frames, `colour` of its class."""

    key: str
    text: str
    colour: tuple[int, int, int]


class Box(NamedTuple):
    x: int
    y: int
    w: int
    h: int

    def overlap(self, other: Box) -> int:
        """Pixels that both cover."""
        wide = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        high = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        return max(0, wide) * max(0, high)

    def within(self, shape: tuple[int, int]) -> Box:
        """Moved into a picture (H, W)."""
        height, width = shape
        return self._replace(x=max(0, min(self.x, width - self.w)), y=max(0, min(self.y, height - self.h)))


class _Place(NamedTuple):
    """Where a name stood: a side of the object, or inside at (dx, dy) from its middle."""

    side: str
    dx: float = 0.0
    dy: float = 0.0


class Labeller:
    """Draws names frame by frame. A name keeps its side of an object from frame to frame while it fits there."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def draw(
        self, image: NDArray[np.uint8], winners: NDArray[np.integer], objects: Sequence[Named | None]
    ) -> None:
        """Draw into `image` (H, W, 3) uint8 RGB. `winners` (H, W): position in `objects` + 1, 0 = none of them."""
        shape = (image.shape[0], image.shape[1])
        size = text_size(shape[0])
        taken: list[Box] = []
        places: dict[str, _Place] = {}
        step = max(1, min(shape) // LOOKED_AT)
        for named, seen in _seen(winners[step // 2 :: step, step // 2 :: step], step, objects, size):
            patch = _patch(_short(named.text), size, named.colour)
            if patch is None:
                continue
            found = self._choose(named.key, seen, patch, shape, taken)
            if found is None:
                continue
            place, box = found
            places[named.key] = place
            taken.append(box)
            patch.draw(image, box)
        self._places = places

    def _choose(
        self, key: str, seen: _Seen, patch: _Patch, shape: tuple[int, int], taken: list[Box]
    ) -> tuple[_Place, Box] | None:
        crowded: tuple[_Place, Box] | None = None
        known = self._places.get(key)
        for place, wanted in _candidates(seen, patch, known):
            box = wanted.within(shape)
            if place.side == "inside" and place == known and not seen.covers(box, 0.7):
                continue
            if place.side not in ("inside", "over") and (box != wanted):
                continue
            if not any(box.overlap(other) for other in taken):
                return place, box
            if place.side == "over":
                crowded = place, box
        if crowded is None:
            return None
        area = crowded[1].w * crowded[1].h
        return crowded if sum(crowded[1].overlap(other) for other in taken) < 0.3 * area else None


def text_size(lines: int) -> int:
    """The size of the letters in a picture of so many lines, in px."""
    return max(11, min(72, round(lines / 38)))


class _Seen(NamedTuple):
    """What is seen of an object: its mask, one pixel of `step` px of the frame, in a box of the frame.

    And its middle, and the point deepest inside, in px of the frame.
    """

    mask: NDArray[np.bool_]
    step: int
    box: Box
    middle: tuple[float, float]
    deepest: tuple[float, float]

    @property
    def area(self) -> int:
        """In px of the frame."""
        return int(np.count_nonzero(self.mask)) * self.step**2

    def covers(self, box: Box, share: float) -> bool:
        """Whether that share of a box of the frame lies on the object."""
        x, y = (box.x - self.box.x) / self.step, (box.y - self.box.y) / self.step
        right, bottom = x + box.w / self.step, y + box.h / self.step
        rows, columns = (
            slice(max(0, round(y)), max(0, round(bottom))),
            slice(max(0, round(x)), max(0, round(right))),
        )
        return int(np.count_nonzero(self.mask[rows, columns])) * self.step**2 >= share * box.w * box.h


def _seen(
    winners: NDArray[np.integer], step: int, objects: Sequence[Named | None], size: int
) -> Iterator[tuple[Named, _Seen]]:
    """The largest pieces of the named objects that are large enough for a name, largest first.

    `winners`: every `step`-th pixel of every `step`-th row.
    """
    rows = []
    for number, (box, named) in enumerate(zip(find_objects(winners, len(objects)), objects, strict=True), 1):
        if box is None or named is None or not named.text:
            continue
        mask, x, y = _largest_piece(winners[box] == number)
        area = int(np.count_nonzero(mask))
        if area * step**2 >= size * size / 4:
            rows.append((area, named, mask, box[1].start + x, box[0].start + y))
    rows.sort(key=lambda row: (-row[0], row[1].key))
    for _, named, mask, x, y in rows[:MOST]:
        moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
        column, row = _deepest(mask)
        seen = _Seen(
            mask,
            step,
            Box(x * step, y * step, mask.shape[1] * step, mask.shape[0] * step),
            ((x + moments["m10"] / moments["m00"]) * step, (y + moments["m01"] / moments["m00"]) * step),
            ((x + column) * step, (y + row) * step),
        )
        yield named, seen


def _largest_piece(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int, int]:
    """The largest connected piece, tightly cut, and where its top left pixel lies in `mask`."""
    count, numbered, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), ltype=cv2.CV_16U)
    if count <= 2:
        return mask, 0, 0
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, width, height = (int(value) for value in stats[largest, :4])
    return np.asarray(numbered[y : y + height, x : x + width] == largest), x, y


def _deepest(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The column and row of the point furthest from the edge."""
    step = max(1, max(mask.shape) // 128)
    small = np.pad(mask[step // 2 :: step, step // 2 :: step], 1).view(np.uint8)
    depth = cv2.distanceTransform(small, cv2.DIST_L2, 3)
    row, column = divmod(int(np.argmax(depth)), depth.shape[1])
    return (column - 0.5) * step, (row - 0.5) * step


def _candidates(seen: _Seen, patch: _Patch, known: _Place | None) -> Iterator[tuple[_Place, Box]]:
    """Where a name could stand, best first: where it stood, inside, beside, and at last across the object."""
    width, height = patch.halo.shape[1], patch.halo.shape[0]
    box = seen.box
    left, top = box.x + (box.w - width) // 2, box.y + (box.h - height) // 2
    beside = {
        "above": Box(left, box.y - height, width, height),
        "below": Box(left, box.y + box.h, width, height),
        "right": Box(box.x + box.w, top, width, height),
        "left": Box(box.x - width, top, width, height),
    }
    roomy = seen.area > ROOM * width * height
    if known is not None and known.side in beside and not roomy:
        yield known, beside[known.side]
    if known is not None and known.side == "inside":
        x, y = seen.middle[0] + known.dx, seen.middle[1] + known.dy
        yield known, Box(round(x - width / 2), round(y - height / 2), width, height)
    for x, y in (seen.middle, seen.deepest):
        inside = Box(round(x - width / 2), round(y - height / 2), width, height)
        if seen.covers(inside, 0.95):
            yield _Place("inside", x - seen.middle[0], y - seen.middle[1]), inside
    for side, wanted in beside.items():
        yield _Place(side), wanted
    x, y = seen.deepest
    yield _Place("over"), Box(round(x - width / 2), round(y - height / 2), width, height)


class _Patch(NamedTuple):
    """A name as it is drawn: opacities 0..1 of halo and letters, (h, w) float32, and (h, w, 3) letters."""

    halo: NDArray[np.float32]
    ink: NDArray[np.float32]
    colour: NDArray[np.float32]

    def draw(self, image: NDArray[np.uint8], box: Box) -> None:
        """Over `image`; what lies outside of it is cut off."""
        part = image[box.y : box.y + box.h, box.x : box.x + box.w]
        crop = np.s_[: part.shape[0], : part.shape[1]]
        halo, ink = self.halo[crop][..., None], self.ink[crop][..., None]
        dark = part.astype(np.float32) * (1 - halo)
        part[:] = (dark * (1 - ink) + self.colour[crop] * ink + 0.5).astype(np.uint8)


@lru_cache(maxsize=512)
def _patch(text: str, size: int, colour: tuple[int, int, int]) -> _Patch | None:
    letters = _letters(text, size)
    if letters is None:
        return None
    margin, dot = max(3, round(size * 0.3)), round(size * 0.5)
    gap = round(size * 0.35)
    height, width = letters.shape[0] + 2 * margin, letters.shape[1] + dot + gap + 2 * margin
    ink = np.zeros((height, width), np.uint8)
    ink[margin : margin + letters.shape[0], margin + dot + gap : width - margin] = letters
    colours = np.full((height, width, 3), 255, np.float32)
    centre = (round((margin + dot / 2) * 16), round(height / 2 * 16))
    disc, inner = np.zeros((2, height, width), np.uint8)
    cv2.circle(disc, centre, round(dot / 2 * 16), 255.0, -1, cv2.LINE_AA, 4)
    cv2.circle(inner, centre, round((dot / 2 - max(1, size / 16)) * 16), 255.0, -1, cv2.LINE_AA, 4)
    # A white ring keeps the dot visible on an object of its own colour.
    share = (inner / 255)[..., None]
    colours = (colours * (1 - share) + np.array(colour) * share).astype(np.float32)
    ink = np.maximum(ink, disc)
    reach = 2 * max(1, round(size * 0.12)) + 1
    halo = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    halo = cv2.GaussianBlur(halo, (0, 0), max(0.8, size * 0.07))
    dark = np.minimum(halo.astype(np.float32) * (1.25 / 255), 1) * _HALO
    return _Patch(dark.astype(np.float32), (ink / 255).astype(np.float32), colours)


def _short(text: str) -> str:
    """A name as one line of characters that can be seen."""
    shown = (
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", text)
        if char.isspace() or not (unicodedata.category(char)[0] == "C" or "\ufe00" <= char <= "\ufe0f")
    )
    plain = " ".join("".join(shown).split())
    return plain if len(plain) <= LARGEST else plain[: LARGEST - 1].rstrip() + "…"


def _letters(text: str, size: int) -> NDArray[np.uint8] | None:
    """A line of text, (h, w) uint8 opacities, cut at the left and right; None where nothing would be seen."""
    if not text:
        return None
    line = np.zeros((2 * size, (len(text) + 4) * 2 * size), np.uint8)
    at, base = size, round(1.4 * size)
    for run, font in _runs(text, size):
        at = _draw_run(line, run, font, (at, base), size)
    found = cv2.boundingRect(line)
    if not found[2]:
        return None
    # One height for all names, so that lines of names do not dance; tall scripts get what they need.
    top, bottom = (
        min(found[1], base - round(0.75 * size)),
        max(found[1] + found[3], base + round(0.25 * size)),
    )
    return np.ascontiguousarray(line[top:bottom, found[0] : found[0] + found[2]])


def _draw_run(line: NDArray[np.uint8], run: str, font: str | None, at: tuple[int, int], size: int) -> int:
    """Draw into `line` from `at`; returns where the next run begins."""
    if font is None:
        face = cv2.FontFace("sans")
        end, _ = cv2.putText(line, run, at, (255.0,), face, size, _WEIGHT)
        return int(end[0])
    if font == "":
        edge = round(0.6 * size)
        for number in range(len(run)):
            x = at[0] + number * (edge + 3) + 1
            cv2.rectangle(line, (x, at[1] - edge), (x + edge - 2, at[1]), 255.0, 1)
        return at[0] + len(run) * (edge + 3)
    face = ImageFont.truetype(font, size)
    picture = Image.fromarray(line)
    ImageDraw.Draw(picture).text(at, run, fill=255, font=face, anchor="ls")
    line[:] = np.asarray(picture)
    return at[0] + round(face.getlength(run))


def _runs(text: str, size: int) -> Iterator[tuple[str, str | None]]:
    """Pieces of a text and the font of each: None for OpenCV's, "" where no font has it, else a file."""
    run, font = "", None
    for char in text:
        wanted = font if char == " " else _font_of(char)
        if wanted != font and run:
            yield run, font
            run = ""
        run, font = run + char, wanted
    if run:
        yield run, font


@lru_cache(maxsize=4096)
def _font_of(char: str) -> str | None:
    """The font that has a character: None for OpenCV's, "" for none, else a file."""
    if char.isascii() or not _same(_glyph(char), _glyph("?")):
        return None
    for name in FALLBACKS:
        try:
            font = ImageFont.truetype(name, 32)
        except OSError:
            continue
        if not _same(_mask(font, char), _mask(font, "\U0010fffd")):
            return name
    return ""


def _glyph(char: str) -> NDArray[np.uint8]:
    canvas = np.zeros((64, 96), np.uint8)
    cv2.putText(canvas, char, (16, 44), (255.0,), cv2.FontFace("sans"), 32, _WEIGHT)
    return canvas


def _mask(font: ImageFont.FreeTypeFont, char: str) -> NDArray[np.uint8]:
    canvas = Image.new("L", (96, 96))
    ImageDraw.Draw(canvas).text((16, 64), char, fill=255, font=font, anchor="ls")
    return np.asarray(canvas)


def _same(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> bool:
    return bool((one == two).all())
