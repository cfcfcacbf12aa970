from __future__ import annotations

import io
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats.images import read_image
from tests import drawing

PICTURE = drawing.scene(0, 40, 24)[0]


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_images_come_back_as_they_were(form: str) -> None:
    image = Image.fromarray(PICTURE)
    if form == "GIF":
        image = image.quantize(64)
    assert np.array_equal(read_image(saved(image, form)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_images_come_back_nearly(form: str) -> None:
    found = read_image(saved(Image.fromarray(PICTURE), form, quality=95))
    assert found.shape == PICTURE.shape
    assert np.abs(found.astype(int) - PICTURE).mean() < 12


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it turned by 90° clockwise
    found = read_image(saved(Image.fromarray(PICTURE), "PNG", exif=exif))
    assert np.array_equal(found, np.rot90(PICTURE, -1))


def test_sixteen_bit_samples_keep_their_high_byte() -> None:
    grey = (np.arange(24 * 40, dtype=np.uint16) * 68).reshape(24, 40)
    found = read_image(saved(Image.fromarray(grey), "PNG"))
    assert np.array_equal(found, np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_transparency_is_laid_over_black() -> None:
    rgba = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    rgba[:, :20, 3] = 0
    rgba[:, 20:30, 3] = 128
    found = read_image(saved(Image.fromarray(rgba), "PNG"))
    assert not found[:, :20].any()
    assert np.abs(found[:, 20:30].astype(int) - PICTURE[:, 20:30] * (128 / 255)).max() <= 1
    assert np.array_equal(found[:, 30:], PICTURE[:, 30:])


def test_transparent_palette_entry_is_laid_over_black() -> None:
    image = Image.fromarray(PICTURE).quantize(8)
    found = read_image(saved(image, "PNG", transparency=0))
    assert not found[np.asarray(image) == 0].any()


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert read_image(saved(red, "TIFF"))[0, 0].tolist() == [255, 0, 0]


def test_grey_and_one_bit_images_become_three_channels() -> None:
    for mode in ("L", "1"):
        assert read_image(saved(Image.fromarray(PICTURE).convert(mode), "PNG")).shape == (24, 40, 3)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_cut_off_images_are_refused_not_grey(form: str, kept: float) -> None:
    data = saved(Image.fromarray(drawing.scene(0, 320, 240)[0]), form)
    with pytest.raises(Refused, match="damaged"):
        read_image(data[: int(len(data) * kept)])


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 1), (1, 2**31 - 1), (50_000, 4), (0, 5)])
def test_absurd_sizes_are_refused_without_memory(size: tuple[int, int]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused):
        read_image(png_header(*size))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>",
        b"<!DOCTYPE html><script>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0 and then nothing of a JPEG",
        b"plain text",
        bytes(range(256)),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(Refused):
        read_image(path)


def test_the_sentence_names_the_image() -> None:
    with pytest.raises(Refused, match=r"scans/07\.png"):
        read_image(b"<svg/>", "scans/07.png")


def test_float_samples_are_refused_in_words() -> None:
    with pytest.raises(Refused, match="32-bit"):
        read_image(saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
