"""A track through thousands of frames: memory that must not grow, a cancel that is heeded, and nothing lost.

The frames are a few drawn pictures of 160×120, linked again and again, with their rows written through the store;
server, worker and job are real. Memory is read every 1,000 frames; near the end the job is cancelled.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from app.bench.paging import Place, fill
from app.bench.serving import ENDED, answer, client, supervised
from app.errors import Refused
from app.models import new_id
from app.store import Store
from app.supervisor import Supervisor

SIZE = (160, 120)
PICTURES = 60
RADIUS = 18
CACHE_MB = 64
"""Of prepared frames; more would hide in its growth what else grows."""
STEP = 1_000
CANCEL_AT = 0.95
WATCHED = ("web", "worker")
STALLED_S = 120.0


def run(
    frames: int, *, engine: str = "classic", progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Track one object through `frames` frames, at least 100, and cancel the job near the end.

    {"engine", "frames", "frames_per_s", "rss_growth_mib", "rss_mib" {"web", "worker"}, "cancel_s", "missing"}:
    growth is that of the process that grew most, from a tenth of the way on; `missing` are frames that were
    done and have neither a region nor a note that the object was not seen.
    """
    if frames < 100:
        raise Refused("A long track has 100 frames at least.")
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as folder:
        data = Path(folder).resolve()
        with Store.open(data) as store:
            place = fill(store, frames, regions=False, size=SIZE, file=lambda at: f"frames/{at:06d}.png")
        _draw(data / "assets" / place.asset / "frames", frames)
        with supervised(data, feature_cache_mb=CACHE_MB) as supervisor, client(supervisor.url) as http:
            return _track(supervisor, http, place, engine, progress)


def _track(
    supervisor: Supervisor,
    http: httpx.Client,
    place: Place,
    engine: str,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    body = {"id": new_id(), "class_id": 1, "geometry": {"outline": [_ring(0)]}}
    answer(http.post(f"/frames/{place.asset}-000000/regions", json=body))
    wanted = {"asset_id": place.asset, "region_ids": [body["id"]], "direction": "forward", "engine": engine}
    job = answer(http.post(f"/projects/{place.project}/tracks", json=wanted))["id"]
    memory: dict[str, list[float]] = {name: [] for name in WATCHED}
    step = min(STEP, max(1, place.frames // 10))
    goal = round(CANCEL_AT * place.frames)
    started = moved = time.monotonic()
    done = 0
    while done < goal:
        now = answer(http.get(f"/jobs/{job}"))
        if now["state"] in ("failed", "cancelled") or time.monotonic() - moved > STALLED_S:
            raise RuntimeError(f"The track did not get on: {now['reason'] or now['state']}")
        if now["done"] > done:
            moved = time.monotonic()
        done = now["done"]
        if done // step > len(memory["web"]):
            for name, kept in memory.items():
                kept.append(_rss_mib(supervisor.states()[name].pid))
            progress(done, goal)
        time.sleep(0.05)
    rate = done / (time.monotonic() - started)
    asked = time.monotonic()
    answer(http.post(f"/jobs/{job}/cancel"))
    while (now := answer(http.get(f"/jobs/{job}")))["state"] not in ENDED:
        time.sleep(0.02)
    cancel_s = time.monotonic() - asked
    progress(goal, goal)
    return {
        "engine": engine,
        "frames": now["done"],
        "frames_per_s": round(rate, 1),
        "rss_growth_mib": round(max(kept[-1] - kept[0] for kept in memory.values()), 1),
        "rss_mib": {name: [round(value, 1) for value in kept] for name, kept in memory.items()},
        "cancel_s": round(cancel_s, 2),
        "missing": _missing(http, place, now["done"]),
    }


def _missing(http: httpx.Client, place: Place, done: int) -> int:
    """Of the first `done` frames, those of which nothing is known."""
    lanes = answer(http.get(f"/assets/{place.asset}/lanes"))
    runs = [
        run for one in lanes["classes"] for track in one["tracks"] for run in track["regions"] + track["lost"]
    ]
    known = {at for start, length in runs for at in range(start, start + length)}
    return len(set(range(done)) - known)


def _rss_mib(pid: int | None) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _centre(number: int) -> tuple[int, int]:
    """Of the disc on a picture; it goes there and back, so that the pictures can be shown again and again."""
    way = abs(number % PICTURES - PICTURES // 2)
    return 40 + 2 * way, 60 + way // 2


def _ring(number: int) -> list[list[float]]:
    x, y = _centre(number)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + 0.5 + RADIUS * np.cos(angles), y + 0.5 + RADIUS * np.sin(angles)], axis=1).tolist()


def _draw(folder: Path, frames: int) -> None:
    folder.mkdir(parents=True)
    width, height = SIZE
    rng = np.random.default_rng(5)
    floor = cv2.GaussianBlur(rng.integers(40, 200, (height, width, 3)).astype(np.uint8), (0, 0), 3)
    disc = cv2.GaussianBlur(
        rng.integers(0, 255, (2 * RADIUS + 1, 2 * RADIUS + 1, 3)).astype(np.uint8), (0, 0), 1
    )
    disc[..., 2] = 230
    rows, columns = np.ogrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    inside = rows**2 + columns**2 <= RADIUS**2
    for number in range(min(PICTURES, frames)):
        image = floor.copy()
        x, y = _centre(number)
        image[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1][inside] = disc[inside]
        cv2.imwrite(str(folder / f"{number:06d}.png"), image)
    for number in range(PICTURES, frames):
        os.link(folder / f"{number % PICTURES:06d}.png", folder / f"{number:06d}.png")
