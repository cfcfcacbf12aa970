from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from app.errors import Refused
from app.formats.truth import files as source
from app.formats.truth.files import open_files
from tests.pngs import png, tree, zipped

CONTENT = {
    "masks/10.png": png([[1]]),
    "masks/9.png": png([[2]]),
    "classes.json": b"[]",
    ".hidden/x.png": b"x",
}


def test_a_folder_a_zip_and_a_zip_with_a_top_folder_read_alike(tmp_path: Path) -> None:
    folder = tree(tmp_path / "set", CONTENT)
    plain = zipped(tmp_path / "plain.zip", CONTENT)
    deep = zipped(tmp_path / "deep.zip", {f"my set/{name}": data for name, data in CONTENT.items()})
    for path in (folder, plain, deep):
        with open_files(path) as files:
            assert files.title == path.name
            assert files.names == ["classes.json", "masks/9.png", "masks/10.png"]
            assert files.read("masks/9.png") == CONTENT["masks/9.png"]
            assert files.head("masks/10.png", 4) == b"\x89PNG"


def test_a_single_folder_that_tells_the_layout_stays_in_the_names(tmp_path: Path) -> None:
    folder = tree(tmp_path / "set", {"top/Annotations/bear/1.png": b"x", "top/Annotations/bus/1.png": b"x"})
    assert open_files(folder).names == ["Annotations/bear/1.png", "Annotations/bus/1.png"]


def test_one_file_has_the_name_that_the_client_gave(tmp_path: Path) -> None:
    path = tree(tmp_path, {"0af3.upload": b"{}"}) / "0af3.upload"
    with open_files(path, "C:\\labels\\coco.json") as files:
        assert (files.title, files.names, files.read("coco.json")) == ("coco.json", ["coco.json"], b"{}")


def test_names_that_are_not_there_and_files_over_the_limit_are_refused(tmp_path: Path) -> None:
    content = {"a.json": b"x" * 100, "b.json": b""}
    single = tree(tmp_path, {"c.json": b"x" * 100}) / "c.json"
    for path in (tree(tmp_path / "f", content), zipped(tmp_path / "z.zip", content), single):
        with open_files(path) as files:
            with pytest.raises(Refused, match="larger than 99 bytes"):
                files.read(next(name for name in files.names if name != "b.json"), 99)
            for name in ("../a.json", "/etc/passwd", "nothing"):
                with pytest.raises(Refused, match="has no file"):
                    files.read(name)


def test_links_and_pipes_in_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    folder = tree(tmp_path / "f", {"sub/a.png": b"x"})
    (folder / "sub" / "secret.png").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match=r"“sub/secret\.png” in the folder is a link"):
        open_files(folder)
    (folder / "sub" / "secret.png").unlink()
    (folder / "other").symlink_to(tmp_path)
    with pytest.raises(Refused, match="“other” in the folder is a link"):
        open_files(folder)
    (folder / "other").unlink()
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(Refused, match=r"“pipe\.png” in the folder is a device or a pipe"):
        open_files(folder)
    with pytest.raises(Refused, match="neither a folder nor a file"):
        open_files(tmp_path / "missing")


def test_a_file_that_became_a_link_after_the_listing_is_not_followed(tmp_path: Path) -> None:
    folder = tree(tmp_path / "f", {"a.png": b"x", "b.png": b"x", "sub/c.png": b"x"})
    files = open_files(folder)
    (folder / "a.png").unlink()
    (folder / "a.png").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="cannot be read"):
        files.read("a.png")
    (folder / "sub").rename(tmp_path / "elsewhere")
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="lies behind a link"):
        files.read("sub/c.png")


def test_too_deep_and_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="too deep"):
        open_files(tree(tmp_path / "deep", {"/".join(["d"] * 34) + "/a.png": b"x"}))
    monkeypatch.setattr(source, "MAX_ENTRIES", 3)
    with pytest.raises(Refused, match="more than 3 files"):
        open_files(tree(tmp_path / "many", {f"{i}.png": b"x" for i in range(4)}))


@pytest.mark.parametrize("name", ["../up.png", "/abs.png", "C:/drive.png", "a\\b.png"])
def test_a_zip_that_points_outside_is_refused_naming_the_entry(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused) as refused:
        open_files(zipped(tmp_path / "bad.zip", {"ok.png": b"x", name: b"x"}))
    assert name in refused.value.sentence


def test_links_nested_archives_bombs_and_colliding_names_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as target:
        target.writestr(link, "/etc/passwd")
    bomb = zipped(tmp_path / "bomb.zip", {"zeros.png": bytes(20_000_000)})
    nested = zipped(tmp_path / "nested.zip", {"inner.zip": b"PK"})
    twice = zipped(tmp_path / "twice.zip", {"a/Mask.png": b"x", "a/mask.PNG": b"x"})
    reasons = {"link": "a link or a device", "bomb": "compressed too much", "nested": "archive within"}
    for path, reason in [
        (tmp_path / "link.zip", reasons["link"]),
        (bomb, reasons["bomb"]),
        (nested, reasons["nested"]),
        (twice, "would be one file"),
    ]:
        with pytest.raises(Refused, match=reason):
            open_files(path)


def test_a_zip_that_is_damaged_or_lies_about_a_size_refuses_when_the_entry_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "z.zip", {"a.png": os.urandom(5000), "b.png": b"x"})
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)
    with open_files(path) as files:
        with pytest.raises(Refused, match=r"“a\.png” in the zip archive"):
            files.read("a.png")
        assert files.read("b.png") == b"x"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("masks.npy", b"\x93NUMPY\x01\x00", "serialised objects"),
        ("masks.npz", b"PK\x05\x06" + bytes(18), "serialised objects"),
        ("masks.pkl", b"\x80\x04\x95", "serialised objects"),
        ("masks.bin", b"\x80\x04\x95", "serialised objects"),
        ("model.pt", b"PK\x05\x06" + bytes(18), "serialised objects"),
        ("model.pth", b"x", "serialised objects"),
        ("masks.tar", b"x" * 300, "pack the files as zip"),
        ("masks.tar.gz", b"\x1f\x8b\x08", "pack the files as zip"),
        ("masks.7z", b"7z\xbc\xaf\x27\x1c", "pack the files as zip"),
        ("masks.rar", b"Rar!", "pack the files as zip"),
        ("renamed.png", b"\x1f\x8b\x08", "pack the files as zip"),
    ],
)
def test_serialised_objects_and_other_archives_are_refused_in_words(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        open_files(tree(tmp_path, {name: data}) / name)
