from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.errors import Refused
from app.formats.truth import FORMATS, candidates, detect, load, open_files, open_truth
from tests.pngs import jpeg, png, tree, zipped

REAL = {
    "camvid_datumaro": "colour-png",
    "cityscapes_frankfurt_mmseg": "label-png",
    "cityscapes_png_datumaro": "label-png",
    "coco_instances_datumaro": "coco",
    "coco_panoptic_datumaro": "coco-panoptic",
    "coco_panoptic_real": "coco-panoptic",
    "coco_stuff_datumaro": "coco",
    "cvat_images_doc_example": "cvat",
    "cvat_images_task_datumaro": "cvat",
    "cvat_video_datumaro": "cvat",
    "datumaro_json": "datumaro",
    "davis_palette_cutie_judo": "label-png",
    "generated_cityscapes_like": "cityscapes",
    "generated_coco_rle_and_polygons": "coco",
    "generated_cvat_images_masks": "cvat",
    "generated_cvat_video_masks": "cvat",
    "generated_supervisely": "supervisely",
    "generated_voc": "label-png",
    "generated_yolo_seg": "yolo-seg",
    "isat_json": "isat",
    "labelme_json": "labelme",
    "labelme_xml_datumaro": "labelme-xml",
    "sa1b_datumaro": "sa1b",
    "sav_json": "sav",
    "voc_datumaro": "colour-png",
    "voc_labelme_export": "label-png",
}


def detected(path: Path) -> str:
    with open_files(path) as files:
        return detect(files)


@pytest.mark.parametrize("name", REAL)
def test_every_real_sample_is_recognised(shared_data: Path, name: str) -> None:
    assert detected(shared_data / "formats" / name) == REAL[name]


def test_label_maps_are_among_the_candidates_where_polygons_lie_beside_them(shared_data: Path) -> None:
    with open_files(shared_data / "formats" / "generated_cityscapes_like") as files:
        assert candidates(files) == ["cityscapes", "label-png"]


def test_every_format_of_the_table_has_its_module() -> None:
    for known in FORMATS.values():
        module = load(known)
        assert callable(module.matches)
        assert callable(module.open_reader)


def test_what_cannot_be_read_is_refused_with_a_list_of_what_can(tmp_path: Path) -> None:
    with open_files(tree(tmp_path / "f", {"notes.txt": "hello", "movie.mp4": b"x"})) as files:
        with pytest.raises(Refused, match=r"is not ground truth .* COCO instances or stuff; .* colour PNG"):
            detect(files)
        with pytest.raises(Refused, match="There is no format 'pickle'; choose one of sav, sa1b"):
            open_truth(files, "pickle")
        with pytest.raises(Refused, match="holds no PNG that could be a label map"):
            open_truth(files, "label-png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="holds no files"):
        detected(tmp_path / "empty")


def test_serialised_objects_among_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"“a\.npy” holds serialised objects"):
        detected(zipped(tmp_path / "z.zip", {"a.npy": b"x", "b.txt": b"x"}))


def test_jpeg_masks_are_refused_because_compression_changes_them(tmp_path: Path) -> None:
    for folder, names in (("a", ["1.jpg", "2.jpg"]), ("b", ["masks/1.jpg", "images/1.jpg", "list.txt"])):
        with pytest.raises(Refused, match="is a JPEG: its compression changes"):
            detected(tree(tmp_path / folder, dict.fromkeys(names, jpeg())))


def test_png_photos_are_no_label_maps(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    with pytest.raises(Refused, match="is not ground truth"):
        detected(tree(tmp_path / "f", {f"{i}.png": png(noise) for i in range(3)}))
