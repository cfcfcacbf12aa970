"""Ground truth into regions through the real job folder, on drawn frames and on the shared samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from app.algo import render
from app.algo.certificate import iou
from app.algo.fuse import label_map_of
from app.algo.labels import decode_rle
from app.errors import Cancelled, Refused
from app.formats.images import read_image
from app.formats.truth import open_files, open_truth
from app.models import ClassDef, ClassTemplate, Region, frame_id, new_id
from tasks import import_labels
from tasks.channel import Channel, request_cancel
from tasks.import_labels import read_records
from tasks.import_report import CertificateRow, ImportArgs, ImportOptions, ImportReport, TargetFrame
from tasks.import_scan import read_report
from tests import drawing

WIDTH, HEIGHT, FRAMES = 96, 72, 3
CLASSES = [ClassDef(id=i, name=n, colour=c, priority=-i) for i, n, c in (
    (1, "disc", "#d03c2c"), (2, "bar", "#286ebe"), (3, "floor", "#807060"))]  # fmt: skip
MAPPING = {"value:0": 3, "value:1": 1, "value:2": 2, "value:255": 0}


class World:
    """Frames of one asset on disk and a folder of label maps for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asset = new_id()
        self.masks = folder / "truth" / "masks"
        self.masks.mkdir(parents=True)
        self.frames: list[TargetFrame] = []
        for index in range(FRAMES):
            image, labels = drawing.scene(index, WIDTH, HEIGHT)
            path = folder / f"{index}.png"
            Image.fromarray(image).save(path)
            self.frames.append(self.frame(index, path))
            self.mask(f"clip_{index:06d}", labels)

    def frame(
        self, index: int, image: Path, name: str = "", size: tuple[int, int] = (WIDTH, HEIGHT)
    ) -> TargetFrame:
        return TargetFrame(
            id=frame_id(self.asset, index),
            asset=self.asset,
            stem="clip",
            index=index,
            name=name,
            pts=index / 10,
            width=size[0],
            height=size[1],
            image=str(image),
        )

    def mask(self, name: str, labels: np.ndarray) -> None:
        Image.fromarray(labels.astype(np.uint8)).save(self.masks / f"{name}.png")

    def args(self, **changes: Any) -> ImportArgs:
        options = {n: changes.pop(n) for n in list(changes) if n in ImportOptions.__struct_fields__}
        frames = self.folder / "frames.jsonl"
        frames.write_bytes(b"".join(msgspec.json.encode(f) + b"\n" for f in self.frames))
        given: dict[str, Any] = {
            "job_id": "a" * 24,
            "project_id": "b" * 24,
            "source": str(self.masks.parent),
            "name": "truth",
            "format": None,
            "dry_run": False,
            "frames": str(frames),
            "class_template": ClassTemplate(id=new_id(), name="T", classes=CLASSES),
            "mapping": MAPPING,
            "options": ImportOptions(**{"match": "name", **options}),
        }
        return ImportArgs(**{**given, **changes})

    def run(self, job: str = "job", **changes: Any) -> ImportReport:
        folder = self.folder / job
        with Channel(folder) as channel:
            import_labels.run(channel, msgspec.to_builtins(self.args(**changes)))
        report = read_report(folder / "report.json")
        assert report is not None
        return report

    def records(self, job: str = "job") -> dict[str, list[Region]]:
        found = read_records(self.folder / job / "records.jsonl")
        return {record.frame_id: record.regions for record in found}

    def rendered(self, index: int, job: str = "job") -> np.ndarray:
        """The label map of a frame as the regions give it."""
        by_id = {c.id: (order, c) for order, c in enumerate(CLASSES)}
        claims = [
            render.Claim(r.class_id, by_id[r.class_id][1].priority, by_id[r.class_id][0], r.geometry)
            for r in self.records(job)[frame_id(self.asset, index)]
        ]
        winners = render.winner_map(read_image(Path(self.frames[index].image), "frame"), claims)
        return label_map_of(winners, [(0, 0, claim.class_id, None) for claim in claims])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def expected(index: int) -> np.ndarray:
    labels = drawing.scene(index, WIDTH, HEIGHT)[1]
    return np.array([3, 1, 2], np.uint16)[labels]


def test_a_dry_run_tells_what_there_is_and_changes_nothing(world: World) -> None:
    labels = drawing.scene(0, WIDTH, HEIGHT)[1]
    world.mask("clip_000077", labels)
    world.mask("clip_000002", labels[:36])
    world.mask("CLIP_000001", labels)
    report = world.run(dry_run=True, mapping={}, match="auto")
    assert report.match == "name"
    assert (report.counts.matched, report.counts.missing, report.counts.duplicate, report.counts.wrong_size) == (
        2, 1, 1, 1)  # fmt: skip
    assert report.counts.without == 1
    assert {row.state for row in report.frames if row.state != "matched"} == {
        "missing",
        "duplicate",
        "wrong-size",
    }
    assert next(row.note for row in report.frames if row.state == "wrong-size").startswith("96×36 px")
    pixels = {row.value: row.pixels for row in report.classes}
    assert pixels[1] > 0
    assert not (world.folder / "job" / "records.jsonl").exists()


