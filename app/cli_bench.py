"""`pointillist bench`: the protocols of `app/bench`, as a table or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from app.cli_progress import bar
from app.errors import Refused
from app.i18n import gettext as _

Progress = Callable[[int, int], None]


def folders_of(data: Path, part: str = "") -> list[Path]:
    """The data sets in a folder, sorted: it alone, or those up to two levels below it (images/ and masks/).

    `part`: the subfolder that holds the kind of data this benchmark is about, where there is one.
    """
    root = data / part if (data / part).is_dir() else data
    found = {root, *root.glob("*"), *root.glob("*/*")}
    return sorted(path for path in found if (path / "images").is_dir() and (path / "masks").is_dir())


def bench(name: str, folder: Path | None, *, as_json: bool, long: int | None = None) -> None:
    """Run one benchmark and print its figures. `long`: frames of a drawn video that is tracked instead of data.

    Raises Refused where it needs data and has none, and for a long video where nothing is tracked.
    """
    if long is not None and name != "track":
        raise Refused(_("Only the benchmark track takes a long video."))
    # Figures are those of one thread; this must be set before the libraries are imported.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    with bar(name, quiet=as_json) as show:
        result = BENCHES[name](folder, show) if long is None else _long_track(long, show)
    if as_json:
        click.echo(json.dumps(result))
        return
    for key, value in flat(result):
        click.echo(f"{key:36} {value:.4g}" if isinstance(value, float) else f"{key:36} {value}")


def flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Nested figures as rows of ("point.iou_1", 0.5)."""
    if not isinstance(value, dict):
        return [(path, value)]
    return [row for key, inner in value.items() for row in flat(inner, f"{path}.{key}" if path else str(key))]


def _data_sets(folder: Path | None, part: str) -> list[Path]:
    if folder is None:
        raise Refused(_("This benchmark needs data: give a folder with --data."))
    found = folders_of(folder, part)
    if not found:
        raise Refused(
            _("{folder} holds no data set; one has images/, masks/ and classes.json.").format(folder=folder)
        )
    return found


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _clicks(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "stills")
    _one_thread()
    from app.bench import clicks

    return clicks.run(folders, progress=show)


def _roundtrip(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "sequences")
    _one_thread()
    from app.bench import roundtrip

    return roundtrip.run(folders, progress=show)


def _track(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "sequences")
    _one_thread()
    from app.bench import tracking

    return tracking.run(folders, progress=show)


def _stabilise(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "sequences")
    _one_thread()
    from app.bench import stabilising

    return stabilising.run(folders, progress=show)


def _long_track(frames: int, show: Progress) -> dict[str, Any]:
    from app.bench import long_track

    return {"long_track": long_track.run(frames, progress=show)}


def _speed(folder: Path | None, show: Progress) -> dict[str, Any]:
    from app.bench import clicking, editing, extracting, fusing, jumping, paging

    def jump() -> dict[str, Any]:
        # Figures that need what is not installed say so; the others are there all the same.
        reason = jumping.missing()
        return {"jump_ms": jumping.run() if reason is None else {"skipped": reason}}

    parts: list[Callable[[], dict[str, Any]]] = [
        lambda: {"fuse_ms": fusing.run()},
        lambda: {"click_overhead_ms": clicking.run()},
        extracting.run,
        paging.run,
        editing.run,
        jump,
    ]
    if find_spec("sam3") and find_spec("torch"):
        parts.append(_sam3)
    out: dict[str, Any] = {}
    for done, part in enumerate(parts):
        show(done, len(parts))
        out |= part()
    show(len(parts), len(parts))
    return out


def _sam3() -> dict[str, Any]:
    from app.bench import engines

    found = engines.run()
    # Without a GPU the model is a tiny one: its figures must not be read as those of SAM 3.
    return {"gpu" if found["device"].startswith("cuda") else "tiny_model_on_cpu": found}


def _convert(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "sequences")
    _one_thread()
    from app.bench import converting

    camvid = [path for path in folders if "camvid" in path.name]
    return converting.run(camvid or folders, progress=show)


def _review(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "sequences")
    _one_thread()
    from app.bench import reviewing

    return reviewing.run(folders, progress=show)


def _matte(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "matting")
    _one_thread()
    from app.bench import matting

    return matting.run(folders, progress=show)


BENCHES: dict[str, Callable[[Path | None, Progress], dict[str, Any]]] = {
    "clicks": _clicks,
    "convert": _convert,
    "matte": _matte,
    "review": _review,
    "roundtrip": _roundtrip,
    "speed": _speed,
    "stabilise": _stabilise,
    "track": _track,
}
