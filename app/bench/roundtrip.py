"""Label map → regions → label map: how much of the ground truth a few points keep.

Every frame's ground truth becomes one region a class by `app.algo.distil_map`, the regions compete for the
frame in `app.algo.compete`, and the fused result is compared with the ground truth over labelled pixels (the
ignored value is neither seeded nor scored; a background value is a class like any other here). Budgets: 120
and 300 points a frame.

Outlines: one region a class (the background is none) of its connected components of at least `min_area`
pixels; smaller components are counted, not certified, and wrong wherever a region covers them. The rings are
found together (`app.algo.outline_map`): the larger region lies below, and what is certified is the part that
is seen, over labelled pixels. Bytes are those of canonical JSONL, one region a line, against those of the
ground truth's PNG file; a ring is x, y of its first point, then whole steps.

A folder is `<name>/images/*.jpg`, `masks/*.png` (value = id) and `classes.json`; frames without a mask are
left out.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from PIL import Image

from app.algo.certificate import iou
from app.algo.distil_map import distil_frame
from app.algo.labels import components
from app.algo.outline import rasterise
from app.algo.outline_map import outline_map
from app.algo.render import Crop
from app.errors import Refused

BUDGETS = (120, 300)
MIN_AREA_SHARE = 0.001
"""Components below this share of the frame (173 px at 480×360) are reported, not certified."""
SUFFIXES = (".jpg", ".jpeg", ".png")

_encoder = msgspec.json.Encoder(order="sorted")


def dataset_folders(root: Path) -> list[Path]:
    """`root` where it holds images/ and masks/ itself, else every such folder below it, sorted."""
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return [root]
    return sorted(p.parent for p in root.rglob("masks") if p.is_dir() and (p.parent / "images").is_dir())


def run(
    folders: Sequence[Path],
    *,
    frames_per_folder: int | None = 8,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The figures of the roundtrip benchmark over folders of the layout above.

    `frames_per_folder`: that many frames of each, spread evenly; None = all. `progress(done, total)` after
    each frame.
    Raises `Refused` where no folder holds a frame with its mask.
    """
    work = [(folder, pair) for folder in folders for pair in _pairs(folder, frames_per_folder)]
    if not work:
        raise Refused("No frame with a mask was found; a folder needs images/ and masks/.")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        tallies = {budget: _Tally() for budget in BUDGETS}
        outlines = _Outlines()
        names: dict[str, dict[int, str]] = {}
        for done, (folder, (image_file, mask_file)) in enumerate(work, start=1):
            facts = _facts(folder)
            labels = np.asarray(Image.open(mask_file))
            image = np.asarray(Image.open(image_file).convert("RGB"))
            if (
                labels.ndim == 2
                and labels.shape == image.shape[:2]
                and not np.isin(labels, facts["ignore"]).all()
            ):
                for budget, tally in tallies.items():
                    _roundtrip(tally, folder.name, image, labels, facts["ignore"], budget)
                names[folder.name] = facts["names"]
                outlines.add(labels, facts["ignore"], facts["background"], mask_file.stat().st_size)
            if progress is not None:
                progress(done, len(work))
    finally:
        cv2.setNumThreads(threads)
    result: dict[str, Any] = {f"budget_{budget}": tally.figures(names) for budget, tally in tallies.items()}
    result["outline"] = outlines.figures()
    result["frames"] = len(work)
    return result


def table(result: dict[str, Any]) -> str:
    """The figures as text for a terminal."""
    lines = [f"{'':12}{'accuracy':>10}{'mIoU':>8}{'points':>8}{'bytes':>8}{'s/frame':>9}"]
    for name in (f"budget_{budget}" for budget in BUDGETS):
        row = result[name]
        lines.append(
            f"{name:12}{row['pixel_accuracy']:10.4f}{row['miou']:8.4f}{row['points_per_frame']:8.0f}"
            f"{row['bytes_per_frame']:8.0f}{row['seconds_per_frame']:9.2f}"
        )
    for name, row in sorted(result["budget_120"]["per_folder"].items()):
        other = result["budget_300"]["per_folder"][name]
        lines.append(
            f"  {name:26} 120: {row['pixel_accuracy']:.4f} {row['miou']:.4f}   "
            f"300: {other['pixel_accuracy']:.4f} {other['miou']:.4f}"
        )
    for name, value in result["budget_120"]["per_class"].items():
        lines.append(
            f"  {name:26} 120: {value:.4f}   300: {result['budget_300']['per_class'].get(name, 0.0):.4f}"
        )
    row = result["outline"]
    lines.append(
        f"outline     IoU mean {row['iou_mean']:.4f} min {row['iou_min']:.4f}, "
        f"{row['points_per_frame']:.0f} points in {row['regions_per_frame']:.1f} regions a frame, "
        f"{row['bytes_ratio']:.0%} of the PNG's bytes ({row['bytes_ratio_deflated']:.0%} deflated like it); "
        f"{row['uncertified_share']:.2%} of the pixels in smaller pieces; {row['seconds_per_frame']:.2f} s"
    )
    return "\n".join(lines)


