"""The what-if job over the real job folder: what it lists, and that interruptions change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.errors import Cancelled, Refused
from app.models import Asset, ClassDef, ClassTemplate, Frame, Geometry, Project, frame_id, new_id
from tasks import what_if
from tasks.channel import Channel, Stopping, request_cancel
from tasks.snapshot import AssetEntry, FrameEntry, HeaderEntry, Spec

FRAMES, SIDE = 640, 12
CLASSES = [
    ClassDef(id=1, name="low", colour="#aa0000", priority=0),
    ClassDef(id=2, name="high", colour="#00aa00", priority=5),
]
SWAPPED = [(1, 9, 0), (2, 5, 1)]


def overlap(index: int) -> int:
    """Pixels in which both classes of a frame claim the same place; every fifth frame has one class only."""
    return 0 if index % 5 == 0 else (1 + index % 9) * 2


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames without images: every region has an outline, so nothing needs to be read."""
    target = tmp_path_factory.mktemp("snapshot") / "input.jsonl"
    template = ClassTemplate(id=new_id(), name="t", classes=CLASSES, revision=4)
    project = Project(id=new_id(), name="p", class_template_id=template.id)
    asset = Asset(id=new_id(), project_id=project.id, name="a", stem="a", kind="images", source="a")
    with target.open("wb") as file:

        def write(entry: Any) -> None:
            file.write(msgspec.json.encode(entry) + b"\n")

        write(HeaderEntry(project=project, class_template=template))
        write(AssetEntry(asset=asset))
        for index in range(FRAMES):
            frame = Frame(
                id=frame_id(asset.id, index),
                asset_id=asset.id,
                index=index,
                source_index=index,
                pts=None,
                width=SIDE,
                height=SIDE,
                hash=str(index),
                file="",
                thumb="",
            )
            specs = [spec(2, 0, 2, 10, 4)]
            if overlap(index):
                specs.append(spec(1, 0, 2, overlap(index) // 2, 4))
                specs.append(spec(1, 4, 8, 9, 9))
            write(FrameEntry(frame=frame, image="/nowhere", specs=specs))
    return target


def spec(class_id: int, x1: float, y1: float, x2: float, y2: float) -> Spec:
    ring = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    known = CLASSES[class_id - 1]
    return Spec(
        id=new_id(),
        class_id=class_id,
        priority=known.priority,
        order=class_id - 1,
        geometry=Geometry(outline=[ring]),
    )


def ask(folder: Path, snapshot: Path) -> dict[str, Any]:
    with Channel(folder) as channel:
        return what_if.run(channel, {"data_dir": str(folder), "input": str(snapshot), "ranks": SWAPPED})


def test_the_frames_with_the_most_changes_are_listed_and_all_are_counted(
    snapshot: Path, tmp_path: Path
) -> None:
    result = ask(tmp_path / "job", snapshot)
    expected = {index: overlap(index) for index in range(FRAMES) if overlap(index)}
    ranked = sorted(expected, key=lambda index: (-expected[index], index))
    assert [(row["index"], row["pixels"]) for row in result["rows"]] == [
        (i, expected[i]) for i in ranked[:500]
    ]
    assert result["changed"] > len(result["rows"]) == 500
    assert (result["frames"], result["rendered"], result["changed"]) == (FRAMES, len(expected), len(expected))
    total = sum(expected.values())
    assert result["moves"] == [(2, 1, total)]
    assert result["classes"] == [
        {"class_id": 1, "gained": total, "lost": 0},
        {"class_id": 2, "gained": 0, "lost": total},
    ]
    assert (result["pixels"], result["area"]) == (total, FRAMES * SIDE * SIDE)
    assert result["class_template"]["revision"] == 4


def test_a_job_that_was_interrupted_goes_on_and_finds_the_same(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ask(tmp_path / "whole", snapshot)
    monkeypatch.setattr(what_if, "KEEP_EVERY_S", 0.0)
    folder, seen = tmp_path / "job", 0

    class Interrupted(Channel):
        def check(self) -> None:
            nonlocal seen
            seen += 1
            if seen == 60:
                raise Stopping

    with Interrupted(folder) as channel, pytest.raises(Stopping):
        what_if.run(channel, {"data_dir": str(tmp_path), "input": str(snapshot), "ranks": SWAPPED})
    tally = msgspec.json.decode((folder / "tally.json").read_bytes(), type=what_if.Tally)
    assert tally.done == 59
    monkeypatch.undo()
    assert ask(folder, snapshot) == whole


def test_a_torn_tally_starts_again_and_a_cancelled_job_stops(snapshot: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    whole = ask(folder, snapshot)
    (folder / "tally.json").write_bytes(b'{"done": 61')
    assert ask(folder, snapshot) == whole
    shutil.rmtree(folder)
    request_cancel(folder)
    with pytest.raises(Cancelled):
        ask(folder, snapshot)


@pytest.mark.parametrize("ranks", [[(1, 0, 0)], [(1, 0, 0), (2, 0, 1), (3, 0, 2)], [(1, "x", 0)]])
def test_ranks_that_are_not_those_of_the_template_are_refused(
    snapshot: Path, tmp_path: Path, ranks: list[Any]
) -> None:
    with Channel(tmp_path / "job") as channel, pytest.raises(Refused):
        what_if.run(channel, {"data_dir": str(tmp_path), "input": str(snapshot), "ranks": ranks})
