from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats.truth import detect, open_files, open_truth
from app.formats.truth.model import TruthFrame
from app.formats.truth.panoptic import PanopticReader
from tests.pngs import png, tree, zipped


def read(path: Path) -> tuple[PanopticReader, list[TruthFrame]]:
    files = open_files(path)
    assert detect(files) == "coco-panoptic"
    reader = open_truth(files)
    assert isinstance(reader, PanopticReader)
    frames = list(reader.frames())
    assert len(frames) == reader.count
    return reader, frames


def numbered(numbers: list[list[int]]) -> bytes:
    array = np.array(numbers, np.uint32)
    return png(np.stack([array & 255, array >> 8 & 255, array >> 16], axis=-1).astype(np.uint8))


def document(segments: list[dict[str, Any]], **changed: Any) -> bytes:
    return msgspec.json.encode(
        {
            "images": [{"id": 7, "file_name": "a.jpg", "width": 3, "height": 1}],
            "annotations": [{"image_id": 7, "file_name": "a.png", "segments_info": segments}],
            "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "sky", "color": [1, 2, 3]}],
            **changed,
        }
    )


def source(segments: list[dict[str, Any]], numbers: list[list[int]], **changed: Any) -> dict[str, bytes]:
    return {"panoptic.json": document(segments, **changed), "panoptic/a.png": numbered(numbers)}


def test_real_segments_come_back_pixel_for_pixel(shared_data: Path) -> None:
    folder = shared_data / "formats/coco_panoptic_real"
    reader, frames = read(folder)
    assert not reader.problems
    listed = msgspec.json.decode((folder / "panoptic_examples.json").read_bytes())
    for frame, annotation in zip(frames, listed["annotations"], strict=True):
        assert not frame.problems
        rgb = np.asarray(Image.open(folder / "panoptic_examples" / annotation["file_name"])).astype(int)
        numbers = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        painted = np.zeros_like(numbers)
        assert len(frame.objects) == len(annotation["segments_info"])
        for thing, segment in zip(frame.objects, annotation["segments_info"], strict=True):
            assert int(thing.mask.sum()) == segment["area"]
            height, width = thing.mask.shape
            painted[thing.y0 : thing.y0 + height, thing.x0 : thing.x0 + width][thing.mask] = segment["id"]
        assert (painted == numbers).all()
    assert reader.found("name:person").colour == "#dc143c"
    assert [(frame.name, frame.width, frame.height) for frame in frames] == [
        ("000000142238.jpg", 640, 427),
        ("000000439180.jpg", 640, 360),
    ]


def test_several_json_files_with_a_folder_each_are_read(shared_data: Path) -> None:
    _, frames = read(shared_data / "formats/coco_panoptic_datumaro")
    found = [
        [(thing.key, int(thing.mask.sum()), thing.attributes) for thing in frame.objects] for frame in frames
    ]
    assert found == [
        [("name:a", 25, {})],
        [("name:a", 20, {}), ("name:b", 20, {"iscrowd": "true"})],
    ]
    # The sample's own fault: it states another size than its PNG has.
    assert "is 10×5 px by the JSON file" in frames[0].problems[0]


def test_numbers_use_all_three_channels_and_zero_is_void(tmp_path: Path) -> None:
    segments = [
        {"id": 66051, "category_id": 2},
        {"id": 9, "category_id": 1, "attributes": {"track_id": 4, "lit": True}},
    ]
    reader, (frame,) = read(zipped(tmp_path / "x.zip", source(segments, [[0, 66051, 9]])))
    assert [(thing.key, thing.x0, thing.track, thing.attributes) for thing in frame.objects] == [
        ("name:sky", 1, None, {}),
        ("name:car", 2, "4", {"lit": "true"}),
    ]
    assert reader.found("name:sky").colour == "#010203"
    assert not frame.problems


@pytest.mark.parametrize(
    ("segments", "sentence"),
    [
        ([{"id": 5, "category_id": 1}], "segment 5 is left out: the PNG has no pixel of it."),
        ([{"id": 0, "category_id": 1}], "segment 0 is left out: the number 0 means void."),
        ([{"id": 9, "category_id": 3}], "segment 9 is left out: its category 3 is not in the list."),
        ([{"id": 9}], "segment 9 is left out: it has not the content that its format wants"),
        ([{"category_id": 1}], "segment at place 2 is left out"),
        ([{"id": 9, "category_id": 1}] * 2, "segment 9 is left out: its number comes twice"),
        ([], "has 2 pixels of 2 segments that the JSON file does not list: 8, 9."),
    ],
)
def test_what_is_wrong_with_a_segment_is_said_and_the_others_stay(
    tmp_path: Path, segments: list[dict[str, Any]], sentence: str
) -> None:
    good = {"id": 8, "category_id": 2}
    _, (frame,) = read(tree(tmp_path, source([good, *segments] if segments else [], [[0, 8, 9]])))
    assert any(sentence in problem for problem in frame.problems), frame.problems
    assert [thing.key for thing in frame.objects][:1] == (["name:sky"] if segments else [])


def test_missing_damaged_and_grey_pngs_are_problems_of_their_frame(tmp_path: Path) -> None:
    rows = [{"image_id": n, "file_name": f"{n}.png", "segments_info": []} for n in (7, 8, 9, 10)]
    files = {
        "panoptic.json": document([], annotations=[*rows, {"image_id": 7}, 5]),
        "panoptic/7.png": png([[1]]),
        "panoptic/8.png": numbered(np.random.default_rng(1).integers(1, 9**7, (9, 9)).tolist())[:150],
        "panoptic/9.png": b"no image",
    }
    _, frames = read(tree(tmp_path, files))
    said = [" ".join(frame.problems) for frame in frames]
    assert "is no colour PNG" in said[0]
    assert "damaged or cut off" in said[1]
    assert "image id 8 is not in the list of images" in said[1]
    assert "is not a PNG" in said[2]
    assert "its segments “10.png” are not in the source" in said[3]
    assert "annotation 5 is left out" in said[4]
    assert "annotation 6 is left out" in said[5]
    assert not any(frame.objects for frame in frames)


def test_a_name_that_leaves_the_folder_is_never_followed(tmp_path: Path) -> None:
    outside = tree(tmp_path, {"secret.png": numbered([[8, 8, 8]])})
    rows = [{"image_id": 7, "file_name": "../secret.png", "segments_info": [{"id": 8, "category_id": 1}]}]
    files = {"panoptic.json": document([], annotations=rows), "panoptic/a.png": numbered([[0]])}
    _, (frame,) = read(tree(outside / "set", files))
    assert not frame.objects
    assert "are not in the source" in frame.problems[0]


def test_json_without_pngs_and_broken_json_are_refused(tmp_path: Path) -> None:
    alone = tree(tmp_path / "a", {"panoptic.json": document([])})
    with pytest.raises(Refused, match="none of its PNGs"):
        open_truth(open_files(alone))
    broken = tree(tmp_path / "b", {"panoptic.json": document([])[:-9], "panoptic/a.png": numbered([[0]])})
    with pytest.raises(Refused, match="is not complete, valid JSON"):
        open_truth(open_files(broken), "coco-panoptic")
    with pytest.raises(Refused, match="holds no COCO panoptic JSON file"):
        open_truth(open_files(tree(tmp_path / "c", {"a.png": numbered([[0]])})), "coco-panoptic")