def region_line(
    class_id: int, points: np.ndarray | None = None, outline: Sequence[np.ndarray] | None = None
) -> bytes:
    """One canonical line: sorted keys, defaults left out, whole numbers without a point."""
    line: dict[str, Any] = {"class_id": class_id}
    if points is not None and len(points):
        line["points"] = [_short(row if row[3] else row[:2]) for row in points[:, [0, 1, 2, 3]].tolist()]
    if outline:
        line["outline"] = [
            _short(np.concatenate([ring[:1], np.diff(ring, axis=0)]).ravel().tolist()) for ring in outline
        ]
    return _encoder.encode(line) + b"\n"


class _Tally:
    """Sums over frames: one confusion matrix a folder, points, bytes, seconds."""

    def __init__(self) -> None:
        self.confusion: dict[str, dict[tuple[int, int], int]] = {}
        self.points: list[int] = []
        self.bytes: list[int] = []
        self.png: list[int] = []
        self.seconds: list[float] = []

    def add(self, folder: str, labels: np.ndarray, rendered: np.ndarray, ignore: Sequence[int]) -> None:
        scored = ~np.isin(labels, list(ignore))
        pairs, counts = np.unique(
            labels[scored].astype(np.int64) << 32 | rendered[scored].astype(np.int64), return_counts=True
        )
        table = self.confusion.setdefault(folder, {})
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            key = (pair >> 32, pair & 0xFFFFFFFF)
            table[key] = table.get(key, 0) + count

    def figures(self, names: dict[str, dict[int, str]]) -> dict[str, Any]:
        """`names`: folder → value → class name; `per_class` is over all folders that share a name."""
        per_folder = {name: _scores(confusion) for name, confusion in self.confusion.items()}
        total = sum(sum(confusion.values()) for confusion in self.confusion.values())
        right = sum(n for confusion in self.confusion.values() for (a, b), n in confusion.items() if a == b)
        return {
            "pixel_accuracy": right / max(total, 1),
            "miou": float(np.mean([row["miou"] for row in per_folder.values()])) if per_folder else 0.0,
            "points_per_frame": float(np.mean(self.points)) if self.points else 0.0,
            "bytes_per_frame": float(np.mean(self.bytes)) if self.bytes else 0.0,
            "seconds_per_frame": float(np.median(self.seconds)) if self.seconds else 0.0,
            "per_folder": per_folder,
            "per_class": self._per_class(names),
        }

    def _per_class(self, names: dict[str, dict[int, str]]) -> dict[str, float]:
        right: dict[str, int] = {}
        union: dict[str, int] = {}
        for folder, confusion in self.confusion.items():
            known = names.get(folder, {})
            for pair, count in confusion.items():
                a, b = (known.get(value, str(value)) for value in pair)
                if a == b:
                    right[a] = right.get(a, 0) + count
                for name in {a, b}:
                    union[name] = union.get(name, 0) + count
        return {name: right.get(name, 0) / union[name] for name in sorted(union)}


