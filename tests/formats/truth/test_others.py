"""ISAT, SA-1B, SA-V, LabelMe XML, and the outlines that other tools draw their own way."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from skimage import draw

from app.algo.labels import encode_rle
from app.errors import Refused
from app.formats.truth import open_files, open_truth
from app.formats.truth.shapes import Piece, at_pixels, polygon, with_border
from tests.truth_sources import full, painted, read, rows

CORNERS = st.lists(st.tuples(st.integers(-4, 24), st.integers(-4, 24)), min_size=3, max_size=3, unique=True)


def placed(piece: Piece) -> np.ndarray:
    out = np.zeros((18, 20), bool)
    high, wide = piece.mask.shape
    out[piece.y0 : piece.y0 + high, piece.x0 : piece.x0 + wide] = piece.mask
    return out


def drawn(draw_ring: Any, ring: np.ndarray) -> np.ndarray:
    try:
        return placed(draw_ring(ring, 20, 18))
    except Refused:
        return np.zeros((18, 20), bool)


@settings(max_examples=60, deadline=None)
@given(CORNERS)
def test_outlines_with_pixel_middles_are_what_scikit_image_draws(corners: list[tuple[int, int]]) -> None:
    ring = np.array(corners, float)
    assume(np.linalg.det(ring[1:] - ring[0]) != 0)
    expected = np.zeros((18, 20), bool)
    expected[draw.polygon(ring[:, 1], ring[:, 0], expected.shape)] = True
    assert (drawn(at_pixels, ring) == expected).all()


@settings(max_examples=60, deadline=None)
@given(CORNERS)
def test_outlines_with_a_border_are_what_pillow_draws(corners: list[tuple[int, int]]) -> None:
    image = Image.new("L", (20, 18))
    ImageDraw.Draw(image).polygon(corners, fill=1, outline=1)
    assert (drawn(with_border, np.array(corners, float)) == (np.asarray(image) > 0)).all()


def test_an_outline_that_crosses_itself_is_kept_with_a_remark() -> None:
    bow = polygon([[(0, 0), (18, 18), (18, 0), (0, 18)]], 20, 18)
    assert "crosses itself" in bow.note
    assert 0 < bow.mask.sum() < bow.mask.size
    assert polygon([[(0, 0), (18, 0), (18, 18)]], 20, 18).note == ""


def isat(*objects: dict[str, Any]) -> dict[str, Any]:
    return {
        "info": {"description": "ISAT", "name": "a.jpg", "width": 6, "height": 4},
        "objects": list(objects),
    }


def layer(number: float, category: str, ring: list[list[float]], group: int = 1) -> dict[str, Any]:
    return {"category": category, "group": group, "segmentation": ring, "layer": number}


def test_isat_layers_are_painted_in_order_and_background_erases(tmp_path: Path) -> None:
    whole, hole = [[0, 0], [5, 0], [5, 3], [0, 3]], [[1, 1], [2, 1], [2, 2], [1, 2]]
    document = isat(
        layer(3, "__background__", hole),
        layer(1, "plate", whole),
        layer(2, "cake", hole, 2),
        layer(4, "fork", [[5, 0], [5, 1], [4, 0]], 3),
    )
    yaml = "label:\n- color: '#000000'\n  name: __background__\n- color: '#AD7FA8'\n  name: plate\n"
    reader, [frame] = read(tmp_path, {"a.json": document, "isat.yaml": yaml})
    assert reader.format == "isat"
    assert [reader.found(made.key).name for made in frame.objects] == ["plate", "fork"]
    assert rows(frame.objects[0], frame) == ["######", "#..###", "#..###", "######"]
    assert [(c.name, c.colour) for c in reader.classes()] == [("plate", "#ad7fa8")]


def test_isat_polygons_of_one_group_in_neighbouring_layers_are_one_object(tmp_path: Path) -> None:
    left, right = [[0, 0], [1, 0], [1, 3], [0, 3]], [[4, 0], [5, 0], [5, 3], [4, 3]]
    document = isat(
        layer(1, "man", left), layer(2, "man", right), layer(3, "dog", left), layer(4, "man", right)
    )
    _, [frame] = read(tmp_path, {"a.json": document})
    assert [rows(made, frame)[0] for made in frame.objects] == ["##..##", "##....", "....##"]
    assert frame.objects[0].attributes == {"group": "1"}


def test_isat_is_drawn_as_isat_itself_exported_it(shared_data: Path) -> None:
    folder = shared_data / "formats/isat_json"
    reader = open_truth(open_files(folder), "isat")
    names = re.findall(r"name: (\S+)", (folder / "isat.yaml").read_text())
    [frame] = reader.frames()
    expected = np.asarray(Image.open(folder / "semantic_000000000113.png"))
    assert (painted(reader, frame, {name: value for value, name in enumerate(names)}) == expected).all()


def test_sa1b_masks_are_one_class_with_the_largest_at_the_bottom(tmp_path: Path) -> None:
    small, large = np.zeros((4, 6), bool), np.ones((4, 6), bool)
    small[1, 1:3] = True
    annotations = [{"id": n, "segmentation": encode_rle(mask)} for n, mask in enumerate([small, large])]
    annotations.append({"id": 2, "segmentation": {"size": [6, 4], "counts": "`0"}})
    image = {"image_id": 1, "file_name": "sa_1.jpg", "width": 6, "height": 4}
    reader, [frame] = read(tmp_path, {"sa_1.json": {"image": image, "annotations": annotations}})
    assert (reader.format, frame.name) == ("sa1b", "sa_1.jpg")
    assert [int(made.mask.sum()) for made in frame.objects] == [24, 2]
    assert {made.key for made in frame.objects} == {"name:object"}
    assert "annotation 2 is left out: its run lengths are for another size" in frame.problems[0]


def test_sav_masklets_are_tracks_on_every_fourth_frame(tmp_path: Path) -> None:
    seen, unseen = encode_rle(np.ones((4, 6), bool)), encode_rle(np.zeros((4, 6), bool))
    video = {
        "video_id": "sav_7",
        "video_duration": 0.5,
        "video_frame_count": 12.0,
        "video_height": 4.0,
        "video_width": 6.0,
        "masklet": [[seen, unseen], [unseen, None], [{"size": [4, 6], "counts": [5]}, seen]],
        "masklet_id": [3, 4],
    }
    reader, frames = read(tmp_path, {"sav_7_manual.json": video})
    assert (reader.format, reader.count) == ("sav", 3)
    assert [(frame.name, frame.index) for frame in frames] == [
        ("sav_7/00000", 0),
        ("sav_7/00004", 4),
        ("sav_7/00008", 8),
    ]
    assert [round(frame.pts or 0, 3) for frame in frames] == [0, 0.167, 0.333]
    assert [[made.track for made in frame.objects] for frame in frames] == [["3"], [], ["4"]]
    assert [len(frame.problems) for frame in frames] == [0, 0, 1]
    assert "masklet 3 is left out" in frames[2].problems[0]


XML = (
    "<annotation><filename>a.png</filename><folder>s</folder>{}"
    "<imagesize><nrows>4</nrows><ncols>6</ncols></imagesize></annotation>"
)


def test_labelme_xml_has_polygons_and_masks_in_files(tmp_path: Path) -> None:
    mask = np.zeros((4, 6, 4), np.uint8)
    mask[2, 3:, 3] = 255
    picture = io.BytesIO()
    Image.fromarray(mask).save(picture, "PNG")
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in [(1, 1), (4, 1), (4, 3), (1, 3)])
    polygon_ = f"<polygon><username>u</username>{points}</polygon>"
    text = XML.format(
        f"<object><name>window</name><occluded>yes</occluded><attributes>old, floor=2</attributes>"
        f"<id>0</id>{polygon_}</object>"
        "<object><name>plate</name><id>1</id><segm><mask>m.png</mask></segm></object>"
        f"<object><name>gone</name><deleted>1</deleted><id>2</id>{polygon_}</object>"
        "<object><name>lost</name><id>3</id><segm><mask>../../etc/lost.png</mask></segm></object>"
        "<object><name>bad</name><id>4</id><polygon><pt><x>1</x></pt></polygon></object>"
    )
    files = {"Annotations/s/a.xml": text, "Masks/s/m.png": picture.getvalue()}
    reader, [frame] = read(tmp_path, files)
    assert (reader.format, frame.name) == ("labelme-xml", "s/a.png")
    window, plate = frame.objects
    assert rows(window, frame) == ["......", ".###..", ".###..", "......"]
    assert window.attributes == {"old": "true", "floor": "2", "occluded": "true"}
    assert rows(plate, frame)[2] == "...###"
    assert frame.problems == [
        "“s/a.png”: object 3 (“lost”) is left out: its mask file “lost.png” is not in the source.",
        "“s/a.png”: object 4 (“bad”) is left out: its y is missing or not a number.",
    ]


def test_the_other_real_samples_read_whole(shared_data: Path) -> None:
    expected = {
        "coco_instances_datumaro": ("coco", 2, 2),
        "coco_stuff_datumaro": ("coco", 2, 2),
        "cvat_images_doc_example": ("cvat", 1, 1),
        "cvat_images_task_datumaro": ("cvat", 2, 0),
        "cvat_video_datumaro": ("cvat", 4, 0),
        "labelme_xml_datumaro": ("labelme-xml", 1, 7),
        "sa1b_datumaro": ("sa1b", 2, 1),
        "sav_json": ("sav", 121, 480),
    }
    for folder, (format, count, objects) in expected.items():
        reader = open_truth(open_files(shared_data / "formats" / folder))
        frames = 0
        found = 0
        for frame in reader.frames():
            frames += 1
            found += len(frame.objects)
            assert all(full(made, frame).any() for made in frame.objects)
        assert (folder, reader.format, reader.count, frames, found) == (folder, format, count, count, objects)
