"""Does Datumaro read our COCO, VOC and CVAT exports with identical pixels? Run by hand, outside the suite.

Datumaro needs its own environment, because it brings another OpenCV:

    python3 -m venv /tmp/datumaro && /tmp/datumaro/bin/pip install datumaro
    .venv/bin/python -m tests.optional.datumaro_check write /tmp/exports
    /tmp/datumaro/bin/python tests/optional/datumaro_check.py read /tmp/exports

`write` makes label maps of 480 × 360 (random blocks, stripes and specks, or those of `--masks FOLDER`, index PNGs),
exports them in every format and keeps what is expected as `expected/<frame>.npy`. `read` ends with status 1 where
a pixel differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

FORMATS = {"coco": "coco", "voc": "voc_segmentation", "cvat": "cvat", "coco-panoptic": "coco_panoptic"}
"""Our format → Datumaro's."""


def write(target: Path, masks: Path | None, count: int) -> None:
    from PIL import Image

    from app.algo.labels import voc_colour_map
    from app.models import ClassDef
    from tests.formats.out.exporting import export, frame

    if masks is None:
        rng = np.random.default_rng(1)
        maps = [_drawn(rng) for _ in range(count)]
    else:
        maps = [np.asarray(Image.open(path)).astype(int) + 1 for path in sorted(masks.glob("*.png"))[:count]]
    top = max(int(labels.max()) for labels in maps)
    colours = voc_colour_map(256)
    classes = [
        ClassDef(id=n, name=f"class {n}", colour="#" + bytes(colours[n % 256]).hex(), value=n % 256)
        for n in range(1, top + 1)
    ]
    shown = [
        frame(labels, position, regions=[(c.id, None) for c in classes])
        for position, labels in enumerate(maps)
    ]
    (target / "expected").mkdir(parents=True, exist_ok=True)
    names = {c.id: c.name for c in classes}
    for one in shown:
        np.save(target / "expected" / f"{one.name}.npy", one.label_map)
    (target / "expected" / "names.json").write_text(json.dumps(names))
    for ours in FORMATS:
        objects = "class" if ours == "voc" else "region"
        files, _ = export(ours, shown, classes, objects=objects)
        for name, data in files.items():
            path = target / ours / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        # Datumaro's importers look for images; the pixels of these do not matter.
        folder = {"voc": "JPEGImages", "coco-panoptic": "images/default", "coco": "images/default"}.get(
            ours, "images"
        )
        for one in shown:
            path = target / ours / folder / f"{one.name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (one.width, one.height)).save(path)
    print(f"{len(shown)} frames of {len(classes)} classes are in {target}.")


def _drawn(rng: np.random.Generator) -> np.ndarray:
    labels = np.kron(rng.integers(0, 12, (24, 32)), np.ones((15, 15), int))
    labels[:, 200:240] = np.arange(40) % 12
    specks = rng.random(labels.shape) < 0.02
    labels[specks] = rng.integers(0, 12, int(specks.sum()))
    return labels


def read(source: Path) -> int:
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    warnings.filterwarnings("ignore")
    names = json.loads((source / "expected" / "names.json").read_text())
    ids = {name: int(number) for number, name in names.items()}
    failed = 0
    for ours, theirs in FORMATS.items():
        dataset = Dataset.import_from(str(source / ours), theirs)
        labels = dataset.categories()[AnnotationType.label]
        wanted = {path.stem: np.load(path) for path in (source / "expected").glob("*.npy")}
        wrong = seen = 0
        for item in dataset:
            expected = wanted.pop(Path(item.id).name, None)
            if expected is None:
                continue
            painted = np.zeros(expected.shape, np.uint16)
            for annotation in item.annotations:
                if annotation.type == AnnotationType.mask and labels[annotation.label].name in ids:
                    painted[annotation.image.astype(bool)] = ids[labels[annotation.label].name]
            wrong += int((painted != expected).sum())
            seen += 1
        good = not wrong and not wanted and seen > 0
        failed += not good
        verdict = "identical" if good else "DIFFERENT"
        print(f"{ours:14} {verdict}: {seen} frames, {wrong} pixels differ, {len(wanted)} frames missing")
    return 1 if failed else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["write", "read"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--count", type=int, default=20)
    asked = parser.parse_args()
    if asked.what == "read":
        sys.exit(read(asked.folder))
    write(asked.folder, asked.masks, asked.count)


if __name__ == "__main__":
    main()
