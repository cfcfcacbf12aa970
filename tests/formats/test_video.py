from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from app.errors import Cancelled, Refused
from app.formats import probe as probing
from app.formats.frames import FrameRecord, FrameWriter, content_hash
from app.formats.probe import VideoInfo, probe
from app.formats.video import Summary, extract
from app.models import Sampling
from tests import drawing

REFUSED = {
    "audio_only.mp4": "only sound",
    "audio_with_cover_art.mp3": "only sound",
    "real_audio_only.mp3": "only sound",
    "text_renamed.mp4": "text file",
    "truncated_no_moov.mp4": "damaged or cut off",
    "zero_bytes.mp4": "empty",
    "zero_frames.mp4": "no video",
}
PARTIAL = {"corrupt_bytes_in_middle.mp4", "truncated.mkv", "truncated_faststart.mp4"}


def extracted(
    source: Path, folder: Path, sampling: Sampling | None = None, **options: object
) -> tuple[Summary, list[FrameRecord]]:
    records: list[FrameRecord] = []
    sampling = sampling or Sampling()
    writer = FrameWriter(
        folder,
        form=sampling.format,
        max_side=sampling.max_side,
        emit=records.append,
        **options,  # type: ignore[arg-type]
    )
    try:
        return extract(source, sampling, writer), records
    finally:
        writer.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """30 drawn frames, 12 a second."""
    path = tmp_path / "clip.mp4"
    drawing.video(path, frames=30, width=96, height=64)
    return path


