from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats.truth import open_files, open_truth
from tests.truth_sources import painted, read, rows, write

SQUARE = "0.0 0.0 0.5 0.0 0.5 0.5 0.0 0.5"


def picture(width: int = 6, height: int = 4) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


def test_outlines_are_scaled_to_the_image_beside(tmp_path: Path) -> None:
    files = {
        "data.yaml": "names:\n  0: car\n  1: road\n",
        "labels/train/1.txt": f"1 {SQUARE}\n0 0.5 0.5 1 0.5 1 1 0.5 1\n",
        "labels/train/2.txt": "",
        "images/train/1.png": picture(),
        "images/train/2.png": picture(),
    }
    reader, frames = read(tmp_path, files)
    assert reader.format == "yolo-seg"
    assert [(frame.name, frame.width, frame.height) for frame in frames] == [
        ("train/1.png", 6, 4),
        ("train/2.png", 6, 4),
    ]
    assert [reader.found(made.key).name for made in frames[0].objects] == ["road", "car"]
    assert rows(frames[0].objects[0], frames[0]) == ["###...", "###...", "......", "......"]
    assert frames[1].objects == frames[1].problems == []


def test_without_images_the_sizes_come_from_whoever_knows_the_frames(tmp_path: Path) -> None:
    files = {"labels/1.txt": f"0 {SQUARE}\n", "labels/2.txt": f"0 {SQUARE}\n", "data.yaml": "names: ['a']"}
    reader = open_truth(open_files(write(tmp_path, files)))
    reader.size_of = lambda name, index: (4, 2) if name == "1" else None  # type: ignore[attr-defined]
    known, unknown = reader.frames()
    assert rows(known.objects[0], known) == ["##..", "...."]
    assert (unknown.width, unknown.objects) == (0, [])
    assert "does not say how large the image is" in unknown.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "nc: 2\nnames: [car, 'traffic light']\n",
        'names: ["car",\n  "traffic light"]\n',
        "names:\n- car\n- traffic light\ntrain: x\n",
        "train: images\nnames:\n  0: car  # the first\n  1: 'traffic light'\nnc: 2\n",
        "names: {0: car, 1: traffic light}\n",
    ],
)
def test_class_names_are_read_from_every_way_data_yaml_is_written(tmp_path: Path, text: str) -> None:
    reader, _ = read(tmp_path, {"data.yaml": text, "labels/1.txt": f"0 {SQUARE}\n", "1.png": picture()})
    assert [(c.name, c.value) for c in reader.classes()] == [("car", 0), ("traffic light", 1)]


def test_without_names_a_class_is_its_number(tmp_path: Path) -> None:
    reader, [frame] = read(tmp_path, {"labels/1.txt": f"17 {SQUARE}\n", "1.png": picture()})
    found = reader.found(frame.objects[0].key)
    assert (found.key, found.name, found.value) == ("value:17", "class 17", 17)


def test_boxes_among_outlines_are_counted_and_boxes_alone_refused(tmp_path: Path) -> None:
    box = "0 0.5 0.5 0.2 0.2\n"
    _, [frame] = read(tmp_path, {"labels/1.txt": f"{box}0 {SQUARE}\n", "1.png": picture()})
    assert len(frame.objects) == 1
    assert frame.problems == ["“1.png”: left out because it is no segmentation: 1 × box."]
    with pytest.raises(Refused, match="holds boxes, no segmentation"):
        read(tmp_path, {"labels/1.txt": box, "1.png": picture()})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.1 0.1 0.5 0.1 0.5", "an odd number"),
        ("9 0.1 0.1 0.5 0.1 0.5 0.5", "class 9 is not in the list of 1"),
        ("car 0.1 0.1 0.5 0.1 0.5 0.5", "is not a number"),
        ("0 0.1 0.1 0.5 x 0.5 0.5", "not a number"),
        ("0 0.1 0.1 nan 0.1 0.5 0.5", "not a usable number"),
        ("0 5 5 9 5 9 9", "wholly outside"),
        ("0", "only 0 points"),
    ],
)
def test_a_bad_line_is_a_sentence_and_the_others_stay(tmp_path: Path, line: str, sentence: str) -> None:
    files = {"classes.txt": "car\n", "labels/1.txt": f"0 {SQUARE}\n{line}\n", "1.png": picture()}
    _, [frame] = read(tmp_path, files)
    assert len(frame.objects) == 1
    assert frame.problems[0].startswith("“1.png”: line 2 is left out: ")
    assert sentence in frame.problems[0]


def test_an_outline_that_leaves_the_image_is_cut_off_and_said(tmp_path: Path) -> None:
    files = {"labels/1.txt": "0 0.5 0 2 0 2 2 0.5 2\n", "1.png": picture()}
    _, [frame] = read(tmp_path, files)
    assert rows(frame.objects[0], frame) == ["...###"] * 4
    assert frame.problems == [
        "“1.png”: line 1: it reaches outside the image and is cut off there; it is kept."
    ]


def test_the_real_sample_is_close_to_its_masks_and_the_boxes_are_refused(shared_data: Path) -> None:
    reader = open_truth(open_files(shared_data / "formats/generated_yolo_seg"))
    values = {c.name: c.value or 0 for c in reader.classes()}
    for frame, number in zip(reader.frames(), (0, 30), strict=True):
        source = np.asarray(Image.open(shared_data / f"sequences/camvid_0016E5_15hz/masks/{number:05d}.png"))
        # Its outlines run through the middles of the border's pixels, so every object lacks half a rim.
        assert (painted(reader, frame, values, 11) == source).mean() > 0.97
        assert not frame.problems
    with pytest.raises(Refused, match="holds boxes, no segmentation"):
        open_truth(open_files(shared_data / "formats/yolo_boxes_datumaro"))
