from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from app.formats.truth import known_classes, open_files, open_truth
from app.formats.truth.model import TruthFrame
from tests.pngs import jpeg, png, tree, zipped

VOC_PALETTE = [known_classes.voc_colour(i) for i in range(256)]


def read(path: Path, format: str = "label-png"):
    """The reader and all its frames."""
    files = open_files(path)
    reader = open_truth(files, format)
    frames = list(reader.frames())
    assert len(frames) == reader.count
    return reader, frames


def names(reader, frames: list[TruthFrame]) -> dict[str, int]:
    """Pixels by the name of the class, over all frames."""
    found: dict[str, int] = {}
    for frame in frames:
        for value, key in frame.keys.items():
            name = reader.found(key).name
            found[name] = found.get(name, 0) + int((frame.values == value).sum())
    return found


def problems(reader, frames: list[TruthFrame]) -> list[str]:
    return [*reader.problems, *(sentence for frame in frames for sentence in frame.problems)]


def voids(reader, frames: list[TruthFrame]) -> set[str]:
    return {
        reader.found(key).name for frame in frames for key in frame.keys.values() if reader.found(key).void
    }


# ── real data ────────────────────────────────────────────────────────────

REAL = {
    "sequences/camvid_0006R0_1hz": (30, (480, 360), {"sky", "unlabelled", "bicyclist"}, {"unlabelled"}),
    "sequences/camvid_0016E5_15hz": (60, (480, 360), {"sky", "unlabelled", "car"}, {"unlabelled"}),
    "sequences/davis_bmx_trees": (48, (854, 480), {"background", "rider_and_bike"}, set()),
    "sequences/davis_blackswan": (50, (854, 480), {"background", "swan"}, set()),
    "sequences/davis_libby": (49, (854, 480), {"background", "dog"}, set()),
    "sequences/isat_bedroom_pseudo": (24, (960, 540), {"background", "person", "bed"}, set()),
    "sequences/pumavos_caps": (3, (480, 853), {"background", "cap_1", "cap_2"}, set()),
    "sequences/pumavos_chair": (60, (720, 480), {"background", "chair"}, set()),
    "stills/coco128": (24, None, {"background", "giraffe", "zebra"}, set()),
    "stills/bsds500": (16, None, {"1", "2", "40"}, set()),
    "formats/davis_palette_cutie_judo": (4, None, {"0", "1", "4"}, set()),
    "formats/generated_voc": (2, (480, 360), {"sky", "bicyclist", "void"}, {"void"}),
    "formats/voc_labelme_export": (2, None, {"_background_", "person", "void"}, {"void"}),
    "formats/generated_cityscapes_like": (2, (480, 360), {"unlabeled", "road", "car"}, {"unlabeled"}),
    "formats/cityscapes_frankfurt_mmseg": (
        1,
        (256, 128),
        {"ego vehicle", "road", "person"},
        {"ego vehicle", "rectification border", "out of roi"},
    ),
    "formats/isat_json": (1, (416, 640), {"0", "8"}, set()),
}


@pytest.mark.parametrize("name", REAL)
def test_real_label_maps_come_back_pixel_for_pixel(shared_data: Path, name: str) -> None:
    count, size, some, void = REAL[name]
    reader, frames = read(shared_data / name)
    assert len(frames) == count
    assert not problems(reader, frames)
    assert some <= set(names(reader, frames))
    assert voids(reader, frames) == void
    for frame, mask in zip(frames, reader.masks.items):
        with Image.open(shared_data / name / mask.file) as image:
            truth = np.asarray(image)
        assert (frame.values == truth).all()
        assert (frame.width, frame.height) == image.size
        assert size in (None, image.size)
        assert sorted(frame.keys) == np.unique(truth).tolist()


def test_real_masks_are_named_after_the_images_beside_them(shared_data: Path) -> None:
    _, frames = read(shared_data / "sequences/pumavos_caps")
    assert [(frame.name, frame.index) for frame in frames] == [
        ("images/00000.jpg", 0),
        ("images/00014.jpg", 14),
        ("images/00033.jpg", 33),
    ]
    _, frames = read(shared_data / "formats/generated_cityscapes_like")
    assert frames[1].name == "leftImg8bit/val/city/city_000001_000000_leftImg8bit.jpg"


