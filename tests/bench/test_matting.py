"""`bench matte` on drawn stills and films."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.bench import matting
from app.bench.folders import DataSet
from app.cli_bench import folders_of
from app.errors import Refused
from tests.algo.test_matting import ball, composite


def data_set(folder: Path, name: str, *, frames: int, known: bool = False, colours: bool = False) -> Path:
    """A disc with a soft edge that grows from frame to frame."""
    root = folder / name
    for part in (
        "images",
        "masks",
        "alpha",
        *(["trimap"] if known else []),
        *(["foreground"] if colours else []),
    ):
        (root / part).mkdir(parents=True)
    for at in range(frames):
        truth = ball(90, 120, 24 + at, edge=10)
        stem = f"{at:05}.png"
        image, front = composite(truth)
        Image.fromarray(image).save(root / "images" / stem)
        Image.fromarray((truth > 0.5).astype(np.uint8)).save(root / "masks" / stem)
        Image.fromarray(np.rint(truth * 255).astype(np.uint8)).save(root / "alpha" / stem)
        if known:
            trimap = np.where(truth <= 0, 0, np.where(truth >= 1, 255, 128)).astype(np.uint8)
            Image.fromarray(trimap).save(root / "trimap" / stem)
        if colours and at == 0:
            Image.fromarray(front).save(root / "foreground" / stem)
    (root / "classes.json").write_text(json.dumps({"background": 0, "ignore": None}), "utf-8")
    return root


def test_stills_and_films_are_told_apart_and_judged(tmp_path: Path) -> None:
    data_set(tmp_path / "matting", "stills", frames=2, known=True)
    data_set(tmp_path / "matting", "film", frames=3, colours=True)
    found = matting.run(folders_of(tmp_path, "matting"))
    assert set(found) == {"fast", "fine", "composite"}
    for engine in ("fast", "fine"):
        row = found[engine]
        assert row["band_mse_cut"] > 0.6
        assert row["mse"] < row["mask_mse"]
        assert 0 < row["sad"] <= row["all_sad"]
        assert row["grad"] > 0
        assert row["band_mse_cut_pooled"] == pytest.approx(1 - row["mse"] / row["mask_mse"])
    film = found["composite"]
    assert film["mad"] < film["mask_mad"]
    assert film["dtssd"] < film["mask_dtssd"]
    assert film["foreground"] < 0.5 * film["foreground_raw"]


def test_a_film_is_its_longest_run_of_consecutive_frames(tmp_path: Path) -> None:
    root = data_set(tmp_path, "film", frames=6)
    for at in (1, 5):
        (root / "alpha" / f"{at:05}.png").unlink()
    assert matting.places(DataSet(root)) == [0, 2, 3, 4]
    assert matting.run_of(DataSet(root)) == [2, 3, 4]


def test_a_folder_without_alphas_is_refused(tmp_path: Path) -> None:
    root = data_set(tmp_path, "film", frames=1)
    (root / "alpha" / "00000.png").unlink()
    with pytest.raises(Refused, match="alpha/"):
        matting.run([root])


def test_an_alpha_of_another_size_is_refused(tmp_path: Path) -> None:
    root = data_set(tmp_path, "film", frames=1)
    Image.new("L", (10, 10)).save(root / "alpha" / "00000.png")
    with pytest.raises(Refused, match="differ in size"):
        matting.run([root])
