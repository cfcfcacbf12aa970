from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats.truth import open_files, open_truth
from tests.truth_sources import full, painted, read, rows

LABELS = (
    "<labels><label><name>car</name><color>#FA3253</color></label><label><name>road</name></label></labels>"
)
VIDEO = (
    "<meta><task><size>4</size><start_frame>10</start_frame><stop_frame>19</stop_frame>"
    f"<frame_filter>step=3</frame_filter>{LABELS}<original_size><width>6</width><height>4</height></original_size>"
    "</task></meta>"
)


def cvat(body: str, meta: str = f"<meta><task>{LABELS}</task></meta>") -> str:
    return f'<?xml version="1.0"?><annotations><version>1.1</version>{meta}{body}</annotations>'


def image(body: str) -> str:
    return cvat(f'<image id="3" name="s/a.jpg" width="6" height="4">{body}</image>')


def test_masks_are_runs_over_their_box_and_polygons_hold_pixel_centres(tmp_path: Path) -> None:
    text = image(
        '<mask label="car" rle="1, 2, 1, 2" left="2" top="1" width="3" height="2" z_order="0">'
        '<attribute name="wheels">4</attribute></mask>'
        '<polygon label="road" occluded="1" points="1.00,1.00;4.00,1.00;4.00,3.00;1.00,3.00" z_order="0"/>'
    )
    reader, [frame] = read(tmp_path, {"annotations.xml": text})
    assert reader.format == "cvat"
    assert (frame.name, frame.index, frame.width, frame.height) == ("s/a.jpg", 3, 6, 4)
    car, road = frame.objects
    assert rows(car, frame) == ["......", "...##.", "...##.", "......"]
    assert rows(road, frame) == ["......", ".###..", ".###..", "......"]
    assert (car.attributes, road.attributes) == ({"wheels": "4"}, {"occluded": "true"})
    assert [(c.name, c.colour) for c in reader.classes()] == [("car", "#fa3253"), ("road", None)]


def test_the_z_order_decides_what_lies_on_top(tmp_path: Path) -> None:
    whole = "0,0;6,0;6,4;0,4"
    text = image(
        f'<polygon label="car" points="{whole}" z_order="5"/><polygon label="road" points="{whole}" z_order="1"/>'
        f'<polygon label="car" points="{whole}" z_order="1"/>'
    )
    reader, [frame] = read(tmp_path, {"annotations.xml": text})
    assert [reader.found(made.key).name for made in frame.objects] == ["road", "car", "car"]


def test_an_ellipse_has_an_area_boxes_lines_and_points_are_counted(tmp_path: Path) -> None:
    text = image(
        '<ellipse label="car" cx="3" cy="2" rx="2" ry="1"/><box label="car" xtl="0" ytl="0" xbr="2" ybr="2"/>'
        '<polyline label="road" points="0,0;1,1"/><points label="car" points="1,1"/><tag label="car"/>'
    )
    _, [frame] = read(tmp_path, {"annotations.xml": text})
    assert rows(frame.objects[0], frame) == ["......", ".####.", ".####.", "......"]
    assert frame.problems == [
        "“s/a.jpg”: left out because it is no segmentation: 1 × box, 1 × points, 1 × polyline."
    ]


def test_a_video_shape_holds_until_the_next_entry_of_its_track(tmp_path: Path) -> None:
    def polygon(frame: int, outside: int, right: int) -> str:
        points = f"0,0;{right},0;{right},4;0,4"
        return f'<polygon frame="{frame}" outside="{outside}" keyframe="1" points="{points}"/>'

    body = f'<track id="7" label="car">{polygon(10, 0, 1)}{polygon(16, 0, 2)}{polygon(19, 1, 2)}</track>'
    reader, frames = read(tmp_path, {"annotations.xml": cvat(body, VIDEO)})
    assert [frame.index for frame in frames] == [10, 13, 16, 19]
    assert reader.count == 4
    assert [[rows(made, frame)[0] for made in frame.objects] for frame in frames] == [
        ["#....."],
        ["#....."],
        ["##...."],
        [],
    ]
    assert {made.track for frame in frames for made in frame.objects} == {"7"}
    assert frames[0].name == "frame_000010"
    assert reader.problems == [
        "“annotations.xml”: 1 polygon track with gaps between key frames; there the last outline is repeated, "
        "not interpolated."
    ]