def test_points_give_the_masks_back_at_the_target(world: World) -> None:
    report = world.run(budget=40)
    assert report.regions == 9
    assert report.certificates.below_target == 0
    assert report.certificates.min_iou >= 0.95
    for index in range(FRAMES):
        assert (world.rendered(index) == expected(index)).mean() > 0.97


@pytest.mark.parametrize("budget", [0, 6, 30])
def test_certificates_are_true_and_listed_worst_first(world: World, budget: int) -> None:
    rng = np.random.default_rng(5)
    specks = rng.random((HEIGHT // 6, WIDTH // 6)).repeat(6, axis=0).repeat(6, axis=1) < 0.15
    world.mask("clip_000001", np.where(specks, 1, drawing.scene(1, WIDTH, HEIGHT)[1]))
    world.run(budget=budget)
    lines = (world.folder / "job" / "certificates.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line, type=CertificateRow) for line in lines]
    assert [row.iou for row in rows] == sorted(row.iou for row in rows)
    truth = msgspec.json.decode(
        (world.folder / "job" / "truth" / f"{frame_id(world.asset, 1)}.json").read_bytes()
    )
    labels = np.where(specks, 1, expected(1))
    drawn = world.rendered(1)
    for region in world.records()[frame_id(world.asset, 1)]:
        source = decode_rle(truth[region.id])
        assert (source == (labels == region.class_id)).all()
        assert region.certificate is not None
        assert region.certificate.exact == bool(region.geometry.outline)
        assert iou(drawn == region.class_id, source) == pytest.approx(region.certificate.iou)
        assert region.certificate.iou >= 0.95


@pytest.mark.parametrize("regions", ["class", "piece"])
def test_target_1_gives_the_same_label_map_pixel_for_pixel(world: World, regions: str) -> None:
    rng = np.random.default_rng(3)
    noisy = np.where(rng.random((HEIGHT, WIDTH)) < 0.1, 2, drawing.scene(0, WIDTH, HEIGHT)[1])
    world.mask("clip_000000", noisy)
    world.run(budget=0, iou_target=1.0, regions=regions)
    assert (world.rendered(0) == np.array([3, 1, 2])[noisy]).all()
    assert (world.rendered(1) == expected(1)).all()


def test_a_resumed_import_is_the_same_as_one_in_one_go(world: World) -> None:
    world.run("whole")
    whole = (world.folder / "whole" / "records.jsonl").read_bytes()
    with Channel(world.folder / "job") as channel:
        request_cancel(world.folder / "job")
        with pytest.raises(Cancelled):
            import_labels.run(channel, msgspec.to_builtins(world.args()))
    (world.folder / "job" / "cancel").unlink()
    lines = whole.splitlines(keepends=True)
    (world.folder / "job" / "records.jsonl").write_bytes(lines[0] + lines[1][:40])
    world.run()
    assert (world.folder / "job" / "records.jsonl").read_bytes() == whole


def test_a_class_nobody_decided_about_refuses_the_import(world: World) -> None:
    with pytest.raises(Refused, match="has no class of the template"):
        world.run(mapping={"value:0": 3})
    with pytest.raises(Refused, match="class 9, which the class template does not have"):
        world.run(mapping={**MAPPING, "value:1": 9})


def test_many_source_classes_become_one(world: World) -> None:
    world.run(mapping={**MAPPING, "value:2": 1})
    assert {r.class_id for r in world.records()[frame_id(world.asset, 0)]} == {1, 3}


def test_ignored_pixels_stay_free_and_void_ones_do_not_count(world: World) -> None:
    labels = drawing.scene(0, WIDTH, HEIGHT)[1].astype(np.uint8)
    world.mask("clip_000000", labels)
    world.run(mapping={**MAPPING, "value:0": 0}, unlabelled="background")
    drawn = world.rendered(0)
    assert (drawn == np.where(labels == 0, 0, labels)).mean() > 0.97
    (report,) = [world.run("open", mapping={**MAPPING, "value:0": 0}, unlabelled="open")]
    assert report.certificates.below_target == 0


def test_small_pieces_are_left_out_and_counted(world: World) -> None:
    labels = drawing.scene(0, WIDTH, HEIGHT)[1].astype(np.uint8)
    labels[2:4, 2:4] = 1
    world.mask("clip_000000", labels)
    report = world.run(min_area=9, regions="piece")
    assert (report.dropped.pieces, report.dropped.pixels) == (1, 4)
    assert not any(r.area < 9 for r in world.records()[frame_id(world.asset, 0)])


def test_masks_of_another_size_are_scaled_when_asked(world: World) -> None:
    labels = drawing.scene(0, WIDTH * 2, HEIGHT * 2)[1]
    world.mask("clip_000000", labels)
    assert world.run(dry_run=True).counts.wrong_size == 1
    report = world.run(wrong_size="scale", budget=0, iou_target=1.0)
    assert report.counts.wrong_size == 0
    assert (world.rendered(0) == expected(0)).mean() > 0.98


@pytest.mark.parametrize(("match", "offset", "matched"), [("index", 0, 3), ("index", 1, 2), ("pts", 0, 0)])
def test_frames_are_found_as_asked(world: World, match: str, offset: int, matched: int) -> None:
    assert world.run(dry_run=True, match=match, offset=offset).counts.matched == matched


def test_nothing_that_matches_is_refused_in_words(world: World) -> None:
    world.frames = [world.frame(50, world.folder / "0.png")]
    with pytest.raises(Refused, match="No frame of the ground truth belongs to a frame here"):
        world.run()


SEGMENTATION = [
    "camvid_datumaro", "cityscapes_frankfurt_mmseg", "cityscapes_png_datumaro", "coco_instances_datumaro",
    "coco_panoptic_datumaro", "coco_panoptic_real", "coco_stuff_datumaro", "cvat_images_doc_example",
    "davis_palette_cutie_judo",
    "generated_cityscapes_like", "generated_coco_rle_and_polygons", "generated_cvat_images_masks",
    "generated_cvat_video_masks", "generated_supervisely", "generated_voc", "generated_yolo_seg", "isat_json",
    "labelme_json", "labelme_xml_datumaro", "sa1b_datumaro", "sav_json", "voc_datumaro", "voc_labelme_export",
]  # fmt: skip


def image_sizes(folder: Path) -> dict[str, tuple[int, int]]:
    sizes = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            with Image.open(path) as image:
                sizes.setdefault(path.stem, image.size)
    return sizes


@pytest.mark.parametrize("name", SEGMENTATION)
def test_every_shared_sample_becomes_regions(world: World, shared_data: Path, name: str) -> None:
    folder = shared_data / "formats" / name
    sizes = image_sizes(folder)
    files = open_files(folder, name)
    reader = open_truth(files)
    if hasattr(reader, "size_of"):
        reader.size_of = lambda name, index: sizes.get(Path(name).stem)  # pyright: ignore[reportAttributeAccessIssue]
    truths = list(reader.frames())[:6]
    files.close()
    world.frames = [
        world.frame(i, Path("unused"), Path(t.name).stem, (t.width, t.height)) for i, t in enumerate(truths)
    ]
    dry = world.run("dry", source=str(folder), name=name, dry_run=True, mapping={})
    used = [row for row in dry.classes if not row.void]
    mapping = {row.key: 1 + i % 3 for i, row in enumerate(used)} | {r.key: 0 for r in dry.classes if r.void}
    report = world.run(source=str(folder), name=name, mapping=mapping, budget=0, match=dry.match)
    assert report.format == dry.format
    assert report.regions > 0
    assert report.certificates.min_iou >= 0.95


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("yolo_boxes_datumaro", "no segmentation"),
        ("datumaro_json", "no mask of a class"),
        ("cvat_video_datumaro", "no mask of a class|Nothing of the ground truth"),
        ("cvat_images_task_datumaro", "no mask of a class|Nothing of the ground truth"),
    ],
)
def test_samples_without_segmentation_are_refused_in_words(
    world: World, shared_data: Path, name: str, sentence: str
) -> None:
    folder = shared_data / "formats" / name
    names = [
        "a",
        "b",
        "c",
        "d",
        "img0",
        "img1",
        "frame_000010",
        "frame_000013",
        "frame_000016",
        "frame_000019",
    ]
    world.frames = [world.frame(i, Path("unused"), n, (25, 20)) for i, n in enumerate(names)]
    keys = {
        f"name:{n}": 1 for n in ("label1", "label2", "klhg", "z U k", "II", "car", "bicycle", "tom", "mary")
    }
    with pytest.raises(Refused, match=sentence):
        world.run(source=str(folder), name=name, mapping=keys, wrong_size="scale")


MALFORMED = sorted(
    (Path(__file__).resolve().parents[3] / "shared" / "data" / "formats" / "malformed").glob("*")
)
HARMLESS = {
    "coco_bom_utf8.json", "mask_rgb_palette_colours.png", "mask_1bit.png", "mask_16bit.png", "mask_rgba.png",
    "yolo_class_out_of_range.txt",
}  # fmt: skip
"""Unusual but sound; without a list of names no class number is out of range."""


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.name)
def test_malformed_sources_are_refused_or_reported(world: World, path: Path) -> None:
    stems = {"coco": "00000", "cvat": "00000", "labelme": "2011_000003"}
    names = [*stems.values(), path.stem]
    world.frames = [world.frame(i, Path("unused"), name, (480, 360)) for i, name in enumerate(names)]
    try:
        report = world.run("dry", source=str(path), name=path.name, dry_run=True, mapping={}, match="auto")
    except Refused:
        return
    counts = report.counts
    reported = counts.problems or counts.missing or counts.wrong_size or counts.unreadable or counts.duplicate
    assert reported or path.name in HARMLESS
