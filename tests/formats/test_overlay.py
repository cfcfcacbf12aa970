from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from app.formats.overlay import OverlayWriter, Painter, frame_times, timescale_of
from app.models import ClassDef

CLASSES = [ClassDef(id=1, name="road", colour="#ff0000"), ClassDef(id=300, name="car", colour="#0000ff")]
GREY = np.full((48, 64, 3), 128, np.uint8)


def encoded(path: Path, times: list[float], size: tuple[int, int], image: np.ndarray) -> list[av.VideoFrame]:
    with OverlayWriter(path, size, times) as writer:
        for _ in times:
            writer.add(image)
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_frames_keep_varying_times_exactly(tmp_path: Path) -> None:
    times = [0.0, 1001 / 24000, 4 * 1001 / 24000, 5 * 1001 / 24000, 60 * 1001 / 24000]
    frames = encoded(tmp_path / "o.mp4", times, (64, 48), GREY)
    assert [float(frame.pts * frame.time_base) for frame in frames] == pytest.approx(times, abs=1e-9)


def test_last_frame_lasts_as_long_as_the_one_before(tmp_path: Path) -> None:
    frames = encoded(tmp_path / "o.mp4", [0.0, 0.1, 0.5], (64, 48), GREY)
    assert float(frames[-1].duration * frames[-1].time_base) == pytest.approx(0.4)


def test_odd_sides_gain_a_repeated_row_and_column(tmp_path: Path) -> None:
    image = np.zeros((47, 63, 3), np.uint8)
    image[-1], image[:, -1] = 255, 255
    frame = encoded(tmp_path / "o.mp4", [0.0], (63, 47), image)[0]
    assert (frame.width, frame.height) == (64, 48)
    assert frame.to_ndarray(format="rgb24")[47, 63].tolist() == pytest.approx([255] * 3, abs=8)


def test_colours_are_tagged_and_converted_as_bt709(tmp_path: Path) -> None:
    image = np.empty((48, 64, 3), np.uint8)
    image[:] = (200, 30, 60)
    frame = encoded(tmp_path / "o.mp4", [0.0, 0.04], (64, 48), image)[0]
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
    assert frame.to_ndarray(format="rgb24")[20, 20].tolist() == pytest.approx([200, 30, 60], abs=6)


def test_frame_of_another_size_is_fitted_on_black(tmp_path: Path) -> None:
    frame = encoded(tmp_path / "o.mp4", [0.0], (64, 48), np.full((48, 32, 3), 255, np.uint8))[0]
    row = frame.to_ndarray(format="rgb24")[24, :, 0]
    assert row[2] < 20
    assert row[32] > 235
    assert row[61] < 20


def test_clock_has_a_tick_at_every_time() -> None:
    for times in ([k * 1001 / 30000 for k in range(50)], [0, 0.033, 0.067], [7 / 90000, 11 / 15360], [0.5]):
        scale = timescale_of(times)
        assert all(time * scale == pytest.approx(round(time * scale), abs=1e-4) for time in times)
        assert 1000 <= scale <= 10_000_000


def test_frames_without_times_are_spaced_by_the_rate() -> None:
    assert frame_times([None, None, None], 10) == pytest.approx([0, 0.1, 0.2])
    assert frame_times([None, None], None) == pytest.approx([0, 0.04])
    assert frame_times([1.0, 1.0, 2.0], 5) == pytest.approx([0, 0.2, 0.4])
    assert frame_times([2.0, 2.5, 4.0], 5) == pytest.approx([0, 0.5, 2.0])


def test_opacity_mixes_class_colour_inside_and_leaves_unlabelled_pixels() -> None:
    label_map = np.zeros((48, 64), np.uint16)
    label_map[10:40, 10:50] = 300
    out = Painter(CLASSES, 0.5).paint(GREY, label_map)
    assert out[25, 30].tolist() == [64, 64, 192]
    assert out[10, 30].tolist() == [0, 0, 255]
    assert out[5, 5].tolist() == [128, 128, 128]
    assert GREY.min() == GREY.max() == 128


def test_edges_can_be_left_out() -> None:
    label_map = np.full((48, 64), 1, np.uint16)
    label_map[:, 32:] = 300
    out = Painter(CLASSES, 1.0, edges=False).paint(GREY, label_map)
    assert out[0, 31].tolist() == [255, 0, 0]
    assert Painter(CLASSES, 0.0).paint(GREY, label_map)[24, 31].tolist() == [255, 0, 0]
    assert Painter(CLASSES, 0.0, edges=False).paint(GREY, label_map)[24, 31].tolist() == [128, 128, 128]
