"""Which files of a source are label maps, and which image each belongs to.

Folder names decide first ("masks", "SegmentationClass", "trainannot", "gtFine"), then endings of names
("_labelIds", "_mask"), and only where neither speaks the pixel type: palette and grey PNGs are label maps,
colour PNGs beside them are photos.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from app.errors import Refused
from app.formats.images import is_image_kind
from app.formats.sniff import sniff_bytes
from app.formats.truth.files import stem_of, suffix_of, with_suffix
from app.formats.truth.model import Files

IMAGE_FOLDERS = frozenset(
    "images image img imgs jpegimages leftimg8bit rgb frames input input_images photos pictures color_images".split()
)
OTHER_FOLDERS = frozenset(
    "segmentationobject segmentationobjectpng segmentationobjectvisualization segmentationclassvisualization "
    "scribbles alpha alphas trimap trimaps depth flow disparity overlay overlays preview previews".split()
)
MASK_FOLDERS = frozenset(
    "masks mask annotations annotation annots labels label labelmaps label_maps gt gtfine gtcoarse ground_truth "
    "groundtruth segmentation segmentations semantic semantics segmentationclass segmentationclasspng seg".split()
)
_RESOLUTIONS = frozenset({"480p", "1080p", "full-resolution", "4k"})
_CITYSCAPES = re.compile(
    r"^(?P<base>.+?)_gt(?:Fine|Coarse|BboxCityPersons)_(?P<role>labelIds|labelTrainIds|instanceIds|"
    r"instanceTrainIds|color)$"
)
_ROLES = ("labelIds", "labelTrainIds", "instanceIds", "color")
"""Of Cityscapes' files the role is read that most images have, of equals the first; instanceTrainIds never."""
_ENDING = re.compile(r"(?i)^(?P<base>.+?)[_-](?:mask|masks|label|labels|gt|seg|segmentation|labelmap|L)$")
_NUMBER = re.compile(r"(?:^|_)([0-9]{1,9})$")
_RASTER = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
_INDEX_TYPES = (0, 3)
_COLOUR_TYPES = (2, 6)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLE = 24


class Mask(Struct, frozen=True):
    """One label map: its file, the image it belongs to, the frame's number and what its pixels are.

    `role`: of _ROLES for Cityscapes, else ""; `sequence`: the folder of a sequence under Annotations.
    """

    file: str
    name: str
    index: int | None
    role: str = ""
    sequence: str = ""


class Masks(Struct):
    """`layout`: "voc", "camvid", "cityscapes", "annotations" (DAVIS, YouTube-VOS) or ""."""

    items: list[Mask]
    layout: str
    lossy: list[str]
    """Files in the folders of the label maps that are no PNGs, such as JPEGs."""
    left_out: list[str] = []
    """Cityscapes files of another kind than the one that is read, of images that have only those."""
    named: bool = False
    """Whether folders or endings say that these are label maps."""


def find_masks(files: Files) -> Masks:
    """The label maps of a source, in its order. Looks at names, and at heads where names say nothing."""
    rasters = with_suffix(files, *_RASTER)
    stems = {stem_of(name) for name in rasters}
    roles = {name: _role(name, stems) for name in rasters}
    if len(files.names) == 1:
        roles = dict.fromkeys(rasters, "")
    chosen = [name for name in rasters if roles[name] == "mask"]
    if chosen:
        pngs = [name for name in chosen if suffix_of(name) == ".png"]
        lossy = [name for name in chosen if suffix_of(name) != ".png"]
    else:
        plain = [name for name in rasters if roles[name] == ""]
        pngs = _by_content(files, [name for name in plain if suffix_of(name) == ".png"])
        lossy = [] if pngs else [name for name in plain if suffix_of(name) != ".png"]
    layout = _layout(pngs)
    left_out: list[str] = []
    if layout == "cityscapes":
        pngs, left_out = _best_role(pngs)
    taken = set(pngs)
    images = [name for name in rasters if name not in taken and _may_be_image(name, roles[name])]
    return Masks(_paired(pngs, images, layout), layout, lossy, left_out, named=bool(chosen))


def _may_be_image(name: str, role: str) -> bool:
    return role == "image" or (role == "" and "mask" not in name.rpartition("/")[0].lower())


def _role(name: str, stems: set[str]) -> str:
    """ "mask", "image", "other", or "" where the name does not tell. The deepest folder that tells decides.

    An ending such as "_mask" tells only where the image without it is there too.
    """
    stem = stem_of(name)
    city = _CITYSCAPES.match(stem)
    if city:
        return "mask" if city["role"] in _ROLES else "other"
    if stem.lower().endswith("_leftimg8bit"):
        return "image"
    for part in reversed(name.lower().split("/")[:-1]):
        if part in OTHER_FOLDERS:
            return "other"
        if part in IMAGE_FOLDERS:
            return "image"
        if part in MASK_FOLDERS or (part.endswith("annot") and len(part) > 5):
            return "mask"
    ending = _ENDING.match(stem)
    return "mask" if ending and ending["base"] in stems and suffix_of(name) == ".png" else ""


def _by_content(files: Files, names: list[str]) -> list[str]:
    """Palette and grey PNGs where there are any; otherwise all."""
    index = [name for name in names if png_type(files.head(name, 64)) in _INDEX_TYPES]
    return index or names


