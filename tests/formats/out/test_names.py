"""Whatever a class, a project or a source file is called, the files stay readable and inside their folder."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.formats.archive import check_name
from app.formats.out import FORMATS
from app.formats.out.names import kept_name, plain_name, unique, yaml_text
from app.models import ClassDef
from tests.formats.out.exporting import CLASSES, export, frame

HOSTILE = [
    "../../up",
    '=cmd|" /C calc"!A0',
    "a:b,c\n# d",
    '</name><x y="1">&',
    "con",
    "Ä 车 🚗",
    "\x1b\x00\x85\u2028",
]
WRITTEN = [row.id for row in FORMATS.values() if row.module]


@pytest.mark.parametrize("format", WRITTEN)
def test_no_class_name_breaks_a_file_or_leaves_the_folder(format: str) -> None:
    classes = [ClassDef(id=n, name=name, colour=f"#0000{9 * n:02x}") for n, name in enumerate(HOSTILE, 1)]
    winners = np.arange(1, len(HOSTILE) + 1).reshape(1, -1)
    shown = [frame(winners, regions=[(c.id, None) for c in classes])]
    files, _ = export(format, shown, classes)
    for name, data in files.items():
        check_name(name)
        assert len(PurePosixPath(name).parts) == name.count("/") + 1
        if name.endswith(".json"):
            json.loads(data)
    if format != "labelme":
        assert [row["name"] for row in json.loads(files["classes.json"])["classes"]] == HOSTILE
    if format == "cvat":
        root = ElementTree.fromstring(files["annotations.xml"])
        labels = [node.text for node in root.iterfind("meta/task/labels/label/name")]
        assert labels[:6] == HOSTILE[:6]
        assert [node.attrib["label"] for node in root.iterfind("image/mask")] == labels
    if format == "yolo-seg":
        assert list(yaml.safe_load(files["data.yaml"])["names"].values()) == HOSTILE
    if format == "voc":
        rows = files["labelmap.txt"].decode().splitlines()
        assert len(rows) == len(HOSTILE) + 2
        assert all(re.fullmatch(r"[^:#]+:\d+,\d+,\d+::", row) for row in rows[1:])


@given(st.text(max_size=300))
def test_text_survives_yaml_and_file_names_are_plain(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    assert yaml.safe_load(yaml_text(text)) == text
    for name in (plain_name(text), kept_name(text, "frame")):
        check_name(name)
        assert "/" not in name
        assert not name.startswith((".", "@", " "))


def test_names_of_source_files_are_kept_but_for_what_no_file_system_holds() -> None:
    assert kept_name("Bild 0001 (Kopie) é", "x") == "Bild 0001 (Kopie) é"
    assert kept_name("a/b\\c:d\n", "x") == "a_b_c_d_"
    assert kept_name("..", "x") == "x"
    assert kept_name("nul", "x") == "_nul"


def test_classes_that_differ_by_case_or_signs_get_folders_of_their_own() -> None:
    assert unique(["Car", "car", "c/ar", "c ar"]) == ["Car", "car-2", "c_ar", "c_ar-2"]


@settings(deadline=None)
@given(st.sampled_from(["palette-png", "voc", "cityscapes"]))
def test_value_that_a_palette_cannot_hold_is_refused_before_any_work(format: str) -> None:
    with pytest.raises(Refused, match="“bus” has the value 300"):
        export(format, [], [*CLASSES[:2], ClassDef(id=9, name="bus", colour="#123456", value=300)])


def test_formats_that_tell_classes_apart_by_colour_refuse_equal_colours_unless_they_may_merge() -> None:
    twins = [ClassDef(id=1, name="a", colour="#101010"), ClassDef(id=2, name="b", colour="#101010")]
    with pytest.raises(Refused, match="“b” has the same colour as “a”"):
        export("voc", [], twins)
    export("voc", [], twins, shared_values=True)


def test_instance_numbers_that_cannot_be_written_are_refused_in_words() -> None:
    large = [ClassDef(id=1, name="a", colour="#101010", value=65)]
    with pytest.raises(Refused, match="“a” has the value 65, but instanceIds"):
        export("cityscapes", [], large, objects="region")
    export("cityscapes", [], large)


def test_more_objects_than_a_palette_holds_are_refused_before_any_work() -> None:
    crowd = [frame(np.zeros((1, 1), int), regions=[(2, n) for n in range(1, 258)])]
    with pytest.raises(Refused, match="more than 255 objects"):
        export("davis", crowd)


def test_more_regions_than_voc_can_number_are_said() -> None:
    winners = np.arange(1, 301).reshape(10, 30)
    _, notes = export("voc", [frame(winners, regions=[(1, None)] * 300)], unlabelled_value=255)
    assert "more than 254 regions" in notes[0]
