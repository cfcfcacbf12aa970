from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.formats.truth import open_files, open_truth
from tests.truth_sources import full, painted, read, rows

META = {"classes": [{"title": "car", "shape": "any", "color": "#00FF00"}, {"title": "road", "color": "red"}]}


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def bitmap(data: bytes, x: int, y: int, title: str = "car") -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {
        "id": 1,
        "classTitle": title,
        "geometryType": "bitmap",
        "bitmap": {"data": text, "origin": [x, y]},
    }


def annotated(*objects: dict[str, Any]) -> dict[str, Any]:
    return {
        "meta.json": META,
        "ds0/ann/a.png.json": {"size": {"height": 4, "width": 6}, "tags": [], "objects": list(objects)},
    }


def test_a_bitmap_lies_at_its_origin_and_is_what_is_not_transparent(tmp_path: Path) -> None:
    grey = png(np.array([[255, 0], [255, 255]], np.uint8))
    clear = png(np.array([[[0, 0, 0, 255], [9, 9, 9, 0]]], np.uint8))
    files = annotated(bitmap(zlib.compress(grey), 1, 1), bitmap(zlib.compress(clear), 4, 0, "road"))
    reader, [frame] = read(tmp_path, files)
    assert reader.format == "supervisely"
    assert frame.name == "ds0/a.png"
    assert rows(frame.objects[0], frame) == ["......", ".#....", ".##...", "......"]
    assert rows(frame.objects[1], frame) == ["....#.", "......", "......", "......"]
    assert [(c.name, c.colour) for c in reader.classes()] == [("car", "#00ff00"), ("road", None)]


def test_a_polygon_loses_its_holes_wherever_they_lie(tmp_path: Path) -> None:
    points = {
        "exterior": [[0, 0], [4, 0], [4, 3], [0, 3]],
        "interior": [[[1, 1], [2, 1], [2, 2], [1, 2]], [[4, 0], [5, 0], [5, 1], [4, 1]]],
    }
    tags = [{"name": "parked"}, {"name": "colour", "value": "red"}]
    made = {"id": 2, "classTitle": "car", "geometryType": "polygon", "points": points, "tags": tags}
    _, [frame] = read(tmp_path, annotated(made, {**made, "geometryType": "rectangle"}))
    assert rows(frame.objects[0], frame) == ["####..", "#..#..", "#..##.", "#####."]
    assert frame.objects[0].attributes == {"parked": "true", "colour": "red"}
    assert frame.problems == ["“ds0/a.png”: left out because it is no segmentation: 1 × rectangle."]


def test_bitmaps_that_lie_about_their_size_are_left_out(tmp_path: Path) -> None:
    bomb = zlib.compress(b"\x89PNG" + bytes(50 << 20))
    large = zlib.compress(png(np.ones((40, 60), np.uint8)))
    good = zlib.compress(png(np.ones((2, 2), np.uint8)))
    files = annotated(
        bitmap(bomb, 0, 0),
        bitmap(large, 0, 0),
        bitmap(b"\x00nonsense", 0, 0),
        bitmap(good[:-4], 0, 0),
        bitmap(zlib.compress(b"no picture"), 0, 0),
        bitmap(good, 50, 0),
        {"id": 9, "classTitle": "car", "bitmap": {"data": "§", "origin": [0, 0]}},
        bitmap(good, -1, 0),
    )
    _, [frame] = read(tmp_path, files)
    assert [rows(made, frame)[0] for made in frame.objects] == ["#....."]
    assert len(frame.problems) == 8
    for said, part in zip(frame.problems, ["unpacks to more", "larger than the image"], strict=False):
        assert part in said


def test_a_project_without_meta_is_read_with_a_remark(tmp_path: Path) -> None:
    files = annotated(bitmap(zlib.compress(png(np.ones((2, 2), np.uint8))), 0, 0, "tree"))
    del files["meta.json"]
    reader, [frame] = read(tmp_path, files)
    assert reader.found(frame.objects[0].key).name == "tree"
    assert "no meta.json" in reader.problems[0]


def test_the_real_sample_gives_back_the_masks_it_was_made_from(shared_data: Path) -> None:
    reader = open_truth(open_files(shared_data / "formats/generated_supervisely"))
    values = {c.name: value for value, c in enumerate(reader.classes())}
    for frame, number in zip(reader.frames(), (0, 30), strict=True):
        source = np.asarray(Image.open(shared_data / f"sequences/camvid_0016E5_15hz/masks/{number:05d}.png"))
        labels = painted(reader, frame, values, 11)
        assert not frame.problems
        assert (labels == source)[labels != 11].all()
        assert (labels == source).mean() > 0.998
        assert all(full(made, frame).any() for made in frame.objects)
