"""Stabilising over a real job folder: a drawn clip whose labels flicker, from the snapshot to the lines for the
database."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from app.algo.certificate import iou
from app.algo.distil import outline_only
from app.errors import Cancelled
from app.formats import truth_png
from app.models import (
    Asset,
    Certificate,
    ClassDef,
    ClassTemplate,
    Frame,
    Geometry,
    Point,
    Project,
    Region,
    Track,
    frame_id,
    new_id,
)
from app.smoothing import Smoothing
from tasks import stabilise, truth_files
from tasks.channel import Channel, Stopping, read_progress, request_cancel
from tasks.given_masks import GivenMasks
from tasks.layers import Layers, layer_map
from tasks.rendering import winner_map
from tasks.snapshot import AssetEntry, FrameEntry, HeaderEntry, Spec
from tasks.stabilise_files import Curve, FrameChange, StabiliseArgs, read_lines
from tasks.stabilise_maps import LayerMaps
from tasks.stabilise_spans import spans
from tests import drawing
from tests.conftest import ROOT

WIDTH, HEIGHT, FRAMES = 160, 120, 9
CLASSES = [
    ClassDef(id=1, name="disc", colour="#d03c2c", priority=2),
    ClassDef(id=2, name="bar", colour="#286ebe", priority=1),
    ClassDef(id=3, name="floor", colour="#807060", priority=0),
]
LOST, SPILLED = 3, 6
"""Frames where the disc is missing, and where the bar spills over the floor."""


class World:
    """Frames of an asset with a region for each class; the disc is a track."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = ClassTemplate(id=new_id(), name="T", classes=CLASSES)
        self.project = Project(id=new_id(), name="P", class_template_id=self.template.id)
        self.asset = Asset(
            id=new_id(), project_id=self.project.id, name="clip", stem="clip", kind="images", source="clip"
        )
        self.track = Track(id=new_id(), project_id=self.project.id, class_id=1, name="disc 1")
        self.frames: list[FrameEntry] = []
        for index in range(FRAMES):
            image, labels = drawing.scene(index, WIDTH, HEIGHT)
            path = folder / f"{index}.png"
            Image.fromarray(image).save(path)
            self.frames.append(self._entry(index, path, damaged(index, labels)))

    def _entry(self, index: int, image: Path, labels: np.ndarray) -> FrameEntry:
        frame = Frame(
            id=frame_id(self.asset.id, index),
            asset_id=self.asset.id,
            index=index,
            source_index=index,
            pts=index / 10,
            width=WIDTH,
            height=HEIGHT,
            hash=f"{index:032x}",
            file=image.name,
            thumb="",
        )
        entry = FrameEntry(frame=frame, image=str(image))
        for class_id in (3, 1, 2):
            mask = labels == class_id
            if class_id == 3:
                mask = np.ones_like(mask)  # the floor goes on beneath the others
            if mask.any():
                entry.regions.append(self._region(frame, class_id, mask))
        entry.specs = [self.spec(region) for region in entry.regions]
        return entry

    def _region(self, frame: Frame, class_id: int, mask: np.ndarray) -> Region:
        found = outline_only(mask, target=1.0)
        assert found.outline is not None
        return Region(
            id=new_id(),
            frame_id=frame.id,
            class_id=class_id,
            geometry=Geometry(
                points=[Point(x=x, y=y, r=r) for x, y, _, r in found.points.tolist()],
                outline=[[(x, y) for x, y in ring.tolist()] for ring in found.outline],
            ),
            track_id=self.track.id if class_id == 1 else None,
            anchor=False,
            certificate=Certificate(engine="outline", iou=1.0, boundary_f=1.0, exact=True),
            revision=class_id,
            attributes={"state": "new"} if class_id == 1 else {},
        )

    def spec(self, region: Region) -> Spec:
        order, known = next((i, c) for i, c in enumerate(CLASSES) if c.id == region.class_id)
        return Spec(
            id=region.id,
            class_id=region.class_id,
            priority=known.priority,
            order=order,
            geometry=region.geometry,
        )

    def region(self, index: int, class_id: int) -> Region:
        return next(region for region in self.frames[index].regions if region.class_id == class_id)

    def class_of(self, region_id: str, change: FrameChange) -> int:
        """The class of a region that a change names."""
        regions = [*self.frames[change.index].regions, *change.added]
        return next(region.class_id for region in regions if region.id == region_id)

    def args(self, job: str, **changes: Any) -> dict[str, Any]:
        snapshot = self.folder / job / "input.jsonl"
        snapshot.parent.mkdir(exist_ok=True)
        header = HeaderEntry(project=self.project, class_template=self.template, tracks=[self.track])
        lines = [header, AssetEntry(asset=self.asset), *self.frames]
        snapshot.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        given: dict[str, Any] = {
            "job_id": "a" * 24,
            "asset_id": self.asset.id,
            "data_dir": str(self.folder),
            "input": str(snapshot),
            "start": 1,
            "stop": FRAMES - 2,
            "smoothing": Smoothing(window=3),
            "label": "clip",
        }
        return msgspec.to_builtins(StabiliseArgs(**{**given, **changes}))

    def run(self, job: str = "job", channel: Callable[[Path], Channel] = Channel, **changes: Any) -> Any:
        with channel(self.folder / job) as there:
            return stabilise.run(there, self.args(job, **changes))

    def changes(self, job: str = "job") -> dict[int, FrameChange]:
        return {line.index: line for line in read_lines(self.folder / job / "changes.jsonl", FrameChange)}

    def map(self, index: int, side: Any, job: str = "job") -> np.ndarray:
        """The label map of a frame before or after."""
        folder = self.folder / job
        labels = LayerMaps(folder, side).read(index)
        if labels is None:
            labels = LayerMaps(folder, "before").read(index)
        assert labels is not None
        # Layers are numbered in the order of the snapshot.
        return np.array([0, 3, 1, 2], np.uint16)[labels]


