"""Mattes over HTTP: a soft disc with known alpha, from its regions through the real consumer to files and back."""

from __future__ import annotations

import io
import math
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from app.models import new_id
from tests.conftest import Server

FRAMES, WIDTH, HEIGHT, FPS = 6, 192, 144, 12
RADIUS, SOFT = 34.0, 10.0
"""Of the disc, and over how many pixels its edge goes from one to zero."""


def centre(index: int) -> tuple[float, float]:
    return 70.0 + 6 * index, 70.0


def exact(index: int) -> NDArray[np.float64]:
    """The alpha of the disc: (H, W), 0..1."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    cx, cy = centre(index)
    return np.clip((RADIUS - np.hypot(x - cx, y - cy)) / SOFT + 0.5, 0, 1)


def picture(index: int) -> NDArray[np.uint8]:
    """The disc, red, over a green and blue texture."""
    noise = np.random.default_rng(3).integers(0, 30, (HEIGHT, WIDTH, 3))
    behind = np.array([30, 120, 90]) + noise
    alpha = exact(index)[..., None]
    return (alpha * np.array([210, 60, 40]) + (1 - alpha) * behind).astype(np.uint8)


@pytest.fixture(scope="module")
def disc() -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "8"}
        for index in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), "rgb24")))
        container.mux(stream.encode())
    return target.getvalue()


def ring(cx: float, cy: float, radius: float) -> list[list[float]]:
    turns = [2 * math.pi * step / 72 for step in range(72)]
    return [[cx + radius * math.cos(turn), cy + radius * math.sin(turn)] for turn in turns]


class Desk:
    """A video of the disc, which is a track with a region on every frame, beside a square on two frames."""

    def __init__(self, server: Server, disc: bytes) -> None:
        self.server = server
        self.project = server.project("Mattes")
        self.asset = server.asset(self.project, "disc.mp4", disc)["id"]
        self.track = new_id()
        for index in range(FRAMES):
            self.add(index, ring(*centre(index), RADIUS), class_id=2, track_id=self.track)
        for index in (1, 2):
            self.add(index, [[150, 100], [180, 100], [180, 130], [150, 130]], class_id=3)

    def add(self, index: int, outline: list[list[float]], **more: Any) -> dict[str, Any]:
        body = {"id": new_id(), "geometry": {"outline": [outline]}, **more}
        return self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)["region"]

    def frame(self, index: int) -> str:
        return f"{self.asset}-{index:06d}"

    def body(self, **wanted: Any) -> dict[str, Any]:
        return {
            "asset_id": self.asset,
            "targets": [{"name": "disc", "track_ids": [self.track]}],
            "engine": "matte-fast",
            **wanted,
        }

    def ask(self, path: str = "mattes", *, status: int | None = 202, **wanted: Any) -> dict[str, Any]:
        body = self.body(**wanted)
        return self.server.api("POST", f"/projects/{self.project['id']}/{path}", json=body, status=status)

    def run(self, **wanted: Any) -> dict[str, Any]:
        job = self.server.finished(self.ask(**wanted))
        assert job["state"] == "done", job["reason"]
        return {**job["result"], "job": job["id"]}

    def file(self, result: dict[str, Any], name: str) -> bytes:
        answer = self.server.http.get(f"/api/v1/jobs/{result['job']}/files/{name}")
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture(scope="module")
def desk(server: Server, disc: bytes) -> Desk:
    return Desk(server, disc)


def decoded(data: bytes) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """The frames of a video as grey levels, and their times."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="gray") for frame in frames], [float(frame.time) for frame in frames]


def test_the_alpha_of_a_soft_disc_comes_back_frame_by_frame(desk: Desk) -> None:
    result = desk.run(
        targets=[{"track_ids": [desk.track], "name": "Red disc"}, {"class_ids": [3]}],
        outputs=["alpha-mp4", "foreground-mp4"],
    )
    names = [file["name"] for file in result["files"]]
    assert names[0] == "disc_Red_disc_alpha.mp4"
    levels, times = decoded(desk.file(result, "disc_Red_disc_alpha.mp4"))
    assert times == pytest.approx([index / FPS for index in range(FRAMES)], abs=1e-6)
    errors = [np.abs(level / 255 - exact(index)).mean() for index, level in enumerate(levels)]
    hard = [np.abs((exact(index) >= 0.5) - exact(index)).mean() for index in range(FRAMES)]
    assert max(errors) < 0.5 * min(hard)
