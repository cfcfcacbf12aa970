from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.errors import Refused
from app.formats import archive
from app.formats.archive import CheckedZip, extract_images, natural_key
from app.formats.frames import FrameRecord, FrameWriter
from app.formats.video import Summary
from app.models import Sampling


def grey(level: int, size: tuple[int, int] = (16, 12)) -> bytes:
    out = io.BytesIO()
    Image.new("L", size, level).save(out, "PNG")
    return out.getvalue()


def zipped(path: Path, entries: dict[str, bytes] | list[tuple[zipfile.ZipInfo | str, bytes]]) -> Path:
    pairs = entries.items() if isinstance(entries, dict) else entries
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in pairs:
            target.writestr(name, data)
    return path


def renamed(path: Path, plain: bytes, hostile: bytes) -> Path:
    """Put a name into a zip that zipfile itself would not write."""
    assert len(plain) == len(hostile)
    path.write_bytes(path.read_bytes().replace(plain, hostile))
    return path


def extracted(
    source: Path, folder: Path, sampling: Sampling | None = None
) -> tuple[Summary, list[FrameRecord]]:
    records: list[FrameRecord] = []
    writer = FrameWriter(folder, form="png", emit=records.append)
    try:
        return extract_images(source, sampling or Sampling(), writer), records
    finally:
        writer.close()


def levels(folder: Path, records: list[FrameRecord]) -> list[int]:
    return [int(np.asarray(Image.open(folder / r.file).convert("L"))[0, 0]) for r in records]


def test_images_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number, level in ((10, 100), (9, 90), (1, 10)):
        (source / f"f{number}.png").write_bytes(grey(level))
    (source / "notes.txt").write_text("not an image")
    (source / ".hidden.png").write_bytes(grey(1))
    summary, records = extracted(source, tmp_path / "out")
    assert levels(tmp_path / "out", records) == [10, 90, 100]
    assert [r.pts for r in records] == [None] * 3
    assert (summary.frames, summary.width, summary.height) == (3, 16, 12)


def test_a_zip_gives_the_same_frames_as_the_folder(tmp_path: Path) -> None:
    images = {f"a/f{i}.png": grey(i * 10) for i in (11, 2, 1)}
    source = zipped(tmp_path / "in.zip", images | {"__MACOSX/a/._f1.png": b"x", "a/readme.md": b"x"})
    _, records = extracted(source, tmp_path / "out")
    assert levels(tmp_path / "out", records) == [10, 20, 110]


def test_images_have_times_when_a_rate_is_given(tmp_path: Path) -> None:
    source = zipped(tmp_path / "in.zip", {f"{i}.png": grey(i) for i in range(6)})
    _, records = extracted(source, tmp_path / "out", Sampling(mode="fps", fps=4))
    assert [r.pts for r in records] == [0, 0.25, 0.5, 0.75, 1.0, 1.25]
    _, records = extracted(source, tmp_path / "nth", Sampling(mode="nth", nth=4))
    assert [r.source_index for r in records] == [0, 4]


def test_images_of_different_sizes_keep_their_own(tmp_path: Path) -> None:
    source = zipped(tmp_path / "in.zip", {"a.png": grey(1), "b.png": grey(2, (30, 10))})
    summary, records = extracted(source, tmp_path / "out")
    assert [(r.width, r.height) for r in records] == [(16, 12), (30, 10)]
    assert any("different sizes" in note for note in summary.notes)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "a/../../evil.png",
        "/etc/evil.png",
        "C:\\evil.png",
        "a\\..\\evil.png",
        "C:evil.png",
        "./evil.png",
    ],
)
def test_paths_that_leave_the_archive_are_refused_by_name(tmp_path: Path, name: str) -> None:
    plain = "p" * len(name)
    source = zipped(tmp_path / "in.zip", {"ok.png": grey(1), plain: grey(2)})
    renamed(source, plain.encode(), name.encode())
    with pytest.raises(Refused) as refused:
        CheckedZip(source)
    assert name in refused.value.sentence
    with pytest.raises(Refused):
        extracted(source, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))