def damaged(index: int, labels: np.ndarray) -> np.ndarray:
    labels = np.where(labels == 0, 3, labels)
    if index == LOST:
        labels[labels == 1] = 3
    if index == SPILLED:
        labels[4:24, 4:34] = 2
    return labels


def truth(index: int) -> np.ndarray:
    labels = drawing.scene(index, WIDTH, HEIGHT)[1]
    return np.where(labels == 0, 3, labels)


def rendered(world: World, index: int, change: FrameChange) -> np.ndarray:
    """The layers that a frame shows with the regions as they are stored after the job."""
    by_id = {changed.id: changed.geometry for changed in change.changed}
    entry = world.frames[index]
    regions = [
        replace(region, geometry=by_id.get(region.id, region.geometry))
        for region in entry.regions
        if region.id not in change.gone
    ] + change.added
    stored = FrameEntry(
        frame=entry.frame,
        image=entry.image,
        regions=regions,
        specs=[world.spec(region) for region in regions],
    )
    layers = Layers([(3, None), (1, world.track.id), (2, None)])
    return layer_map(stored, winner_map(stored, GivenMasks(None)), layers)


def miss(found: np.ndarray, wanted: np.ndarray, class_id: int) -> float:
    return 1 - iou(found == class_id, wanted == class_id)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def world(clip: World, tmp_path: Path) -> World:
    made = copy.deepcopy(clip)
    made.folder = tmp_path
    return made


def test_what_flickers_is_mended_and_stored_as_it_is_measured(world: World) -> None:
    result = world.run()
    lost, spilled = truth(LOST), truth(SPILLED)
    assert miss(world.map(LOST, "before"), lost, 1) == 1.0
    assert miss(world.map(LOST, "after"), lost, 1) < 0.2
    assert miss(world.map(SPILLED, "before"), spilled, 2) > 0.2
    assert miss(world.map(SPILLED, "after"), spilled, 2) < 0.05
    changes = world.changes()
    assert (result["regions"], result["skipped"]) == (
        sum(len(c.changed) + len(c.added) + len(c.gone) for c in changes.values()),
        0,
    )
    (back,) = changes[LOST].added
    assert (back.class_id, back.track_id, back.anchor) == (1, world.track.id, False)
    assert back.attributes == {"state": "new"}
    for index, change in changes.items():
        assert change.stamp == [(region.id, region.revision) for region in world.frames[index].regions]
        shown = rendered(world, index, change)
        assert (shown == LayerMaps(world.folder / "job", "after").read(index)).all()
        smooth = LayerMaps(world.folder / "job", "smooth").read(index)
        assert smooth is not None
        for one in [*change.changed, *change.added]:
            assert one.certificate is not None
            number = {1: 2, 2: 3, 3: 1}[world.class_of(one.id, change)]
            assert one.certificate.iou == iou(shown == number, smooth == number) >= 0.98
    assert result["after"]["warped_instability"] < result["before"]["warped_instability"] / 2
    assert 50 < result["improvement_percent"] <= 100
    assert [(one["class_id"], one["track_id"]) for one in result["layers"]][-1] == (3, None)
    curve = msgspec.json.decode((world.folder / "job" / "curve.json").read_bytes(), type=Curve)
    assert (curve.start, len(curve.before), curve.before[0] is None) == (1, FRAMES - 2, False)
    assert max(range(FRAMES - 2), key=lambda n: curve.before[n] or 0) + 1 in (LOST, LOST + 1)
    assert [n + 1 for n, pixels in enumerate(curve.changed) if pixels] == sorted(changes)


