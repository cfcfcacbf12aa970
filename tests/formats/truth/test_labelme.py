from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.errors import Refused
from app.formats.truth import open_files, open_truth
from tests.truth_sources import full, painted, read, rows


def png(mask: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG")
    return out.getvalue()


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def labelme(*shapes: dict[str, Any], **more: Any) -> dict[str, Any]:
    known = {"imagePath": "a.jpg", "imageWidth": 7, "imageHeight": 5, "imageData": "bm90IGFuIGltYWdl"}
    return {"version": "5.0", "flags": {}, "shapes": list(shapes), **known, **more}


def test_a_polygon_includes_its_border_as_labelme_draws_it(tmp_path: Path) -> None:
    document = labelme(shape("cat", [[1, 1], [4, 1], [4, 3], [1, 3]]))
    reader, [frame] = read(tmp_path, {"a.json": document})
    assert reader.format == "labelme"
    assert rows(frame.objects[0], frame) == [".......", ".####..", ".####..", ".####..", "......."]


def test_a_polygon_is_what_pillow_draws_on_the_whole_image(tmp_path: Path) -> None:
    points = [[0.4, 3.7], [5.6, 0.2], [6.9, 4.4], [3.1, 2.6]]
    _, [frame] = read(tmp_path, {"a.json": labelme(shape("cat", points))})
    image = Image.new("L", (7, 5))
    ImageDraw.Draw(image).polygon([(x, y) for x, y in points], fill=1, outline=1)
    assert (full(frame.objects[0], frame) == (np.asarray(image) > 0)).all()


def test_a_mask_lies_between_its_inclusive_corners(tmp_path: Path) -> None:
    mask = np.array([[255, 0, 255], [0, 255, 0]], np.uint8)
    text = base64.b64encode(png(mask)).decode()
    good = shape("cat", [[2, 1], [4, 2]], "mask", mask=text)
    bad = shape("cat", [[2, 1], [5, 2]], "mask", mask=text)
    _, [frame] = read(tmp_path, {"a.json": labelme(good, bad)})
    assert rows(frame.objects[0], frame) == [".......", "..#.#..", "...#...", ".......", "......."]
    assert frame.problems == ["“a.jpg”: shape 2 (“cat”) is left out: its mask is 3×2 px, but its box is 4×2."]


def test_rectangles_and_circles_have_an_area_lines_and_points_have_none(tmp_path: Path) -> None:
    document = labelme(
        shape("box", [[5, 3], [3, 1]], "rectangle"),
        shape("disc", [[2, 2], [3, 2]], "circle"),
        shape("line", [[0, 0], [3, 3]], "line"),
        shape("point", [[1, 1]], "point"),
    )
    reader, [frame] = read(tmp_path, {"a.json": document})
    box, disc = frame.objects
    assert rows(box, frame)[1] == "...###."
    assert rows(disc, frame) == [".......", "..#....", ".###...", "..#....", "......."]
    assert frame.problems == ["“a.jpg”: left out because it is no segmentation: 1 × line, 1 × point."]
    assert [reader.found(made.key).name for made in frame.objects] == ["box", "disc"]


def test_shapes_of_one_group_are_one_object(tmp_path: Path) -> None:
    document = labelme(
        shape("cat", [[0, 0], [1, 0], [1, 1], [0, 1]], group_id=3, flags={"truncated": True}),
        shape("dog", [[5, 0], [6, 0], [6, 1], [5, 1]], group_id=3),
        shape("cat", [[3, 3], [4, 3], [4, 4], [3, 4]], group_id=3),
    )
    _, [frame] = read(tmp_path, {"a.json": document})
    assert len(frame.objects) == 2
    cat = frame.objects[0]
    assert rows(cat, frame) == ["##.....", "##.....", ".......", "...##..", "...##.."]
    assert cat.attributes == {"truncated": "true", "group_id": "3"}


def test_the_image_path_gives_only_a_name(tmp_path: Path) -> None:
    files = {
        f"ann/{n}.json": labelme(imagePath=path) for n, path in enumerate(["..\\img\\b.jpg", "/c.png", ""])
    }
    _, frames = read(tmp_path, files)
    assert [frame.name for frame in frames] == ["ann/b.jpg", "ann/c.png", "ann/2"]
    assert not any(frame.problems for frame in frames)


def test_a_long_picture_before_the_shapes_does_not_hide_the_format(tmp_path: Path) -> None:
    document = {"flags": {}, "imageData": "A" * 200_000, **labelme(shape("cat", [[0, 0], [3, 0], [3, 3]]))}
    document["shapes"] = document.pop("shapes")
    reader, [frame] = read(tmp_path, {"a.json": {**document, "imageData": "A" * 200_000}})
    assert (reader.format, len(frame.objects)) == ("labelme", 1)


def test_the_list_of_classes_beside_gives_their_numbers(tmp_path: Path) -> None:
    reader, _ = read(tmp_path, {"a.json": labelme(), "labels.txt": "__ignore__\n_background_\ncat\n"})
    assert [(c.name, c.value, c.void) for c in reader.classes()] == [
        ("__ignore__", None, True),
        ("_background_", 0, False),
        ("cat", 1, False),
    ]


def test_a_broken_file_among_others_is_a_problem_a_lone_one_is_refused(tmp_path: Path) -> None:
    _, frames = read(tmp_path, {"a.json": labelme(), "b.json": '{"shapes": ['})
    assert frames[1].name == "b"
    assert "“b.json” is not complete, valid JSON" in frames[1].problems[0]
    with pytest.raises(Refused, match="is not complete, valid JSON"):
        read(tmp_path, {"b.json": '{"shapes": ['})


def test_the_real_sample_is_drawn_as_labelme_itself_exported_it(shared_data: Path) -> None:
    reader = open_truth(open_files(shared_data / "formats/labelme_json"))
    values = {c.name: 255 if c.value is None else c.value for c in reader.classes()}
    for frame in reader.frames():
        export = (
            shared_data / "formats/voc_labelme_export/SegmentationClass" / frame.name.replace("jpg", "png")
        )
        expected = np.asarray(Image.open(export))
        assert not frame.problems
        assert np.count_nonzero(painted(reader, frame, values) != expected) <= 1
