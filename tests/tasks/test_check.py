"""A bundle held against rules: each is kept or violated by a drawn frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import Refused
from app.models import Certificate, Geometry, Point
from tasks.bundle_index import IndexedBundle
from tasks.bundle_maps import Pictures
from tasks.checking import Rules, Violation, read_rules, violations
from tests.tasks.test_diff import CAR, ROAD, Scene, scene


def broken(tmp_path: Path, made: Scene, **rules: Any) -> list[Violation]:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(rules))
    with IndexedBundle(made.write(tmp_path / "bundle.jsonl")) as opened:
        return list(violations(opened, read_rules(path), Pictures((opened,))))


def certified(iou: float, boundary_f: float = 1.0) -> Certificate:
    return Certificate(engine="classic", iou=iou, boundary_f=boundary_f, target=0.95)


def with_points(certificate: Certificate | None) -> Scene:
    """A third frame with a region of points, which cannot be drawn without its image."""
    made = scene()
    more = {"certificate": certificate, "area": 70}
    made.frames[2]["tree"] = (3, Geometry(points=[Point(x=5, y=5, r=3), Point(x=30, y=5, label=0)]), more)
    return made


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"max_gap": 0.7}, ["000002 -: 100.00% of the frame is unlabelled, more than 70.00%."]),
        ({"max_gap": 1.0}, []),
        ({"max_overlap": 0.08}, ["000000 -: Outlines of several classes claim 8.33% of the frame, more"]),
        ({"max_overlap": 0.09}, []),
        ({"allowed_classes": ["car", "tree"]}, ["000000 road: The class is not", "000001 road: The class"]),
        ({"required_classes": ["road"]}, ["000002 road: The class is required on every frame"]),
        ({"areas": {"road": {"max": 400}, "car": {"min": 101, "max": 200}}}, ["000000 car", "000001 car"]),
        ({"areas": {"road": {"min": 0.3, "unit": "share"}}}, []),
        ({"areas": {"road": {"min": 0.34, "unit": "share"}}}, ["33.33% of the frame, less than 34.00%"] * 2),
        ({"areas": {"road": {"min": 315, "of": "frame"}}}, ["000000 road: The class has 300 px, less than"]),
        (
            {"max_regions": 1},
            ["000000 -: The frame has 2 regions, more than 1.", "000001 -: The frame has 2"],
        ),
        ({"frame_states": ["done", "approved"]}, ["is todo, not done or approved."] * 3),
        ({"empty_frames": False}, ["000002 -: The frame has no regions."]),
        ({"certificates_required": True}, ["has no certificate"] * 4),
        ({"min_certified": 0.5}, ["- - -: 0 of 4 regions have a certificate, fewer than 50.0%."]),
        ({}, []),
    ],
)
def test_rule(tmp_path: Path, rules: dict[str, Any], expected: list[str]) -> None:
    made = scene().square(1, "road", 1, 0, 10, 20).square(1, "car", 2, 12, 12, 10)
    found = broken(tmp_path, made, **rules)
    assert len(found) == len(expected)
    for violation, part in zip(found, expected, strict=True):
        assert part in violation.line()
        assert violation.rule in rules


def test_a_certificate_below_its_target_needs_an_outline(tmp_path: Path) -> None:
    assert broken(tmp_path, with_points(None)) == []
    assert broken(tmp_path, with_points(certified(0.95))) == []
    (found,) = broken(tmp_path, with_points(certified(0.9)))
    assert (found.rule, found.class_name, found.frame) == ("meet_target", "tree", "000002")
    assert broken(tmp_path, with_points(certified(0.9)), meet_target=False) == []
    assert broken(tmp_path, scene().square(0, CAR, 2, 10, 12, 10, certificate=certified(0.9))) == []
    found = broken(tmp_path, with_points(certified(0.96, 0.5)), min_iou=0.97, min_boundary_f=0.8)
    assert [violation.rule for violation in found] == ["min_iou", "min_boundary_f"]


def test_what_cannot_be_measured_is_a_violation(tmp_path: Path) -> None:
    made = with_points(None)
    found = broken(tmp_path, made, max_gap=1.0, areas={"tree": {"of": "frame"}, ROAD: {"of": "frame"}})
    assert [(v.frame, v.rule) for v in found] == [("000002", "areas"), ("000002", "max_gap")]
    assert "the image" in found[0].sentence
    assert len(broken(tmp_path, made, areas={"tree": {"min": 71}})) == 1
    assert len(broken(tmp_path, made, max_points=1)) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"max_gaps": 1}', "unknown field `max_gaps`. There are: max_gap,"),
        ('{"areas": {"car": {"least": 1}}}', "unknown field `least`"),
        ('{"max_gap": 2}', r"<= 1.* `\$.max_gap`"),
        ('{"frame_states": ["good"]}', "Invalid enum value 'good'"),
        ("[]", "Expected `object`"),
        ("{", "are not JSON"),
        ("\xff", "are not JSON"),
    ],
)
def test_wrong_rules_are_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=sentence):
        read_rules(path)


def test_rules_for_an_unknown_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'lorry', which the bundle's class template does not have"):
        broken(tmp_path, scene(), required_classes=["lorry"])
    assert Rules().meet_target


def test_a_frame_too_large_to_draw_is_refused(tmp_path: Path) -> None:
    path = scene().write(tmp_path / "a.jsonl")
    path.write_bytes(
        path.read_bytes().replace(b'"height":30', b'"height":65000').replace(b'"width":40', b'"width":65000')
    )
    with pytest.raises(Refused, match="65000 × 65000 px is too large"), IndexedBundle(path):
        pass
