"""Palette PNG → COCO → palette PNG: seconds each way, memory, and pixels that changed (none may).

The masks of a data set (`masks/*.png`, numbers below 256) are written as palette PNGs until there are enough
frames, read, exported as COCO by the writer and the pages of the export job, read back by the reader of ground
truth and written as palette PNGs again. One thread.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from app.algo.labels import voc_colour_map
from app.errors import Refused
from app.formats import label_png
from app.formats.out.model import FrameOut, Options, Plan
from app.formats.out.writers import open_writer
from app.formats.truth import open_files, open_truth
from app.models import ClassDef
from tasks.export_frames import Page, Pages

FRAMES = 500
VOID = 255


def run(
    folders: Sequence[Path],
    *,
    frames: int = FRAMES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Seconds and figures over `frames` frames. Raises Refused where no folder holds a mask."""
    masks = [path for folder in folders for path in sorted((folder / "masks").glob("*.png"))]
    if not masks:
        raise Refused("No mask was found; a data set has images/ and masks/ with PNG files of numbers.")
    with tempfile.TemporaryDirectory(prefix="pointillist-") as place:
        root = Path(place)
        classes = _prepare(masks, frames, root / "before")
        progress(1, 4)
        to_coco = _timed(lambda: _to_coco(root / "before", root / "coco", classes))
        progress(2, 4)
        to_palette = _timed(lambda: _to_palette(root / "coco", root / "after", classes))
        progress(3, 4)
        changed, equal = _compare(root / "before", root / "after")
        progress(4, 4)
        return {
            "frames": frames,
            "to_coco_s": to_coco,
            "to_palette_s": to_palette,
            "json_mb": round((root / "coco" / "instances.json").stat().st_size / 1e6, 2),
            "changed_pixels": changed,
            "files_of_equal_bytes": equal,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }


def _timed(work: Callable[[], None]) -> dict[str, float]:
    """Seconds by the clock, and of the processor: the latter say more where others work on the machine too."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "wall": round(time.perf_counter() - wall, 2),
        "cpu": round(time.process_time() - processor, 2),
    }


def _prepare(masks: list[Path], frames: int, target: Path) -> list[ClassDef]:
    """The masks as palette PNGs `000000.png` …; every value but VOID is a class of id value + 1."""
    target.mkdir()
    colours = voc_colour_map()
    wanted = list(islice(cycle(masks), frames))
    found = sorted({int(value) for path in set(wanted) for value in np.unique(_values(path))} - {VOID})
    classes = [
        ClassDef(id=value + 1, name=f"class {value}", colour="#" + bytes(colours[value]).hex(), value=value)
        for value in found
    ]
    for number, path in enumerate(wanted):
        values = _values(path)
        labels = np.where(values == VOID, 0, values.astype(np.uint16) + 1)
        (target / f"{number:06d}.png").write_bytes(_palette_png(labels, classes))
    return classes


def _values(path: Path) -> np.ndarray:
    values = label_png.read_pixels(path.read_bytes(), path.name)
    if values.ndim != 2 or values.dtype != np.uint8:
        raise Refused(f"{path} is not a mask of numbers below 256.")
    return values


def _palette_png(labels: np.ndarray, classes: list[ClassDef]) -> bytes:
    return label_png.encode(labels, classes, mode="palette", unlabelled=VOID)


def _to_coco(source: Path, target: Path, classes: list[ClassDef]) -> None:
    plan = Plan(
        format="coco",
        title="Conversion",
        classes=classes,
        tracks=[],
        options=Options(),
        objects="class",
        split="all",
        survey=lambda: iter(()),
    )
    writer = open_writer("coco", plan)
    target.mkdir()
    pages = Pages(target / ".frames")
    for position, path in enumerate(sorted(source.glob("*.png"))):

        def make(path: Path, position: int = position) -> Page:
            labels = label_png.decode(path.read_bytes(), classes, mode="palette", unlabelled=VOID)
            frame = FrameOut(position, position, "frames", "", path.stem, ".png", labels, labels, [])
            return Page(files=writer.frame_files(frame))

        pages.add(make, path)
    for name, content in writer.finish(pages):
        if name.startswith("annotations/"):
            with (target / "instances.json").open("wb") as file:
                file.writelines(content)


def _to_palette(source: Path, target: Path, classes: list[ClassDef]) -> None:
    target.mkdir()
    ids = {known.name: known.id for known in classes}
    files = open_files(source / "instances.json")
    reader = open_truth(files, "coco")
    try:
        for shown in reader.frames():
            labels = np.zeros((shown.height, shown.width), np.uint16)
            for thing in shown.objects:
                height, width = thing.mask.shape
                part = labels[thing.y0 : thing.y0 + height, thing.x0 : thing.x0 + width]
                part[thing.mask] = ids[reader.found(thing.key).name]
            (target / shown.name).write_bytes(_palette_png(labels, classes))
    finally:
        files.close()


def _compare(before: Path, after: Path) -> tuple[int, int]:
    """(pixels that differ, files whose bytes are equal)."""

    def pairs() -> Iterator[tuple[bytes, bytes]]:
        for path in sorted(before.glob("*.png")):
            yield path.read_bytes(), (after / path.name).read_bytes()

    changed = equal = 0
    for old, new in pairs():
        equal += old == new
        changed += int((label_png.read_pixels(old) != label_png.read_pixels(new)).sum())
    return changed, equal
