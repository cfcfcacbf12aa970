"""What the exact formats write is read back by the shortest reader there is, pixel for pixel."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from app.algo.labels import decode_rle
from app.formats.out.model import FrameOut
from tests.formats.out.exporting import CLASSES, REGIONS, export, frame, frames

VALUES = {0: 255} | {c.id: c.exported_value for c in CLASSES}
NAMES = {c.name: c.id for c in CLASSES}
BY = pytest.mark.parametrize("objects", ["class", "region"])
Shown = list[FrameOut]


def png(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)))


def ids(values: np.ndarray, **changed: int) -> np.ndarray:
    """Exported values as class ids."""
    out = np.full(values.shape, 99, np.uint16)
    for class_id, value in VALUES.items():
        out[values == value] = class_id
    return out


def things_of(shown: FrameOut, objects: str) -> int:
    return len(set(np.unique(shown.label_map if objects == "class" else shown.winners).tolist()) - {0})


@given(shown=frames())
@settings(max_examples=25, deadline=None)
@BY
def test_coco_holds_every_pixel_once_as_run_lengths_numbered_from_one(objects: str, shown: Shown) -> None:
    files, _ = export("coco", shown, objects=objects)
    document = json.loads(files["annotations/instances_default.json"])
    assert [row["name"] for row in document["categories"]] == ["road", "car", "sky"]
    assert document["categories"][1]["supercategory"] == "road"
    assert [row["id"] for row in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
    for image, wanted in zip(document["images"], shown, strict=True):
        painted = np.zeros((image["height"], image["width"]), np.uint16)
        rows = [row for row in document["annotations"] if row["image_id"] == image["id"]]
        assert len(rows) == things_of(wanted, objects)
        for row in rows:
            mask = decode_rle(row["segmentation"])
            assert row["iscrowd"] == 1
            assert not painted[mask].any()
            assert row["area"] == mask.sum()
            ys, xs = np.nonzero(mask)
            box = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
            assert row["bbox"] == box
            painted[mask] = row["category_id"]
        assert (painted == wanted.label_map).all()
        assert image["file_name"] == f"{wanted.name}.jpg"


@given(shown=frames())
@settings(max_examples=25, deadline=None)
@BY
def test_coco_panoptic_gives_every_pixel_the_segment_of_its_class(objects: str, shown: Shown) -> None:
    files, _ = export("coco-panoptic", shown, objects=objects, split="val")
    document = json.loads(files["annotations/panoptic_val.json"])
    for row, wanted in zip(document["annotations"], shown, strict=True):
        rgb = png(files[f"annotations/panoptic_val/{row['file_name']}"]).astype(np.uint32)
        numbers = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        painted = np.zeros(numbers.shape, np.uint16)
        for segment in row["segments_info"]:
            assert segment["area"] == (numbers == segment["id"]).sum() > 0
            painted[numbers == segment["id"]] = segment["category_id"]
        assert (painted == wanted.label_map).all()
        assert len(row["segments_info"]) == things_of(wanted, objects)


@given(shown=frames())
@settings(max_examples=15, deadline=None)
def test_voc_holds_values_objects_and_a_label_map_that_names_the_colours(shown: Shown) -> None:
    files, _ = export("voc", shown, unlabelled_value=255)
    assert files["ImageSets/Segmentation/default.txt"] == b"clip_000000\nclip_000001\n"
    rows = [line.split(":") for line in files["labelmap.txt"].decode().splitlines()[1:]]
    colours = {tuple(map(int, row[1].split(","))): row[0] for row in rows}
    for wanted in shown:
        image = Image.open(io.BytesIO(files[f"SegmentationClass/{wanted.name}.png"]))
        assert (ids(np.array(image)) == wanted.label_map).all()
        rgb = np.array(image.convert("RGB"))
        for class_id in np.unique(wanted.label_map).tolist():
            y, x = np.argwhere(wanted.label_map == class_id)[0]
            assert colours[tuple(rgb[y, x].tolist())] == {i: n for n, i in NAMES.items()}.get(
                class_id, "void"
            )
        objects = png(files[f"SegmentationObject/{wanted.name}.png"])
        assert len(set(zip(objects.ravel().tolist(), wanted.winners.ravel().tolist(), strict=True))) == len(
            np.unique(wanted.winners)
        )


@given(shown=frames())
@settings(max_examples=15, deadline=None)
def test_davis_keeps_the_number_of_an_object_through_the_frames(shown: Shown) -> None:
    files, notes = export("davis", shown)
    assert files["ImageSets/train.txt"] == b"clip\n"
    numbers = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 0: 0}
    objects = json.loads(files["objects.json"])["clip"]
    assert [(row["class"], row.get("track")) for row in objects] == [
        ("road", None), ("car", "car 1"), ("car", "car 2"), ("car", None), ("sky", None)
    ]  # fmt: skip
    for wanted in shown:
        found = png(files[f"Annotations/clip/{wanted.index:05d}.png"])
        assert (found == np.vectorize(numbers.get)(wanted.winners)).all()
    assert "without a track" in notes[0]
    files, _ = export("davis", shown, objects="class", unlabelled_value=255)
    for wanted in shown:
        assert (ids(png(files[f"Annotations/clip/{wanted.index:05d}.png"])) == wanted.label_map).all()


@given(shown=frames())
@settings(max_examples=25, deadline=None)
@BY
def test_cityscapes_label_ids_instances_and_nested_polygons_agree(objects: str, shown: Shown) -> None:
    files, _ = export("cityscapes", shown, objects=objects, unlabelled_value=255)
    for wanted in shown:
        base = f"gtFine/train/clip/{wanted.name}_gtFine_"
        values = png(files[f"{base}labelIds.png"])
        assert (ids(values) == wanted.label_map).all()
        instances = png(files[f"{base}instanceIds.png"]).astype(int)
        labelled = wanted.label_map > 0
        if objects == "class":
            assert (instances == values).all()
        else:
            assert (instances[labelled] // 1000 == values[labelled]).all()
            pairs = set(zip(instances[labelled].tolist(), wanted.winners[labelled].tolist(), strict=True))
            assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        document = json.loads(files[f"{base}polygons.json"])
        painted = np.zeros((document["imgHeight"], document["imgWidth"]), np.uint16)
        for row in document["objects"]:
            ring = np.array(row["polygon"], np.int32)
            assert len(ring) >= 3
            cv2.fillPoly(painted, [ring], (NAMES.get(row["label"], 0),))
        assert (painted == wanted.label_map).all()


@given(shown=frames())
@settings(max_examples=15, deadline=None)
@BY
def test_labelme_masks_lie_between_their_corners(objects: str, shown: Shown) -> None:
    files, _ = export("labelme", shown, objects=objects)
    for wanted in shown:
        document = json.loads(files[f"{wanted.name}.json"])
        painted = np.zeros((document["imageHeight"], document["imageWidth"]), np.uint16)
        for shape in document["shapes"]:
            (x1, y1), (x2, y2) = shape["points"]
            mask = png(base64.b64decode(shape["mask"])).astype(bool)
            painted[y1 : y2 + 1, x1 : x2 + 1][mask] = NAMES[shape["label"]]
            assert shape["shape_type"] == "mask"
        assert (painted == wanted.label_map).all()
        groups = [shape["group_id"] for shape in document["shapes"] if shape["group_id"]]
        present = {REGIONS[p - 1][1] for p in np.unique(wanted.winners).tolist() if p} - {None}
        assert sorted(groups) == (sorted(present) if objects == "region" else [])


@given(shown=frames())
@settings(max_examples=15, deadline=None)
@BY
def test_cvat_run_lengths_fill_their_boxes_row_by_row(objects: str, shown: Shown) -> None:
    files, notes = export("cvat", shown, objects=objects)
    root = ElementTree.fromstring(files["annotations.xml"])
    assert root.findtext("meta/task/name") == "A <project>"
    assert [node.text for node in root.iterfind("meta/task/labels/label/name")] == ["road", "car", "sky"]
    images = root.findall("image")
    assert root.findtext("meta/task/size") == str(len(images))
    for image, wanted in zip(images, shown, strict=True):
        painted = np.zeros((int(image.attrib["height"]), int(image.attrib["width"])), np.uint16)
        for mask in image.iterfind("mask"):
            x, y, w, h = (int(mask.attrib[key]) for key in ("left", "top", "width", "height"))
            counts = [int(n) for n in mask.attrib["rle"].split(",")]
            bits = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(h, w)
            painted[y : y + h, x : x + w][bits] = NAMES[mask.attrib["label"]]
        assert (painted == wanted.label_map).all()
    tracked = any(np.isin(f.winners, [2, 3]).any() for f in shown)
    assert bool(notes) == (objects == "region" and tracked)


@given(shown=frames())
@settings(max_examples=15, deadline=None)
@BY
def test_masks_of_a_frame_are_apart_and_cover_it(objects: str, shown: Shown) -> None:
    files, _ = export("masks-png", shown, objects=objects)
    for wanted in shown:
        painted = np.zeros(wanted.label_map.shape, np.uint16)
        for name, data in files.items():
            if wanted.name in name:
                mask = png(data)
                assert set(np.unique(mask)) <= {0, 255}
                assert not painted[mask > 0].any()
                painted[mask > 0] = NAMES[name.split("/")[1]]
        assert (painted == wanted.label_map).all()
    if objects == "region" and (shown[0].winners == 2).any():
        assert f"masks/car/car_1/{shown[0].name}.png" in files


def test_yolo_says_how_much_the_filled_holes_cost() -> None:
    winners = np.zeros((40, 60), int)
    winners[5:25, 10:40] = 1
    winners[10:20, 20:30] = 0
    winners[30:35, 1:50] = 2
    files, notes = export("yolo-seg", [frame(winners)])
    lines = files["labels/train/clip_000000.txt"].decode().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    corners = np.array(lines[1].split()[1:], float).reshape(-1, 2) * [60, 40]
    assert sorted(np.round(corners, 3).tolist()) == [[1, 30], [1, 35], [50, 30], [50, 35]]
    assert "1 of 2 objects changed" in notes[0]
    assert f"{(5 / 6 + 1) / 2:.4f} on average, {5 / 6:.4f} at worst" in notes[0]


def test_equal_frames_give_equal_files() -> None:
    winners = np.random.default_rng(3).integers(0, 6, (30, 40))
    made: list[Any] = [export("coco", [frame(winners)])[0] for _ in range(2)]
    assert made[0] == made[1]
