"""Damaged and hostile JSON, XML and text: refused in a sentence or listed, never another exception."""

from __future__ import annotations

import base64
import copy
import json
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.formats.truth import open_files, open_truth
from tests.pngs import png
from tests.truth_sources import read, write

HARMLESS = {
    "coco_bom_utf8.json": "a byte order mark says nothing about the content",
    "labelme_missing_image.json": "the image is only named, frames are matched by it",
    "yolo_empty.txt": "an image without objects",
}


def outcome(path: Path, format: str) -> list[str]:
    """All sentences of a source; a refusal is the only one."""
    try:
        reader = open_truth(open_files(path), format)
        if hasattr(reader, "size_of"):
            reader.size_of = lambda name, index: (480, 360)  # type: ignore[attr-defined]
        frames = list(reader.frames())
        return [*reader.problems, *(problem for frame in frames for problem in frame.problems)]
    except Refused as exc:
        return [exc.sentence]


def test_every_malformed_sample_is_refused_or_listed(shared_data: Path, tmp_path: Path) -> None:
    formats = {"coco": "coco", "cvat": "cvat", "labelme": "labelme", "yolo": "yolo-seg"}
    seen = set()
    for path in sorted((shared_data / "formats/malformed").iterdir()):
        format = formats.get(path.name.partition("_")[0])
        if format is None:
            continue
        seen.add(path.name)
        source = path
        if format == "yolo-seg":
            # A label file alone has no list of classes that its numbers could be missing from.
            source = tmp_path / path.stem
            (source / "labels").mkdir(parents=True)
            shutil.copy(path, source / "labels" / path.name)
            shutil.copy(shared_data / "formats/generated_yolo_seg/data.yaml", source / "data.yaml")
        sentences = outcome(source, format)
        assert bool(sentences) != (path.name in HARMLESS), (path.name, sentences)
        assert all(sentence.endswith(".") for sentence in sentences), sentences
    assert len(seen) == 33


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf  \n", "is empty"),
        (b'{"shapes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"shapes": [' + b'{"label": ' * 100_000, "nested too deeply"),
        (b'{"shapes": [], "imagePath": "\xff\xfe"}', "UTF-8"),
        (b'{"shapes": [], "imageWidth": 1e999}', "out of range"),
        (b'{"shapes": [NaN]}', "NaN or Infinity"),
        (b'{"shapes": {}}', "array"),
        ('{"shapes": []}'.encode("utf-16"), "not complete, valid JSON"),
    ],
)
def test_damaged_json_is_refused_in_a_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    assert sentence in outcome(write(tmp_path, {"a.json": data}), "labelme")[0]


def test_of_a_repeated_key_the_last_counts(tmp_path: Path) -> None:
    text = '{"shapes": [1], "shapes": [], "imagePath": "a", "imagePath": "b.png", "imageWidth": 4, "imageHeight": 4}'
    _, [frame] = read(tmp_path, {"a.json": text}, "labelme")
    assert (frame.name, frame.problems) == ("b.png", [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("<annotations>" + "<a>" * 200_000, "nested too deeply"),
        ("<annotations><image/>", "not complete, valid XML"),
        ("<html/>", "begins with <html>"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>', "document type or entities"),
        ('<!DOCTYPE annotations SYSTEM "file:///etc/passwd"><annotations/>', "document type or entities"),
        ('<?xml version="1.0" encoding="klingon"?><annotations/>', "not complete, valid XML"),
        ("<annotations>\x01</annotations>", "not complete, valid XML"),
    ],
)
def test_damaged_or_hostile_xml_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in outcome(write(tmp_path, {"annotations.xml": text}), "cvat")[0]


def test_outlines_that_would_cost_too_much_are_left_out(tmp_path: Path) -> None:
    comb = [v for x in range(20_000) for v in (x / 10, 0 if x % 2 else 2000)]
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 2000, "height": 2000}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [comb]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    _, [frame] = read(tmp_path, {"a.json": document})
    assert "too intricate" in frame.problems[0]


