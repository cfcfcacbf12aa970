"""Interactive segmentation benchmark: IoU after 1, 3, 5, 10 simulated clicks and NoC@85.

Per image the largest object counts: of every mask value (background and ignore excluded) the largest
8-connected component, kept when it covers 3–45 % of the image. A simulated person clicks first at the
deepest point of the object, then at the deepest point of the larger of missed and spilled area (deepest by
the exact Euclidean distance transform of the padded error), ten times. Mode `point` gives no reach, mode
`reach` gives r = 0.7 × the depth at the click.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]

CLICKS = 10
REPORTED = (1, 3, 5, 10)
NOC_IOU = 0.85
REACH_SHARE = 0.7
AREA = (0.03, 0.45)


@dataclass(frozen=True)
class Sample:
    """One image and the object to be found in it."""

    image: Path
    value: int
    mask: Mask


class Session(Protocol):
    """What is being judged: answers clicks on one image."""

    def __call__(self, points: NDArray[np.float64], previous: Mask | None) -> list[Mask]: ...


def dataset_folders(root: Path) -> list[Path]:
    """`root` itself when it is a dataset folder (images/ and masks/), else every such folder below it."""
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return [root]
    return sorted(p.parent for p in root.rglob("masks") if p.is_dir() and (p.parent / "images").is_dir())


def excluded_values(folder: Path) -> set[int]:
    """Mask values that are no object: background and ignore id."""
    path = folder / "classes.json"
    if not path.is_file():
        return set()
    facts = json.loads(path.read_text(encoding="utf-8"))
    return {
        int(value)
        for key in ("background", "background_id", "ignore", "ignore_id")
        if isinstance(value := facts.get(key), int)
    }


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Palette or grey PNG → (H, W) uint8 of stored values."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L") if image.mode not in ("P", "L") else image, dtype=np.uint8)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Any image Pillow reads → (H, W, 3) uint8 RGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def components(
    labels: NDArray[np.uint8], excluded: set[int], area: tuple[float, float]
) -> list[tuple[int, Mask]]:
    """(value, mask) of the largest 8-connected component of every value within `area`, largest first."""
    found: list[tuple[int, int, Mask]] = []
    for value in np.unique(labels).tolist():
        if value in excluded:
            continue
        _, marks, stats, _ = cv2.connectedComponentsWithStats(
            (labels == value).view(np.uint8), connectivity=8
        )
        best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        size = int(stats[best, cv2.CC_STAT_AREA])
        if area[0] <= size / labels.size <= area[1]:
            found.append((size, value, marks == best))
    found.sort(key=lambda item: (-item[0], item[1]))
    return [(value, mask) for _, value, mask in found]


def choose_objects(folders: list[Path]) -> list[Sample]:
    """The benchmark's objects: the largest per image; images without one are left out."""
    samples: list[Sample] = []
    for folder in folders:
        excluded = excluded_values(folder)
        for mask_path in sorted((folder / "masks").glob("*.png")):
            image = next(iter(sorted((folder / "images").glob(mask_path.stem + ".*"))), None)
            if image is None:
                continue
            for value, mask in components(read_mask(mask_path), excluded, AREA)[:1]:
                samples.append(Sample(image, value, mask))
    return samples


def deepest(mask: Mask) -> tuple[float, int, int]:
    """Depth and position of the maximum of the exact distance transform, the frame's edge being outside.

    Returns:
        (depth in pixels, x, y) of the first maximum in row order; depth 0 for an empty mask.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = divmod(int(distance.argmax()), mask.shape[1])
    return float(distance[y, x]) if mask.any() else 0.0, x, y


def next_click(truth: Mask, answer: Mask | None, reach: bool) -> tuple[float, float, float, float] | None:
    """The simulated person's next (x, y, label, r), or None when nothing is wrong."""
    missed = truth if answer is None else truth & ~answer
    depth, x, y = deepest(missed)
    label = 1.0
    if answer is not None:
        spilled = deepest(answer & ~truth)
        if spilled[0] > depth:
            depth, x, y = spilled
            label = 0.0
    if depth <= 0:
        return None
    return x + 0.5, y + 0.5, label, REACH_SHARE * depth if reach else 0.0


def iou(a: Mask, b: Mask) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union