def test_an_undeclared_label_is_kept_as_a_class_of_its_own(tmp_path: Path) -> None:
    text = image('<polygon label="bus" points="0,0;6,0;6,4"/><polygon label="" points="0,0;6,0;6,4"/>')
    reader, [frame] = read(tmp_path, {"annotations.xml": text})
    assert [reader.found(made.key).name for made in frame.objects] == ["bus"]
    assert frame.problems == [
        "“s/a.jpg”: shape 2 (polygon “”) is left out: it names no class.",
        "“s/a.jpg”: the label “bus” is not in the file's list; it is kept as a class of its own.",
    ]


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ('<mask label="car" rle="1,2" left="0" top="0" width="2" height="2"/>', "cover 3 pixels"),
        ('<mask label="car" rle="5,-1" left="0" top="0" width="2" height="2"/>', "negative"),
        ('<mask label="car" rle="" left="0" top="0" width="2" height="2"/>', "not whole numbers"),
        ('<mask label="car" rle="4" left="0" top="0" width="2" height="2"/>', "covers no pixel"),
        ('<mask label="car" rle="0,4" left="9" top="0" width="2" height="2"/>', "wholly outside"),
        ('<mask label="car" rle="0,4" left="x" top="0" width="2" height="2"/>', "left is missing or not"),
        ('<mask label="car" rle="0,4" left="0" top="0" width="99999" height="99999"/>', "not a possible"),
        ('<mask label="car" rle="99999999999999999999" left="0" top="0" width="1" height="1"/>', "whole"),
        ('<polygon label="car" points="1,1;2,2"/>', "only 2 points"),
        ('<polygon label="car" points="1,1;2;3,3"/>', "not a pair"),
        ('<polygon label="car" points="nan,1;2,5;3,3"/>', "not a usable number"),
        ('<ellipse label="car" cx="3" cy="2" rx="0" ry="1"/>', "no area"),
    ],
)
def test_a_bad_shape_is_a_sentence_and_the_others_stay(tmp_path: Path, shape: str, sentence: str) -> None:
    good = '<polygon label="road" points="0,0;6,0;6,4"/>'
    _, [frame] = read(tmp_path, {"annotations.xml": image(shape + good)})
    assert len(frame.objects) == 1
    assert len(frame.problems) == 1
    assert "is left out" in frame.problems[0]
    assert sentence in frame.problems[0]


def test_impossible_ranges_of_frames_are_refused(tmp_path: Path) -> None:
    track = '<track id="0" label="car"><mask frame="9999999" outside="0" rle="0,1" left="0" top="0"/></track>'
    endless = "<meta><task><start_frame>0</start_frame><stop_frame>99999999</stop_frame></task></meta>"
    step = "<meta><task><frame_filter>step=0</frame_filter></task></meta>"
    for text in (cvat(track, endless), cvat(track, step)):
        with pytest.raises(Refused, match=r"frames"):
            read(tmp_path, {"annotations.xml": text})


def test_the_real_samples_give_back_the_masks_they_were_made_from(shared_data: Path) -> None:
    reader = open_truth(open_files(shared_data / "formats/generated_cvat_video_masks"))
    for frame in reader.frames():
        [made] = frame.objects
        source = Image.open(shared_data / f"sequences/davis_libby/masks/{frame.index:05d}.png")
        assert (full(made, frame) == (np.asarray(source) > 0)).all()
    reader = open_truth(open_files(shared_data / "formats/generated_cvat_images_masks"))
    values = {c.name: value for value, c in enumerate(reader.classes())}
    for frame, number in zip(reader.frames(), (0, 30), strict=True):
        source = np.asarray(Image.open(shared_data / f"sequences/camvid_0016E5_15hz/masks/{number:05d}.png"))
        labels = painted(reader, frame, values, 11)
        # Every second shape of it is a polygon along the middles of the border's pixels.
        assert (labels == source)[labels != 11].mean() > 0.995
        assert not frame.problems