def test_sizes_past_all_bounds_leave_a_frame_without_objects(tmp_path: Path) -> None:
    for width, height in [(1e300, 4), (-5, 4), (10**9, 10**9)]:
        document = {"shapes": [], "imagePath": "a", "imageWidth": width, "imageHeight": height}
        _, [frame] = read(tmp_path, {"a.json": document}, "labelme")
        assert (frame.width, frame.height, len(frame.problems)) == (0, 0, 1)


RLE = {"size": [4, 6], "counts": [3, 5, 16]}
RING = [1, 1, 4, 1, 4, 3]
PAIRS = [[1, 1], [4, 1], [4, 3]]
MASK = base64.b64encode(png([[255, 255], [255, 0]])).decode()
BITMAP = base64.b64encode(zlib.compress(png([[255, 255], [255, 0]]))).decode()
SHAPE = {"label": "a", "group_id": 1}
VALID: dict[str, tuple[str, Any]] = {
    "coco": (
        "a.json",
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 6, "height": 4}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [RING], "attributes": {"a": 1}},
                {"id": 2, "image_id": 1, "category_id": 1, "segmentation": RLE, "iscrowd": 1},
            ],
            "categories": [{"id": 1, "name": "car", "color": [1, 2, 3]}],
        },
    ),
    "labelme": (
        "a.json",
        {
            "shapes": [
                {**SHAPE, "points": PAIRS, "shape_type": "polygon", "flags": {"x": True}},
                {**SHAPE, "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": MASK},
                {**SHAPE, "points": [[1, 1], [2, 2]], "shape_type": "circle"},
            ],
            "imagePath": "a.jpg",
            "imageWidth": 6,
            "imageHeight": 4,
        },
    ),
    "cityscapes": (
        "a_polygons.json",
        {"imgHeight": 4, "imgWidth": 6, "objects": [{"label": "cargroup", "polygon": PAIRS, "deleted": 0}]},
    ),
    "supervisely": (
        "ann/a.png.json",
        {
            "size": {"height": 4, "width": 6},
            "objects": [
                {"id": 1, "classTitle": "a", "bitmap": {"data": BITMAP, "origin": [1, 1]}, "tags": []},
                {"id": 2, "classTitle": "a", "points": {"exterior": PAIRS, "interior": [PAIRS]}},
            ],
        },
    ),
    "datumaro": (
        "a.json",
        {
            "categories": {"label": {"labels": [{"name": "car"}]}},
            "items": [
                {
                    "id": "a",
                    "image": {"path": "a.jpg", "size": [4, 6]},
                    "attr": {"frame": 3},
                    "annotations": [
                        {"id": 1, "type": "polygon", "label_id": 0, "points": RING, "z_order": 1},
                        {"id": 2, "type": "mask", "label_id": 0, "rle": RLE},
                    ],
                }
            ],
        },
    ),
    "isat": (
        "a.json",
        {
            "info": {"name": "a.jpg", "width": 6, "height": 4},
            "objects": [
                {"category": "a", "group": 1, "segmentation": PAIRS, "layer": 1},
                {"category": "__background__", "group": 2, "segmentation": PAIRS, "layer": 2},
            ],
        },
    ),
    "sa1b": (
        "a.json",
        {
            "image": {"file_name": "a.jpg", "width": 6, "height": 4},
            "annotations": [{"id": 1, "segmentation": RLE}],
        },
    ),
    "sav": (
        "a.json",
        {
            "video_id": "v",
            "video_height": 4,
            "video_width": 6,
            "video_duration": 1.0,
            "video_frame_count": 24,
            "masklet": [[RLE, None]],
            "masklet_id": [0, 1],
        },
    ),
    "cvat": (
        "a.xml",
        "<annotations><meta><task><size>2</size><start_frame>0</start_frame><stop_frame>1</stop_frame><labels>"
        "<label><name>car</name></label></labels><original_size><width>6</width><height>4</height>"
        '</original_size></task></meta><image id="0" name="a.jpg" width="6" height="4">'
        '<mask label="car" rle="1,3" left="1" top="1" width="2" height="2" z_order="1"></mask>'
        '<ellipse label="car" cx="3" cy="2" rx="2" ry="1" rotation="30"></ellipse></image>'
        '<track id="0" label="car"><polygon frame="0" outside="0" points="1,1;4,1;4,3"></polygon></track>'
        "</annotations>",
    ),
    "labelme-xml": (
        "a.xml",
        "<annotation><filename>a.jpg</filename><folder>f</folder><object><name>a</name><id>0</id>"
        "<attributes>b=1</attributes><polygon><pt><x>1</x><y>1</y></pt><pt><x>4</x><y>1</y></pt>"
        "<pt><x>4</x><y>3</y></pt></polygon></object><object><name>b</name><segm><mask>m.png</mask></segm>"
        "</object><imagesize><nrows>4</nrows><ncols>6</ncols></imagesize></annotation>",
    ),
    "yolo-seg": ("a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9\n1 0.5 0.5 0.2 0.2\n"),
}
ODD: list[Any] = [None, True, -1, 0, 2**40, 10**30, 1e300, -2.5, "", "x", "../..", "\ud7ff\x00"]
ODD += [[], {}, [[]], [None], [[1]], {"a": 1}]
SNIPPETS = [
    b"",
    b"-",
    b"9" * 30,
    b"0",
    b"1e999",
    b"NaN",
    b"\xff",
    b"\x00",
    b"&a;",
    *map(bytes, zip(b'[]{}"<>,')),
]