class _Outlines:
    def __init__(self) -> None:
        self.ious: list[float] = []
        self.seconds: list[float] = []
        self.points = self.bytes = self.deflated = self.png = self.small = self.pixels = self.frames = 0

    def add(self, labels: np.ndarray, ignore: Sequence[int], background: Sequence[int], png: int) -> None:
        start = time.perf_counter()
        found = components(
            labels, ignore=[*ignore, *background], min_area=max(8, round(MIN_AREA_SHARE * labels.size))
        )
        masks: dict[int, np.ndarray] = {}
        for piece in found.kept:
            mask = masks.setdefault(piece.class_id, np.zeros(labels.shape, bool))
            x0, y0, x1, y1 = piece.box
            mask[y0:y1, x0:x1] |= piece.mask
        classes = sorted(masks, key=lambda value: -int(np.count_nonzero(masks[value])))
        void = np.isin(labels, ignore)
        shape = (labels.shape[0], labels.shape[1])
        outlines = outline_map([Crop(masks[value]) for value in classes], shape, void=void)
        self.seconds.append(time.perf_counter() - start)
        self.frames += 1
        self.png += png
        self.small += found.small_pixels
        self.pixels += found.small_pixels + sum(piece.area for piece in found.kept)
        # The certificate of a benchmark is checked, not believed.
        seen = np.zeros(shape, np.int64)
        for index, outline in enumerate(outlines, start=1):
            seen[rasterise(outline.rings, shape)] = index
        text: list[bytes] = []
        for index, (value, outline) in enumerate(zip(classes, outlines, strict=True), start=1):
            self.ious.append(iou((seen == index) & ~void, masks[value] & ~void))
            self.points += sum(map(len, outline.rings))
            line = region_line(value, outline=outline.rings)
            self.bytes += len(line)
            text.append(line)
        self.deflated += len(zlib.compress(b"".join(text), 9))

    def figures(self) -> dict[str, float]:
        frames = max(self.frames, 1)
        return {
            "iou_mean": float(np.mean(self.ious)) if self.ious else 1.0,
            "iou_min": float(np.min(self.ious)) if self.ious else 1.0,
            "bytes_ratio": self.bytes / max(self.png, 1),
            "bytes_ratio_deflated": self.deflated / max(self.png, 1),
            "bytes_per_frame": self.bytes / frames,
            "points_per_frame": self.points / frames,
            "regions_per_frame": len(self.ious) / frames,
            "uncertified_share": self.small / max(self.pixels, 1),
            "seconds_per_frame": float(np.median(self.seconds)) if self.seconds else 0.0,
        }


def _roundtrip(
    tally: _Tally, folder: str, image: np.ndarray, labels: np.ndarray, ignore: Sequence[int], budget: int
) -> None:
    start = time.perf_counter()
    distilled = distil_frame(image, labels, budget=budget, ignore=ignore)
    tally.seconds.append(time.perf_counter() - start)
    tally.points.append(distilled.count)
    tally.bytes.append(sum(len(region_line(value, points)) for value, points in distilled.points.items()))
    tally.add(folder, labels, distilled.rendered, ignore)


def _scores(confusion: dict[tuple[int, int], int]) -> dict[str, float]:
    truth: dict[int, int] = {}
    drawn: dict[int, int] = {}
    for (a, b), count in confusion.items():
        truth[a] = truth.get(a, 0) + count
        drawn[b] = drawn.get(b, 0) + count
    right = {value: confusion.get((value, value), 0) for value in truth}
    ious = [right[v] / (truth[v] + drawn.get(v, 0) - right[v]) for v in truth]
    return {
        "pixel_accuracy": sum(right.values()) / max(sum(truth.values()), 1),
        "miou": float(np.mean(ious)) if ious else 0.0,
    }


def _short(values: Sequence[float]) -> list[float]:
    return [int(v) if v == int(v) else v for v in values]


def _pairs(folder: Path, limit: int | None) -> list[tuple[Path, Path]]:
    images = {p.stem: p for p in sorted((folder / "images").iterdir()) if p.suffix.lower() in SUFFIXES}
    pairs = [(images[m.stem], m) for m in sorted((folder / "masks").glob("*.png")) if m.stem in images]
    if limit is None or len(pairs) <= limit:
        return pairs
    return [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, limit).astype(int))]


def _facts(folder: Path) -> dict[str, Any]:
    """The ignored and the background values of a folder and its class names; none where classes.json says
    none.
    """
    path = folder / "classes.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}

    def values(key: str) -> list[int]:
        value = known.get(key)
        if isinstance(value, list):
            return [int(v) for v in value]
        return [] if value is None else [int(value)]

    names = {int(entry["id"]): str(entry["name"]) for entry in known.get("classes") or []}
    return {"ignore": values("ignore"), "background": values("background"), "names": names}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m app.bench.roundtrip", description="Label map → points → label map"
    )
    parser.add_argument("--data", type=Path, required=True, help="a dataset folder or a folder of them")
    parser.add_argument("--frames", type=int, default=8, help="frames of each folder (0 = all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    result = run(dataset_folders(options.data), frames_per_folder=options.frames or None)
    print(json.dumps(result) if options.json else table(result))


if __name__ == "__main__":
    main()