def test_what_has_hidden_ground_truth_is_compared_with_it(world: World) -> None:
    folder = truth_files.folder_of(world.folder, world.asset.id)
    folder.mkdir(parents=True)
    for index in (LOST, SPILLED):
        labels = truth(index).astype(np.uint16)
        truth_files.map_path(folder, index).write_bytes(truth_png.encode_map(labels))
    truth_files.map_path(folder, 5).write_bytes(b"damaged")
    for preview in (True, False):
        scored = world.run(f"preview {preview}", preview=preview)["truth"]
        assert scored["frames"] == 2
        right = {side: sum(n for a, b, n in scored[side] if a == b) for side in ("before", "after")}
        assert right["before"] < right["after"] <= 2 * WIDTH * HEIGHT == sum(n for _, _, n in scored["after"])
        assert [1, 3] in [[a, b] for a, b, _ in scored["before"]]


def test_the_first_frame_of_an_asset_has_nothing_to_be_compared_with(world: World) -> None:
    world.run(start=0, stop=2, preview=True)
    curve = msgspec.json.decode((world.folder / "job" / "curve.json").read_bytes(), type=Curve)
    assert curve.before[0] is None
    assert None not in curve.before[1:]


def test_anchors_and_approved_frames_stay_unless_anchors_may_change(world: World) -> None:
    world.region(SPILLED, 2).anchor = True
    world.frames[LOST].frame.state = "approved"
    result = world.run()
    assert not {LOST, SPILLED} & world.changes().keys()
    assert result["notes"] == ["3 of 20 regions stayed as they are: anchors, or on approved frames."]
    world.run("all", overwrite_anchors=True)
    assert LOST not in world.changes("all")
    assert world.region(SPILLED, 2).id in [one.id for one in world.changes("all")[SPILLED].changed]


def test_frames_that_nobody_labelled_say_nothing_and_get_nothing(world: World) -> None:
    for entry in world.frames:
        kept = entry.frame.index <= 5
        entry.regions = [region for region in entry.regions if region.class_id == 1 and kept]
        entry.specs = [world.spec(region) for region in entry.regions]
    # One frame without the disc is flicker; that there is none on the last three only says that nobody was there.
    world.run(smoothing=Smoothing(window=3, evidence=False))
    changes = world.changes()
    assert len(changes[LOST].added) == 1
    assert not {6, 7, 8} & changes.keys()
    assert not any(change.gone for change in changes.values())
    curve = msgspec.json.decode((world.folder / "job" / "curve.json").read_bytes(), type=Curve)
    assert [value is None for value in curve.before] == [False] * 5 + [True] * 2
    # Where a person said that the frames are done, there is nothing on them.
    for entry in world.frames:
        entry.frame.state = "done"
    world.run("done", smoothing=Smoothing(window=3, evidence=False), preview=True)
    curve = msgspec.json.decode((world.folder / "done" / "curve.json").read_bytes(), type=Curve)
    assert curve.before[5] == 1.0


def test_a_short_gap_is_flicker_and_a_long_one_parts_what_was_labelled() -> None:
    labelled = {2, 3, 5, 6, 9, 10}
    frames = [(index, index in labelled) for index in range(12)]
    assert spans(frames, 1) == [(2, 6), (9, 10)]
    assert spans(frames, 2) == [(2, 10)]
    assert spans([], 1) == []


@pytest.mark.parametrize("by", ["class", "track"])
def test_only_what_is_asked_for_gains_and_loses_pixels(world: World, by: str) -> None:
    scope: dict[str, Any] = {"class_ids": [2]} if by == "class" else {"track_ids": [world.track.id]}
    world.run(preview=True, **scope)
    mended, left = (SPILLED, LOST) if by == "class" else (LOST, SPILLED)
    smooth = LayerMaps(world.folder / "job", "smooth")
    assert smooth.read(mended) is not None
    assert smooth.read(left) is None