@pytest.mark.parametrize("format", VALID)
def test_the_valid_source_that_is_going_to_be_damaged_has_objects(tmp_path: Path, format: str) -> None:
    name, content = VALID[format]
    reader = open_truth(open_files(write(tmp_path, {name: content})), format)
    if hasattr(reader, "size_of"):
        reader.size_of = lambda name, index: (6, 4)  # type: ignore[attr-defined]
    assert any(frame.objects for frame in reader.frames()) or format == "isat"


@pytest.mark.parametrize(
    "format", [name for name, (_, content) in VALID.items() if not isinstance(content, str)]
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_any_value_in_any_place_of_the_json_is_at_most_refused(
    tmp_path: Path, format: str, seed: int
) -> None:
    dice = random.Random(seed)
    name, content = VALID[format]
    damaged = json.loads(json.dumps(content))
    for _ in range(dice.randint(1, 3)):
        _replace_one(damaged, dice)
    path = tmp_path / Path(name).name
    path.write_text(json.dumps(damaged))
    outcome(path, format)


@pytest.mark.parametrize("format", VALID)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_any_bytes_in_any_place_of_the_file_are_at_most_refused(
    tmp_path: Path, format: str, seed: int
) -> None:
    dice = random.Random(seed)
    name, content = VALID[format]
    data = (content if isinstance(content, str) else json.dumps(content)).encode()
    for _ in range(dice.randint(1, 3)):
        start = dice.randrange(len(data) + 1)
        data = data[:start] + dice.choice(SNIPPETS) + data[start + dice.choice([0, 1, 1, 5]) :]
    path = tmp_path / Path(name).name
    path.write_bytes(data)
    outcome(path, format)


def _replace_one(document: Any, dice: random.Random) -> None:
    """Walk down at random and put an odd value somewhere, or take an entry away."""
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        if not keys:
            return
        key = dice.choice(keys)
        below = document[key]
        if isinstance(below, dict | list) and below and dice.random() < 0.8:
            document = below
            continue
        if dice.random() < 0.2:
            del document[key]
        else:
            document[key] = copy.deepcopy(dice.choice(ODD))
        return