def test_camvid_keeps_class_zero_and_takes_eleven_for_void(shared_data: Path) -> None:
    reader, frames = read(shared_data / "sequences/camvid_0016E5_15hz")
    known = {cls.value: cls for cls in reader.classes()}
    assert (known[0].name, known[0].void, known[0].colour) == ("sky", False, "#808080")
    assert (known[11].name, known[11].void) == ("unlabelled", True)
    assert names(reader, frames)["sky"] == 937225


def test_train_ids_are_read_where_label_ids_are_missing(shared_data: Path) -> None:
    reader, frames = read(shared_data / "formats/cityscapes_png_datumaro")
    assert len(frames) == 4
    assert names(reader, frames)["truck"] == 3
    # The sample writes its background as 19, which the published list does not have.
    assert "13" not in names(reader, frames)
    assert all("does not name: 19" in sentence for sentence in problems(reader, frames))


# ── layouts, drawn ────────────────────────────────────────────────────────────


def test_voc_takes_classes_not_objects_and_255_for_void(tmp_path: Path) -> None:
    mask = np.array([[0, 15, 255]], np.uint8)
    reader, frames = read(
        tree(
            tmp_path,
            {
                "VOC/SegmentationClass/a_1.png": png(mask, VOC_PALETTE),
                "VOC/SegmentationObject/a_1.png": png(mask * 0 + 3, VOC_PALETTE),
                "VOC/JPEGImages/a_1.jpg": jpeg(3, 1),
                "VOC/Annotations/a_1.xml": "<annotation/>",
            },
        )
    )
    assert [(frame.name, frame.index) for frame in frames] == [("JPEGImages/a_1.jpg", 1)]
    assert names(reader, frames) == {"background": 1, "person": 1, "void": 1}
    assert reader.found("value:15").colour == "#c08080"
    assert voids(reader, frames) == {"void"}


def test_labelmap_names_the_number_that_has_its_colour_in_the_palette(tmp_path: Path) -> None:
    palette = ["#000000", "#112233", "#445566", "#ff0000", *["#000000"] * 252]
    files = {
        "SegmentationClass/x.png": png([[0, 2, 3]], palette),
        "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:255,0,0::\ntree:68,85,102::\n",
    }
    reader, frames = read(tree(tmp_path, files))
    assert names(reader, frames) == {"background": 1, "tree": 1, "car": 1}


def test_camvid_index_masks_without_a_list_have_the_published_names(tmp_path: Path) -> None:
    files = {
        "trainannot/0001_10.png": png([[0, 11], [8, 8]]),
        "train/0001_10.png": png(np.zeros((2, 2, 3), np.uint8)),
        "testannot/0001_20.png": png([[1, 1], [1, 1]]),
        "test/0001_20.png": png(np.zeros((2, 2, 3), np.uint8)),
    }
    reader, frames = read(zipped(tmp_path / "camvid.zip", files))
    assert [frame.name for frame in frames] == ["test/0001_20.png", "train/0001_10.png"]
    assert names(reader, frames) == {"building": 4, "sky": 1, "unlabelled": 1, "car": 2}
    assert voids(reader, frames) == {"unlabelled"}


def test_instance_ids_alone_give_classes(tmp_path: Path) -> None:
    files = {
        "gtFine/val/a/a_000000_000019_gtFine_instanceIds.png": png(np.array([[7, 26001, 26002]], np.uint16))
    }
    reader, frames = read(tree(tmp_path, files))
    assert names(reader, frames) == {"road": 1, "car": 2}
    assert (frames[0].name, frames[0].index) == ("val/a/a_000000_000019_leftImg8bit.png", 19)


def test_images_that_lack_the_kind_of_file_that_most_have_are_reported(tmp_path: Path) -> None:
    files = {f"gtFine/{name}_gtFine_labelIds.png": png([[7]]) for name in ("a_1_1", "b_1_1")}
    files["gtFine/c_1_1_gtFine_instanceIds.png"] = png([[7]])
    reader, frames = read(tree(tmp_path, files))
    assert len(frames) == 2
    assert problems(reader, frames) == [
        "1 image without such a file as the others have were left out: “gtFine/c_1_1_gtFine_instanceIds.png”."
    ]


