"""The jobs "score" and "keep_truth" over the real job folder: whose pixels are whose, interruptions, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from app.algo.scoring import VOID
from app.errors import Refused
from app.formats import truth_png
from app.formats.truth_png import NumberedObject
from app.models import Asset, ClassDef, ClassTemplate, Frame, Geometry, Project, Region, frame_id, new_id
from app.quality import TruthCell, TruthScore
from app.services import truth_scores, truth_sums
from app.stamps import ranks_of, stamp_of
from tasks import keep_truth, score, truth_files, truth_maps
from tasks.channel import Channel, Stopping, read_partial
from tasks.snapshot import AssetEntry, FrameEntry, HeaderEntry, Spec

HEIGHT, WIDTH, FRAMES = 12, 20, 4
SHAPE = (HEIGHT, WIDTH)
CLASSES = [ClassDef(id=1, name="low", colour="#aa0000"), ClassDef(id=2, name="high", colour="#00aa00")]
TEMPLATE = ClassTemplate(id=new_id(), name="t", classes=CLASSES)
PROJECT = Project(id=new_id(), name="p", class_template_id=TEMPLATE.id)
ASSET = Asset(id=new_id(), project_id=PROJECT.id, name="a", stem="a", kind="images", source="a")
TRACK = new_id()


def region(index: int, class_id: int, x1: int, x2: int, author: str, track: str | None = None) -> Region:
    """A band over the whole height from column x1 up to x2."""
    ring = [(float(x), float(y)) for x, y in ((x1, 0), (x2, 0), (x2, HEIGHT), (x1, HEIGHT))]
    return Region(
        id=new_id(),
        frame_id=frame_id(ASSET.id, index),
        class_id=class_id,
        geometry=Geometry(outline=[ring]),
        author=author,
        track_id=track,
        revision=index + 1,
        updated_at=10.0 + index,
    )


class World:
    """Frames without images: every region has an outline. Ann draws 1 from column 0 to 8, Bob 2 from 12 to 16."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.truths = truth_files.folder_of(self.data, ASSET.id)
        self.truths.mkdir(parents=True)
        self.regions = [
            [region(i, 1, 0, 8, "ann"), region(i, 2, 12, 16, "bob", TRACK)] for i in range(FRAMES)
        ]
        self.regions[3] = []
        truth = np.zeros(SHAPE, np.uint16)
        truth[:, :10], truth[:, 12:16], truth[0] = 1, 2, VOID
        for index in range(FRAMES):
            self.hide(index, truth)
        self.job = folder / "job"
        self.args = {
            "data_dir": str(self.data),
            "input": str(folder / "input.jsonl"),
            "truths": str(folder / "truths.json"),
        }
        kept_at = {ASSET.id: {index: 5.0 + index for index in range(FRAMES)}}
        (folder / "truths.json").write_bytes(msgspec.json.encode(kept_at))
        lines = [HeaderEntry(project=PROJECT, class_template=TEMPLATE), AssetEntry(asset=ASSET)]
        lines += [self.entry(index) for index in range(FRAMES)]
        (folder / "input.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in lines))

    def hide(self, index: int, labels: np.ndarray) -> None:
        truth_files.map_path(self.truths, index).write_bytes(truth_png.encode_map(labels))

    def entry(self, index: int) -> FrameEntry:
        frame = Frame(
            id=frame_id(ASSET.id, index),
            asset_id=ASSET.id,
            index=index,
            source_index=index,
            pts=None,
            width=WIDTH,
            height=HEIGHT,
            hash=str(index),
            file="",
            thumb="",
        )
        specs = [
            Spec(id=r.id, class_id=r.class_id, priority=0, order=r.class_id - 1, geometry=r.geometry)
            for r in self.regions[index]
        ]
        return FrameEntry(frame=frame, image="/nowhere", regions=self.regions[index], specs=specs)

    def score(self) -> dict[str, Any]:
        with Channel(self.job) as channel:
            return score.run(channel, self.args)

    def rows(self) -> list[TruthScore]:
        return msgspec.convert(read_partial(self.job)[0], list[TruthScore])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def cell(truth: int, found: int, author: str, columns: int) -> TruthCell:
    return TruthCell(truth=truth, found=found, author=author, pixels=columns * (HEIGHT - 1))


def test_each_pixel_is_its_authors_and_an_unlabelled_one_the_main_authors(world: World) -> None:
    assert world.score() == {"frames": FRAMES, "scored": FRAMES, "notes": []}
    rows = world.rows()
    assert [row.frame_index for row in rows] == list(range(FRAMES))
    for index in range(3):
        assert rows[index].cells == [
            cell(0, 0, "ann", 6),
            cell(1, 0, "ann", 2),
            cell(1, 1, "ann", 8),
            cell(2, 2, "bob", 4),
        ]
        stamp = stamp_of(world.regions[index], ranks_of(TEMPLATE))
        assert (rows[index].revisions, rows[index].updated_at) == (stamp.revisions, stamp.updated_at)
        assert (rows[index].ranks, rows[index].truth_at) == (stamp.ranks, 5.0 + index)
    # A frame without regions is nobody's.
    assert {one.author for one in rows[3].cells} == {""}
    cells = [one for row in rows for one in row.cells]
    counts = {name: truth_sums.counts_of(c for c in cells if c.author == name) for name in ("", "ann", "bob")}
    ann, bob = truth_scores.annotators(TEMPLATE, counts, {"ann": 3, "bob": 3})
    assert (ann.author, ann.frames, ann.miou) == ("ann", 3, pytest.approx(0.8))
    assert ann.pixel_accuracy == pytest.approx(14 / 16)
    assert (bob.author, bob.frames, bob.miou, bob.pixel_accuracy) == ("bob", 3, 1, 1)
    assert bob.pixels == 3 * 4 * (HEIGHT - 1)


def test_a_killed_job_goes_on_behind_its_last_frame_with_the_same_result(world: World) -> None:
    world.score()
    whole = (world.job / "partial.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (world.job / "partial.jsonl").write_bytes(lines[0] + lines[1] + lines[2][:40])
    for index in range(2):
        # What is scored already is not read again.
        truth_files.map_path(world.truths, index).unlink()
    assert world.score() == {"frames": FRAMES, "scored": FRAMES, "notes": []}
    assert (world.job / "partial.jsonl").read_bytes() == whole


Damage = Callable[[bytes], bytes | None]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: None, "is gone"),
        (lambda data: data[:-30], "damaged or cut off"),
        (lambda data: b"GIF89a" * 20, "is not a PNG"),
        (lambda data: truth_png.encode_map(np.zeros((3, 5), np.uint16)), "is 5×3 px instead of 20×12 px"),
    ],
)
def test_a_damaged_map_is_named_and_the_other_frames_are_scored(
    world: World, damage: Damage, sentence: str
) -> None:
    path = truth_files.map_path(world.truths, 1)
    data = damage(path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    result = world.score()
    assert (result["frames"], result["scored"], len(result["notes"])) == (FRAMES, FRAMES - 1, 1)
    assert "frame 1" in result["notes"][0]
    assert sentence in result["notes"][0]
    assert [row.frame_index for row in world.rows()] == [0, 2, 3]


def test_classes_that_the_template_lost_count_as_void(world: World) -> None:
    world.hide(0, np.full(SHAPE, 7, np.uint16))
    result = world.score()
    assert result["notes"] == ["Pixels of classes that the class template no longer has count as void: 7."]
    assert world.rows()[0].cells == []


def test_labels_are_kept_with_their_tracks_and_unlabelled_pixels_as_asked(world: World) -> None:
    with Channel(world.job) as channel:
        result = keep_truth.run(channel, {k: v for k, v in world.args.items() if k != "truths"})
    assert (result["frames"], result["objects"]) == (FRAMES, 3)
    kept = list(truth_files.read_kept(Path(result["records"])))
    assert [one.objects for one in kept] == [True, True, True, False]
    labels = truth_png.decode_map(
        truth_files.staged_map(world.job, kept[0].frame_id).read_bytes(), SHAPE, "it"
    )
    assert (labels == np.repeat([1, 0, 2, 0], [8, 4, 4, 4])[None]).all()
    numbers, rows = truth_png.decode_objects(
        truth_files.staged_objects(world.job, kept[0].frame_id).read_bytes(), SHAPE, "it"
    )
    assert rows == [NumberedObject(number=1, object=TRACK, class_id=2)]
    assert (numbers == (labels == 2)).all()
    with Channel(world.folder / "open") as channel:
        args = {"data_dir": str(world.data), "input": world.args["input"], "unlabelled": "open"}
        keep_truth.run(channel, args)
    path = truth_files.staged_map(world.folder / "open", kept[0].frame_id)
    again = truth_png.decode_map(path.read_bytes(), SHAPE, "it")
    assert (again == np.where(labels == 0, VOID, labels)).all()


def test_keeping_goes_on_behind_a_torn_line(world: World) -> None:
    args = {"data_dir": str(world.data), "input": world.args["input"]}

    class Stopped(Channel):
        def report(self, done: int, total: int, message: str = "", *, now: bool = False) -> None:
            if done == 2:
                raise Stopping

    with pytest.raises(Stopping), Stopped(world.job) as channel:
        keep_truth.run(channel, args)
    records = world.job / "records.jsonl"
    records.write_bytes(records.read_bytes() + b'{"frame_')
    with Channel(world.job) as channel:
        assert keep_truth.run(channel, args)["frames"] == FRAMES
    assert len(list(truth_files.read_kept(records))) == FRAMES


def test_a_class_with_the_number_of_void_is_refused() -> None:
    template = ClassTemplate(id=new_id(), name="t", classes=[ClassDef(id=VOID, name="x", colour="#000000")])
    with pytest.raises(Refused, match="stands for void"):
        truth_maps.require_room(template)


def test_numbers_without_a_row_are_no_object_and_a_map_without_rows_is_refused() -> None:
    numbers = np.array([[1, 2, 0]], np.uint16)
    data = truth_png.encode_objects(numbers, [NumberedObject(number=2, object="a", class_id=1)])
    assert truth_png.decode_objects(data, (1, 3), "it")[0].tolist() == [[0, 2, 0]]
    with pytest.raises(Refused, match="does not say"):
        truth_png.decode_objects(truth_png.encode_map(numbers), (1, 3), "it")
    many = np.arange(1000, dtype=np.uint16)[None] + 1
    rows = [NumberedObject(number=i + 1, object="車" * 230, class_id=60000) for i in range(1000)]
    assert truth_png.decode_objects(truth_png.encode_objects(many, rows), (1, 1000), "it")[1] == rows
    with pytest.raises(ValueError, match="more than"):
        truth_png.encode_objects(numbers, [NumberedObject(number=1, object="a", class_id=1)] * 2001)
