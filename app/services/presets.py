"""Ready-made class templates. Priorities rise from what lies behind to what stands in front.

Colours of `street` are tuned together for normal and colour-blind eyes. The ids of Cityscapes, VOC and CamVid follow
their published label lists (facts: cordts2016cityscapes, everingham2010voc, brostow2009camvid); the exported
`value` is the number those data sets write into their index PNGs.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from app.models import ClassDef


@dataclass(frozen=True)
class Preset:
    """`rows` = (name, colour, value or None), listed from the lowest priority to the highest."""

    title: str
    rows: tuple[tuple[str, str, int | None], ...]

    def build(self) -> list[ClassDef]:
        keys = "1234567890"
        return [
            ClassDef(
                id=number,
                name=name,
                colour=colour,
                priority=number * 10,
                value=value,
                shortcut=keys[number - 1] if number <= len(keys) else "",
            )
            for number, (name, colour, value) in enumerate(self.rows, 1)
        ]


def _spread(names: str) -> tuple[tuple[str, str, int | None], ...]:
    """Colours around the circle in golden steps, alternately light and dark, for lists without their own."""
    rows = []
    for i, name in enumerate(names.split()):
        r, g, b = colorsys.hls_to_rgb((i * 0.618034) % 1, (0.42, 0.62, 0.52)[i % 3], 0.65)
        rows.append(
            (name.replace("_", " "), f"#{int(r * 255):02x}{int(g * 255):02x}{int(b * 255):02x}", None)
        )
    return tuple(rows)


def voc_colour(value: int) -> str:
    """The bit-interleaved colour map of the PASCAL VOC development kit."""
    rgb = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            rgb[channel] |= ((value >> channel) & 1) << (7 - bit)
        value >>= 3
    return "#{:02x}{:02x}{:02x}".format(*rgb)


_VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow dining_table dog horse motorbike person "
    "potted_plant sheep sofa train tv_monitor"
).split()

PRESETS: dict[str, Preset] = {
    "objects": Preset(
        "Objects",
        (
            ("background", "#8a5b9b", None),
            ("floor", "#c5b98e", None),
            ("object", "#1f8876", None),
            ("chair", "#fca300", None),
            ("animal", "#73c1fe", None),
            ("person", "#d7005c", None),
        ),
    ),
    "street": Preset(
        "Street",
        (
            ("sky", "#73c1fe", None),
            ("road", "#8a5b9b", None),
            ("pavement", "#ffb9d0", None),
            ("building", "#ae5320", None),
            ("tree", "#78ba53", None),
            ("fence", "#c5b98e", None),
            ("car", "#1f8876", None),
            ("pedestrian", "#d7005c", None),
            ("bicyclist", "#bb3acf", None),
            ("sign", "#fca300", None),
            ("pole", "#eaf467", None),
        ),
    ),
    "camvid": Preset(
        "CamVid (11 classes)",
        (
            ("sky", "#808080", 0),
            ("building", "#800000", 1),
            ("road", "#804080", 3),
            ("pavement", "#3c28de", 4),
            ("tree", "#808000", 5),
            ("fence", "#404080", 7),
            ("car", "#400080", 8),
            ("pedestrian", "#404000", 9),
            ("bicyclist", "#0080c0", 10),
            ("sign symbol", "#c08080", 6),
            ("pole", "#c0c080", 2),
        ),
    ),
    "cityscapes": Preset(
        "Cityscapes (19 classes, labelIds)",
        (
            ("sky", "#4682b4", 23),
            ("road", "#804080", 7),
            ("sidewalk", "#f423e8", 8),
            ("terrain", "#98fb98", 22),
            ("building", "#464646", 11),
            ("wall", "#66669c", 12),
            ("vegetation", "#6b8e23", 21),
            ("fence", "#be9999", 13),
            ("train", "#005064", 31),
            ("bus", "#003c64", 28),
            ("truck", "#000046", 27),
            ("car", "#00008e", 26),
            ("motorcycle", "#0000e6", 32),
            ("bicycle", "#770b20", 33),
            ("rider", "#ff0000", 25),
            ("person", "#dc143c", 24),
            ("traffic sign", "#dcdc00", 20),
            ("traffic light", "#faaa1e", 19),
            ("pole", "#999999", 17),
        ),
    ),
    "voc": Preset(
        "PASCAL VOC (20 classes)",
        tuple((name.replace("_", " "), voc_colour(i), i) for i, name in enumerate(_VOC, 1)),
    ),
    "scene": Preset(
        "Scene (30 stuff and thing classes)",
        _spread(
            "wall ceiling floor sky road pavement grass earth mountain water tree plant building house fence "
            "door window curtain rug cabinet shelf bed sofa table chair lamp screen vehicle animal person"
        ),
    ),
}