def test_davis_sequences_give_objects_with_tracks(tmp_path: Path) -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:5], mask[4:, 6:] = 1, 2
    files = {
        "DAVIS/Annotations/480p/bear/00000.png": png(mask, VOC_PALETTE),
        "DAVIS/Annotations/480p/bear/00001.png": png(mask * 0, VOC_PALETTE),
        "DAVIS/Annotations/480p/bus/00000.png": png(
            np.where(mask == 1, 255, 0).astype(np.uint8), VOC_PALETTE
        ),
        "DAVIS/JPEGImages/480p/bear/00000.jpg": jpeg(8, 6),
        "DAVIS/JPEGImages/480p/bus/00000.jpg": jpeg(8, 6),
    }
    reader, frames = read(tree(tmp_path, files))
    assert [(frame.name, frame.index) for frame in frames] == [
        ("JPEGImages/480p/bear/00000.jpg", 0),
        ("bear/00001.png", 1),
        ("JPEGImages/480p/bus/00000.jpg", 0),
    ]
    first, second = frames[0].objects
    assert (first.key, first.track, first.x0, first.y0, first.mask.shape) == (
        "value:1",
        "bear/1",
        2,
        1,
        (2, 3),
    )
    assert (second.track, int(second.mask.sum())) == ("bear/2", 4)
    assert reader.found("value:1").name == "object 1"
    assert not frames[1].objects
    assert frames[1].values is None
    assert [(thing.track, reader.found(thing.key).void) for thing in frames[2].objects] == [(None, True)]


def test_youtube_vos_objects_have_the_category_of_meta_json(tmp_path: Path) -> None:
    meta = {"videos": {"0032": {"objects": {"1": {"category": "penguin", "frames": ["00000"]}, "x": {}}}}}
    files = {
        "set/Annotations/0032/00000.png": png([[0, 1, 2]], VOC_PALETTE),
        "set/Annotations/0032/00005.png": png([[0, 1, 2]], VOC_PALETTE),
        "set/meta.json": msgspec.json.encode(meta),
    }
    reader, frames = read(tree(tmp_path, files))
    assert [(reader.found(thing.key).name, thing.track) for thing in frames[1].objects] == [
        ("penguin", "0032/1"),
        ("object 2", "0032/2"),
    ]


def test_a_lower_case_annotations_folder_holds_classes(tmp_path: Path) -> None:
    files = {"annotations/training/a.png": png([[0, 2]]), "images/training/a.jpg": jpeg(2, 1)}
    _, (frame,) = read(tree(tmp_path, files))
    assert (frame.name, frame.keys) == ("images/training/a.jpg", {0: "value:0", 2: "value:2"})


def test_binary_masks_of_any_depth_are_read_as_they_are_stored(tmp_path: Path) -> None:
    for bits, mask in ((1, [[0, 1]]), (2, [[0, 3]]), (4, [[7, 15]]), (8, [[0, 255]])):
        _, frames = read(
            tree(tmp_path / str(bits), {"m.png": png(mask, VOC_PALETTE if bits == 2 else None, bits)})
        )
        assert frames[0].values.tolist() == mask
    wide = np.array([[0, 65535]], np.uint16)
    reader, frames = read(tree(tmp_path / "16", {"m.png": png(wide)}))
    assert frames[0].keys == {0: "value:0", 65535: "value:65535"}
    assert not any(reader.found(key).void for key in frames[0].keys.values())


# ── masks among other pictures ────────────────────────────────────────────────────────────


def test_photos_beside_masks_are_never_taken_for_masks(tmp_path: Path) -> None:
    photo = png(np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8))
    mask = png(np.ones((4, 5), np.uint8))
    layouts: dict[str, dict[str, bytes]] = {
        "folders": {"images/a.png": photo, "masks/a.png": mask},
        "grey photos": {"rgb/a.png": png(np.zeros((4, 5), np.uint8)), "labels/a.png": mask},
        "endings": {"a.png": photo, "a_mask.png": mask},
        "content": {"a.jpg": jpeg(), "a.png": mask},
        "palette among photos": {"x1.png": photo, "y1.png": mask},
        "second annotator": {
            "images/a.jpg": jpeg(),
            "masks/a.png": mask,
            "masks_second_annotator/a.png": mask,
        },
        "previews": {"masks/a.png": mask, "overlay/a.png": photo, "trimap/a.png": mask},
    }
    for name, files in layouts.items():
        _, frames = read(tree(tmp_path / name, files))
        assert [int(frame.values.sum()) for frame in frames] == [20], name


