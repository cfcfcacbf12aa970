"""Files of mattes: alpha as it was, colours without the old background, times, sound, and nothing half written."""

from __future__ import annotations

import errno
import io
import resource
import weakref
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats.matte_out import (
    SOUND,
    MatteWriter,
    available,
    checkerboard,
    open_matte,
    over,
    sound_of,
    stems,
)
from app.formats.video_out import timing
from app.formats.video_out_sound import SoundFile, cut
from app.matting import OUTPUTS
from tests import drawing

WIDTH, HEIGHT = 129, 97
"""Odd, as sides of frames may be."""

TIMES = [0.0, 1001 / 24000, 4 * 1001 / 24000, 5 * 1001 / 24000]
"""The third frame is shown three times as long as the others."""

KEEPING = ["alpha-mp4", "rgba-png", "webm", "prores"]
"""Kinds from which alpha can be had back."""

VIDEOS = [kind for kind in OUTPUTS if kind != "rgba-png"]


def drawn(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A target with a soft edge and hairs: (H, W, 3) uint8 colours and (H, W) float32 alpha."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    alpha = np.clip((34 - np.hypot(x - 50 - 3 * index, y - 48)) / 20 + 0.5, 0, 1)
    hairs = np.zeros((HEIGHT, WIDTH), np.uint8)
    for angle in range(0, 360, 15):
        way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        begin, end = (np.array([50 + 3 * index, 48]) + length * way for length in (20, 44))
        cv2.line(hairs, begin.astype(int).tolist(), end.astype(int).tolist(), 180, 1, cv2.LINE_AA)
    alpha = np.maximum(alpha, hairs.astype(np.float32) / 255)
    colours = np.stack([200 - x / 2, 60 + y / 2, 90 + x / 4], axis=2)
    return colours.astype(np.uint8), alpha


class Decoded(NamedTuple):
    time: float
    length: float
    rgb: np.ndarray
    alpha: np.ndarray | None
    frame: av.VideoFrame


def decoded(path: Path) -> list[Decoded]:
    """The frames of a video; alpha in levels of 0..255, None where the file has none."""
    found: list[Decoded] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        if context.name.startswith("vp9"):
            # FFmpeg's own decoder drops alpha.
            context = av.CodecContext.create("libvpx-vp9", "r")
        frames = [
            (packet.duration, frame)
            for packet in container.demux(stream)
            if packet.size
            for frame in context.decode(packet)
        ]
        frames += [(frame.duration, frame) for frame in context.decode(None)]
        for length, frame in frames:
            alpha, base = None, float(stream.time_base)
            if frame.format.name.startswith("yuva"):
                bits = frame.format.components[3].bits
                plane = np.frombuffer(bytes(frame.planes[3]), np.uint8 if bits == 8 else np.uint16)
                alpha = plane.reshape(frame.height, -1)[:, : frame.width] / (2**bits - 1) * 255
            rgb = frame.to_ndarray(format="rgb24")[:HEIGHT, :WIDTH].astype(float)
            found.append(Decoded(frame.pts * base, length * base, rgb, alpha, frame))
    return found


def written(path: Path, kind: str, times: list[float] = TIMES, **more: str) -> MatteWriter:
    with open_matte(kind, path, (WIDTH, HEIGHT), timing(times, None), **more) as writer:
        for index in range(len(times)):
            writer.add(*drawn(index))
    return writer


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of every kind."""
    folder = tmp_path_factory.mktemp("mattes")
    found = {kind: folder / f"o{output.suffix}" for kind, output in OUTPUTS.items()}
    for kind, path in found.items():
        written(path, kind)
    return found


def alphas(kind: str, path: Path) -> list[np.ndarray]:
    """Alpha in levels as a decoder that keeps it gives it back."""
    if kind == "rgba-png":
        with zipfile.ZipFile(path) as archive:
            return [
                np.array(Image.open(archive.open(name)))[..., 3].astype(float) for name in archive.namelist()
            ]
    if kind == "alpha-mp4":
        return [frame.rgb[..., 1] for frame in decoded(path)]
    return [frame.alpha for frame in decoded(path) if frame.alpha is not None]


@pytest.mark.parametrize("kind", KEEPING)
def test_alpha_comes_back(files: dict[str, Path], kind: str) -> None:
    found = alphas(kind, files[kind])
    assert len(found) == len(TIMES)
    for index, alpha in enumerate(found):
        exact = drawn(index)[1] * 255
        error = np.abs(alpha - exact)
        assert alpha.shape == exact.shape
        assert error.mean() <= 1.5
        assert error[(exact > 0) & (exact < 255)].mean() <= 1.5
        assert error.max() <= 12
        # Neither end is lifted or cut, as where a range is mistaken for the other.
        assert alpha[exact == 0].mean() <= 0.5
        assert alpha[exact == 255].mean() >= 254.5


@pytest.mark.parametrize("kind", VIDEOS)
def test_frames_keep_their_times_and_lengths(files: dict[str, Path], tmp_path: Path, kind: str) -> None:
    frames = decoded(files[kind])
    near = 0.0005 if kind == "webm" else 1e-9
    assert [frame.time for frame in frames] == pytest.approx(TIMES, abs=near)
    step = 1001 / 24000
    assert [frame.length for frame in frames] == pytest.approx([step, 3 * step, step, step], abs=2 * near)
    notes = written(tmp_path / "o", kind, [0.0, 0.001, 0.25]).notes
    assert [frame.time for frame in decoded(tmp_path / "o")] == pytest.approx([0.0, 0.001, 0.25], abs=1e-9)
    assert not any("rounded" in note for note in notes)
    # Two frames within a millisecond stay two.
    rounded = written(tmp_path / "o", kind, [0.0, 0.0102, 0.0104, 0.1]).notes
    assert len({frame.time for frame in decoded(tmp_path / "o")}) == 4
    assert any("rounded" in note for note in rounded) == (kind == "webm")


@pytest.mark.parametrize("kind", VIDEOS)
def test_colours_are_tagged_as_bt709(files: dict[str, Path], kind: str) -> None:
    with av.open(str(files[kind])) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_odd_sides_stay_where_the_format_can_hold_them(
    files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    notes = written(tmp_path / "o", kind).notes
    if kind == "rgba-png":
        assert alphas(kind, files[kind])[0].shape == (HEIGHT, WIDTH)
        assert notes == []
        return
    frame = decoded(files[kind])[0].frame
    even = kind.endswith("-mp4")
    assert (frame.width, frame.height) == ((WIDTH + 1, HEIGHT + 1) if even else (WIDTH, HEIGHT))
    assert any("repeated once" in note for note in notes) == even


@pytest.mark.parametrize(("background", "colour"), [("#00ff00", (0, 255, 0)), ("#1E90ff", (30, 144, 255))])
def test_the_foreground_stands_on_the_colour_that_was_chosen(
    tmp_path: Path, background: str, colour: tuple[int, int, int]
) -> None:
    written(tmp_path / "o", "foreground-mp4", background=background)
    for index, frame in enumerate(decoded(tmp_path / "o")):
        colours, alpha = drawn(index)
        # Coders smear edges a little way, and colours come in blocks of two pixels.
        away = cv2.dilate((alpha > 0).view(np.uint8), np.ones((17, 17))) == 0
        assert np.abs(frame.rgb[away] - colour).mean() <= 1
        assert np.abs(frame.rgb[away] - colour).max() <= 8
        inside = cv2.erode((alpha == 1).view(np.uint8), np.ones((5, 5))) == 1
        assert np.abs(frame.rgb[inside] - colours[inside]).mean() <= 4
        mixed = over(colours, alpha, np.full(colours.shape, colour, np.uint8))
        assert np.abs(frame.rgb - mixed)[(alpha > 0.1) & (alpha < 0.9)].mean() <= 10


def test_what_is_no_colour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not a colour"):
        open_matte("foreground-mp4", tmp_path / "o", (64, 48), timing(TIMES, None), background="green")
    assert not (tmp_path / "o").exists()


def test_the_preview_stands_on_a_checkerboard(files: dict[str, Path]) -> None:
    board = checkerboard((WIDTH, HEIGHT))
    assert sorted(np.unique(board)) == [153, 204]
    assert board[0, 0] != board[0, 8] == board[8, 0] != board[8, 8]
    for index, frame in enumerate(decoded(files["preview-mp4"])):
        away = cv2.dilate((drawn(index)[1] > 0).view(np.uint8), np.ones((17, 17))) == 0
        assert np.abs(frame.rgb[away] - board[away][:, None]).mean() <= 2


def test_pixels_of_alpha_one_half_are_mixed_half_and_half() -> None:
    alpha = np.array([[0, 0.5, 1]], np.float32)
    colours = np.full((1, 3, 3), 200, np.uint8)
    assert over(colours, alpha, np.full((1, 3, 3), 100, np.uint8))[0, :, 0].tolist() == [100, 150, 200]


def test_images_carry_colours_around_the_target_but_no_background(files: dict[str, Path]) -> None:
    with zipfile.ZipFile(files["rgba-png"]) as archive:
        rgba = np.array(Image.open(archive.open(archive.namelist()[0])))
    colours = drawn(0)[0]
    reach = cv2.distanceTransform((rgba[..., 3] == 0).view(np.uint8), cv2.DIST_C, 3)
    assert (rgba[..., :3][reach <= 16] == colours[reach <= 16]).all()
    assert (reach > 16).any()
    assert not rgba[..., :3][reach > 16].any()
    # Videos too, as far as their coding lets colours end sharply.
    for kind in ("webm", "prores"):
        assert decoded(files[kind])[0].rgb[reach > 24].max() <= 12


def test_a_zip_of_images_is_stored_numbered_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with open_matte(
            "rgba-png", tmp_path / name, (WIDTH, HEIGHT), timing(TIMES, None), stem="walk", first=7
        ) as w:
            for index in range(len(TIMES)):
                w.add(*drawn(index))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == [f"walk_{k:06d}.png" for k in range(7, 11)]
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        image = Image.open(io.BytesIO(archive.read(entries[0])))
        assert image.mode == "RGBA"
        assert image.info == {}


# ── sound ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of two seconds that beeps 0.4 and 1.1 s after its first frame, with AAC."""
    path = tmp_path_factory.mktemp("sound") / "s.mov"
    drawing.with_sound(path, [0.5 + k / 10 for k in range(20)], [0.9, 1.6], seconds=2.6)
    return path


def with_sound(kind: str, path: Path, source: Path, codec: str) -> MatteWriter:
    """Ten frames from 0.3 s on."""
    clock = timing([k / 10 for k in range(10)], None)
    begin = Fraction(3, 10)
    found = cut(source, path.with_suffix(".sound"), begin, begin + clock.seconds, codec=codec)
    assert found is not None
    sound = SoundFile(path.with_suffix(".sound"), found.behind)
    with open_matte(kind, path, (WIDTH, HEIGHT), clock, sound=sound) as writer:
        for _ in clock.ticks:
            writer.add(*drawn(0))
    return writer


@pytest.mark.parametrize("kind", OUTPUTS)
def test_sound_stays_in_step_where_it_makes_sense(tmp_path: Path, noisy: Path, kind: str) -> None:
    path = tmp_path / f"o{OUTPUTS[kind].suffix}"
    writer = with_sound(kind, path, noisy, sound_of(kind) or "aac")
    assert not any("sound" in note for note in writer.notes)
    if kind in SOUND:
        assert drawing.heard(path) == pytest.approx([0.1, 0.8], abs=0.002)
        assert [frame.time for frame in decoded(path)] == pytest.approx([k / 10 for k in range(10)])
    elif kind != "rgba-png":
        with av.open(str(path)) as container:
            assert not container.streams.audio


def test_sound_that_a_container_cannot_hold_is_left_out_with_a_note(tmp_path: Path, noisy: Path) -> None:
    writer = with_sound("webm", tmp_path / "o.webm", noisy, "aac")
    assert writer.notes == ["WebM with alpha has no sound: it cannot hold aac."]
    with av.open(str(tmp_path / "o.webm")) as container:
        assert not container.streams.audio
    assert len(decoded(tmp_path / "o.webm")) == 10


# ── whole or not at all ────────────────────────────────────────────────────────────────────────────────


def begun(kind: str, path: Path, frames: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write these frames of a matte of four."""
    with open_matte(kind, path, (WIDTH, HEIGHT), timing(TIMES, None)) as writer:
        for frame in frames:
            writer.add(*frame)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_premature_end_leaves_no_file(tmp_path: Path, kind: str) -> None:
    def interrupted() -> None:
        with open_matte(kind, tmp_path / "o", (WIDTH, HEIGHT), timing(TIMES, None)) as writer:
            for index in range(2):
                writer.add(*drawn(index))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (tmp_path / "o").exists()
    with pytest.raises(ValueError, match="3 frames of a matte were not written"):
        begun(kind, tmp_path / "o", [drawn(0)])
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_full_disk_is_an_error_of_the_system_and_leaves_no_file(tmp_path: Path, kind: str) -> None:
    def refused() -> None:
        """As where the disk is full, after the first two thousand bytes."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            begun(kind, tmp_path / "o", [drawn(index) for index in range(4)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with pytest.raises(OSError) as caught:
        refused()
    assert caught.value.errno == errno.EFBIG
    assert not (tmp_path / "o").exists()


def test_frames_of_another_size_or_beyond_the_times_are_errors(tmp_path: Path) -> None:
    colours, alpha = drawn(0)
    for wrong in ((colours[1:], alpha), (colours, alpha[:, 1:]), (colours[..., 0], alpha)):
        with pytest.raises(ValueError, match="in a file of"):
            begun("webm", tmp_path / "o", [wrong])
    with pytest.raises(ValueError, match="more frames than times"):
        begun("webm", tmp_path / "o", [(colours, alpha)] * 5)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("kind", OUTPUTS)
def test_no_frame_is_held_once_it_is_handed_over(tmp_path: Path, kind: str) -> None:
    times = [k / 25 for k in range(12)]
    held: list[weakref.ref[np.ndarray]] = []
    with open_matte(kind, tmp_path / "o", (WIDTH, HEIGHT), timing(times, None)) as writer:
        for index in range(len(times)):
            colours, alpha = drawn(index)
            held += [weakref.ref(colours), weakref.ref(alpha)]
            writer.add(colours, alpha)
            del colours, alpha
            assert not any(known() is not None for known in held)


def test_encoders_that_ffmpeg_lacks_are_named_before_work_starts(tmp_path: Path) -> None:
    assert [available(kind) for kind in OUTPUTS] == [None] * len(OUTPUTS)
    lacking = {"libx264", "libopenh264", "mpeg4", "libvpx-vp9", "prores_ks"}
    found = {kind: available(kind, without=lacking) for kind in OUTPUTS}
    assert found["webm"] == "This FFmpeg cannot write WebM with alpha: it has no libvpx-vp9."
    assert found["prores"] == "This FFmpeg cannot write ProRes 4444: it has no prores_ks."
    assert found["alpha-mp4"] == "This FFmpeg cannot write Alpha video: it has no H.264."
    assert found["rgba-png"] is None
    assert "no output 'gif'" in (available("gif") or "")
    with pytest.raises(Refused, match="no output 'gif'"):
        open_matte("gif", tmp_path / "o", (WIDTH, HEIGHT), timing(TIMES, None))


def test_names_are_made_of_asset_and_target_and_differ() -> None:
    assert stems("my clip", ["Dog", "dog", "a/b", ""]) == [
        "my_clip_Dog",
        "my_clip_dog-2",
        "my_clip_a_b",
        "my_clip_target",
    ]
