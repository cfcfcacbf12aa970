"""Ground truth that an import keeps hidden: exact maps in the job's folder, objects told apart, nothing distilled."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from app.algo.scoring import VOID
from app.errors import Refused
from app.formats import truth_png
from app.models import ClassDef, ClassTemplate, frame_id, new_id
from tasks import truth_files
from tasks.import_report import KeptTruth
from tests import drawing
from tests.tasks.test_import_labels import CLASSES, HEIGHT, MAPPING, WIDTH, World, expected

SHAPE = (HEIGHT, WIDTH)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def kept(world: World, index: int, job: str = "job") -> np.ndarray:
    path = truth_files.staged_map(world.folder / job, frame_id(world.asset, index))
    return truth_png.decode_map(path.read_bytes(), SHAPE, "it")


def test_every_pixel_is_kept_as_the_mapping_says_and_nothing_is_distilled(world: World) -> None:
    labels = drawing.scene(1, WIDTH, HEIGHT)[1]
    labels[:10] = 255
    world.mask("clip_000001", labels)
    # Objects stay objects and no piece is too small, whatever is asked for of regions.
    report = world.run(keep="truth", min_area=10**6, regions="piece")
    assert (kept(world, 0) == expected(0)).all()
    assert (kept(world, 1) == np.where(labels == 255, 0, expected(1))).all()
    pixels = 3 * WIDTH * HEIGHT - 10 * WIDTH
    assert report.kept == KeptTruth(frames=3, pixels=pixels)
    assert (report.regions, report.certificates.count, report.dropped.pieces) == (0, 0, 0)
    assert not (world.folder / "job" / "truth").exists()
    assert not (world.folder / "job" / "certificates.jsonl").exists()
    world.run("open", keep="truth", unlabelled="open")
    assert (kept(world, 1, "open") == np.where(labels == 255, VOID, expected(1))).all()


def test_objects_keep_their_identity_through_frames(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "davis" / "Annotations" / "clip"
    folder.mkdir(parents=True)
    for index in range(2):
        image = Image.fromarray(drawing.scene(index, WIDTH, HEIGHT)[1])
        image.putpalette(bytes([0, 0, 0, 208, 60, 44, 40, 110, 190]))
        image.save(folder / f"clip_{index:06d}.png")
    mapping = {"value:1": 1, "value:2": 1}
    report = world.run(keep="truth", source=str(tmp_path / "davis"), mapping=mapping)
    assert report.kept is not None
    assert (report.kept.frames, report.kept.objects) == (2, 2)
    for index in range(2):
        labels = drawing.scene(index, WIDTH, HEIGHT)[1]
        path = truth_files.staged_objects(world.folder / "job", frame_id(world.asset, index))
        numbers, rows = truth_png.decode_objects(path.read_bytes(), SHAPE, "it")
        assert [(row.object, row.class_id) for row in rows] == [("1:clip/1", 1), ("1:clip/2", 1)]
        assert (numbers == labels).all()
        # Around objects nothing is, for that is what was annotated.
        assert (kept(world, index) == (labels > 0)).all()


def test_a_killed_import_goes_on_behind_its_last_frame(world: World) -> None:
    world.run(keep="truth")
    records = world.folder / "job" / "records.jsonl"
    whole = records.read_bytes()
    first, second, _third = whole.splitlines(keepends=True)
    records.write_bytes(first + second[:20])
    done = truth_files.staged_map(world.folder / "job", frame_id(world.asset, 0))
    done.unlink()
    world.run(keep="truth")
    assert records.read_bytes() == whole
    assert not done.exists()


def test_an_import_that_would_keep_nothing_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="so nothing was kept"):
        world.run("ignored", keep="truth", mapping=dict.fromkeys(MAPPING, 0))
    for frame in world.frames:
        frame.truth = True
    with pytest.raises(Refused, match="has hidden ground truth already"):
        world.run("taken", keep="truth", existing="skip")
    assert world.run("again", keep="truth").counts.truths == 3
    classes = [*CLASSES, ClassDef(id=VOID, name="last", colour="#000000")]
    template = ClassTemplate(id=new_id(), name="T", classes=classes)
    with pytest.raises(Refused, match="stands for void"):
        world.run("full", keep="truth", class_template=template)
    lines = (world.folder / "again" / "records.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["frame_id"] for line in lines] == [frame.id for frame in world.frames]
