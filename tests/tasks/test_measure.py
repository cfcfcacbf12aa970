"""The measuring job over the real job folder: what it compares with what, and that interruptions change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from app.errors import Cancelled, Refused
from app.models import Asset, ClassDef, ClassTemplate, Frame, Geometry, Project, Region, frame_id, new_id
from tasks import measure
from tasks.channel import Channel, Stopping, request_cancel
from tasks.snapshot import AssetEntry, FrameEntry, HeaderEntry, Spec
from tests import drawing

WIDTH, HEIGHT = 96, 72
CLASSES = [
    ClassDef(id=1, name="floor", colour="#aa0000"),
    ClassDef(id=2, name="disc", colour="#00aa00", priority=5),
    ClassDef(id=3, name="rival", colour="#0000aa", priority=5),
]
LEFT, RIGHT = "a" * 24, "b" * 24


def box(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


class Scene:
    """Frames of a drawn picture that stands still, each with regions by outline, written as a snapshot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asset = Asset(id=new_id(), project_id=new_id(), name="clip", stem="c", kind="images", source="s")
        self.frames: list[FrameEntry] = []
        self.template = ClassTemplate(id=new_id(), name="t", classes=CLASSES)

    def frame(
        self,
        *regions: tuple[int, str | None, list[tuple[float, float]]],
        index: int | None = None,
        picture: np.ndarray | None = None,
        state: str = "todo",
    ) -> None:
        """`regions`: (class id, track id, ring)."""
        index = len(self.frames) if index is None else index
        image = drawing.scene(0, WIDTH, HEIGHT)[0] if picture is None else picture
        path = self.folder / f"{index}.png"
        Image.fromarray(image).save(path)
        frame = Frame(
            id=frame_id(self.asset.id, index),
            asset_id=self.asset.id,
            index=index,
            source_index=index,
            pts=None,
            width=image.shape[1],
            height=image.shape[0],
            hash=str(index),
            file="",
            thumb="",
            state=state,  # pyright: ignore[reportArgumentType]
        )
        rows = [
            Region(
                id=new_id(),
                frame_id=frame.id,
                class_id=class_id,
                geometry=Geometry(outline=[ring]),
                track_id=track,
                updated_at=10.0 + index,
                revision=2,
            )
            for class_id, track, ring in regions
        ]
        specs = [
            Spec(
                id=row.id,
                class_id=row.class_id,
                priority=CLASSES[row.class_id - 1].priority,
                order=row.class_id - 1,
                geometry=row.geometry,
            )
            for row in rows
        ]
        self.frames.append(FrameEntry(frame=frame, image=str(path), regions=rows, specs=specs))

    def write(
        self, frames: list[tuple[int, int]], lost: list[tuple[int, int]] | None = None
    ) -> dict[str, Any]:
        """The arguments of a job that measures these runs of frames."""
        project = Project(id=self.asset.project_id, name="p", class_template_id=self.template.id)
        lines = [HeaderEntry(project=project, class_template=self.template), AssetEntry(asset=self.asset)]
        target = self.folder / "input.jsonl"
        target.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in [*lines, *self.frames]))
        wanted = self.folder / "wanted.json"
        wanted.write_bytes(msgspec.json.encode({self.asset.id: {"frames": frames, "lost": lost or []}}))
        return {"data_dir": str(self.folder), "input": str(target), "wanted": str(wanted)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def records(folder: Path) -> list[measure.Record]:
    lines = (folder / "partial.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=measure.Record) for line in lines]


def measured(scene: Scene, args: dict[str, Any]) -> tuple[dict[str, Any], list[measure.Record]]:
    with Channel(scene.folder / "job") as channel:
        result = measure.run(channel, args)
    return result, records(scene.folder / "job")


def row(record: measure.Record, class_id: int, track_id: str = "") -> measure.Row:
    return next(one for one in record.rows if (one.class_id, one.track_id) == (class_id, track_id))


def test_classes_and_tracks_are_followed_apart(scene: Scene) -> None:
    floor = (1, None, box(0, 40, 96, 72))
    left, right = (2, LEFT, box(10, 10, 30, 30)), (2, RIGHT, box(60, 10, 80, 30))
    scene.frame(floor, left, right)
    scene.frame(floor, left)
    result, (first, second) = measured(scene, scene.write([(0, 2)]))
    assert (result["frames"], result["cuts"], result["over_limit"]) == (2, 0, 1)
    assert [(one.class_id, one.track_id) for one in second.rows] == [
        (0, ""), (1, ""), (2, ""), (2, LEFT), (2, RIGHT),
    ]  # fmt: skip
    assert all(one.iou is None and one.change is None for one in first.rows)
    assert (row(first, 2).area, row(first, 2, LEFT).area) == (800, 400)
    assert [one.iou for one in second.rows[1:]] == [1, 0.5, 1, 0]
    assert [one.warped_iou for one in second.rows[1:]] == [1, 0.5, 1, 0]
    assert second.rows[0].iou == 0.75
    assert row(second, 2, RIGHT).change == -1
    assert first.frame.unlabelled == WIDTH * HEIGHT - 96 * 32 - 800


def test_a_track_that_is_all_of_its_class_has_the_figures_of_the_class(scene: Scene) -> None:
    scene.frame((2, LEFT, box(10, 10, 30, 30)))
    scene.frame((2, LEFT, box(10, 10, 30, 20)))
    _, (_, second) = measured(scene, scene.write([(0, 2)]))
    assert msgspec.structs.replace(row(second, 2, LEFT), track_id="") == row(second, 2)
    assert row(second, 2).iou == 0.5


def test_the_stamp_is_that_of_the_snapshot_and_covers_the_frame_before(scene: Scene) -> None:
    scene.frame((1, None, box(0, 0, 9, 9)), (2, None, box(0, 0, 5, 5)))
    scene.frame((1, None, box(0, 0, 9, 9)))
    scene.frame()
    scene.frame()
    _, found = measured(scene, scene.write([(1, 3)]))
    stamps = [(one.frame.frame_index, one.frame.regions, one.frame.revisions) for one in found]
    assert stamps == [(1, 3, 6), (2, 1, 2), (3, 0, 0)]
    assert [one.frame.updated_at for one in found] == [11.0, 11.0, 0.0]


def test_a_frame_nobody_labelled_yet_is_no_loss_unless_it_was_lost_or_is_done(scene: Scene) -> None:
    disc = (2, None, box(10, 10, 30, 30))
    scene.frame(disc)
    scene.frame()
    scene.frame(disc)
    args = scene.write([(0, 3)])
    _, found = measured(scene, args)
    assert [one.rows[0].iou for one in found] == [None, None, None]
    (scene.folder / "job" / "partial.jsonl").unlink()
    _, found = measured(scene, scene.write([(0, 3)], lost=[(1, 1)]))
    assert [one.rows[0].iou for one in found] == [None, 0, 0]
    (scene.folder / "job" / "partial.jsonl").unlink()
    scene.frames[1].frame.state = "done"
    _, found = measured(scene, args | scene.write([(0, 3)]))
    assert [one.rows[0].warped_iou for one in found] == [None, 0, 0]


def test_nothing_is_compared_over_a_cut_a_gap_or_another_size(scene: Scene) -> None:
    disc = (2, None, box(10, 10, 30, 30))
    scene.frame(disc)
    noise = np.random.default_rng(1).integers(0, 2, (HEIGHT // 24, WIDTH // 24, 3)).astype(np.uint8) * 255
    scene.frame(disc, picture=np.kron(noise, np.ones((24, 24, 1), np.uint8)))
    scene.frame(disc, index=7)
    scene.frame(disc, index=8, picture=drawing.scene(0, 64, 48)[0])
    result, found = measured(scene, scene.write([(0, 2), (7, 2)]))
    assert result["cuts"] == 2
    assert [one.frame.cut for one in found] == [False, True, False, True]
    assert all(one.iou is None for record in found for one in record.rows)
    assert [one.rows[0].area for one in found] == [400] * 4


def test_pixels_that_only_the_order_of_classes_decides_are_counted(scene: Scene) -> None:
    scene.frame((2, None, box(0, 0, 20, 10)), (3, None, box(15, 0, 30, 10)), (1, None, box(0, 0, 96, 72)))
    _, (only,) = measured(scene, scene.write([(0, 1)]))
    assert (only.frame.contested, only.frame.unlabelled) == (50, 0)


def many(scene: Scene) -> dict[str, Any]:
    for index in range(9):
        scene.frame((1, None, box(0, 40, 96, 72)), (2, LEFT, box(10 + index, 10, 30, 30)))
    return scene.write([(1, 3), (5, 4)])


def test_a_job_that_was_interrupted_goes_on_and_finds_the_same(scene: Scene) -> None:
    args = many(scene)
    result, whole = measured(scene, args)
    assert [one.frame.frame_index for one in whole] == [1, 2, 3, 5, 6, 7, 8]
    folder, seen = scene.folder / "again", 0

    class Interrupted(Channel):
        def check(self) -> None:
            nonlocal seen
            seen += 1
            if seen in (3, 7):
                raise Stopping

    for _ in range(2):
        with Interrupted(folder) as channel, pytest.raises(Stopping):
            measure.run(channel, args)
    assert len(records(folder)) == 5
    with (folder / "partial.jsonl").open("ab") as file:
        file.write(b'{"frame": {"asset_id')
    with Channel(folder) as channel:
        assert measure.run(channel, args) == result
    assert records(folder) == whole


def test_a_cancelled_job_stops_and_keeps_what_it_has(scene: Scene) -> None:
    args, folder = many(scene), scene.folder / "job"

    class Told(Channel):
        def append(self, record: Any) -> None:
            super().append(record)
            request_cancel(folder)

    with Told(folder) as channel, pytest.raises(Cancelled):
        measure.run(channel, args)
    assert channel.kept == {"frames": 1}
    assert [one.frame.frame_index for one in records(folder)] == [1]


def test_what_to_measure_must_be_there(scene: Scene) -> None:
    args = many(scene)
    for broken in ({**args, "wanted": str(scene.folder / "none")}, {"input": args["input"]}):
        with Channel(scene.folder / "job") as channel, pytest.raises(Refused):
            measure.run(channel, broken)
