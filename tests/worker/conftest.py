"""Real spawned workers: the child is kept alive as the supervisor does it, the client is the web's."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.models import Geometry, Point
from app.supervisor import Child
from app.worker.client import WorkerClient
from app.worker.protocol import FrameRef, Predict

ASSET = "0123456789abcdef01234567"


class Bench:
    """A worker process with its client, a data folder and frames drawn on demand."""

    def __init__(self, data: Path, *, timeout_s: float = 8.0, cache_mb: int = 64) -> None:
        self.data = data
        self.states: list[str] = []
        self.changed = threading.Condition()
        self._folder = tempfile.TemporaryDirectory(prefix="pt-")
        self.socket = Path(self._folder.name) / "worker.sock"
        self.key = secrets.token_bytes(16)
        command = [sys.executable, "-m", "app.worker", "--socket", str(self.socket), "--data", str(data)]
        command += ["--cache-mb", str(cache_mb)]
        env = {**os.environ, "POINTILLIST_AUTHKEY": self.key.hex(), "POINTILLIST_FAKE_ENGINE": "1"}
        self.log = data / "worker.log"
        self.child = Child("worker", lambda: command, lambda: env, self.log, lambda: None, (0.05, 0.2))
        self.child.start()
        self.client = self.connect(timeout_s=timeout_s)
        self.client.on_state(self._note)
        self.wait_for(lambda: self.client.state().state == "ready")

    def connect(self, *, timeout_s: float = 8.0) -> WorkerClient:
        client = WorkerClient(self.socket, self.key, timeout_s=timeout_s, reconnect_s=30)
        client.start()
        return client

    def _note(self, state: object) -> None:
        with self.changed:
            self.states.append(state.state)
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, 30), self.log.read_text()

    def close(self) -> None:
        self.client.close()
        self.child.ask_to_end()
        self.child.end(0)
        self._folder.cleanup()

    def frame(self, index: int = 0, *, width: int = 160, height: int = 120) -> FrameRef:
        """A frame with an image on disk, made where it is missing."""
        path = self.data / "assets" / ASSET / "frames" / f"{index:06d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((height, width, 3), (40, 90 + index, 60), np.uint8)
            cv2.circle(image, (width // 2, height // 2), height // 4, (30, 60, 220), -1)
            cv2.imwrite(str(path), image)
        relative = str(path.relative_to(self.data))
        name = f"{ASSET}-{index:06d}"
        return FrameRef(id=name, path=relative, hash=f"hash{index}", width=width, height=height)


def click(x: float, y: float, *, r: float = 10, label: int = 1, text: str | None = None) -> Geometry:
    return Geometry(points=[Point(x=x, y=y, r=r, label=label)], text=text)  # type: ignore[arg-type]


def predict(frame: FrameRef, geometry: Geometry, **more: object) -> Predict:
    return Predict(**{"frame": frame, "geometry": geometry, "engine": "fake", **more})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One healthy worker for a module's tests."""
    made = Bench(tmp_path_factory.mktemp("data").resolve())
    yield made
    made.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes workers that a test may break."""
    made: list[Bench] = []

    def make(**options: object) -> Bench:
        made.append(Bench(tmp_path.resolve(), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