def test_a_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    source = renamed(zipped(tmp_path / "in.zip", {"evilX.png": grey(1)}), b"evilX.png", b"evil\0.png")
    with pytest.raises(Refused, match="evil"):
        CheckedZip(source)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused_by_name(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("link.png")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    with pytest.raises(Refused, match=r"link\.png.*link or a device"):
        CheckedZip(zipped(tmp_path / "in.zip", [(info, b"/etc/passwd")]))


def test_a_link_in_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match=r"a\.png"):
        extracted(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("one", "two"), [("A.png", "a.png"), ("é.png", "e\u0301.png"), ("x/a.png", "X/A.PNG")]
)
def test_names_that_would_be_one_file_are_refused(tmp_path: Path, one: str, two: str) -> None:
    with pytest.raises(Refused, match="would be one file"):
        CheckedZip(zipped(tmp_path / "in.zip", {one: grey(1), two: grey(2)}))


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    source = renamed(
        zipped(tmp_path / "in.zip", {"a1.png": grey(1), "a2.png": grey(2)}), b"a2.png", b"a1.png"
    )
    with pytest.raises(Refused, match=r"a1\.png"):
        CheckedZip(source)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"bomb\.bmp.*compressed too much"):
        CheckedZip(zipped(tmp_path / "in.zip", {"bomb.bmp": bytes(32 << 20)}))


@pytest.mark.parametrize("name", ["inner.zip", "x/inner.tar.gz", "inner.7z"])
def test_nested_archives_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="archive within the archive"):
        CheckedZip(zipped(tmp_path / "in.zip", {"a.png": grey(1), name: b"PK\x03\x04"}))


@pytest.mark.parametrize("claimed", [10, 5000])
def test_an_entry_with_a_false_size_is_refused_by_name(tmp_path: Path, claimed: int) -> None:
    data = bytes(range(256)) * 8
    source = zipped(tmp_path / "in.zip", {"lie.png": data})
    raw = source.read_bytes()
    source.write_bytes(raw.replace(struct.pack("<I", len(data)), struct.pack("<I", claimed)))
    with CheckedZip(source) as opened, pytest.raises(Refused, match=r"lie\.png"):
        opened.read("lie.png")


def test_a_million_entries_are_refused_by_the_end_record_alone(tmp_path: Path) -> None:
    source = tmp_path / "in.zip"
    end = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 10**6, 10**6, 46 * 10**6, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    source.write_bytes(end + locator + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0, 0, 0))
    with pytest.raises(Refused, match="too many entries"):
        CheckedZip(source)


def test_reading_stops_at_the_total_cap_whatever_was_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = zipped(tmp_path / "in.zip", {"a.png": grey(1), "b.png": grey(2)})
    with CheckedZip(source) as opened:
        monkeypatch.setattr(opened, "_left", len(grey(1)) + 1)
        opened.read("a.png")
        with pytest.raises(Refused, match=r"b\.png"):
            opened.read("b.png")
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 10)
    with pytest.raises(Refused, match="would unpack"):
        CheckedZip(source)


def test_encrypted_entries_are_refused_by_name(tmp_path: Path) -> None:
    source = zipped(tmp_path / "in.zip", {"a.png": grey(1)})
    raw = bytearray(source.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    source.write_bytes(raw)
    with pytest.raises(Refused, match=r"a\.png.*encrypted"):
        CheckedZip(source)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"PK\x05\x06" + b"\xff" * 18, b"no zip"])
def test_what_is_no_zip_is_refused(tmp_path: Path, damage: bytes) -> None:
    source = tmp_path / "in.zip"
    source.write_bytes(damage)
    with pytest.raises(Refused):
        CheckedZip(source)


def test_every_cut_of_a_zip_is_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "in.zip", {"a.png": grey(1)}).read_bytes()
    for length in range(0, len(whole), 7):
        cut = tmp_path / "cut.zip"
        cut.write_bytes(whole[:length])
        with pytest.raises(Refused):
            CheckedZip(cut)


def test_a_damaged_image_refuses_the_sequence_by_name(tmp_path: Path) -> None:
    source = zipped(tmp_path / "in.zip", {"a.png": grey(1), "b.png": b"<svg/>", "c.png": grey(3)})
    with pytest.raises(Refused, match=r"b\.png"):
        extracted(source, tmp_path / "out")


def test_a_folder_or_zip_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="no images"):
        extracted(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(Refused, match="no images"):
        extracted(zipped(tmp_path / "in.zip", {"a.txt": b"x"}), tmp_path / "out")


def test_natural_order_counts_numbers_as_numbers() -> None:
    names = ["img12.png", "img2.png", "IMG1.png", "img002.png", "a.png"]
    assert sorted(names, key=natural_key) == ["a.png", "IMG1.png", "img002.png", "img2.png", "img12.png"]
