"""Exports that are videos, on drawn frames, through the real job folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest

from app.errors import Cancelled, Refused
from app.models import Geometry
from tasks import export
from tasks.channel import Channel, Stopping, request_cancel
from tasks.given_masks import GivenMasks
from tasks.rendering import label_map
from tasks.snapshot import Snapshot
from tests import drawing
from tests.tasks.test_export import FRAMES, HEIGHT, WIDTH, World

TIMES = [0.0, 0.04, 0.2, 0.24]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


def seen(path: Path, format: str = "rgb24") -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times = [float(frame.pts * frame.time_base) for frame in frames]
    return times, [frame.to_ndarray(format=format).astype(int) for frame in frames]


def names(result: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in result["files"]]


def test_overlay_has_every_frame_at_its_time(world: World) -> None:
    out, result = world.export("overlay-mp4", opacity=1.0, audio=False)
    assert (names(result), result["frames"], result["notes"]) == (["clip_one_overlay.mp4"], FRAMES, [])
    times, frames = seen(out / "clip_one_overlay.mp4")
    assert times == pytest.approx(TIMES)
    assert frames[1][45, 72].tolist() == pytest.approx([0x28, 0x6E, 0xBE], abs=12)


def test_original_stands_beside_or_above_the_overlay(world: World) -> None:
    out, result = world.export("side-by-side-mp4", opacity=1.0, audio=False, quality="high")
    _, frames = seen(out / names(result)[0])
    assert frames[1].shape == (HEIGHT, 2 * WIDTH, 3)
    left, right = frames[1][:, :WIDTH], frames[1][:, WIDTH:]
    image = drawing.scene(1, WIDTH, HEIGHT)[0]
    assert abs(left - image).mean() < 8
    assert abs(right[33:57, 64:80] - [0x28, 0x6E, 0xBE]).mean() < 8
    assert abs(seen(out / names(result)[0])[1][0][:, :WIDTH] - frames[0][:, WIDTH:]).mean() < 3
    out, result = world.export("side-by-side-mp4", arrangement="stacked", max_side=72, audio=False)
    _, frames = seen(out / names(result)[0])
    assert frames[0].shape == (72, 48, 3)


def test_names_of_tracks_and_classes_are_drawn(world: World) -> None:
    def shown(labels: str) -> np.ndarray:
        out, result = world.export("overlay-mp4", labels=labels, audio=False, quality="high")
        return seen(out / names(result)[0])[1][1]

    none, classes, tracks = shown("none"), shown("class"), shown("track")
    assert abs(classes - none).max() > 80
    # “bar” against “bar 1”; the disc has no track.
    assert abs(classes - tracks).max() > 80


def test_masks_are_exact_and_one_file_for_each_class_that_is_there(world: World) -> None:
    out, result = world.export("mask-video", lossless=True)
    assert names(result) == ["clip_one_mask_disc.mkv", "clip_one_mask_bar.mkv"]
    snapshot = Snapshot(world.snapshot(world.data / "again.jsonl"))
    maps = [label_map(entry, GivenMasks(None)) for entry in snapshot.frames(snapshot.sections[0])]
    for class_id, name in enumerate(names(result), 1):
        times, frames = seen(out / name, "gray")
        assert times == pytest.approx(TIMES)
        for frame, expected in zip(frames, maps, strict=True):
            assert (frame == 255 * (expected == class_id)).all()


def test_masks_of_chosen_classes_and_tracks(world: World) -> None:
    out, result = world.export("mask-video", class_ids=[1], track_ids=[world.track.id])
    assert names(result) == ["clip_one_mask_disc.mp4", "clip_one_mask_bar_1.mp4"]
    _, frames = seen(out / "clip_one_mask_bar_1.mp4", "gray")
    assert (frames[1][33:57, 64:80] > 200).all()
    assert (frames[1][:20, :50] < 40).all()
    assert (frames[0] < 40).all()
    _, result = world.export("mask-video", objects="region")
    assert names(result) == ["clip_one_mask_bar_1.mp4"]
    with pytest.raises(Refused, match="No frame has a region yet"):
        world.export("mask-video", class_ids=[77])


def test_sound_of_the_source_is_in_step_with_the_frames(world: World) -> None:
    asset = world.assets[0][0]
    asset.source = "source.mov"
    source = world.data / "assets" / asset.id / asset.source
    drawing.with_sound(source, [0.5 + time for time in TIMES], [0.4, 0.6, 0.75], seconds=1.0)
    out, result = world.export("overlay-mp4")
    assert result["notes"] == []
    assert drawing.heard(out / names(result)[0]) == pytest.approx([0.1, 0.25], abs=0.002)
    assert seen(out / names(result)[0])[0] == pytest.approx(TIMES)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda world: None, "the source is no longer at hand"),
        (lambda world: setattr(world.assets[0][0], "kind", "images"), "images have none"),
        (lambda world: setattr(world.assets[0][1][2][0], "pts", None), "no times of their own"),
        (
            lambda world: (world.data / "assets" / world.assets[0][0].id / "source.mp4").write_bytes(
                b"GIF89a"
            ),
            "The video has no sound: ",
        ),
    ],
)
def test_missing_sound_is_said_and_the_video_made(
    world: World, change: Callable[[World], Any], sentence: str
) -> None:
    change(world)
    out, result = world.export("overlay-mp4")
    assert sentence in result["notes"][0]
    with av.open(str(out / names(result)[0])) as container:
        assert len(container.streams.audio) == 0
        assert container.streams.video[0].frames == FRAMES


def stopped_at(world: World, job: Path, frame: int, stop: Callable[[], None], **options: Any) -> None:
    """Run the export of mask videos until `frame` frames were reported, then have `stop` end it."""

    class Watched(Channel):
        def report(self, done: int, *more: Any, **named: Any) -> None:
            super().report(done, *more, **named)
            if done == frame:
                stop()

    args = {"format": "mask-video", "data_dir": str(world.data), "input": str(job / "input.jsonl")}
    world.snapshot(job / "input.jsonl")
    with Watched(job) as channel:
        export.run(channel, {**args, "out_dir": str(world.data / "exports" / job.name), "options": options})


def test_interrupted_export_keeps_finished_files_and_begins_the_others_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.export_video.AT_ONCE", 1)
    whole_out, whole = world.export("mask-video", lossless=True)
    job = world.job()

    def kill() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        stopped_at(world, job, FRAMES + 1, kill, lossless=True)
    out = world.data / "exports" / job.name
    first = out / "clip_one_mask_disc.mkv"
    assert [path.name for path in out.glob("*.m*")] == [first.name]
    kept = first.stat().st_mtime_ns
    _, result = world.export("mask-video", job, lossless=True)
    assert first.stat().st_mtime_ns == kept
    assert names(result) == names(whole)
    for name in names(whole):
        assert all(map(np.array_equal, seen(out / name, "gray")[1], seen(whole_out / name, "gray")[1]))


def test_cancel_stops_at_the_next_frame_and_leaves_nothing_half_written(world: World) -> None:
    job = world.job()
    with pytest.raises(Cancelled):
        stopped_at(world, job, 2, lambda: request_cancel(job))
    assert [path.name for path in (world.data / "exports" / job.name).iterdir()] == []


def test_a_video_is_made_of_one_asset(tmp_path: Path) -> None:
    world = World(tmp_path / "data", assets=2)
    with pytest.raises(Refused, match="one asset"):
        world.export("side-by-side-mp4")


def test_frames_of_another_size_are_fitted_on_black_and_their_labels_with_them(world: World) -> None:
    asset, frames = world.assets[0]
    frame, regions = frames[2]
    image = np.full((HEIGHT // 2, WIDTH // 4, 3), 255, np.uint8)
    (world.data / "assets" / asset.id / frame.file).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    frame.width, frame.height = WIDTH // 4, HEIGHT // 2
    del regions[0]
    half = Geometry(outline=[[(0.0, 0.0), (12.0, 0.0), (12.0, 36.0), (0.0, 36.0)]])
    regions[0] = msgspec.structs.replace(regions[0], geometry=half)
    out, result = world.export("overlay-mp4", opacity=1.0, outlines=False, audio=False)
    row = seen(out / names(result)[0])[1][2][36]
    assert row[4].max() < 30
    assert row[36].tolist() == pytest.approx([0x28, 0x6E, 0xBE], abs=12)
    assert row[60].min() > 220
    assert row[90].max() < 30
    out, result = world.export("mask-video", class_ids=[2], lossless=True)
    mask = seen(out / names(result)[0], "gray")[1][2]
    assert (mask[:, 24:48] == 255).all()
    assert mask.sum() == 255 * 24 * HEIGHT
