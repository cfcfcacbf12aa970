"""Overhead of a click: from the WebSocket message to the decoded mask, without the engine's own time.

Real server processes and a real WebSocket client on a 1080p frame; the `fake` engine answers a mask of the
whole frame at once, the largest there is. The prompt goes browser → web → worker → web → browser.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
from websockets.sync.client import ClientConnection, connect

from app.bench.serving import client, imported, served

CLICKS = 300
WARM_UP = 20
SIZE = (1080, 1920)
TARGET = {"p50": 6.0, "p95": 20.0}


def run(*, clicks: int = CLICKS, size: tuple[int, int] = SIZE) -> dict[str, float]:
    """Start a server on an empty folder, click `clicks` times; {"p50", "p95"} in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="pointillist-bench-") as folder, served(Path(folder)) as url:
        with client(url) as http:
            project, frame = _one_frame(http, size)
        with _workspace(url, project) as socket:
            times = [_click(socket, frame, size, number) for number in range(WARM_UP + clicks)][WARM_UP:]
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


def _one_frame(http: httpx.Client, size: tuple[int, int]) -> tuple[str, str]:
    """Import one grey image; (project id, frame id)."""
    _, png = cv2.imencode(".png", np.full((*size, 3), 90, np.uint8))
    made = imported(http, "frame.png", png.tobytes())
    return made.project, made.frames[0]


def _workspace(url: str, project: str) -> ClientConnection:
    address = f"{url.replace('http', 'ws', 1)}/ws/workspace/{project}"
    return connect(address, compression=None, max_size=64 << 20, proxy=None)


def _click(socket: ClientConnection, frame: str, size: tuple[int, int], number: int) -> float:
    """Milliseconds from sending a prompt to having its mask as an array of bytes."""
    height, width = size
    geometry = {"points": [{"x": width / 2, "y": height / 2, "label": 1, "r": 10}], "text": "all"}
    message = {
        "v": 1,
        "type": "prompt",
        "request": number,
        "frame": frame,
        "geometry": geometry,
        "engine": "fake",
    }
    started = time.perf_counter()
    socket.send(json.dumps(message).encode())
    while True:
        data = socket.recv(timeout=30)
        assert isinstance(data, bytes)
        length = int.from_bytes(data[:4], "little")
        header = json.loads(data[4 : 4 + length])
        if header.get("request") == number:
            break
    if header["type"] != "proposal":
        raise RuntimeError(f"The click was answered by: {header.get('detail')}")
    found = header["candidates"][0]
    start = 4 + length + found["offset"]
    packed = np.frombuffer(data, np.uint8, found["length"], start).reshape(found["h"], -1)
    mask = np.unpackbits(packed, axis=1, count=found["w"])
    elapsed = (time.perf_counter() - started) * 1000
    if mask.shape != size:
        raise RuntimeError(f"The mask came back as {mask.shape}, not {size}.")
    return elapsed


def main() -> None:
    for name, value in run().items():
        print(f"click_overhead_ms {name} {value:.2f} (target <= {TARGET[name]:g})")


if __name__ == "__main__":
    main()
