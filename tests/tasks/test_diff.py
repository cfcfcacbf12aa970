"""Bundles are canonical, and what changed between two of them is said by frame and class."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.errors import Refused
from app.formats import bundle
from app.models import (
    Asset,
    Certificate,
    ClassDef,
    ClassTemplate,
    Frame,
    Geometry,
    Project,
    Region,
    Track,
    frame_id,
    new_id,
)
from tasks.bundle_index import IndexedBundle
from tasks.bundle_maps import Pictures
from tasks.comparing import Diff, compare
from tests.tasks.test_export import World, restored

WIDTH, HEIGHT = 40, 30
ROAD, CAR, TREE = "road", "car", "tree"


class Scene:
    """A bundle drawn by a test: one asset, frames with square regions by name."""

    def __init__(self, *, ids: str = "a") -> None:
        self.ids = ids
        self.classes = [
            ClassDef(id=1, name=ROAD, colour="#804080"),
            ClassDef(id=2, name=CAR, colour="#00008e", priority=5),
            ClassDef(id=3, name=TREE, colour="#6b8e23"),
        ]
        self.frames: list[dict[str, Any]] = [{}, {}, {}]
        self.hashes = [f"{i + 1:064x}" for i in range(3)]
        self.states = ["todo"] * 3

    def square(self, frame: int, key: str, class_id: int, x: int, y: int, side: int, **more: Any) -> Scene:
        ring = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
        self.frames[frame][key] = (
            class_id,
            Geometry(outline=[[(float(a), float(b)) for a, b in ring]]),
            more,
        )
        return self

    def id(self, text: str) -> str:
        return (self.ids + text).encode().hex()[:24].ljust(24, "0")

    def lines(self) -> list[bundle.Line]:
        project = Project(id=self.id("project"), name="Streets", class_template_id=self.id("rules"))
        template = ClassTemplate(id=project.class_template_id, name="Few", classes=self.classes)
        asset = Asset(
            id=self.id("asset"), project_id=project.id, name="clip.mp4", stem="clip", kind="video", source=""
        )
        track = Track(id=self.id("track"), project_id=project.id, class_id=2, name="car 1")
        out: list[bundle.Line] = [bundle.header(project, template), bundle.asset_line(asset)]
        out.append(bundle.track_line(track))
        for index, hash in enumerate(self.hashes):
            frame = Frame(
                id=frame_id(asset.id, index), asset_id=asset.id, index=index, source_index=index, pts=None,
                width=WIDTH, height=HEIGHT, hash=hash, file=f"frames/{index:06d}.png",
                thumb=f"thumbs/{index:06d}.jpg", state=self.states[index],
            )  # fmt: skip
            out.append(bundle.frame_line(frame))
        for index, regions in enumerate(self.frames):
            for number, (key, (class_id, geometry, more)) in enumerate(regions.items()):
                region = Region(
                    id=self.id(f"{index}{key}"), frame_id=frame_id(asset.id, index), class_id=class_id,
                    geometry=geometry, created_at=float(number), **more,
                )  # fmt: skip
                out.append(bundle.region_line(region))
        return out

    def write(self, target: Path) -> Path:
        target.write_bytes(b"".join(map(bundle.encode, self.lines())))
        return target


def scene(ids: str = "a") -> Scene:
    made = Scene(ids=ids).square(0, "road", 1, 0, 10, 20).square(0, "car", 2, 10, 12, 10)
    return made.square(1, "road", 1, 0, 10, 20).square(1, "car", 2, 12, 12, 10)


def diff(tmp_path: Path, a: Scene, b: Scene, **options: Any) -> Diff:
    one, two = a.write(tmp_path / "a.jsonl"), b.write(tmp_path / "b.jsonl")
    with IndexedBundle(one) as opened, IndexedBundle(two) as other:
        return compare(opened, other, Pictures(), **options)


def changes(found: Diff) -> list[tuple[str, str, str, str]]:
    return [(frame.frame, r.kind, r.was, r.class_name) for frame in found.frames for r in frame.regions]


def without_ids(text: bytes) -> bytes:
    return re.sub(rb'"[0-9a-f]{24}(-[0-9]{6})?"', rb'"\1"', text)


def test_a_restored_project_gives_the_same_bundle_but_for_its_ids(tmp_path: Path) -> None:
    world = World(tmp_path / "data", assets=3)
    world.project.created_at = 7.5
    out, made = world.export("bundle", media=True)
    first = out / made["files"][0]["name"]
    _, snapshot = restored(tmp_path / "elsewhere", first)
    job = tmp_path / "elsewhere" / "jobs" / "again"
    job.mkdir()
    snapshot.replace(job / "input.jsonl")
    world.data = tmp_path / "elsewhere"
    out, made = world.export("bundle", job, media=True)
    second = out / made["files"][0]["name"]
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as two:
        texts = [archive.read(bundle.TEXT_NAME) for archive in (one, two)]
    assert texts[0] != texts[1]
    assert without_ids(texts[0]) == without_ids(texts[1])
    with IndexedBundle(first) as a, IndexedBundle(second) as b:
        assert compare(a, b, Pictures()).equal


def test_equal_values_of_another_origin_give_the_same_bytes() -> None:
    line = bundle.TrackLine(id="a" * 24, class_id=1, created_at=float("0"), name="".join(["", ""]))
    assert bundle.encode(line) == bundle.encode(bundle.TrackLine(id="a" * 24, class_id=1))


def test_regions_added_removed_changed_and_reclassified_are_told_by_frame_and_class(tmp_path: Path) -> None:
    b = scene().square(0, "car", 2, 11, 12, 10).square(1, "car", 3, 12, 12, 10)
    b.square(2, "new", 2, 0, 0, 4)
    del b.frames[0]["road"]
    found = diff(tmp_path, scene(), b)
    assert changes(found) == [
        ("000000", "removed", "", ROAD),
        ("000000", "changed", "", CAR),
        ("000001", "reclassified", CAR, TREE),
        ("000002", "added", "", CAR),
    ]
    rows = {(f.frame, row.class_name): row for f in found.frames for row in f.classes}
    assert rows["000000", CAR].iou == pytest.approx(90 / 110)
    assert rows["000000", ROAD].iou == 0
    assert (rows["000000", CAR].pixels_a, rows["000000", CAR].pixels_b) == (100, 100)
    assert rows["000001", TREE].reclassified == 1
    total = {row.class_name: row for row in found.totals}[CAR]
    assert (total.added, total.changed, total.pixels_a) == (1, 1, 200)


def test_pixels_uncovered_by_a_change_count_for_the_class_below(tmp_path: Path) -> None:
    found = diff(tmp_path, scene(), scene().square(0, "car", 2, 10, 12, 5))
    row = next(row for row in found.frames[0].classes if row.class_name == ROAD)
    assert (row.changed, row.pixels_b - row.pixels_a) == (0, 75)


def test_new_ids_are_no_difference_and_overlap_finds_the_counterpart(tmp_path: Path) -> None:
    assert diff(tmp_path, scene(), scene("b")).equal
    b = scene("b").square(0, "car", 2, 11, 12, 10).square(1, "car", 1, 12, 12, 10)
    assert changes(diff(tmp_path, scene(), b)) == [
        ("000000", "changed", "", CAR),
        ("000001", "reclassified", CAR, ROAD),
    ]
    b = scene("b").square(0, "car", 2, 15, 12, 10).square(1, "car", 3, 17, 12, 10)
    assert changes(diff(tmp_path, scene(), b)) == [
        ("000000", "changed", "", CAR),
        ("000001", "removed", "", CAR),
        ("000001", "added", "", TREE),
    ]


def test_changed_rules_are_named_and_their_pixels_shown(tmp_path: Path) -> None:
    b = scene()
    b.classes[1] = ClassDef(id=2, name="vehicle", colour="#00008f", priority=-1)
    b.classes[2] = ClassDef(id=9, name=TREE, colour="#6b8e23")
    b.classes.append(ClassDef(id=3, name="sky", colour="#4682b4"))
    found = diff(tmp_path, scene(), b)
    assert found.project == [
        "class car: name car → vehicle",
        "class car: colour #00008e → #00008f",
        "class car: priority 5 → -1",
        "class tree: id 3 → 9",
        "class sky: added",
    ]
    assert changes(found) == []
    assert [(row.class_name, row.iou) for row in found.frames[0].classes][1] == (CAR, 0.0)


def test_frames_are_matched_by_content_and_those_of_one_bundle_are_told(tmp_path: Path) -> None:
    b = scene("b")
    b.hashes = [f"{9:064x}", b.hashes[0], b.hashes[1]]
    b.frames = [{}, b.frames[0], b.frames[1]]
    b.states[1] = "approved"
    found = diff(tmp_path, scene(), b)
    assert [(f.frame, f.only_in, f.notes) for f in found.frames] == [
        ("000000", None, ["is “clip 000001” in B", "state todo → approved"]),
        ("000001", None, ["is “clip 000002” in B"]),
        ("000002", "A", ["only in A, with 0 regions"]),
        ("000000", "B", ["only in B, with 0 regions"]),
    ]
    b.hashes.pop(0)
    b.frames.pop(0)
    found = diff(tmp_path, scene(), b)
    assert [(f.frame, f.only_in) for f in found.frames] == [("000001", None), ("000002", "A")]


def test_small_changes_may_be_left_out(tmp_path: Path) -> None:
    b = scene().square(0, "car", 2, 11, 12, 10)
    assert not diff(tmp_path, scene(), b).equal
    assert diff(tmp_path, scene(), b, iou_below=0.5).equal
    assert [row.class_name for row in diff(tmp_path, scene(), b, iou_below=0.9).frames[0].classes] == [CAR]


def test_tracks_attributes_and_certificates_are_compared(tmp_path: Path) -> None:
    a, b = scene(), scene()
    a.square(0, "car", 2, 10, 12, 10, track_id=a.id("track"))
    b.square(0, "car", 2, 10, 12, 10, attributes={"seen": "half"}, author="somebody", updated_at=7.0)
    b.square(1, "car", 2, 12, 12, 10, certificate=Certificate(engine="classic", iou=0.9, boundary_f=0.9))
    found = diff(tmp_path, a, b)
    assert [r.what for f in found.frames for r in f.regions] == [["attributes", "track"], ["certificate"]]


def test_points_are_drawn_where_images_are_at_hand_and_the_lack_is_told(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    out, made = world.export("bundle", media=True)
    whole = out / made["files"][0]["name"]
    with zipfile.ZipFile(whole) as archive:
        text = archive.read(bundle.TEXT_NAME)
        archive.extractall(tmp_path / "unpacked")
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(text.replace(b"[30.5,32.5,1,10]", b"[33.5,32.5,1,10]"))
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(text)
    for first, pictures in (
        (whole, None),
        (plain, Pictures(folder=tmp_path / "unpacked")),
        (plain, Pictures(data=tmp_path / "data")),
        (plain, Pictures()),
    ):
        with IndexedBundle(first) as a, IndexedBundle(moved) as b:
            found = compare(a, b, pictures or Pictures((a, b)))
        assert [[r.kind for r in f.regions] for f in found.frames] == [["changed"]] * 2
        drawn = not (pictures and first == plain and found.undrawn)
        assert found.undrawn == (0 if drawn else 2)
        ious = [row.iou for f in found.frames for row in f.classes]
        assert all(iou is not None and iou > 0.8 for iou in ious) if drawn else ious == [None, None]
    assert found.undrawn == 2


def test_the_image_of_either_bundle_draws_both(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    out, made = world.export("bundle", media=True)
    whole = out / made["files"][0]["name"]
    with zipfile.ZipFile(whole) as archive:
        text = archive.read(bundle.TEXT_NAME)
    asset = world.assets[0][0].id.encode()
    other = tmp_path / "other.jsonl"
    other.write_bytes(text.replace(asset, b"f" * 24).replace(b"[30.5,32.5,1,10]", b"[33.5,32.5,1,10]"))
    for first, second in ((other, whole), (whole, other)):
        with IndexedBundle(first) as a, IndexedBundle(second) as b:
            found = compare(a, b, Pictures((a, b)))
        assert (len(found.frames), found.undrawn) == (2, 0)


def test_regions_of_a_frame_may_lie_anywhere_in_the_text(tmp_path: Path) -> None:
    path = scene().write(tmp_path / "a.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(b"".join([*lines[:6], lines[8], lines[7], b"\n", lines[9], lines[6]]))
    with IndexedBundle(path) as a, IndexedBundle(mixed) as b:
        assert b.region_count == 4
        assert compare(a, b, Pictures()).equal


def test_a_damaged_bundle_is_refused_by_name(tmp_path: Path) -> None:
    path = scene().write(tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    rows[7]["class_id"] = 77
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(Refused, match=r"bad.jsonl: Line 8 .* class 77"), IndexedBundle(bad):
        pass
    (tmp_path / "zip.zip").write_bytes(b"PK\x03\x04" + new_id().encode())
    with pytest.raises(Refused, match="damaged zip"), IndexedBundle(tmp_path / "zip.zip"):
        pass
