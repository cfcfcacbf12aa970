from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.algo.labels import encode_rle
from app.errors import Refused
from tests.truth_sources import full, painted, read, rows

CATEGORIES = [{"id": 1, "name": "car"}, {"id": 7, "name": "road", "color": [128, 64, 128]}]


def coco(annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    images = [{"id": 5, "file_name": "a.jpg", "width": 6, "height": 4}]
    numbered = [{"id": n, "image_id": 5, "category_id": 1, **a} for n, a in enumerate(annotations, 1)]
    return {"images": images, "annotations": numbered, "categories": CATEGORIES, **more}


def test_a_polygon_covers_the_pixels_whose_centres_it_holds(tmp_path: Path) -> None:
    reader, [frame] = read(tmp_path, {"x.json": coco([{"segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}])})
    assert reader.format == "coco"
    assert (frame.name, frame.width, frame.height) == ("a.jpg", 6, 4)
    assert rows(frame.objects[0], frame) == ["......", ".###..", ".###..", "......"]
    assert (frame.objects[0].x0, frame.objects[0].y0, frame.objects[0].mask.shape) == (1, 1, (2, 3))


def test_rings_of_one_annotation_are_united_even_where_they_overlap(tmp_path: Path) -> None:
    rings = [[0, 0, 3, 0, 3, 2, 0, 2], [2, 1, 5, 1, 5, 3, 2, 3]]
    _, [frame] = read(tmp_path, {"x.json": coco([{"segmentation": rings}])})
    assert rows(frame.objects[0], frame) == ["###...", "#####.", "..###.", "......"]


def test_run_lengths_compressed_or_not_are_the_same_mask(tmp_path: Path) -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    plain = {"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]}
    document = coco([{"segmentation": encode_rle(mask)}, {"segmentation": plain, "iscrowd": 1}])
    _, [frame] = read(tmp_path, {"x.json": document})
    assert [full(made, frame).tolist() for made in frame.objects] == [mask.tolist()] * 2
    assert frame.objects[1].attributes == {"iscrowd": "true"}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=4, max_size=4))
def test_any_mask_comes_back_pixel_for_pixel(tmp_path: Path, bits: list[list[bool]]) -> None:
    mask = np.array(bits)
    _, [frame] = read(tmp_path, {"x.json": coco([{"segmentation": encode_rle(mask)}])})
    if mask.any():
        assert (full(frame.objects[0], frame) == mask).all()
    else:
        assert "annotation 1 is left out: it covers no pixel." in frame.problems[0]


def test_every_json_file_is_read_and_classes_of_one_name_are_one_class(tmp_path: Path) -> None:
    train, val = coco([{"segmentation": [[0, 0, 2, 0, 2, 2]]}]), coco([])
    val["images"][0]["file_name"] = "val/b.jpg"
    val["categories"] = [{"id": 3, "name": "car"}]
    captions = {"images": train["images"], "annotations": [{"id": 1, "image_id": 5, "caption": "a road"}]}
    reader, frames = read(tmp_path, {"train.json": train, "val.json": val, "captions.json": captions})
    assert [frame.name for frame in frames] == ["a.jpg", "val/b.jpg"]
    assert reader.count == 2
    assert [(c.key, c.value, c.colour) for c in reader.classes()] == [
        ("name:car", 1, None),
        ("name:road", 7, "#804080"),
    ]
    assert reader.problems == [
        "Left out: “captions.json” holds no segmentation, only boxes, captions or key points."
    ]
    assert [frame.name for frame in reader.frames()] == ["a.jpg", "val/b.jpg"]


def test_an_annotation_without_outline_is_counted_not_invented(tmp_path: Path) -> None:
    _, [frame] = read(tmp_path, {"x.json": coco([{"segmentation": []}, {"segmentation": None}])})
    assert frame.objects == []
    assert frame.problems == [
        "“a.jpg”: left out because it is no segmentation: 2 × annotation without an outline."
    ]


def test_attributes_become_texts_and_a_track_id_the_track(tmp_path: Path) -> None:
    attributes = {"track_id": 4, "parked": True, "colour": "red", "nested": {"a": 1}, "none": None}
    document = coco([{"segmentation": [[0, 0, 2, 0, 2, 2]], "attributes": attributes}])
    _, [frame] = read(tmp_path, {"x.json": document})
    assert frame.objects[0].track == "4"
    assert frame.objects[0].attributes == {"parked": "true", "colour": "red"}


def test_what_does_not_belong_together_is_listed_with_counts(tmp_path: Path) -> None:
    ring = [[0, 0, 2, 0, 2, 2]]
    document = coco(
        [
            {"segmentation": ring, "id": 8},
            {"segmentation": ring, "id": 8},
            {"segmentation": ring, "category_id": 99},
            {"segmentation": ring, "image_id": 77},
        ]
    )
    document["images"] += [dict(document["images"][0]), {"id": 6, "file_name": "C:\\x\\..\\b.jpg"}]
    reader, frames = read(tmp_path, {"x.json": document})
    assert [frame.name for frame in frames] == ["a.jpg", "b.jpg"]
    assert len(frames[0].objects) == 2
    assert frames[0].problems == ["“a.jpg”: annotation 3 is left out: its category 99 is not in the list."]
    said = " ".join(reader.problems)
    for part in (
        "1 annotation id is used more than once: 8 (2 times)",
        "1 annotation left out of a category 99",
        "1 annotation left out of images that are not listed",
        "1 image with the id of another",
        "leads out of the folder; only “b.jpg” is used",
    ):
        assert part in said


def test_an_image_without_a_size_takes_that_of_the_image_beside(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (6, 4)).save(picture, "PNG")
    document = coco([{"segmentation": [[0, 0, 6, 0, 6, 4, 0, 4]]}])
    document["images"] = [{"id": 5, "file_name": "a.jpg"}]
    _, [frame] = read(tmp_path, {"x.json": document, "images/a.png": picture.getvalue()})
    assert (frame.width, frame.height, int(frame.objects[0].mask.sum())) == (6, 4, 24)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (coco([{"bbox": [0, 0, 1, 1]}]), "holds no segmentation"),
        (coco([{"segments_info": []}]), "is panoptic"),
        ({"images": [], "licenses": []}, "no annotations"),
        ({"annotations": [], "categories": []}, "images"),
    ],
)
def test_a_file_without_masks_is_refused(tmp_path: Path, document: Any, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        read(tmp_path, {"x.json": document}, "coco")


def test_one_bad_annotation_leaves_the_others(tmp_path: Path) -> None:
    good = {"segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}
    bad = [[[1, 1, 2, 2, 3]], [[1, 1, 2, 2]], [[90, 90, 95, 90, 95, 95]], [[1e300, 0, 1, 1, 2, 2]], "x", {}]
    rles = [
        {"size": [6, 4], "counts": [24]},
        {"size": [4, 6], "counts": [2**62] * 4},
        {"size": [4, 6], "counts": [-3, 27]},
        {"size": [4, 6], "counts": "\x7f~"},
        {"size": [4, 6], "counts": [10**40]},
    ]
    _, [frame] = read(tmp_path, {"x.json": coco([*({"segmentation": s} for s in [*bad, *rles]), good])})
    assert [rows(made, frame)[0] for made in frame.objects] == ["##...."]
    assert len(frame.problems) == len(bad) + len(rles)
    assert all("is left out" in problem for problem in frame.problems)


def test_problems_of_one_frame_are_capped_and_counted(tmp_path: Path) -> None:
    _, [frame] = read(tmp_path, {"x.json": coco([{"segmentation": [[1, 1]]}] * 150)})
    assert len(frame.problems) == 101
    assert frame.problems[-1] == "“a.jpg”: and 50 more of this kind."


def test_more_masks_than_fit_into_memory_are_left_out_in_words(tmp_path: Path) -> None:
    whole = {"segmentation": {"size": [4, 6], "counts": [0, 24]}}
    _, [frame] = read(tmp_path, {"x.json": coco([whole] * 70)})
    assert len(frame.objects) == 64
    assert "more objects than can be held" in frame.problems[0]


def test_the_real_sample_gives_back_the_masks_it_was_made_from(shared_data: Path) -> None:
    from app.formats.truth import open_files, open_truth

    reader = open_truth(open_files(shared_data / "formats/generated_coco_rle_and_polygons"))
    values = {c.name: (c.value or 0) - 1 for c in reader.classes()}
    for frame, number in zip(reader.frames(), (0, 30), strict=True):
        source = np.asarray(Image.open(shared_data / f"sequences/camvid_0016E5_15hz/masks/{number:05d}.png"))
        assert not frame.problems
        labels = painted(reader, frame, values, 11)
        known = labels != 11
        # Two of three annotations are run lengths, the third is a polygon of the border's pixels.
        assert (labels == source)[known].mean() > 0.995
        exact = [made for made in frame.objects if not made.mask.all() and "iscrowd" in made.attributes]
        assert exact
        for made in exact:
            value = values[reader.found(made.key).name]
            assert (source[full(made, frame)] == value).all()