@dataclass
class Trace:
    """One object's run: IoU after each click, seconds of each click, IoU of the best first candidate."""

    ious: list[float]
    seconds: list[float]
    best3: float


def simulate(session: Session, truth: Mask, reach: bool, clicks: int = CLICKS) -> Trace:
    """Let the simulated person annotate one object."""
    points: list[tuple[float, float, float, float]] = []
    answer: Mask | None = None
    trace = Trace([], [], 0.0)
    for _ in range(clicks):
        click = next_click(truth, answer, reach)
        if click is not None:
            points.append(click)
            start = time.perf_counter()
            answers = session(np.array(points), answer)
            trace.seconds.append(time.perf_counter() - start)
            if answer is None:
                trace.best3 = max(iou(each, truth) for each in answers[:3])
            answer = answers[0]
        trace.ious.append(iou(answer, truth) if answer is not None else 0.0)
    return trace


def summarise(traces: list[Trace]) -> dict[str, float]:
    """Means over objects of the figures of one mode; times are medians in milliseconds."""
    if not traces:
        return {}
    ious = np.array([t.ious for t in traces])
    out = {f"iou_{k}": round(float(ious[:, k - 1].mean()), 4) for k in REPORTED}
    reached = ious >= NOC_IOU
    needed = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, CLICKS)
    out["noc85"] = round(float(needed.mean()), 3)
    later = [s for t in traces for s in t.seconds[1:]]
    out["ms_per_click"] = round(1000 * float(np.median(later)), 1) if later else 0.0
    out["ms_first"] = round(1000 * float(np.median([t.seconds[0] for t in traces])), 1)
    out["iou_1_best3"] = round(float(np.mean([t.best3 for t in traces])), 4)
    return out


def classic_session(image: NDArray[np.uint8]) -> tuple[Session, float]:
    """The embedded engine on one image, and the seconds its preparation took."""
    from app.algo import classic

    start = time.perf_counter()
    prepared = classic.prepare(image)
    seconds = time.perf_counter() - start

    def session(points: NDArray[np.float64], previous: Mask | None) -> list[Mask]:
        return [c.mask for c in classic.segment(prepared, points, previous=previous)]

    return session, seconds


def run(folders: list[Path], *, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Run the benchmark with the `classic` engine.

    Args:
        folders: dataset folders (images/, masks/, classes.json).
        progress: called with (objects done, objects).

    Returns:
        {"point": {...}, "reach": {...}, "objects": n, "prepare_ms": median}; each mode holds iou_1, iou_3,
        iou_5, iou_10, noc85, ms_per_click, ms_first, iou_1_best3. A mode is empty when no object was found.
    """
    samples = choose_objects(folders)
    traces: dict[str, list[Trace]] = {"point": [], "reach": []}
    prepare_seconds: list[float] = []
    for done, sample in enumerate(samples):
        if progress:
            progress(done, len(samples))
        image = read_image(sample.image)
        for mode, kept in traces.items():
            session, seconds = classic_session(image)
            prepare_seconds.append(seconds)
            kept.append(simulate(session, sample.mask, mode == "reach"))
    if progress:
        progress(len(samples), len(samples))
    result: dict[str, Any] = {mode: summarise(kept) for mode, kept in traces.items()}
    result["objects"] = len(samples)
    result["prepare_ms"] = round(1000 * float(np.median(prepare_seconds)), 1) if prepare_seconds else 0.0
    return result


def table(result: dict[str, Any]) -> str:
    """The figures of `run` as a plain text table."""
    columns = ("iou_1", "iou_1_best3", "iou_3", "iou_5", "iou_10", "noc85", "ms_per_click", "ms_first")
    lines = ["mode   " + "".join(f"{name:>13}" for name in columns)]
    for mode in ("point", "reach"):
        figures = result.get(mode) or {}
        cells = (f"{figures[name]:13.3f}" if name in figures else f"{'-':>13}" for name in columns)
        lines.append(f"{mode:<7}" + "".join(cells))
    lines.append(f"objects {result['objects']}, preparation {result.get('prepare_ms', 0.0):.0f} ms (median)")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """`python -m app.bench.clicks --data DIR [--json]`."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="a dataset folder or a folder of such folders"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    result = run(dataset_folders(options.data))
    print(json.dumps(result) if options.json else table(result))


if __name__ == "__main__":
    main()
