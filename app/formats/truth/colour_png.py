"""Ground truth as RGB and RGBA PNGs whose colour is the class.

Colours get their names from a list beside the masks (labelmap.txt, label_colors.txt, classes.json), or from
the published ones of Cityscapes (`*_color`), CamVid (`trainannot` …) and VOC (`SegmentationClass`); others
are classes named by their colour. Fully transparent pixels mean nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Refused
from app.formats.truth import known_classes
from app.formats.truth.class_lists import ClassList, class_list, has_class_list
from app.formats.truth.map_reader import MapReader, runs
from app.formats.truth.masks import Masks, find_masks, has_colour
from app.formats.truth.model import Files, SourceClass, TruthFrame

MAX_COLOURS = 256
"""Different colours in one frame; more come from smoothed edges, lossy compression or a photo."""
MAX_CLASSES = 65_536
_TRANSPARENT = 1 << 24
_SMOOTH_COLOURS = 32


def matches(files: Files) -> bool:
    masks = find_masks(files)
    if not masks.items or not has_colour(files, masks):
        return False
    return masks.named or len(files.names) == 1 or has_class_list(files) or _first_is_flat(files, masks)


def open_reader(files: Files) -> ColourReader:
    return ColourReader(files)


class ColourReader(MapReader):
    """`values` number the colours in the order they are declared or found, the same in every frame."""

    format = "colour-png"

    def __init__(self, files: Files) -> None:
        masks = find_masks(files)
        super().__init__(files, masks, _declared(masks, class_list(files)))
        self._numbers: dict[int, int] = {}
        for known in self._declared.values():
            self._number(int((known.colour or "#000000")[1:], 16))

    def _number(self, packed: int) -> int:
        if len(self._numbers) >= MAX_CLASSES and packed not in self._numbers:
            raise Refused(f"The source has more than {MAX_CLASSES} colours, so it holds no label maps.")
        return self._numbers.setdefault(packed, len(self._numbers))

    def _fill(self, frame: TruthFrame, place: int, pixels: NDArray[Any], data: bytes) -> None:
        file = self.masks.items[place].file
        if pixels.ndim != 3:
            raise Refused(
                f"“{file}” is a palette or grey PNG among colour ones; read it as a numbered label map."
            )
        packed = pack(pixels)
        starts, lengths = runs(packed)
        colours, inverse = np.unique(packed[starts], return_inverse=True)
        if len(colours) > MAX_COLOURS:
            raise Refused(
                f"“{file}” has {len(colours)} different colours, at most {MAX_COLOURS} are read: its edges are "
                "smoothed, or it is a photo; export the masks without anti-aliasing."
            )
        counts = np.bincount(inverse, lengths, len(colours)).astype(np.int64)
        numbers = np.array([self._number(colour) for colour in colours.tolist()], np.uint16)
        frame.values = np.repeat(numbers[inverse], lengths).reshape(pixels.shape[:2])
        frame.keys = {
            number: self._key(colour)
            for number, colour in zip(numbers.tolist(), colours.tolist(), strict=True)
        }
        self._remark(frame, file, pixels, colours, counts)

    def _key(self, packed: int) -> str:
        if packed == _TRANSPARENT:
            key = "colour:transparent"
            self._found.setdefault(key, SourceClass(key=key, name="transparent", void=True))
            return key
        colour = f"#{packed:06x}"
        key = f"colour:{colour}"
        if key not in self._declared:
            self._found.setdefault(key, SourceClass(key=key, name=colour, colour=colour))
        return key

    def _remark(
        self,
        frame: TruthFrame,
        file: str,
        pixels: NDArray[Any],
        colours: NDArray[Any],
        counts: NDArray[np.int64],
    ) -> None:
        keys = [self._key(colour) for colour in colours.tolist()]
        strange = [i for i, key in enumerate(keys) if key not in self._declared and not self.found(key).void]
        if self._declared and strange:
            noun = "a colour" if len(strange) == 1 else f"{len(strange)} colours"
            frame.problems.append(
                f"“{file}” has {int(counts[strange].sum())} pixels of {noun} that the class list does not have, "
                f"such as {self.found(keys[strange[0]]).name}."
            )
        rare = counts * 1000 < pixels.shape[0] * pixels.shape[1]
        if len(colours) > _SMOOTH_COLOURS and rare.sum() * 2 > len(colours):
            frame.problems.append(
                f"“{file}” has {len(colours)} colours, most of them on very few pixels: its edges seem smoothed."
            )
        if pixels.shape[2] == 4:
            half = int(np.count_nonzero((pixels[..., 3] > 0) & (pixels[..., 3] < 255)))
            if half:
                frame.problems.append(
                    f"“{file}” has {half} half-transparent pixels; their colour counts as it is."
                )


def pack(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(H, W, 3|4) uint8 → (H·W,) of 0xRRGGBB; transparent pixels are 1 << 24."""
    wide = np.zeros((*pixels.shape[:2], 4), np.uint8)
    wide[..., 0], wide[..., 1], wide[..., 2] = pixels[..., 2], pixels[..., 1], pixels[..., 0]
    packed = wide.view("<u4").ravel().astype(np.uint32, copy=False)
    if pixels.shape[2] == 4:
        packed[pixels[..., 3].ravel() == 0] = _TRANSPARENT
    return packed


def _declared(masks: Masks, listed: ClassList | None) -> list[SourceClass]:
    found = listed.by_colour() if listed else []
    if found:
        return found
    if masks.layout == "cityscapes":
        unique: dict[str, SourceClass] = {}
        for known in known_classes.cityscapes():
            unique.setdefault(str(known.colour), known)
        rows = [(known.name, colour, known.void) for colour, known in unique.items()]
    elif masks.layout == "camvid":
        rows = known_classes.camvid_colours()
    elif masks.layout == "voc":
        rows = [(known.name, str(known.colour), known.void) for known in known_classes.voc()]
    else:
        rows = []
    return [SourceClass(key=f"colour:{c}", name=name, colour=c, void=void) for name, c, void in rows]


def _first_is_flat(files: Files, masks: Masks) -> bool:
    """Whether the first picture has few colours, which tells a label map from a photo."""
    reader = ColourReader(files)
    reader.masks = Masks(masks.items[:1], masks.layout, [], named=masks.named)
    return next(reader.frames()).values is not None
