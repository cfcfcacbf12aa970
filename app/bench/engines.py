"""SAM 3 through the worker: encoding, clicks, tracking, and what a click costs while a track runs.

Where there is a GPU the model has its published size; elsewhere it is a tiny one, which shows what the worker
adds, not how fast the model is. The weights are random unless real ones are given: a mask's accuracy is not
looked at here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.models import Geometry, Point
from app.supervisor import Child
from app.worker import protocol
from app.worker.client import WorkerClient

FRAMES = 60
CLICKS = 60
SIZE = (720, 1280)
OBJECTS = (1, 5, 16)
LOAD_S = 600.0
ASSET = "0123456789abcdef01234567"


def run(
    weights: Path | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """{"device", "weights", "encode_ms", "click_ms" {"p50", "p95"}, "click_while_tracking_ms", "ratio_p95",
    "track_fps" {"1", "5", "16"}, "gib"}; milliseconds are medians unless said.

    `ratio_p95`: clicks while a track of five objects runs against clicks on an idle worker.
    """
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as folder:
        data = Path(folder).resolve()
        (data / "weights").mkdir()
        target = data / "weights" / "sam3.pt"
        if weights is None:
            _save_random(target)
        else:
            target.symlink_to(weights.resolve())
        frames = [_frame(data, index) for index in range(FRAMES)]
        with _worker(data) as client:
            loaded = client.request(protocol.LoadEngine(engine="sam3"), LOAD_S)
            progress(1, 4)
            out: dict[str, Any] = {
                "device": loaded.device,
                "weights": "given" if weights else "random",
                "model_gib": loaded.bytes / 2**30,
                "encode_ms": _encoding(client, frames),
            }
            quiet = [_click(client, frames[0], number) for number in range(CLICKS)]
            progress(2, 4)
            out["track_fps"] = {str(count): _track(client, frames, count) for count in OBJECTS}
            progress(3, 4)
            busy = _clicks_while_tracking(client, frames)
            progress(4, 4)
            out["click_ms"] = _percentiles(quiet)
            out["click_while_tracking_ms"] = _percentiles(busy)
            out["ratio_p95"] = out["click_while_tracking_ms"]["p95"] / out["click_ms"]["p95"]
            pong = client.request(protocol.Ping())
            out["cache_gib"] = pong.cache_bytes / 2**30
    return out


def _save_random(path: Path) -> None:
    import torch

    from app.bench.random_weights import save_sam3
    from app.worker.engines.sam3.build import Architecture

    save_sam3(path, None if torch.cuda.is_available() else Architecture())


@contextlib.contextmanager
def _worker(data: Path) -> Iterator[WorkerClient]:
    key = secrets.token_bytes(16)
    socket = data / "worker.sock"
    command = [sys.executable, "-m", "app.worker", "--socket", str(socket), "--data", str(data)]
    env = {**os.environ, "POINTILLIST_AUTHKEY": key.hex()}
    child = Child("worker", lambda: command, lambda: env, data / "worker.log", lambda: None)
    client = WorkerClient(socket, key, reconnect_s=60.0)
    child.start()
    client.start()
    try:
        yield client
    finally:
        client.close()
        child.ask_to_end()
        child.end(0)


def _frame(data: Path, index: int) -> protocol.FrameRef:
    height, width = SIZE
    image = np.random.default_rng(index).integers(60, 120, (height // 8, width // 8, 3), np.uint8)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(image, (width // 2 + 4 * index, height // 2), height // 5, (40, 60, 220), -1)
    path = data / "frames" / f"{index:06d}.jpg"
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), image)
    name = f"{ASSET}-{index:06d}"
    return protocol.FrameRef(
        id=name, path=str(path.relative_to(data)), hash=f"{index:064x}", width=width, height=height
    )


def _encoding(client: WorkerClient, frames: list[protocol.FrameRef]) -> float:
    """Milliseconds of a first click on a frame beyond one on a prepared frame."""
    first, again = [], []
    for number, frame in enumerate(frames[:12]):
        first.append(_click(client, frame, number))
        again.append(_click(client, frame, number + 1))
    return float(np.median(first[2:]) - np.median(again[2:]))


def _click(client: WorkerClient, frame: protocol.FrameRef, number: int) -> float:
    """Milliseconds from asking to having the masks, packed."""
    x, y = 200 + 13 * (number % 60), 150 + 7 * (number % 60)
    asked = protocol.Predict(frame=frame, geometry=Geometry(points=[Point(x=x, y=y)]), engine="sam3")
    started = time.perf_counter()
    client.request(asked, LOAD_S)
    return (time.perf_counter() - started) * 1000


def _plan(frames: list[protocol.FrameRef], count: int) -> protocol.Track:
    def anchor(number: int) -> protocol.TrackAnchor:
        x, y = 100 + 60 * number, 100 + 25 * number
        ring: list[tuple[float, float]] = [(x, y), (x + 80, y), (x + 80, y + 60), (x, y + 60)]
        region = protocol.RegionSpec(
            id=f"{number:024x}", class_id=1, priority=0, order=0, geometry=Geometry(outline=[ring])
        )
        return protocol.TrackAnchor(position=0, object=number, region=region)

    return protocol.Track(
        frames=frames,
        anchors=[anchor(number) for number in range(count)],
        start=0,
        stop=len(frames) - 1,
        engine="sam3",
    )


def _track(client: WorkerClient, frames: list[protocol.FrameRef], count: int) -> float:
    """Frames a second, the frames prepared anew."""
    client.tell(protocol.Forget())
    started = time.perf_counter()
    done = sum(isinstance(reply, protocol.Tracked) for reply in client.stream(_plan(frames, count)))
    return done / (time.perf_counter() - started)


def _clicks_while_tracking(client: WorkerClient, frames: list[protocol.FrameRef]) -> list[float]:
    times: list[float] = []
    _click(client, frames[0], 0)
    while len(times) < CLICKS:
        with client.stream(_plan(frames, 5)) as stream:
            replies = iter(stream)
            next(replies)
            for _ in range(20):
                times.append(_click(client, frames[0], len(times)))
                # A person does not click without a pause: the track gets further between two clicks.
                next(replies, None)
    return times[:CLICKS]


def _percentiles(times: list[float]) -> dict[str, float]:
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


if __name__ == "__main__":
    for name, value in run(Path(sys.argv[1]) if sys.argv[1:] else None).items():
        print(name, value)
