"""Pages of a project of 100,000 frames against those of one of 1,000, on one real server.

Both projects lie in one data folder, written through the store before the server starts; every frame has a
region that belongs to one of ten tracks. What a browser asks for when it opens the workspace is asked in turn of
the small, the large, the large and the small project; the ratio is the median of these rounds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app import store as db
from app.bench.serving import served
from app.models import (
    Asset,
    ClassDef,
    ClassTemplate,
    Frame,
    Geometry,
    Project,
    Region,
    Track,
    frame_id,
    new_id,
)
from app.store import Store

FRAMES = (1_000, 100_000)
ROUNDS = 40
WARM_UP = 5
BATCH = 5_000
TRACKS = 10
ANCHOR_EVERY = 250
SIZE = (320, 240)
RING = [(10.0, 10.0), (60.0, 10.0), (60.0, 60.0), (10.0, 60.0)]


@dataclass(frozen=True)
class Place:
    """One project with its only asset."""

    project: str
    asset: str
    frames: int

    def pages(self) -> dict[str, str]:
        """What a workspace that opens on the middle frame asks for: name → address."""
        middle = self.frames // 2
        return {
            "workspace": f"/workspace/{self.project}?asset={self.asset}&frame={middle}",
            "timeline": f"/api/v1/assets/{self.asset}/timeline",
            "lanes": f"/api/v1/assets/{self.asset}/lanes",
            "frames": f"/api/v1/projects/{self.project}/frames?asset={self.asset}&start={middle}&limit=200",
        }


def run(*, frames: tuple[int, int] = FRAMES, rounds: int = ROUNDS) -> dict[str, Any]:
    """{"page_ratio", "pages": {name: {"ratio", "small_ms", "large_ms"}}, "after_edit": the same}.

    `page_ratio` is the worst of `pages`. `after_edit`: facts of the timeline when they are asked for the first
    time since something was written, which makes what is kept of them in memory old.
    """
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as folder:
        data = Path(folder).resolve()
        with Store.open(data) as store:
            small, large = (fill(store, count) for count in frames)
        with served(data) as url, httpx.Client(base_url=url, timeout=60) as http:
            names = list(small.pages())
            pages = {name: _compare(http, small.pages()[name], large.pages()[name], rounds) for name in names}
            after = {
                name: _compare(http, small.pages()[name], large.pages()[name], rounds // 2, edit=True)
                for name in ("timeline", "lanes")
            }
    return {"page_ratio": max(row["ratio"] for row in pages.values()), "pages": pages, "after_edit": after}


def _compare(
    http: httpx.Client, small: str, large: str, rounds: int, *, edit: bool = False
) -> dict[str, float]:
    def timed(path: str) -> float:
        if edit:
            http.post("/api/v1/projects", json={"name": "Edit"}).raise_for_status()
        started = time.perf_counter()
        http.get(path).raise_for_status()
        return (time.perf_counter() - started) * 1000

    for path in (small, large) * WARM_UP:
        timed(path)
    quads = [[timed(path) for path in (small, large, large, small)] for _ in range(rounds)]
    return {
        "ratio": median((b + c) / (a + d) for a, b, c, d in quads),
        "small_ms": median(t for a, _, _, d in quads for t in (a, d)),
        "large_ms": median(t for _, b, c, _ in quads for t in (b, c)),
    }


def fill(
    store: Store,
    frames: int,
    *,
    regions: bool = True,
    size: tuple[int, int] = SIZE,
    file: Callable[[int], str] | None = None,
) -> Place:
    """A project with one asset of that many frames of `size` (width, height), written through the store.

    `regions`: one region a frame, in ten tracks with an anchor every 250 frames, and half of the frames done or
    approved; without, all are to do. `file`: the image of each frame, relative to the folder of the asset; there
    need be none where no image is asked for.
    """
    name = file or (lambda index: f"frames/{index:06d}.jpg")
    width, height = size
    template = ClassTemplate(
        id=new_id(),
        name=f"{frames} frames",
        classes=[
            ClassDef(id=1, name="thing", colour="#c04040"),
            ClassDef(id=2, name="floor", colour="#4040c0"),
        ],
    )
    project = Project(id=new_id(), name=f"{frames} frames", class_template_id=template.id)
    asset = Asset(
        id=new_id(),
        project_id=project.id,
        name="Long",
        stem="long",
        kind="video",
        source="source.mp4",
        state="ready",
        width=width,
        height=height,
        frame_count=frames,
        fps=25.0,
        duration=frames / 25,
    )
    tracks = [
        Track(id=new_id(), project_id=project.id, class_id=1, name=f"Thing {n + 1}") for n in range(TRACKS)
    ]

    def begin(cur: db.Cursor) -> None:
        db.class_templates.insert(cur, template)
        db.projects.insert(cur, project)
        db.assets.insert(cur, asset)
        for track in tracks if regions else ():
            db.tracks.insert(cur, track)

    def frame(index: int) -> Frame:
        worked_on = regions and index < frames // 2
        state = "todo" if not worked_on else "approved" if index < frames // 5 else "done"
        return Frame(
            id=frame_id(asset.id, index),
            asset_id=asset.id,
            index=index,
            source_index=index,
            pts=index / 25,
            width=width,
            height=height,
            hash=f"{index:064x}",
            file=name(index),
            thumb=f"thumbs/{index:06d}.jpg",
            state=state,
        )

    def region(index: int) -> Region:
        return Region(
            id=new_id(),
            frame_id=frame_id(asset.id, index),
            class_id=1,
            geometry=Geometry(outline=[RING]),
            track_id=tracks[index * TRACKS // frames].id,
            anchor=index % ANCHOR_EVERY == 0,
            area=2500,
        )

    store.write(begin)
    indices = iter(range(frames))
    while batch := list(islice(indices, BATCH)):
        store.write(lambda cur, batch=batch: db.frames.upsert_many(cur, [frame(i) for i in batch]))
        if regions:
            store.write(lambda cur, batch=batch: db.regions.insert_many(cur, [region(i) for i in batch]))
    return Place(project.id, asset.id, frames)


if __name__ == "__main__":
    print(run())
