"""Damaged and odd masks: each is refused or reported in words, and the others of the source are read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.errors import Refused
from app.formats.truth import detect, open_files, open_truth
from app.formats.truth.model import TruthFrame
from tests.pngs import png, tree

REFUSED = {
    "mask_is_text.png": "is named .png but is no image at all",
    "mask_jpeg_artifacts.jpg": "is a JPEG: its compression changes",
    "zip_high_ratio.zip": "“zeros.bin” in the zip archive is compressed too much",
    "zip_path_escape.zip": "points outside it: “../escape.txt”",
}
REPORTED = {
    "mask_truncated.png": "“mask_truncated.png” is damaged or cut off",
    "mask_rgba.png": "169000 half-transparent pixels",
    "mask_one_pixel_wider_antialiased.png": "has 262 different colours",
}
READ = {
    "mask_16bit.png": ((500, 338), {"0", "1285", "3855", "65535"}),
    "mask_1bit.png": ((500, 338), {"0", "1"}),
    "mask_half_size.png": ((250, 169), {"0", "5", "15", "255"}),
    "mask_rgb_palette_colours.png": ((500, 338), {"#000000", "#800080", "#c08080", "#e0e0c0"}),
    "mask_unknown_id_200.png": ((500, 338), {"200"}),
}


def frames_of(path: Path) -> tuple[list[TruthFrame], set[str]]:
    with open_files(path) as files:
        reader = open_truth(files)
        frames = list(reader.frames())
        return frames, {reader.found(key).name for frame in frames for key in frame.keys.values()}


def test_every_malformed_mask_is_in_a_list_of_this_module(shared_data: Path) -> None:
    found = {
        path.name
        for path in (shared_data / "formats/malformed").iterdir()
        if path.name.startswith(("mask", "zip"))
    }
    assert found == REFUSED.keys() | REPORTED.keys() | READ.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_label_map_at_all_is_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(Refused, match=REFUSED[name]):
        frames_of(shared_data / "formats/malformed" / name)


@pytest.mark.parametrize("name", REPORTED)
def test_what_is_wrong_with_a_mask_is_said(shared_data: Path, name: str) -> None:
    (frame,), _ = frames_of(shared_data / "formats/malformed" / name)
    assert REPORTED[name] in frame.problems[0]
    assert frame.width in (500, 501)


@pytest.mark.parametrize("name", READ)
def test_odd_masks_are_read_as_they_are_stored(shared_data: Path, name: str) -> None:
    (frame,), names = frames_of(shared_data / "formats/malformed" / name)
    assert ((frame.width, frame.height), names) == READ[name]
    assert not frame.problems


def test_a_value_that_no_class_has_is_reported_where_there_is_a_list(
    shared_data: Path, tmp_path: Path
) -> None:
    data = (shared_data / "formats/malformed/mask_unknown_id_200.png").read_bytes()
    names = (shared_data / "formats/voc_labelme_export/class_names.txt").read_bytes()
    folder = tree(tmp_path, {"SegmentationClass/a.png": data, "class_names.txt": names})
    (frame,), _ = frames_of(folder)
    assert "169000 pixels of a value that the class list does not name: 200" in frame.problems[0]


def test_one_damaged_mask_does_not_stop_the_others(shared_data: Path, tmp_path: Path) -> None:
    malformed = shared_data / "formats/malformed"
    names = ("mask_1bit.png", "mask_truncated.png", "mask_is_text.png", "mask_half_size.png")
    folder = tree(tmp_path, {f"masks/{name}": (malformed / name).read_bytes() for name in names})
    frames, _ = frames_of(folder)
    read = {frame.name: frame.values is not None for frame in frames}
    assert read == {
        "mask_1bit.png": True,
        "mask_half_size.png": True,
        "mask_is_text.png": False,
        "mask_truncated.png": False,
    }
    assert all(frame.problems for frame in frames if frame.values is None)


def header(width: int, height: int, kind: int = 0, depth: int = 8) -> bytes:
    """A PNG that states a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2**31 - 1, 1), (0, 5), (9000, 9000)])
def test_a_mask_that_states_an_absurd_size_is_judged_by_its_header(
    tmp_path: Path, width: int, height: int
) -> None:
    (frame,), _ = frames_of(tree(tmp_path, {"m.png": header(width, height)}))
    assert frame.values is None
    assert "at most 80 megapixels are read" in frame.problems[0]


def test_depths_that_hold_no_classes_are_refused_in_words(tmp_path: Path) -> None:
    deep = np.arange(100 * 100, dtype=np.uint16).reshape(100, 100)
    noise = np.random.default_rng(2).integers(0, 256, (50, 50), np.uint8)
    grey_alpha = io.BytesIO()
    Image.new("LA", (3, 3)).save(grey_alpha, "PNG")
    files = {"1.png": png(deep), "2.png": png(noise), "3.png": grey_alpha.getvalue(), "4.png": png([[1]])}
    frames, _ = frames_of(tree(tmp_path, {f"masks/{name}": data for name, data in files.items()}))
    said = [" ".join(frame.problems) for frame in frames]
    assert "has 10000 different values" in said[0]
    assert "looks like a photo" in said[1]
    assert "a kind that cannot hold a label map" in said[2]
    assert not said[3]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_to_a_mask_or_a_class_list_is_more_than_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    mask = png(np.arange(12, dtype=np.uint8).reshape(3, 4), ["#000000"] * 256)
    lists = {"classes.json": b'{"classes":[{"id":1,"name":"a"}],"ignore":3}', "labelmap.txt": b"a:1,2,3::\n"}
    name = data.draw(st.sampled_from(["masks/m.png", *lists]))
    files = {"masks/m.png": mask, **lists}
    broken = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    files[name] = bytes(broken[: data.draw(st.integers(0, len(broken)))])
    with open_files(tree(tmp_path_factory.mktemp("x"), files)) as source:
        try:
            for format in ("label-png", "colour-png", detect(source)):
                list(open_truth(source, format).frames())
        except Refused:
            pass


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"classes": 1e999}', b"\xff\xfe{}", '{"classes":[{"id":1e999,"name":5}]}', "nul"]
)
def test_a_broken_class_list_is_refused_by_name(tmp_path: Path, text: str | bytes) -> None:
    folder = tree(tmp_path, {"masks/1.png": png([[1]]), "classes.json": text})
    with pytest.raises(Refused, match=r"“classes\.json” is no valid JSON"):
        frames_of(folder)
