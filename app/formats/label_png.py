"""Label maps as PNG: palette (the class's `value`, coloured), index (grey, the `value`), colour (RGB).

Exact both ways: reading what was written with the same classes gives the label map back, pixel for pixel.
That needs values (or colours) which tell the classes and the unlabelled pixels apart, so a template where
they do not is refused unless `shared=True` says that merging is wanted. Equal input gives equal bytes: no
times and no names in the file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.algo.labels import exported_values, hex_colour, palette_bytes
from app.errors import Refused
from app.models import ClassDef

Mode = Literal["palette", "index", "colour"]
MODES: tuple[Mode, ...] = get_args(Mode)

DEFAULT_UNLABELLED = 0
MAX_PIXELS = 80_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COMPRESSION = 6


def mode_of(name: str) -> Mode:
    """Raises Refused for anything but the three modes."""
    for mode in MODES:
        if mode == name:
            return mode
    raise Refused(f"A label map is written as {', '.join(MODES)}; there is no mode {name[:30]!r}.")


def check_classes(
    classes: Sequence[ClassDef], mode: Mode, unlabelled: int | None = None, *, shared: bool = False
) -> int:
    """The number that unlabelled pixels get, after making sure that the files can be read back.

    `unlabelled`: 0..65535 (0..255 for palette; the grey level 0..255 for colour); None = 0, or
    where a class is written as that the free number that `free_value` names.
    `shared`: several classes, or a class and the unlabelled pixels, may be written alike (they merge).
    Raises Refused: values over 255 in a palette, a number out of range, two things written alike.
    """
    limit = 65535 if mode == "index" else 255
    chosen = _default(classes, mode, limit) if unlabelled is None else unlabelled
    if not 0 <= chosen <= limit:
        raise Refused(f"Unlabelled pixels cannot be written as {chosen}; choose a number from 0 to {limit}.")
    if mode == "palette":
        for known in classes:
            if known.exported_value > 255:
                raise Refused(
                    f"The class “{known.name}” has the value {known.exported_value}, but a palette PNG holds "
                    "values up to 255; lower the value in the class template or export index PNGs (16 bits)."
                )
    if not shared:
        _check_distinct(classes, mode, chosen)
    return chosen


def _default(classes: Sequence[ClassDef], mode: Mode, limit: int) -> int:
    if mode == "colour":
        taken = any(c.colour == "#000000" for c in classes)
    else:
        taken = any(c.exported_value == DEFAULT_UNLABELLED for c in classes)
    free = free_value(classes, mode) if taken else DEFAULT_UNLABELLED
    return free if free <= limit else DEFAULT_UNLABELLED


def unlabelled_note(asked: int | None, chosen: int) -> list[str]:
    """What to say where the number for unlabelled pixels is neither the usual one nor asked for."""
    if asked is not None or chosen == DEFAULT_UNLABELLED:
        return []
    return [f"A class is written as {DEFAULT_UNLABELLED}, so unlabelled pixels are written as {chosen}."]


def _check_distinct(classes: Sequence[ClassDef], mode: Mode, unlabelled: int) -> None:
    grey = f"#{unlabelled:02x}{unlabelled:02x}{unlabelled:02x}"
    seen: dict[int | str, str] = {}
    for known in classes:
        key = known.colour.lower() if mode == "colour" else known.exported_value
        what = "colour" if mode == "colour" else "value"
        if key in seen:
            raise Refused(
                f"The classes “{seen[key]}” and “{known.name}” have the same {what} {key}, so the files "
                f"could not tell them apart; give one of them another {what} in the class template."
            )
        if key == (grey if mode == "colour" else unlabelled):
            raise Refused(
                f"The class “{known.name}” is written as {key}, which is also what unlabelled pixels would "
                f"get; choose another number for unlabelled pixels, such as {free_value(classes, mode)}."
            )
        seen[key] = known.name


def free_value(classes: Sequence[ClassDef], mode: Mode) -> int:
    """A number for unlabelled pixels that no class uses: the largest free one up to 255, else up to 65535."""
    if mode == "colour":
        taken = {hex_colour(c.colour)[0] for c in classes if len(set(hex_colour(c.colour))) == 1}
    else:
        taken = {c.exported_value for c in classes}
    for value in range(255, -1, -1):
        if value not in taken:
            return value
    return next((value for value in range(65535, 255, -1) if value not in taken), 65535)


def encode(
    label_map: NDArray[np.integer],
    classes: Sequence[ClassDef],
    *,
    mode: Mode,
    unlabelled: int,
    shared: bool = False,
) -> bytes:
    """A label map (H, W) of class ids (0 = unlabelled) as the bytes of a PNG.

    palette: 8 bit, palette = class colours at their values; index: grey, 8 bit where every value of the
    template and `unlabelled` fit, else 16; colour: RGB, unlabelled pixels are the grey level `unlabelled`.
    Raises Refused as `check_classes`, and for a class id that the template lacks.
    """
    check_classes(classes, mode, unlabelled, shared=shared)
    missing = set(np.flatnonzero(np.bincount(label_map.ravel())).tolist()) - {0} - {c.id for c in classes}
    if missing:
        raise Refused(f"The label map holds class {min(missing)}, which the class template does not have.")
    values = {c.id: c.exported_value for c in classes}
    if mode == "colour":
        table = np.full((max(values, default=0) + 1, 3), unlabelled, np.uint8)
        for known in classes:
            table[known.id] = hex_colour(known.colour)
        image = Image.fromarray(table[label_map], "RGB")
    else:
        image = Image.fromarray(exported_values(np.asarray(label_map), values, unlabelled))
    if mode == "palette":
        colours = {c.exported_value: c.colour for c in reversed(classes)}
        if unlabelled != 255:
            # Unlabelled stays black; as 255 it keeps the cream colour that VOC gives to void.
            colours.setdefault(unlabelled, "#000000")
        image.putpalette(palette_bytes(colours))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=_COMPRESSION)
    return out.getvalue()


def decode(
    data: bytes, classes: Sequence[ClassDef], *, mode: Mode, unlabelled: int, name: str = "The label map"
) -> NDArray[np.uint16]:
    """The label map (H, W) uint16 of class ids that `encode` wrote with the same classes and `unlabelled`.

    Raises Refused: not a PNG of that mode, damaged, too large, or pixels of a value or colour that no class
    has (the sentence counts them).
    """
    pixels = read_pixels(data, name)
    if mode == "colour":
        if pixels.ndim != 3:
            raise Refused(f"{name} is not a colour PNG: its pixels are numbers; read it as index or palette.")
        rgb = pixels[..., :3].astype(np.uint32)
        found = ((rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]).astype(np.uint32)
        keys = {int(c.colour[1:], 16): c.id for c in reversed(classes)}
        keys.setdefault(unlabelled * 0x010101, 0)
    else:
        if pixels.ndim != 2:
            raise Refused(f"{name} is a colour PNG; read it as colour.")
        found = pixels
        keys = {c.exported_value: c.id for c in reversed(classes)}
        keys.setdefault(unlabelled, 0)
    return _translate(found, keys, mode, name)


def _translate(
    found: NDArray[np.unsignedinteger], keys: dict[int, int], mode: Mode, name: str
) -> NDArray[np.uint16]:
    known = np.array(sorted(keys), np.uint32)
    ids = np.array([keys[int(key)] for key in known], np.uint16)
    if mode == "colour":
        place = np.minimum(np.searchsorted(known, found), len(known) - 1)
        strange = known[place] != found
    else:
        # Numbers up to 65535 are looked up in a table: searching costs several times as much.
        table = np.full(1 << 16, len(known), np.intp)
        table[known] = np.arange(len(known))
        place = np.take(table[: 1 << 8 * found.itemsize], found)
        strange = place == len(known)
    if strange.any():
        value = int(found[strange][0])
        shown = f"colour #{value:06x}" if mode == "colour" else f"value {value}"
        raise Refused(
            f"{name} has {int(strange.sum())} pixels of a value that no class has, the first of {shown}; "
            "add the class or choose the template that belongs to the file."
        )
    return ids[place]


def read_pixels(data: bytes, name: str = "The label map") -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The raw samples of a PNG: (H, W) palette indices or grey levels (uint8, uint16), or (H, W, 3|4) uint8.

    Grey of 1, 2 or 4 bits is given as stored, not stretched to 255.
    Raises Refused: not a PNG, too large, damaged.
    """
    if len(data) < 33 or not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise Refused(f"{name} is not a PNG.")
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    if not width or not height or width * height > MAX_PIXELS:
        raise Refused(f"{name} is {width}×{height} px; at most {MAX_PIXELS // 10**6} megapixels are read.")
    if depth == 16 and kind != 0:
        raise Refused(f"{name} has 16 bits a colour channel; save it with 8.")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            mode, pixels = image.mode, np.array(image)
    except (OSError, SyntaxError, ValueError, struct.error, EOFError, Image.DecompressionBombError) as exc:
        raise Refused(f"{name} is damaged or cut off; copy or export it again.") from exc
    if mode == "1":
        return pixels.astype(np.uint8)
    if mode in ("I", "I;16"):
        return pixels.astype(np.uint16)
    if mode == "L" and depth < 8:
        # Pillow stretches these to 0..255.
        return pixels // np.uint8(255 // (2**depth - 1))
    if mode in ("L", "P", "RGB", "RGBA"):
        return pixels
    raise Refused(f"{name} is a PNG of a kind that cannot hold a label map ({mode}).")