def _layout(names: list[str]) -> str:
    lowered = [name.lower() for name in names]
    if any(_CITYSCAPES.match(stem_of(name)) for name in names):
        return "cityscapes"
    if any("segmentationclass" in part for name in lowered for part in name.split("/")[:-1]):
        return "voc"
    if any(part.endswith("annot") for name in lowered for part in name.split("/")[:-1]):
        return "camvid"
    # With a capital it is DAVIS's; "annotations/training" holds classes (ADE20K, COCO stuff).
    return "annotations" if any("Annotations" in name.split("/")[:-2] for name in names) else ""


def _best_role(names: list[str]) -> tuple[list[str], list[str]]:
    """The files of the one role that most images have, and files of images that lack it."""
    bases: dict[str, dict[str, str]] = {}
    for name in names:
        found = _CITYSCAPES.match(stem_of(name))
        if found:
            bases.setdefault(f"{PurePosixPath(name).parent}/{found['base']}", {})[found["role"]] = name
    best = max(_ROLES, key=lambda role: (sum(role in files for files in bases.values()), -_ROLES.index(role)))
    return (
        [files[best] for files in bases.values() if best in files],
        [next(iter(files.values())) for files in bases.values() if best not in files],
    )


def _paired(names: list[str], others: list[str], layout: str) -> list[Mask]:
    images: dict[str, list[str]] = {}
    for name in others:
        images.setdefault(_image_base(name), []).append(name)
    return [_mask(name, images, layout) for name in names]


def _image_base(name: str) -> str:
    return stem_of(name).removesuffix("_leftImg8bit")


def _mask(name: str, images: dict[str, list[str]], layout: str) -> Mask:
    stem = stem_of(name)
    city = _CITYSCAPES.match(stem)
    base, role = (city["base"], city["role"]) if city else (stem, "")
    ending = _ENDING.match(stem)
    if not city and ending and (ending["base"] in images or base not in images):
        base = ending["base"]
    parts = [
        part.removesuffix("annot") if part.lower().endswith("annot") else part
        for part in name.split("/")[:-1]
        if part.lower() not in MASK_FOLDERS and part.lower() not in _RESOLUTIONS
    ]
    sequence = "/".join(parts) if layout == "annotations" else ""
    number = _NUMBER.search(base)
    own = "/".join([*parts, f"{base}_leftImg8bit.png" if city else f"{base}.png"])
    return Mask(
        name, _image_of(own, images.get(base, [])), int(number[1]) if number else None, role, sequence
    )


def _image_of(own: str, images: Sequence[str]) -> str:
    """The image with the most folders in common, from the end; `own` where none or several fit alike."""
    wanted = own.split("/")[-2::-1]

    def fits(image: str) -> int:
        shared = 0
        for mine, theirs in zip(wanted, image.split("/")[-2::-1]):
            if mine != theirs:
                break
            shared += 1
        return shared

    best = sorted(images, key=fits, reverse=True)
    if not best or (len(best) > 1 and fits(best[0]) == fits(best[1])):
        return own
    return best[0]


# ── what the first bytes tell ────────────────────────────────────────────────────────────


def png_type(head: bytes) -> int | None:
    """The colour type of a PNG (0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA), None for other files."""
    if len(head) < 26 or not head.startswith(_SIGNATURE) or head[12:16] != b"IHDR":
        return None
    return head[25]


def png_size(head: bytes) -> tuple[int, int]:
    """Width and height as the header states them; (0, 0) for other files."""
    if png_type(head) is None:
        return 0, 0
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def palette_of(data: bytes) -> list[str]:
    """The colours "#rrggbb" of a palette PNG by index, from its bytes or its head; empty without a palette."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        if kind == b"PLTE" and len(body) == length <= 768:
            return [f"#{body[i : i + 3].hex()}" for i in range(0, length - 2, 3)]
        if kind in (b"IDAT", b"IEND"):
            break
        place += 12 + length
    return []


def types(files: Files, masks: Masks) -> set[int | None]:
    """The colour types among some of the label maps, spread over the source."""
    items = masks.items
    step = max(1, len(items) // SAMPLE)
    return {png_type(files.head(mask.file, 64)) for mask in items[::step]}


def has_index(files: Files, masks: Masks) -> bool:
    return any(kind in _INDEX_TYPES for kind in types(files, masks))


def has_colour(files: Files, masks: Masks) -> bool:
    return any(kind in _COLOUR_TYPES for kind in types(files, masks))


def refuse(files: Files) -> None:
    """Raises Refused where the source holds pictures that look like label maps but cannot be read as such."""
    masks = find_masks(files)
    pictures = all(suffix_of(name) in _RASTER for name in files.names)
    if not masks.items and masks.lossy and (masks.named or pictures):
        name = masks.lossy[0]
        kind = sniff_bytes(files.head(name, 4096)).kind
        if kind == "jpeg":
            raise Refused(
                f"“{name}” is a JPEG: its compression changes the numbers and colours at every edge, so it cannot "
                "hold a label map; export the masks as PNG."
            )
        raise Refused(
            f"“{name}” is not a PNG; label maps are read from PNG files only, so export the masks as PNG."
        )
    for mask in masks.items[:SAMPLE]:
        head = files.head(mask.file, 4096)
        if png_type(head) is None:
            what = "an image of another kind" if is_image_kind(head) else "no image at all"
            raise Refused(f"“{mask.file}” is named .png but is {what}.")
