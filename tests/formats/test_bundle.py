from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.formats import bundle
from app.models import (
    Asset,
    Certificate,
    ClassDef,
    ClassTemplate,
    Frame,
    Geometry,
    Point,
    Project,
    Region,
    Track,
    frame_id,
    quantise,
)

P, T, A, R, K = (c * 24 for c in "abcde")
TEMPLATE = ClassTemplate(
    id=T,
    name="Straße",
    classes=[
        ClassDef(id=1, name="road", colour="#804080"),
        ClassDef(id=7, name="car", colour="#00008e", parent=1, value=0, shortcut="c", priority=-3),
    ],
)
PROJECT = Project(id=P, name="项目", class_template_id=T, status="wip", created_at=12.5)
ASSET = Asset(
    id=A,
    project_id=P,
    name="clip.mp4",
    stem="clip",
    kind="video",
    source="source.mp4",
    state="ready",
    frame_count=2,
)
FRAMES = [
    Frame(
        id=frame_id(A, i),
        asset_id=A,
        index=i,
        source_index=2 * i,
        pts=i / 25,
        width=64,
        height=48,
        hash=f"{i:064x}",
        file=f"frames/{i:06d}.jpg",
        thumb=f"thumbs/{i:06d}.jpg",
        state="done",
    )
    for i in range(2)
]
TRACK = Track(id=K, project_id=P, class_id=7, name="car 1", created_at=3.0)
REGION = Region(
    id=R,
    frame_id=frame_id(A, 1),
    class_id=7,
    geometry=Geometry(
        points=[Point(x=1.5, y=2, r=3.25), Point(x=4, y=5.015625, label=0), Point(x=8, y=9)],
        box=(1, 2, 30, 40),
        outline=[[(0, 0), (10.5, 0), (10, 10)]],
    ),
    track_id=K,
    anchor=False,
    certificate=Certificate(engine="classic", iou=0.97, boundary_f=0.9),
    area=50,
    author="ann",
    created_at=5.0,
    updated_at=6.0,
)


def lines() -> list[bundle.Line]:
    return [
        bundle.header(PROJECT, TEMPLATE),
        bundle.asset_line(ASSET),
        bundle.track_line(TRACK),
        *(bundle.frame_line(frame) for frame in FRAMES),
        bundle.region_line(REGION),
    ]


def text(changed: dict[int, dict[str, Any]] | None = None) -> bytes:
    """The bundle as bytes; `changed` replaces fields of a line (from 1); `...` takes a field away."""
    out = []
    for number, line in enumerate(lines(), 1):
        row = json.loads(bundle.encode(line)) | (changed or {}).get(number, {})
        out.append(json.dumps({k: v for k, v in row.items() if v is not ...}, ensure_ascii=False))
    return ("\n".join(out) + "\n").encode()


def read(data: bytes) -> list[bundle.Line]:
    return [line for _, line in bundle.read(io.BytesIO(data))]


def test_what_was_written_is_read_back_and_written_again_as_the_same_bytes() -> None:
    data = b"".join(map(bundle.encode, lines()))
    again = read(data)
    assert again == lines()
    assert b"".join(map(bundle.encode, again)) == data


def test_lines_are_canonical() -> None:
    line = bundle.encode(bundle.region_line(REGION)).decode()
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    assert ": " not in line
    keys = list(json.loads(line))
    assert keys == sorted(keys)
    assert '"points":[[1.5,2,1,3.25],[4,5.015625,0],[8,9]]' in line
    assert '"outline":[[0,0,10.5,0,-0.5,10]]' in line
    assert "项目" in bundle.encode(bundle.header(PROJECT, TEMPLATE)).decode()


def test_region_geometry_returns_exactly() -> None:
    assert bundle.geometry_of(bundle.region_line(REGION)) == REGION.geometry


coordinates = st.floats(0, 64, allow_nan=False)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.builds(Point, x=coordinates, y=coordinates, label=st.integers(0, 1), r=coordinates), min_size=1
    ),
    st.none() | st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=6), min_size=1),
)
def test_any_stored_geometry_survives_the_text(points: list[Point], outline: list | None) -> None:
    stored = quantise(Geometry(points=points, outline=outline))
    region = Region(id=R, frame_id=frame_id(A, 1), class_id=1, geometry=stored)
    data = bundle.encode(bundle.region_line(region))
    assert bundle.geometry_of(msgspec.json.decode(data, type=bundle.RegionLine)) == stored


def test_unfinished_extraction_is_written_as_partial() -> None:
    line = bundle.asset_line(msgspec.structs.replace(ASSET, state="extracting"))
    assert line.state == "partial"
    assert line.reason


