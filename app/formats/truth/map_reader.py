"""What the readers of label maps share: one PNG is one frame, and a damaged one is a sentence, not an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from app.errors import Refused
from app.formats.label_png import read_pixels
from app.formats.truth.masks import Masks, png_size, refuse
from app.formats.truth.model import Files, SourceClass, TruthFrame, TruthObject

MAX_FILE_BYTES = 256 << 20
_BLOCK = 1 << 22
NOISY_CLASSES = 48
"""A frame with more classes than this, whose neighbours mostly differ, is a photo and no label map."""


class MapReader:
    """Base of the readers: declared and found classes, and the loop over files. `_fill` is each reader's own."""

    format: str = ""

    def __init__(self, files: Files, masks: Masks, declared: list[SourceClass]) -> None:
        """Raises Refused, saying why, when the source has no label map."""
        if not masks.items:
            refuse(files)
            raise Refused(f"“{files.title}” holds no PNG that could be a label map.")
        self.files = files
        self.masks = masks
        self.problems: list[str] = []
        self._declared = {known.key: known for known in declared}
        self._found: dict[str, SourceClass] = {}
        if masks.lossy:
            self.problems.append(
                f"{_counted(len(masks.lossy), 'file')} beside the label maps, such as “{masks.lossy[0]}”, "
                "are no PNGs and were left out: other kinds may change the numbers of the classes."
            )
        if masks.left_out:
            self.problems.append(
                f"{_counted(len(masks.left_out), 'image')} without such a file as the others have were left out: "
                f"“{masks.left_out[0]}”."
            )

    @property
    def count(self) -> int:
        return len(self.masks.items)

    def classes(self) -> list[SourceClass]:
        return list(self._declared.values())

    def found(self, key: str) -> SourceClass:
        known = self._declared.get(key) or self._found.get(key)
        return known or SourceClass(key=key, name=key.partition(":")[2])

    def frames(self) -> Iterator[TruthFrame]:
        for place, mask in enumerate(self.masks.items):
            frame = TruthFrame(mask.name, 0, 0, mask.index)
            try:
                data = self.files.read(mask.file, MAX_FILE_BYTES)
                frame.width, frame.height = png_size(data[:64])
                pixels = read_pixels(data, f"“{mask.file}”")
                self._fill(frame, place, pixels, data)
            except Refused as exc:
                frame.problems.append(exc.sentence)
                frame.values, frame.keys, frame.objects = None, {}, []
            yield frame

    def _fill(self, frame: TruthFrame, place: int, pixels: NDArray[np.unsignedinteger], data: bytes) -> None:
        """Give the frame its values or objects. Raises Refused when the file is no label map."""
        raise NotImplementedError


def count_values(pixels: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """How many pixels each value has, by value; small in memory whatever the size of the image."""
    flat = pixels.ravel()
    counts = np.zeros(256 if pixels.dtype == np.uint8 else 65536, np.int64)
    for start in range(0, flat.size, _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK], minlength=counts.size)
    return counts


def looks_like_a_photo(pixels: NDArray[np.unsignedinteger], classes: int) -> bool:
    """Whether most neighbours differ in a (H, W) map of many values."""
    if classes <= NOISY_CLASSES or pixels.size < 64:
        return False
    differ = int(np.count_nonzero(pixels[:, 1:] != pixels[:, :-1]))
    return differ * 3 > pixels.size


def cut(pixels: NDArray[np.unsignedinteger], value: int, box: tuple[slice, slice], key: str) -> TruthObject:
    """The pixels of one value as an object; `box` as `boxes` gives it."""
    return TruthObject(key, pixels[box] == value, box[1].start, box[0].start)


def boxes(pixels: NDArray[np.unsignedinteger]) -> dict[int, tuple[slice, slice]]:
    """value → (rows, columns) for every value above 0 of a (H, W) map."""
    found = ndimage.find_objects(pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32))
    return {value: (box[0], box[1]) for value, box in enumerate(found, 1) if box is not None}


def runs(flat: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where equal neighbours begin, and how many they are. Label maps have few runs, which makes them fast."""
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    return starts, np.diff(starts, append=flat.size)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
