"""From a mask to alpha: the engines without weights against true alphas.

A data set has `images/`, `masks/` and `alpha/` (8 bit) of the same stems. With `trimap/` it is one of stills; each
engine gets the mask, not the trimap, and is judged in the trimap's unknown pixels (`band_…`) and over all: `sad` and
`grad` in thousands, `mse`, `mad`. `band_mse_cut`: the mean over the stills of the share of the mask's own error in
the band that an engine takes away; `band_mse_cut_pooled`: of the sum of all. `sad`, `mse` and `grad` are those of the
band. Without `trimap/` it is a film, of whose longest run `MOST_FRAMES` are taken: `mad` and `dtssd` over them, the
same after averaging along time where nothing moves (`steady_…`), and of the mask itself (`mask_…`). Where it has
`foreground/` for a frame, `foreground` is the mean absolute error of the colours where alpha is soft, weighted by it,
given the true alpha, and `foreground_raw` that of the frame itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.algo.matting import METHODS, matte
from app.algo.matting.foreground import foreground
from app.algo.matting.measures import dtssd, grad, mad, mse, sad
from app.algo.matting.steady import Steady
from app.bench.folders import SUFFIXES, DataSet
from app.errors import Refused

BEST = "matte-fine"
"""The engine whose figures of films stand under `composite` itself."""

MOST_FRAMES = 30

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Shot:
    """A frame. `known`: its trimap (H, W) uint8, where there is one; `colours`: its true foreground, likewise."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    truth: Floats
    known: NDArray[np.uint8] | None
    colours: NDArray[np.uint8] | None


def run(folders: Sequence[Path], *, progress: Progress = lambda done, total: None) -> dict[str, Any]:
    """The figures of the benchmark. Raises Refused where no folder has alphas."""
    sets = [data for data in map(DataSet, folders) if places(data)]
    if not sets:
        raise Refused("There is nothing to compare with: a data set needs alpha/ beside images/ and masks/.")
    stills = [data for data in sets if (data.folder / "trimap").is_dir()]
    films = [data for data in sets if data not in stills]
    total = sum(len(places(data)) for data in stills) + sum(len(run_of(data)) for data in films)
    done = 0

    def step() -> None:
        nonlocal done
        progress(done, total)
        done += 1

    found: dict[str, Any] = {}
    if stills:
        rows = [still(shot) for data in stills for shot in _each(data, places(data), step)]
        found |= {_short(engine): _over([row[engine] for row in rows]) for engine in METHODS}
    if films:
        each = [film(list(_each(data, run_of(data), step))) for data in films]
        keys = dict.fromkeys(key for one in each for key in one)
        mean = {key: _mean([one[key] for one in each if key in one]) for key in keys}
        found["composite"] = mean
    progress(total, total)
    return found


def places(data: DataSet) -> list[int]:
    """The positions of the frames that have a mask and an alpha."""
    there = {path.stem for path in (data.folder / "alpha").glob("*.png")}
    return [at for at in data.masks if data.images[at].stem in there]


def run_of(data: DataSet) -> list[int]:
    """The positions of the longest run of consecutive frames with a mask and an alpha, at most `MOST_FRAMES`."""
    runs: list[list[int]] = [[]]
    for at in places(data):
        if runs[-1] and runs[-1][-1] + 1 != at:
            runs.append([])
        runs[-1].append(at)
    return max(runs, key=len)[:MOST_FRAMES]


def shot_of(data: DataSet, at: int) -> Shot:
    """One frame of a data set. Raises Refused where sizes differ."""
    stem = data.images[at].stem

    def grey(part: str) -> NDArray[np.uint8] | None:
        path = data.folder / part / f"{stem}.png"
        return _read(path, "L") if path.is_file() else None

    labels = data.labels(at)
    alpha = grey("alpha")
    assert alpha is not None
    image = data.image(at)
    if not image.shape[:2] == labels.shape == alpha.shape:
        raise Refused(f"{data.images[at]}, its mask and its alpha differ in size.")
    colours = next(
        (path for path in (data.folder / "foreground").glob(f"{stem}.*") if path.suffix.lower() in SUFFIXES),
        None,
    )
    mask = ~np.isin(labels, [*data.background, *data.ignore]) & (labels > 0)
    truth = alpha.astype(np.float32) / np.float32(255)
    return Shot(image, mask, truth, grey("trimap"), None if colours is None else _read(colours, "RGB"))