HOSTILE = [
    ({1: {"version": 9}}, "Line 1 .*format version 9"),
    ({1: {"type": "region"}}, "Line 1 .*not the header"),
    ({1: {"quantum": "x"}}, "Line 1 .*does not fit the format"),
    ({2: {"stem": "../../etc/passwd"}}, "Line 2 .*plain file name"),
    ({2: {"id": "../../x"}}, "Line 2 .*does not fit"),
    ({2: {"surprise": 1}}, "Line 2 .*unknown field `surprise`"),
    ({3: {"class_id": 99}}, "Line 3 .*class 99"),
    ({4: {"file": "frames/../../../etc/passwd"}}, "Line 4 .*names a file"),
    ({4: {"thumb": "/etc/passwd"}}, "Line 4 .*names a file"),
    ({4: {"hash": "zz"}}, "Line 4 .*does not fit"),
    ({4: {"asset": "f" * 24}}, "Line 4 .*refers to the asset"),
    ({4: {"pts": ...}, 5: {"index": 0}}, "Line 5 .*repeats the frame 0"),
    ({6: {"id": K}}, "Line 6 .*repeats the id"),
    ({6: {"class_id": 2}}, "Line 6 .*class 2"),
    ({6: {"frame": frame_id(A, 2)}}, "Line 6 .*refers to the frame"),
    ({6: {"track": "f" * 24}}, "Line 6 .*refers to the track"),
    ({6: {"points": [[float("nan"), 1]]}}, "Line 6 .*not JSON"),
    ({6: {"points": [[1e300, 1]]}}, "Line 6 .*off its frame"),
    ({6: {"points": [[64.5, 1]]}}, "Line 6 .*off its frame"),
    ({6: {"points": [[1, 1, 2]]}}, "Line 6 .*label is 2"),
    ({6: {"points": [[1, 1, 1, -4]]}}, "Line 6 .*reach"),
    ({6: {"points": [[1]]}}, "Line 6 .*does not fit"),
    ({6: {"points": ..., "box": ..., "outline": ...}}, "Line 6 .*without points"),
    ({6: {"box": [30, 2, 1, 40]}}, "Line 6 .*box"),
    ({6: {"outline": [[0, 0, 1, 1]]}}, "Line 6 .*three points"),
    ({6: {"outline": [[0, 0, 1, 1, 2, 70]]}}, "Line 6 .*leaves its frame"),
    ({6: {"type": "frame"}}, "Line 6 .*does not fit"),
]


@pytest.mark.parametrize(("changed", "sentence"), HOSTILE, ids=lambda v: v if isinstance(v, str) else "")
def test_hostile_line_is_refused_by_its_number(changed: dict[int, dict[str, Any]], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        read(text(changed))


def test_untouched_text_of_the_hostile_cases_is_accepted() -> None:
    assert len(read(text())) == 6


def test_header_with_broken_class_tree_is_refused() -> None:
    for classes, sentence in (
        ([{"id": 1, "name": "a", "colour": "#000000"}] * 2, "same id"),
        ([{"id": 1, "name": "a", "colour": "#000000", "parent": 1}], "own ancestor"),
        ([{"id": 1, "name": "a", "colour": "#000000", "parent": 5}], "parent 5"),
    ):
        with pytest.raises(Refused, match=sentence):
            read(text({1: {"class_template": {"id": T, "name": "x", "classes": classes}}}))


def test_raw_rubbish_is_refused_by_its_line() -> None:
    good = text().splitlines(keepends=True)
    for rubbish, sentence in (
        (b"\xff\xfe\n", "Line 2 .*not (JSON|UTF-8)"),
        (b'{"type":"asset","id":"\xff"}\n', "Line 2 "),
        (b"[" * 100_000 + b"\n", "Line 2 "),
        (b'{"a":' * 50_000 + b"\n", "Line 2 "),
        (good[0], "Line 2 .*after one of kind header"),
        (b'"' + b"x" * (bundle.MAX_LINE + 10), "Line 2 .*longer than 8 MiB"),
    ):
        with pytest.raises(Refused, match=sentence):
            read(good[0] + rubbish)
    with pytest.raises(Refused, match="kind asset after one of kind frame"):
        read(b"".join([good[0], good[1], good[3], good[1]]))
    with pytest.raises(Refused, match="empty"):
        read(b"\n\n")
    with pytest.raises(Refused, match="Line 1 "):
        read(b"PK\x03\x04 this is something else")


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_zip_and_plain_text_hold_the_same_lines(tmp_path: Path) -> None:
    name = f"assets/{A}/frames/000000.jpg"
    path = zipped(tmp_path / "b.zip", {bundle.TEXT_NAME: text(), name: b"jpeg"})
    with bundle.BundleFile(path) as file, file.text() as stream:
        assert [line for _, line in bundle.read(stream)] == lines()
        assert file.image(name) == b"jpeg"
    (tmp_path / "b.jsonl").write_bytes(text())
    with bundle.BundleFile(tmp_path / "b.jsonl") as file, file.text() as stream:
        assert len(list(bundle.read(stream))) == 6
        assert file.media == {}


@pytest.mark.parametrize(
    "name",
    ["../a", "/etc/passwd", f"assets/{A}/frames/../../x.jpg", f"assets/{A}/source.mp4", "assets\\x", "a.txt"],
)
def test_zip_with_a_foreign_name_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "b.zip", {bundle.TEXT_NAME: text(), name: b""})
    with pytest.raises(Refused, match="does not belong in a bundle"):
        bundle.BundleFile(path)


def test_zip_without_text_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"holds no project\.jsonl"):
        bundle.BundleFile(zipped(tmp_path / "b.zip", {f"assets/{A}/frames/000000.jpg": b""}))
    whole = zipped(tmp_path / "c.zip", {bundle.TEXT_NAME: text()}).read_bytes()
    (tmp_path / "d.zip").write_bytes(whole[:-30])
    with pytest.raises(Refused, match="damaged zip"):
        bundle.BundleFile(tmp_path / "d.zip")
    (tmp_path / "e.zip").write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    with bundle.BundleFile(tmp_path / "e.zip") as file, file.text() as stream, pytest.raises(Refused):
        list(bundle.read(stream))
