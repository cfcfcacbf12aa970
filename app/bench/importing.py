"""Import of ground truth: seconds a frame and peak memory, which must not grow with the number of frames.

The frames and masks of one data set are repeated under new names until there are enough, and imported by the
task of the import job in a process of its own: 100 and 1,000 frames as outlines alone, and a few with points.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

from app.errors import Refused
from app.models import ClassDef, ClassTemplate, frame_id, new_id
from tasks.channel import Channel
from tasks.import_report import ImportArgs, ImportOptions, TargetFrame
from tasks.import_scan import read_report

RUNS = ((100, 0), (1000, 0), (12, 300))
"""(frames, points a frame)."""


def run(
    folders: Sequence[Path], *, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """The figures for the first data set that has masks. Raises Refused without any."""
    for folder in folders:
        masks = sorted((folder / "masks").glob("*.png"))
        images = {path.stem: path for path in (folder / "images").iterdir()}
        pairs = [(images[mask.stem], mask) for mask in masks if mask.stem in images]
        if pairs:
            break
    else:
        raise Refused("No frame with a mask was found; a data set has images/ and masks/.")
    result: dict[str, Any] = {"data": folder.name}
    for done, (frames, budget) in enumerate(RUNS, 1):
        command = [sys.executable, "-m", "app.bench.importing", str(folder), str(frames), str(budget)]
        answer = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        result[f"frames_{frames}_points_{budget}"] = json.loads(answer.stdout)
        progress(done, len(RUNS))
    return result


def _measure(folder: Path, frames: int, budget: int) -> dict[str, float]:
    import resource

    from tasks import import_labels

    masks = sorted((folder / "masks").glob("*.png"))
    with tempfile.TemporaryDirectory(prefix="pointillist-") as place:
        source, job = Path(place) / "source", Path(place) / "job"
        (source / "masks").mkdir(parents=True)
        job.mkdir()
        if (folder / "classes.json").is_file():
            (source / "classes.json").write_bytes((folder / "classes.json").read_bytes())
        asset = new_id()
        rows = []
        for index in range(frames):
            mask = masks[index % len(masks)]
            image = next(iter(sorted((folder / "images").glob(f"{mask.stem}.*"))))
            name = f"frame_{index:06d}"
            (source / "masks" / f"{name}.png").write_bytes(mask.read_bytes())
            with Image.open(image) as opened:
                width, height = opened.size
            rows.append(
                TargetFrame(
                    id=frame_id(asset, index),
                    asset=asset,
                    stem="bench",
                    index=index,
                    name=name,
                    pts=None,
                    width=width,
                    height=height,
                    image=str(image),
                )
            )
        listing = job / "frames.jsonl"
        listing.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        colours = {c: f"#{c * 20 % 256:02x}{c * 70 % 256:02x}80" for c in range(1, 60)}
        classes = [ClassDef(id=c, name=f"class {c}", colour=colours[c], priority=c) for c in colours]
        args = ImportArgs(
            job_id=new_id(),
            project_id=new_id(),
            source=str(source),
            name="bench",
            format=None,
            dry_run=True,
            frames=str(listing),
            class_template=ClassTemplate(id=new_id(), name="Bench", classes=classes),
            options=ImportOptions(match="name", budget=budget),
        )
        with Channel(job) as channel:
            import_labels.run(channel, msgspec.to_builtins(args))
        dry = read_report(job / "report.json")
        assert dry is not None
        used = [row for row in dry.classes if not row.void]
        args.dry_run, args.mapping = False, {row.key: 1 + n for n, row in enumerate(used)}
        with Channel(job) as channel:
            import_labels.run(channel, msgspec.to_builtins(args))
        report = read_report(job / "report.json")
        assert report is not None
        return {
            "seconds_per_frame": report.seconds / frames,
            "dry_run_seconds": dry.seconds,
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "regions": report.regions,
            "outlines": report.outlines,
            "iou_mean": report.certificates.mean_iou,
            "iou_min": report.certificates.min_iou,
        }


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