def still(shot: Shot) -> dict[str, dict[str, float]]:
    """By engine, its errors on one still."""
    assert shot.known is not None
    band = (shot.known > 0) & (shot.known < 255)
    hard = shot.mask.astype(np.float32)
    out: dict[str, dict[str, float]] = {}
    for engine in METHODS:
        started = time.process_time()
        alpha = matte(shot.image, shot.mask, engine=engine).alpha
        spent = time.process_time() - started
        out[engine] = {
            "sad": sad(alpha, shot.truth, band),
            "mse": mse(alpha, shot.truth, band),
            "grad": grad(alpha, shot.truth, band),
            "mad": mad(alpha, shot.truth, band),
            "mask_mse": mse(hard, shot.truth, band),
            "all_sad": sad(alpha, shot.truth),
            "all_mse": mse(alpha, shot.truth),
            "all_grad": grad(alpha, shot.truth),
            "mask_all_mse": mse(hard, shot.truth),
            "ms_per_megapixel": spent * 1e9 / alpha.size,
        }
    return out


def film(shots: Sequence[Shot]) -> dict[str, Any]:
    """The errors of every engine along the frames of a film."""
    truth = [shot.truth for shot in shots]
    masks = [shot.mask.astype(np.float32) for shot in shots]
    out: dict[str, Any] = {"mask_mad": _mad(masks, truth), "mask_dtssd": dtssd(masks, truth)}
    for engine in METHODS:
        alphas = [matte(shot.image, shot.mask, engine=engine).alpha for shot in shots]
        steady = Steady()
        calm = [
            alpha for shot, one in zip(shots, alphas, strict=True) for alpha in steady.push(shot.image, one)
        ]
        calm += steady.finish()
        figures = {
            "mad": _mad(alphas, truth),
            "dtssd": dtssd(alphas, truth),
            "steady_mad": _mad(calm, truth),
            "steady_dtssd": dtssd(calm, truth),
        }
        out |= figures if engine == BEST else {f"{_short(engine)}_{key}": one for key, one in figures.items()}
    coloured = [_colour_errors(shot) for shot in shots if shot.colours is not None]
    if coloured:
        out["foreground"], out["foreground_raw"] = (
            float(np.mean(one)) for one in zip(*coloured, strict=True)
        )
    return out


def _colour_errors(shot: Shot) -> tuple[float, float]:
    """The mean error, 0..1, of the estimated colours and of the frame's own, where alpha is soft."""
    soft = (shot.truth > 0) & (shot.truth < 1)
    weight = shot.truth[soft][:, None]
    truth = np.asarray(shot.colours, np.float32)[soft]
    total = max(float(weight.sum()), 1e-9)

    def error(colours: NDArray[np.uint8]) -> float:
        off = np.abs(colours[soft].astype(np.float32) - truth) * weight
        return float(off.sum()) / (3 * 255 * total)

    return error(foreground(shot.image, shot.truth)), error(shot.image)


def _each(data: DataSet, positions: Sequence[int], step: Callable[[], None]) -> Iterator[Shot]:
    for at in positions:
        step()
        yield shot_of(data, at)


def _over(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """An engine's figures over all stills, each still alike."""
    mean = {key: _mean([row[key] for row in rows]) for key in rows[0]}
    cut, all_cut = (
        _mean([1 - row[key] / row[f"mask_{key}"] for row in rows if row[f"mask_{key}"]])
        for key in ("mse", "all_mse")
    )
    pooled = 1 - mean["mse"] / mean["mask_mse"] if mean["mask_mse"] else 0.0
    return {"band_mse_cut": cut, "band_mse_cut_pooled": pooled, "all_mse_cut": all_cut, **mean}


def _mad(alphas: Sequence[Floats], truth: Sequence[Floats]) -> float:
    return _mean([mad(one, true) for one, true in zip(alphas, truth, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _short(engine: str) -> str:
    return engine.removeprefix("matte-")


def _read(path: Path, mode: str) -> NDArray[np.uint8]:
    with Image.open(path) as opened:
        return np.asarray(opened.convert(mode))