def test_a_preview_changes_nothing_and_serves_what_is_applied_then(world: World) -> None:
    whole = world.run("whole")
    seen = world.run("preview", preview=True)
    assert not (world.folder / "preview" / "changes.jsonl").exists()
    assert (seen["changes"], seen["regions"], seen["changed"]) == ("", 0, whole["changed"])
    preview = world.folder / "preview"
    applied = world.run("applied", from_folder=str(preview))
    assert {**applied, "changes": ""} == {**whole, "changes": ""}
    assert world.changes("applied") == world.changes("whole")
    taken = [path.name for path in (preview / "smooth").iterdir()]
    assert taken
    for name in taken:
        assert (preview / "smooth" / name).samefile(world.folder / "applied" / "smooth" / name)


@pytest.mark.parametrize("what", ["labels", "filter", "approved"])
def test_a_preview_of_something_else_is_not_used(world: World, what: str) -> None:
    world.run("preview", preview=True, stop=4)
    smoothing = Smoothing(window=3)
    if what == "labels":
        world.region(2, 2).geometry.outline = [[(4, 4), (40, 4), (40, 40), (4, 40)]]
        world.frames[2].specs = [world.spec(region) for region in world.frames[2].regions]
    elif what == "filter":
        smoothing = Smoothing(window=5)
    else:
        world.frames[LOST].frame.state = "approved"
    found = world.run("other", smoothing=smoothing, stop=4, from_folder=str(world.folder / "preview"))
    assert found["notes"][0] == "The labels or the filter changed since the preview, so it was made anew."
    assert (LOST in world.changes("other")) == (what != "approved")


class Watched(Channel):
    """Keeps what it says, and stops at the step `STOP_AT`."""

    said: ClassVar[list[str]] = []
    stop_at: ClassVar[int] = -1

    def report(self, done: int, total: int, message: str = "", *, now: bool = False) -> None:
        self.said.append(message.partition(":")[0])
        super().report(done, total, message, now=True)
        assert 0 < done <= total
        if done == self.stop_at:
            raise Stopping


def test_it_says_in_words_what_it_does(world: World) -> None:
    Watched.said, Watched.stop_at = [], -1
    world.run(channel=Watched)
    stages = list(dict.fromkeys(Watched.said))
    assert stages == ["Drawing labels", "Smoothing", "Turning masks into regions", "Measuring"]
    progress = read_progress(world.folder / "job")
    assert progress is not None
    assert progress.done == progress.total == len(Watched.said)


KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from tasks import stabilise
from tasks.channel import Channel

class Killed(Channel):
    def report(self, done, total, message="", *, now=False):
        super().report(done, total, message, now=True)
        if message.startswith(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
with Killed(folder) as channel:
    stabilise.run(channel, msgspec.json.decode((folder / "args.json").read_bytes()))
"""


def test_wherever_it_is_stopped_or_killed_it_goes_on_and_finds_the_same(world: World) -> None:
    whole = world.run("whole")
    for stop_at in (4, 13, 27):
        Watched.stop_at = stop_at
        with pytest.raises(Stopping):
            world.run(channel=Watched)
    (world.folder / "job" / "args.json").write_bytes(msgspec.json.encode(world.args("job")))
    (world.folder / "job" / "changes.jsonl").unlink()
    command = [sys.executable, "-c", KILLED, str(world.folder / "job"), "Turning masks"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with (world.folder / "job" / "changes.jsonl").open("ab") as file:
        file.write(b'{"frame_id": "torn')
    (world.folder / "job" / "before" / "000002.gz").write_bytes(b"torn")
    found = world.run()
    assert {**found, "changes": ""} == {**whole, "changes": ""}
    assert world.changes() == world.changes("whole")


def test_a_windowed_filter_goes_on_near_the_frame_that_it_was_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoothing = Smoothing(method="median", window=3, evidence=False)
    whole = world.run("whole", smoothing=smoothing, preview=True)
    monkeypatch.setattr(stabilise, "WARM", 2)
    Watched.stop_at = FRAMES + 6
    with pytest.raises(Stopping):
        world.run(channel=Watched, smoothing=smoothing, preview=True)
    Watched.said, Watched.stop_at = [], -1
    found = world.run(channel=Watched, smoothing=smoothing, preview=True)
    assert {**found, "changes": ""} == {**whole, "changes": ""}
    assert Watched.said.count("Smoothing") == FRAMES - 6 + 2
    names = sorted(path.name for path in (world.folder / "whole" / "smooth").iterdir())
    assert names == sorted(path.name for path in (world.folder / "job" / "smooth").iterdir())
    for name in names:
        one, other = (world.folder / job / "smooth" / name for job in ("whole", "job"))
        assert one.read_bytes() == other.read_bytes()


def test_a_cancelled_job_stops(world: World) -> None:
    request_cancel(world.folder / "job")
    with pytest.raises(Cancelled):
        world.run()
