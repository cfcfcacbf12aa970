"""Edits over HTTP while a video is extracted, against edits while nothing else goes on.

Edits are asked for at fixed times whether or not those before were answered (open loop), ten a second, as by
twenty people with one edit every two seconds; what counts is the time from when an edit was due to its answer.
Quiet and busy phases take turns (ABBA). Beside the ratio of their 99th percentiles there is one of quiet phases
among themselves (`control`): far from 1, the machine was too restless for the figure to mean anything.
"""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import httpx
import numpy as np

from app.bench.extracting import make_clip
from app.bench.serving import Imported, answer, client, ended, imported, served
from app.models import new_id

PAIRS = 10
PHASE_S = 6.0
PER_SECOND = 10.0
PEOPLE = 8
"""Requests that may be under way at once."""
CLIP_FRAMES = 1200
"""Longer than a phase, however fast the machine extracts."""
RUNS = 60.0
"""Seconds within which an extraction must have begun."""
RING = [[10, 10], [60, 10], [60, 60], [10, 60]]


def run(*, pairs: int = PAIRS, phase_s: float = PHASE_S, clip_frames: int = CLIP_FRAMES) -> dict[str, Any]:
    """{"edit_p99_ratio", "edits": {"pairs", "ratios": [lowest, highest], "control", "quiet_p99_ms", "busy_p99_ms"}}.

    All but the ratios' range are medians over the pairs.
    """
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as place:
        folder = Path(place).resolve()
        make_clip(folder / "clip.mp4", clip_frames)
        with served(folder / "data", allowed_roots=[folder]) as url, client(url) as http:
            _, png = cv2.imencode(".png", np.full((120, 160, 3), 90, np.uint8))
            made = imported(http, "frame.png", png.tobytes())
            phase(url, made, phase_s)
            quiet: list[float] = []
            busy: list[float] = []
            for pair in range(pairs):
                for is_busy in (False, True) if pair % 2 == 0 else (True, False):
                    if is_busy:
                        with extraction(http, made.project, folder / "clip.mp4"):
                            busy.append(p99(phase(url, made, phase_s)))
                    else:
                        quiet.append(p99(phase(url, made, phase_s)))
    ratios = [b / a for a, b in zip(quiet, busy, strict=True)]
    # Of an ABBA order these lie side by side.
    control = [b / a for a, b in zip(quiet[1::2], quiet[2::2], strict=False)]
    return {
        "edit_p99_ratio": median(ratios),
        "edits": {
            "pairs": pairs,
            "ratios": [min(ratios), max(ratios)],
            "control": median(control) if control else None,
            "quiet_p99_ms": median(quiet),
            "busy_p99_ms": median(busy),
        },
    }


def p99(times: list[float]) -> float:
    return float(np.percentile(times, 99))


def phase(url: str, made: Imported, seconds: float) -> list[float]:
    """Milliseconds of each edit from when it was due to its answer: a region is added, or the oldest removed."""
    due: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    times: list[float] = []
    added: queue.SimpleQueue[str] = queue.SimpleQueue()
    faults: list[BaseException] = []

    def person() -> None:
        with client(url) as http:
            try:
                while (at := due.get()) is not None:
                    _edit(http, made.frames[0], added)
                    times.append((time.perf_counter() - at) * 1000)
            except (httpx.HTTPError, RuntimeError) as exc:
                faults.append(exc)

    people = [threading.Thread(target=person) for _ in range(PEOPLE)]
    for one in people:
        one.start()
    begun = time.perf_counter()
    for number in range(round(seconds * PER_SECOND)):
        at = begun + number / PER_SECOND
        time.sleep(max(0.0, at - time.perf_counter()))
        due.put(at)
    for _ in people:
        due.put(None)
    for one in people:
        one.join()
    if faults:
        raise faults[0]
    with client(url) as http:
        while not added.empty():
            answer(http.delete(f"/regions/{added.get()}"))
    return times


def _edit(http: httpx.Client, frame: str, added: queue.SimpleQueue[str]) -> None:
    # Few regions at a time, so that an edit at the end of a phase costs what one at its beginning does.
    if added.qsize() > PEOPLE:
        answer(http.delete(f"/regions/{added.get()}"))
        return
    body = {"id": new_id(), "class_id": 1, "geometry": {"outline": [RING]}}
    answer(http.post(f"/frames/{frame}/regions", json=body))
    added.put(body["id"])


@contextmanager
def extraction(http: httpx.Client, project: str, clip: Path) -> Iterator[None]:
    """An extraction that writes frames as long as this lasts. Raises RuntimeError where it ended before."""
    made = answer(http.post(f"/projects/{project}/assets", json={"path": str(clip)}))
    job, asset = made["job"]["id"], made["asset"]["id"]
    deadline = time.monotonic() + RUNS
    while not (now := answer(http.get(f"/jobs/{job}")))["done"]:
        if now["state"] not in ("waiting", "running") or time.monotonic() > deadline:
            raise RuntimeError(f"The extraction did not begin: {now['reason'] or now['state']}")
        time.sleep(0.05)
    yield
    if answer(http.get(f"/jobs/{job}"))["state"] != "running":
        raise RuntimeError("The extraction ended before the edits did; the clip is too short.")
    answer(http.post(f"/jobs/{job}/cancel"))
    ended(http, job)
    http.delete(f"/assets/{asset}").raise_for_status()


if __name__ == "__main__":
    print(run())
