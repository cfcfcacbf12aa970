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


def bench(name: str, folder: Path | None, *, as_json: bool) -> None:
    """Run one benchmark and print its figures. Raises Refused where it needs data and has none."""
    # Figures are those of one thread; this must be set before the libraries are imported.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    with bar(name, quiet=as_json) as show:
        result = BENCHES[name](folder, show)
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


def _speed(folder: Path | None, show: Progress) -> dict[str, Any]:
    from app.bench import clicking, extracting, fusing

    out: dict[str, Any] = {"fuse_ms": fusing.run()}
    show(1, 4)
    out["click_overhead_ms"] = clicking.run()
    show(2, 4)
    out |= extracting.run()
    show(3, 4)
    if find_spec("sam3") and find_spec("torch"):
        from app.bench import engines

        found = engines.run()
        # Without a GPU the model is a tiny one: its figures must not be read as those of SAM 3.
        out["gpu" if found["device"].startswith("cuda") else "tiny_model_on_cpu"] = found
    show(4, 4)
    return out


def _convert(folder: Path | None, show: Progress) -> dict[str, Any]:
    folders = _data_sets(folder, "sequences")
    _one_thread()
    from app.bench import converting

    camvid = [path for path in folders if "camvid" in path.name]
    return converting.run(camvid or folders, progress=show)


BENCHES: dict[str, Callable[[Path | None, Progress], dict[str, Any]]] = {
    "clicks": _clicks,
    "convert": _convert,
    "roundtrip": _roundtrip,
    "speed": _speed,
    "track": _track,
}