def test_an_ending_counts_only_where_the_image_without_it_is_there(tmp_path: Path) -> None:
    files = {name: png([[1]]) for name in ("a.png", "b_mask.png", "c_L.png")}
    _, frames = read(tree(tmp_path, files))
    assert [frame.name for frame in frames] == ["a.png", "b.png", "c.png"]


def test_jpegs_among_the_masks_and_colour_ones_are_reported(tmp_path: Path) -> None:
    files = {
        "masks/1.png": png([[1]]),
        "masks/2.jpg": jpeg(),
        "masks/3.png": png(np.zeros((1, 1, 3), np.uint8)),
    }
    reader, frames = read(tree(tmp_path, files))
    said = problems(reader, frames)
    assert "“masks/2.jpg”, are no PNGs" in said[0]
    assert "“masks/3.png” is a colour PNG among numbered ones" in said[1]
    assert [frame.values is None for frame in frames] == [False, True]


# ── class lists ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "classes.json",
            '{"classes":[{"id":0,"name":"sky"},{"id":2,"name":"car"}],"ignore":2}',
            ["sky", "1", "car"],
        ),
        ("classes.json", '["sky","road","car"]', ["sky", "road", "car"]),
        ("labels.json", '{"0":"sky","2":"car"}', ["sky", "1", "car"]),
        ("labels.json", '{"sky":0,"car":2}', ["sky", "1", "car"]),
        ("classes.json", '{"classes":"none","ignore":null}', ["0", "1", "2"]),
        ("class_names.txt", "_background_\nroad\ncar\n", ["_background_", "road", "car"]),
        ("labels.txt", "__ignore__\nsky\nroad\ncar\n", ["sky", "road", "car"]),
        ("label_colors.txt", "0 0 0 sky\n1 2 3\troad\n9 9 9\tbig car\n", ["sky", "road", "big car"]),
        ("classes.txt", "\ufeffsky\r\nroad \x00\r\n\r\ncar", ["sky", "road", "car"]),
    ],
)
def test_lists_beside_the_masks_name_the_numbers(
    tmp_path: Path, name: str, text: str, expected: list[str]
) -> None:
    reader, frames = read(tree(tmp_path, {"masks/1.png": png([[0, 1, 2]]), name: text}))
    assert [reader.found(frames[0].keys[value]).name for value in range(3)] == expected
    assert reader.found("value:2").void == (
        "ignore" in text and ":2" in text and '"car"' in text and "classes" in name
    )


def test_a_number_that_the_list_does_not_name_is_kept_and_reported(tmp_path: Path) -> None:
    files = {"masks/1.png": png([[0, 1, 200, 200]]), "class_names.txt": "sky\nroad\n"}
    reader, frames = read(tree(tmp_path, files))
    assert frames[0].keys[200] == "value:200"
    assert problems(reader, frames) == [
        "“masks/1.png” has 2 pixels of a value that the class list does not name: 200."
    ]


def test_a_list_that_begins_at_one_leaves_zero_to_the_user(tmp_path: Path) -> None:
    files = {"masks/1.png": png([[0, 1]]), "classes.json": '{"classes":[{"id":1,"name":"car"}]}'}
    reader, frames = read(tree(tmp_path, files))
    assert names(reader, frames) == {"0": 1, "car": 1}
    assert not problems(reader, frames)


def test_a_palette_that_changes_between_files_is_reported(tmp_path: Path) -> None:
    files = {
        "1.png": png([[0, 1]], ["#000000", "#ff0000"]),
        "2.png": png([[0, 1]], ["#000000", "#00ff00"]),
    }
    reader, frames = read(tree(tmp_path, files))
    assert reader.found("value:1").colour == "#ff0000"
    assert problems(reader, frames) == [
        "“2.png” shows the value 1 in #00ff00, other files in #ff0000: the numbers may mean other classes here."
    ]