def timed(path: Path, times: list[int], size: tuple[int, int] = (64, 48)) -> Path:
    """A Matroska file whose frames have exactly these times in ms."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(drawing.scene(index, *size)[0], "rgb24").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_every_video_of_the_collection_ends_as_its_manifest_says(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "videos"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    ends: dict[str, object] = {}
    expected: dict[str, object] = {}
    for name, facts in manifest.items():
        counts = [int(s["nb_read_frames"]) for s in facts["streams"] if s["codec_type"] == "video"]
        expected[name] = REFUSED.get(name) or (counts[0], name in PARTIAL)
        try:
            described = probe(folder / name)
            summary, records = extracted(folder / name, tmp_path / name)
        except Refused as exc:
            ends[name] = REFUSED[name] if name in REFUSED and REFUSED[name] in exc.sentence else exc.sentence
            continue
        assert [r.index for r in records] == list(range(summary.frames))
        assert (described.width, described.height) == (records[0].width, records[0].height)
        ends[name] = (summary.frames, summary.partial)
    assert ends == expected


def test_times_of_a_varying_rate_are_kept_exactly(tmp_path: Path) -> None:
    times = [0, 40, 41, 240, 1000, 1033]
    source = timed(tmp_path / "vfr.mkv", times)
    _, records = extracted(source, tmp_path / "out")
    assert [r.pts for r in records] == [t / 1000 for t in times]
    assert probe(source).vfr


def test_time_counts_from_the_first_frame_whatever_the_stream_starts_at(
    shared_data: Path, tmp_path: Path
) -> None:
    _, records = extracted(shared_data / "videos" / "start_pts_95000s.ts", tmp_path)
    assert [r.pts for r in records[:2]] == [0.0, pytest.approx(1 / 24)]


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(mode="nth", nth=7), [0, 7, 14, 21, 28]),
        (Sampling(mode="fps", fps=3), [0, 4, 8, 12, 16, 20, 24, 28]),
        (Sampling(mode="fps", fps=100), list(range(30))),
        (Sampling(start=1.0, stop=1.5), [12, 13, 14, 15, 16, 17]),
        (Sampling(mode="nth", nth=4, start=1.0), [12, 16, 20, 24, 28]),
    ],
)
def test_sampling_keeps_the_frames_it_names(
    clip: Path, tmp_path: Path, sampling: Sampling, kept: list[int]
) -> None:
    _, records = extracted(clip, tmp_path / "out", sampling)
    assert [r.source_index for r in records] == kept
    assert [r.pts for r in records] == [pytest.approx(i / 12) for i in kept]


def test_frame_rate_sampling_of_a_varying_rate_never_repeats_a_frame(tmp_path: Path) -> None:
    source = timed(tmp_path / "vfr.mkv", [0, 100, 200, 1200, 1250, 1300, 1400])
    _, records = extracted(source, tmp_path / "out", Sampling(mode="fps", fps=10))
    assert [r.source_index for r in records] == [0, 1, 2, 3, 5, 6]


@pytest.mark.parametrize(
    "sampling", [Sampling(start=2.0, stop=2.0), Sampling(mode="fps"), Sampling(start=1000.0)]
)
def test_a_range_without_frames_is_refused(clip: Path, tmp_path: Path, sampling: Sampling) -> None:
    with pytest.raises(Refused):
        extracted(clip, tmp_path / "out", sampling)


def test_png_frames_are_what_the_decoder_gave(clip: Path, tmp_path: Path) -> None:
    _, records = extracted(clip, tmp_path / "out", Sampling(format="png"))
    with av.open(str(clip)) as container:
        wanted = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    for record, image in zip(records, wanted, strict=True):
        stored = cv2.imread(str(tmp_path / "out" / record.file))
        assert np.array_equal(stored, image)


def test_files_records_and_thumbnails_agree(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary, records = extracted(clip, out, Sampling(max_side=48))
    assert (summary.width, summary.height) == (48, 32)
    for record in records:
        data = (out / record.file).read_bytes()
        assert (len(data), content_hash(data)) == (record.bytes, record.hash)
        assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (record.height, record.width, 3)
    assert sorted(p.name for p in (out / "thumbs").iterdir()) == [f"{i:06d}.jpg" for i in range(30)]
    assert sorted(p.name for p in (out / "frames").iterdir()) == [f"{i:06d}.jpg" for i in range(30)]


def test_thumbnails_lie_within_320_by_180(shared_data: Path, tmp_path: Path) -> None:
    extracted(shared_data / "videos" / "uhd_3840x2160_3f.mp4", tmp_path / "wide")
    extracted(shared_data / "videos" / "portrait.mp4", tmp_path / "tall")
    assert cv2.imread(str(tmp_path / "wide/thumbs/000000.jpg")).shape[:2] == (180, 320)
    assert cv2.imread(str(tmp_path / "tall/thumbs/000000.jpg")).shape[:2] == (180, 101)


def test_extracting_twice_gives_the_same_bytes(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "videos" / "corrupt_bytes_in_middle.mp4"
    first, second = (extracted(source, tmp_path / name)[1] for name in "ab")
    assert first == second


def test_an_interrupted_extraction_goes_on_where_it_stopped(clip: Path, tmp_path: Path) -> None:
    _, whole = extracted(clip, tmp_path / "whole", Sampling(mode="nth", nth=2))
    begun: list[FrameRecord] = []

    def stop() -> None:
        if len(begun) >= 4:
            raise Cancelled

    writer = FrameWriter(tmp_path / "cut", emit=begun.append)
    with pytest.raises(Cancelled):
        extract(clip, Sampling(mode="nth", nth=2), writer, check=stop)
    writer.close()
    _, rest = extracted(clip, tmp_path / "cut", Sampling(mode="nth", nth=2), kept=len(begun))
    assert 4 <= len(begun) < len(whole)
    assert begun + rest == whole


def test_rotation_is_applied_clockwise(shared_data: Path, tmp_path: Path) -> None:
    videos = shared_data / "videos"
    extracted(videos / "cfr_h264_24fps_36f.mp4", tmp_path / "0", Sampling(format="png"))
    upright = cv2.imread(str(tmp_path / "0/frames/000000.png"))
    # The display matrix of "270" turns the picture by 90° clockwise when it is shown.
    for name, turns in (("270", -1), ("180", 2), ("90", 1)):
        summary, _ = extracted(
            videos / f"rotated_display_matrix_{name}.mp4", tmp_path / name, Sampling(format="png")
        )
        turned = cv2.imread(str(tmp_path / name / "frames/000000.png"))
        assert np.array_equal(turned, np.rot90(upright, turns))
        assert (summary.height, summary.width) == turned.shape[:2]


def test_full_range_and_limited_range_give_the_same_grey(tmp_path: Path) -> None:
    for name, pix_fmt, codec in (("full.avi", "yuvj420p", "mjpeg"), ("limited.mkv", "yuv420p", "ffv1")):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
            if codec == "mjpeg":
                stream.codec_context.color_range = 2
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 200, np.uint8), "rgb24")
            container.mux(stream.encode(grey.reformat(format=pix_fmt)))
            container.mux(stream.encode())
        extracted(tmp_path / name, tmp_path / codec, Sampling(format="png"))
        assert abs(int(cv2.imread(str(tmp_path / codec / "frames/000000.png"))[20, 20, 0]) - 200) <= 2


def test_size_change_in_mid_stream_keeps_indices_and_own_sizes(shared_data: Path, tmp_path: Path) -> None:
    summary, records = extracted(shared_data / "videos" / "resolution_change_midstream.h264", tmp_path)
    assert [r.index for r in records] == [r.source_index for r in records] == list(range(30))
    assert {(r.width, r.height) for r in records} == {(426, 240), (320, 180)}
    assert any("size changes" in note for note in summary.notes)


def test_damage_is_counted_and_the_rest_is_kept(shared_data: Path, tmp_path: Path) -> None:
    summary, records = extracted(shared_data / "videos" / "corrupt_bytes_in_middle.mp4", tmp_path)
    assert (len(records), summary.skipped_packets, summary.damaged_frames) == (35, 1, 1)
    assert "damaged packets" in summary.reason


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("with_audio.mp4", lambda i: i.has_audio and i.frame_count == 36 and i.duration == 1.5),
        ("anamorphic_sar_2_1.mp4", lambda i: (i.width, i.display_width, i.sar) == (214, 428, 2.0)),
        ("rotated_display_matrix_270.mp4", lambda i: (i.rotation, i.width, i.height) == (90, 240, 426)),
        ("hevc_10bit_pq_bt2020_tags.mp4", lambda i: i.bit_depth == 10 and any("HDR" in n for n in i.notes)),
        ("vfr_growing_interval.mp4", lambda i: i.vfr and i.fps_min < 9 and i.fps_max > 23),
        ("cfr_h264_24fps_36f.mp4", lambda i: not i.vfr and i.fps == 24 and i.notes == []),
        ("ffv1_gray8.mkv", lambda i: not i.vfr and i.codec == "ffv1"),
        ("raw_annexb_no_timestamps.h264", lambda i: i.fps == 24 and any("no times" in n for n in i.notes)),
        ("prores4444_alpha.mov", lambda i: i.alpha and i.codec == "prores"),
        ("vp9_alpha.webm", lambda i: i.alpha),
        ("interlaced_tff_h264.mp4", lambda i: any("interlaced" in n for n in i.notes)),
        ("two_video_streams.mkv", lambda i: any("several" in n for n in i.notes)),
    ],
)
def test_probe_tells_what_a_person_should_know(shared_data: Path, name: str, check: object) -> None:
    found = probe(shared_data / "videos" / name)
    assert isinstance(found, VideoInfo)
    assert callable(check)
    assert check(found), found


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """A web server that notes every address it was asked for."""
    hits: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", hits
    server.shutdown()
    server.server_close()
    thread.join()


def test_playlists_reach_neither_files_nor_the_network(
    clip: Path, tmp_path: Path, canary: tuple[str, list[str]]
) -> None:
    url, hits = canary
    hostile = {
        "hls_http.mp4": f"#EXTM3U\n#EXTINF:1,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
        "hls_file.mp4": f"#EXTM3U\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n",
        "late_hls.mp4": f"\n\n  #EXTM3U\n#EXTINF:1,\n{url}/a.ts\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{clip}'\n",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
        "dash.mp4": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:mpd"><BaseURL>{url}/</BaseURL></MPD>',
        "smil.mp4": f"<smil><video src='{url}/x'/></smil>",
    }
    for name, text in hostile.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(Refused):
            probe(path)
        with pytest.raises(Refused):
            extracted(path, tmp_path / "out")
    assert hits == []
    assert not list((tmp_path / "out").rglob("*.jpg"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text document"),
        (b"<!DOCTYPE html><html>", "text document"),
        (b"hello, I am no video at all", "text file"),
        (b"PK\x03\x04rest of a zip", "zip"),
        (b"FLV\x01\x05", "Flash"),
        (bytes(range(256)) * 8, "not a video"),
        (b"\0\0\0\x18ftypmp42" + b"\xff" * 2000, "damaged"),
        (b"\x1a\x45\xdf\xa3" + b"\x13" * 2000, "damaged"),
    ],
)
def test_what_is_no_video_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "upload.mp4"
    path.write_bytes(content)
    with pytest.raises(Refused, match=words):
        probe(path)


def test_headers_with_absurd_sizes_are_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "small.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.codec_context.color_range = 2
        frame = av.VideoFrame.from_ndarray(drawing.scene(0, 64, 48)[0], "rgb24").reformat(format="yuvj420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    # The stream's BITMAPINFOHEADER: its size, then width and height.
    header = (40).to_bytes(4, "little") + (64).to_bytes(4, "little") + (48).to_bytes(4, "little")
    assert header in data
    giant = (40).to_bytes(4, "little") + (16_384).to_bytes(4, "little") * 2
    data = data.replace(header, giant)
    # The picture's own start of frame says the same.
    path.write_bytes(data.replace(b"\x08\x00\x30\x00\x40\x03", b"\x08\x40\x00\x40\x00\x03"))
    with pytest.raises(Refused, match="too large"):
        probe(path)


def test_a_billion_declared_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.codec_context.color_range = 2
        frame = av.VideoFrame.from_ndarray(drawing.scene(0, 64, 48)[0], "rgb24").reformat(format="yuvj420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    length = data.index(b"strh") + 8 + 32
    data[length : length + 4] = (1_000_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(Refused, match="1000000000 frames"):
        probe(path)


def test_more_frames_than_an_asset_may_have_are_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="more than 8 frames"):
        extracted(clip, tmp_path / "out", limit=8)


def test_unseen_codecs_are_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    monkeypatch.setattr(probing, "CODECS", "hevc,vp9")
    with pytest.raises(Refused):
        probe(clip)


def test_refusing_is_quick(tmp_path: Path) -> None:
    path = tmp_path / "zeros.ts"
    path.write_bytes((b"\x47" + b"\0" * 187) * 50_000)
    started = time.process_time()
    with pytest.raises(Refused):
        probe(path)
    assert time.process_time() - started < 10
