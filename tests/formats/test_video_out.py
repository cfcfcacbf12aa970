"""Videos as they are exported: times, sizes, colours, exact masks, and sound in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.errors import Refused
from app.formats.video_out import Form, VideoOut, timescale_of, timing
from app.formats.video_out_sound import SoundFile, cut, look
from tests import drawing

GREY = np.full((48, 64, 3), 128, np.uint8)


def encoded(
    path: Path, times: list[float], image: np.ndarray, form: Form = "standard", end: float | None = None
) -> list[av.VideoFrame]:
    size = (image.shape[1], image.shape[0])
    with VideoOut(path, size, timing(times, None, end), form=form) as writer:
        for _ in times:
            writer.add(image)
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times_of(frames: list[av.VideoFrame]) -> list[float]:
    return [float(frame.pts * frame.time_base) for frame in frames]


def test_frames_keep_varying_times_exactly(tmp_path: Path) -> None:
    times = [0.0, 1001 / 24000, 4 * 1001 / 24000, 5 * 1001 / 24000, 60 * 1001 / 24000]
    assert times_of(encoded(tmp_path / "o.mp4", times, GREY)) == pytest.approx(times, abs=1e-9)
    later = [95_000 + time for time in times]
    assert times_of(encoded(tmp_path / "o.mp4", later, GREY)) == pytest.approx(times, abs=1e-9)


def test_last_frame_lasts_until_its_end_or_as_long_as_the_one_before(tmp_path: Path) -> None:
    for end, length in ((None, 0.4), (0.75, 0.25), (0.5, 0.4)):
        frames = encoded(tmp_path / "o.mp4", [0.0, 0.1, 0.5], GREY, end=end)
        assert float(frames[-1].duration * frames[-1].time_base) == pytest.approx(length)


def test_odd_sides_gain_a_repeated_row_and_column_and_say_so(tmp_path: Path) -> None:
    image = np.zeros((47, 63, 3), np.uint8)
    image[-1], image[:, -1] = 255, 255
    frame = encoded(tmp_path / "o.mp4", [0.0], image)[0]
    assert (frame.width, frame.height) == (64, 48)
    assert frame.to_ndarray(format="rgb24")[47, 63].tolist() == pytest.approx([255] * 3, abs=8)
    clock = timing([0.0], None)
    assert VideoOut(tmp_path / "a.mp4", (64, 48), clock).notes == []
    assert "last column and row is repeated" in VideoOut(tmp_path / "b.mp4", (63, 47), clock).notes[0]


def test_colours_are_tagged_and_converted_as_bt709(tmp_path: Path) -> None:
    image = np.empty((48, 64, 3), np.uint8)
    image[:] = (200, 30, 60)
    frame = encoded(tmp_path / "o.mp4", [0.0, 0.04], image)[0]
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
    assert frame.to_ndarray(format="rgb24")[20, 20].tolist() == pytest.approx([200, 30, 60], abs=6)


def test_masks_come_back_bit_for_bit_from_ffv1_and_by_a_threshold_from_h264(tmp_path: Path) -> None:
    mask = np.where(np.random.default_rng(1).random((47, 63)) > 0.5, 255, 0).astype(np.uint8)
    exact = encoded(tmp_path / "o.mkv", [0.0, 0.04, 0.2], mask, "exact")
    assert times_of(exact) == pytest.approx([0.0, 0.04, 0.2])
    assert all((frame.to_ndarray(format="gray") == mask).all() for frame in exact)
    near = encoded(tmp_path / "o.mp4", [0.0], mask, "mask")[0].to_ndarray(format="rgb24")[:47, :63, 0]
    assert ((near > 127) == (mask > 127)).all()


def test_an_ffmpeg_without_x264_writes_another_codec_and_says_so(tmp_path: Path) -> None:
    times = [0.0, 1 / 90_000 + 0.1, 0.3]
    with VideoOut(tmp_path / "o.mp4", (64, 48), timing(times, None), encoders=("none", "mpeg4")) as writer:
        for _ in times:
            writer.add(GREY)
    assert "no x264" in writer.notes[0]
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert times_of(list(container.decode(video=0))) == pytest.approx(times, abs=2e-5)
    with pytest.raises(Refused, match="cannot write"):
        VideoOut(tmp_path / "o.mp4", (64, 48), timing(times, None), encoders=("none",))


def test_clock_has_a_tick_at_every_time() -> None:
    for times in ([k * 1001 / 30000 for k in range(50)], [0, 0.033, 0.067], [7 / 90000, 11 / 15360], [0.5]):
        scale = timescale_of(times)
        assert all(time * scale == pytest.approx(round(time * scale), abs=1e-4) for time in times)
        assert 1000 <= scale <= 10_000_000


def test_frames_without_times_are_spaced_by_the_rate() -> None:
    for times, fps, step in (([None, None, None], 10, 0.1), ([1.0, 1.0, 2.0], 5, 0.2), ([None], None, 0.04)):
        clock = timing(times, fps)
        assert not clock.exact
        assert [tick / clock.scale for tick in clock.ticks] == pytest.approx(
            [k * step for k in range(len(times))]
        )
        assert clock.last / clock.scale == pytest.approx(step)
    assert timing([2.0, 2.5, 4.0], 5).exact


# ── sound ──────────────────────────────────────────────────────────────────────────────────────────────

TIMES = [0.5 + k / 10 for k in range(20)]
"""The pictures begin half a second after the clock of the file."""


@pytest.mark.parametrize(
    ("name", "codec", "late"),
    [
        ("s.mov", "aac", 0.0),
        ("s.mov", "pcm_s16le", 0.0),
        ("s.mkv", "aac", 0.8),
        ("s.mkv", "pcm_s16le", 0.8),
        ("s.mov", "aac", 1.2),
        ("s.mkv", "pcm_s16le", 1.2),
    ],
)
def test_sound_stays_in_step_with_a_piece_of_the_frames(
    tmp_path: Path, name: str, codec: str, late: float
) -> None:
    source, target = tmp_path / name, tmp_path / "o.mp4"
    drawing.with_sound(source, TIMES, [0.9, 1.25, 1.9, 2.2], seconds=2.6, codec=codec, late=late)
    # The frames from 0.6 s on (the file's clock: 1.1 s): 1.25 and 1.9 are heard, the rest is cut off.
    chosen = TIMES[6:16]
    clock = timing(chosen, None)
    begin = Fraction(6, 10)
    found = cut(source, tmp_path / "cut.mp4", begin, begin + clock.seconds)
    assert found is not None
    assert found.sound.copied == (codec == "aac")
    with VideoOut(target, (64, 48), clock, sound=SoundFile(tmp_path / "cut.mp4", found.behind)) as writer:
        for _ in chosen:
            writer.add(GREY)
    assert drawing.heard(target) == pytest.approx([0.15, 0.8], abs=0.002)
    with av.open(str(target)) as container:
        assert times_of(list(container.decode(video=0))) == pytest.approx([k / 10 for k in range(10)])
    if found.sound.copied and late < 1.1:
        # A decoder of AAC needs the packets before the first that is heard.
        with av.open(str(target)) as container:
            first = next(container.demux(audio=0))
            assert first.pts * first.time_base <= -2 * 1024 / 48_000


def test_a_video_without_sound_has_none_to_cut(tmp_path: Path) -> None:
    drawing.video(tmp_path / "mute.mp4", frames=2, width=64, height=48)
    assert look(tmp_path / "mute.mp4") is None
    assert cut(tmp_path / "mute.mp4", tmp_path / "cut.mp4", Fraction(0), Fraction(1)) is None
    drawing.with_sound(tmp_path / "s.mov", TIMES[:3], [], seconds=0.6)
    assert cut(tmp_path / "s.mov", tmp_path / "cut.mp4", Fraction(5), Fraction(6)) is None
    found = look(tmp_path / "s.mov")
    assert found is not None
    assert (found.codec, found.rate, found.channels, found.copied) == ("aac", 48_000, 1, True)
