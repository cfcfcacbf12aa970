"""What is missing for an engine to run, in words; the files here are no weights, only shaped like them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.errors import Unavailable
from app.worker import weights
from app.worker.parts import EngineInfo
from app.worker.registry import TABLE, Entry
from app.worker.weight_files import choose, chosen, known_sha256, sha256_of

HERE = dataclasses.replace(TABLE["sam3"], packages=(), without_gpu="it is slow")
FOLDER = dataclasses.replace(TABLE["sam2"], packages=())


def archive(path: Path, text: str = "numbers") -> Path:
    """A zip, which is what a file of PyTorch weights is from outside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("data", text)
    return path


def tensors(folder: Path, *, lost: int = 0) -> Path:
    """A folder with a safetensors file of one tensor, `lost` bytes short of what its header says."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    header = json.dumps({"__metadata__": {}, "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})
    body = len(header).to_bytes(8, "little") + header.encode() + bytes(16 - lost)
    (folder / "model.safetensors").write_bytes(body)
    return folder


def test_a_missing_package_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    archive(tmp_path / "weights" / "sam3.pt")
    entry = dataclasses.replace(HERE, packages=("json", "no_such_module", "nor_this_one"))
    info = weights.info_of(entry, tmp_path)
    assert (info.state, info.available) == ("no-package", False)
    assert info.reason == "The Python packages no_such_module and nor_this_one are not installed."
    assert info.step.endswith(info.command)
    assert info.command.startswith(f"{sys.executable} -m pip install ")
    assert info.command.endswith("[sam3]'")
    one = weights.info_of(dataclasses.replace(HERE, packages=("no_such_module",)), tmp_path)
    assert one.reason == "The Python package no_such_module is not installed."


def test_missing_weights_are_named_with_their_place_their_licence_and_the_command(tmp_path: Path) -> None:
    info = weights.info_of(HERE, tmp_path)
    assert (info.state, info.available, info.file) == ("no-weights", False, "")
    assert info.reason == "The weights of sam3 are not on this machine."
    assert "Accept the licence at https://huggingface.co/facebook/sam3." in info.step
    assert f"Put sam3.pt into {tmp_path / 'weights'}" in info.step
    assert info.command.endswith(f"engines fetch sam3 --data {tmp_path}")
    free = weights.info_of(FOLDER, tmp_path)
    assert "licence" not in free.step
    assert (
        f"Put the folder with config.json and model.safetensors at {tmp_path / 'weights' / 'sam2'}"
        in free.step
    )


def test_a_package_with_a_licence_of_its_own_is_never_brought_along(tmp_path: Path) -> None:
    entry = dataclasses.replace(TABLE["matanyone"], packages=())
    assert entry.guest is not None

    def info(modules: tuple[str, ...], needs: tuple[str, ...]) -> EngineInfo:
        assert entry.guest is not None
        guest = dataclasses.replace(entry.guest, modules=modules, needs=needs)
        return weights.info_of(dataclasses.replace(entry, guest=guest), tmp_path)

    absent = info(("no_such_module", "nor_this_one"), ("msgspec",))
    assert absent.state == "no-package"
    assert absent.reason.startswith("The Python package no_such_module is not installed. ")
    assert "NTU S-Lab License 1.0 (non-commercial)" in absent.reason
    assert absent.step.endswith(absent.command)
    assert "pip install --no-deps matanyone2-runtime==0.2.0 && " in absent.command
    assert "matanyone" not in (weights.ROOT / "pyproject.toml").read_text("utf-8")
    lacking = info(("no_such_module", "json"), ("msgspec", "nor_this_one"))
    assert lacking.state == "no-package"
    assert lacking.reason == (
        "The package json is there, but not all that it needs. The Python package nor_this_one is not installed."
    )
    assert info(("json",), ("msgspec",)).state == "no-weights"


def test_a_folder_of_two_models_needs_both_and_may_name_a_file_otherwise(tmp_path: Path) -> None:
    entry = dataclasses.replace(TABLE["videomama"], packages=())
    folder = weights.weights_place(entry, tmp_path)
    tensors(folder / "unet")
    (folder / "unet" / "model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.safetensors")
    lacks = weights.info_of(entry, tmp_path).reason
    assert lacks.endswith(" lacks vae/diffusion_pytorch_model.fp16.safetensors and vae/config.json.")
    tensors(folder / "vae", lost=1)
    (folder / "vae" / "model.safetensors").rename(folder / "vae" / "diffusion_pytorch_model.safetensors")
    assert "vae/diffusion_pytorch_model.safetensors is cut off" in weights.info_of(entry, tmp_path).reason
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    tensors(folder / "vae")
    (folder / "vae" / "model.safetensors").rename(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    assert weights.info_of(entry, tmp_path).state == "ready"
    unet = folder / "unet" / "diffusion_pytorch_model.safetensors"
    assert sha256_of(folder) == hashlib.sha256(unet.read_bytes()).hexdigest()


def test_engines_of_the_consumer_need_only_their_packages(tmp_path: Path) -> None:
    for name in ("matte-fast", "matte-fine"):
        info = weights.info_of(TABLE[name], tmp_path)
        assert (info.state, info.in_worker, info.weights) == ("ready", False, "")
    lacking = dataclasses.replace(TABLE["matte-fine"], packages=("no_such_module",), extra="some")
    assert weights.info_of(lacking, tmp_path).command.endswith("[some]'")


@pytest.mark.parametrize(("entry", "make"), [(HERE, archive), (FOLDER, tensors)])
def test_weights_in_the_data_folder_make_an_engine_ready(tmp_path: Path, entry: Entry, make: object) -> None:
    path = make(weights.weights_place(entry, tmp_path))  # type: ignore[operator]
    info = weights.info_of(entry, tmp_path)
    assert (info.state, info.available, info.reason, info.step) == ("ready", True, "", "")
    assert info.file == str(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"<!doctype html> sign in first", "is no file of weights (PyTorch)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "is a pointer of Git LFS"),
        (b"PK\x03\x04 the rest did not arrive", "is cut off; download it again"),
    ],
)
def test_a_file_that_cannot_be_weights_is_refused_in_words(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "weights" / "sam3.pt"
    path.parent.mkdir()
    path.write_bytes(content)
    info = weights.info_of(HERE, tmp_path)
    assert (info.state, info.available) == ("bad-weights", False)
    assert info.reason.startswith(f"{path} {says}")


def test_a_folder_that_cannot_be_weights_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "sam2"
    folder.mkdir(parents=True)
    assert "lacks config.json and model.safetensors" in weights.info_of(FOLDER, tmp_path).reason
    tensors(folder, lost=1)
    assert "is cut off" in weights.info_of(FOLDER, tmp_path).reason
    (folder / "model.safetensors").write_bytes(b"\xff" * 40)
    assert "is no file of weights (safetensors)" in weights.info_of(FOLDER, tmp_path).reason


def test_a_chosen_path_goes_first_and_its_loss_is_said(tmp_path: Path) -> None:
    own, other = archive(tmp_path / "weights" / "sam3.pt"), archive(tmp_path / "elsewhere" / "mine.pt")
    choose(tmp_path, "sam3", other)
    assert weights.info_of(HERE, tmp_path).file == str(other)
    other.unlink()
    info = weights.info_of(HERE, tmp_path)
    assert (info.state, info.reason) == ("no-weights", f"There is nothing at {other}.")
    choose(tmp_path, "sam3", None)
    assert weights.info_of(HERE, tmp_path).file == str(own)
    assert chosen(tmp_path) == {}


def test_a_damaged_choice_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "engines.json").write_bytes(b'{"sam3": [1')
    assert weights.info_of(HERE, tmp_path).reason == "The weights of sam3 are not on this machine."


def test_the_sha256_is_computed_once_and_again_after_a_change(tmp_path: Path) -> None:
    path = archive(tmp_path / "weights" / "sam3.pt")
    assert known_sha256(path, tmp_path) == ""
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256_of(path, tmp_path) == expected
    assert known_sha256(path, tmp_path) == expected
    assert weights.info_of(HERE, tmp_path).sha256 == expected
    stamp = path.stat().st_mtime_ns
    archive(path, "numberz")
    os.utime(path, ns=(stamp, stamp + 1))
    assert known_sha256(path, tmp_path) == ""
    found = weights.found(tmp_path, "sam3")
    assert found is not None
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != expected


def test_the_sha256_of_a_folder_is_that_of_its_tensors(tmp_path: Path) -> None:
    folder = tensors(tmp_path / "weights" / "sam2")
    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert sha256_of(folder, tmp_path) == known_sha256(folder, tmp_path) == expected


def test_weights_whose_name_states_another_sha256_do_not_serve(tmp_path: Path) -> None:
    name = TABLE["deeplabv3"].files[0]
    path = archive(tmp_path / "weights" / name)
    with pytest.raises(Unavailable, match="not with 586e9e4e as its name says"):
        weights.found(tmp_path, "deeplabv3")
    path.rename(path.with_name("deeplabv3.pth"))
    found = weights.found(tmp_path, "deeplabv3")
    assert found is not None
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()


def test_weights_that_cannot_be_read_are_said_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "sam2"
    folder.mkdir(parents=True)
    with pytest.raises(Unavailable, match="cannot be read: No such file"):
        weights.found(tmp_path, "sam2")


def test_only_without_a_gpu_an_engine_says_how_slow_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    archive(tmp_path / "weights" / "sam3.pt")
    info = weights.info_of(HERE, tmp_path)
    assert (info.available, info.note) == (True, "No GPU was found: it is slow.")
    assert weights.info_of(TABLE["classic"], tmp_path).note == ""


def test_the_listing_leaves_test_engines_out_and_imports_no_model(tmp_path: Path) -> None:
    before = set(sys.modules)
    assert [info.id for info in weights.infos(tmp_path)] == [
        "classic",
        "sam3",
        "sam2",
        "deeplabv3",
        "interpolate",
        "matte-fast",
        "matte-fine",
        "matanyone",
        "videomama",
    ]
    assert not {"torch", "sam3", "transformers"} & (set(sys.modules) - before)
    assert replace(weights.infos(tmp_path)[0], note="") == TABLE["classic"].info
