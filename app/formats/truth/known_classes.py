"""Published class lists of data sets whose label maps come without one: numbers, names and colours as facts."""

from __future__ import annotations

from app.formats.truth.model import SourceClass

_CITYSCAPES = """
0 255 000000 unlabeled
1 255 000000 ego vehicle
2 255 000000 rectification border
3 255 000000 out of roi
4 255 000000 static
5 255 6f4a00 dynamic
6 255 510051 ground
7 0 804080 road
8 1 f423e8 sidewalk
9 255 faaaa0 parking
10 255 e6968c rail track
11 2 464646 building
12 3 66669c wall
13 4 be9999 fence
14 255 b4a5b4 guard rail
15 255 966464 bridge
16 255 96785a tunnel
17 5 999999 pole
18 255 999999 polegroup
19 6 faaa1e traffic light
20 7 dcdc00 traffic sign
21 8 6b8e23 vegetation
22 9 98fb98 terrain
23 10 4682b4 sky
24 11 dc143c person
25 12 ff0000 rider
26 13 00008e car
27 14 000046 truck
28 15 003c64 bus
29 255 00005a caravan
30 255 00006e trailer
31 16 005064 train
32 17 0000e6 motorcycle
33 18 770b20 bicycle
"""
_CITYSCAPES_VOID = frozenset({"unlabeled", "ego vehicle", "rectification border", "out of roi"})

_CAMVID = """
animal 408040|archway c00080|bicyclist 0080c0|bridge 008040|building 800000|car 400080|cart luggage pram 4000c0
child c08040|column pole c0c080|fence 404080|lane markings driving 8000c0|lane markings other c00040|misc text 808040
motorcycle scooter c000c0|other moving 804040|parking block 40c080|pedestrian 404000|road 804080|road shoulder 8080c0
sidewalk 0000c0|sign symbol c08080|sky 808080|suv pickup truck 4080c0|traffic cone 000040|traffic light 004040
train c04080|tree 808000|truck bus c080c0|tunnel 400040|vegetation misc c0c000|wall 40c000|void 000000
"""
_CAMVID_11 = (
    "sky building pole road pavement tree sign_symbol fence car pedestrian bicyclist unlabelled".split(),
    "808080 800000 c0c080 804080 3c28de 808000 c08080 404080 400080 404000 0080c0 000000".split(),
)

_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()
VOC_VOID = "#e0e0c0"


def voc_colour(index: int) -> str:
    """The colour of an index in the VOC palette: its bits dealt out in turn to red, green and blue."""
    parts = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            parts[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return "#{:02x}{:02x}{:02x}".format(*parts)


def _value(value: int, name: str, colour: str | None, *, void: bool = False) -> SourceClass:
    return SourceClass(key=f"value:{value}", name=name, value=value, colour=colour, void=void)


def cityscapes(*, train_ids: bool = False) -> list[SourceClass]:
    """The 34 label ids, or the 19 train ids and 255."""
    found = []
    for row in _CITYSCAPES.strip().splitlines():
        label, train, colour, name = row.split(" ", 3)
        if not train_ids:
            found.append(_value(int(label), name, f"#{colour}", void=name in _CITYSCAPES_VOID))
        elif train != "255":
            found.append(_value(int(train), name, f"#{colour}"))
    if train_ids:
        found.append(_value(255, "ignored", "#000000", void=True))
    return found


def camvid_index() -> list[SourceClass]:
    """The 11 classes of the index masks in wide use; 0 is sky, 11 is unlabelled."""
    return [
        _value(i, name, f"#{colour}", void=name == "unlabelled")
        for i, (name, colour) in enumerate(zip(*_CAMVID_11))
    ]


def camvid_colours() -> list[tuple[str, str, bool]]:
    """(name, colour, void) of the 32 classes of the colour masks."""
    rows = _CAMVID.strip().replace("\n", "|").split("|")
    return [(name, f"#{colour}", name == "void") for name, _, colour in (row.rpartition(" ") for row in rows)]


def voc() -> list[SourceClass]:
    """Background, the 20 classes, and 255, which is void."""
    found = [_value(i, name, voc_colour(i)) for i, name in enumerate(_VOC)]
    return [*found, _value(255, "void", VOC_VOID, void=True)]
