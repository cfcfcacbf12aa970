"""Frames look the same where the engine that certified their regions is away, and exports hold what is seen.

`fake-solo` stands for SAM: its regions do not compete, its weights are any bytes in a file.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.models import new_id
from tests.conftest import MakeServer, Server

WEIGHTS = "weights/fake-solo.bin"
AWAY = "was drawn by classic because the masks of fake-solo were not at hand."


class Desk:
    """A project whose first frame has a region that fake-solo certified; the mask of it that was seen."""

    def __init__(self, server: Server, clip: bytes) -> None:
        self.server = server
        self.give()
        self.project = server.project("Solo")["id"]
        self.asset = server.asset({"id": self.project}, "disc.mp4", clip)["id"]
        header = {"If-Match": '"1"'}
        server.api("PATCH", f"/projects/{self.project}", json={"engine": "fake-solo"}, headers=header)
        self.frame = f"{self.asset}-000000"
        points = [{"x": 60.5, "y": 50.5, "label": 1, "r": 12}]
        body = {"id": new_id(), "class_id": 2, "geometry": {"points": points}}
        made = server.api("POST", f"/frames/{self.frame}/regions", json=body)["region"]
        assert made["certificate"]["engine"] == "fake-solo"
        self.mask, header = self.map()
        assert "substituted" not in header
        assert self.mask.sum() == made["area"] < 500

    def give(self) -> None:
        (self.server.data / "weights").mkdir(exist_ok=True)
        (self.server.data / WEIGHTS).write_bytes(b"weights")

    def take(self) -> None:
        (self.server.data / WEIGHTS).unlink()
        self.server.api("POST", "/engines/fake-solo/unload")

    def forget(self) -> None:
        """Delete the cache, and what the worker remembers of it: it is another process then."""
        shutil.rmtree(self.server.data / "cache" / "masks")
        shutil.rmtree(self.server.data / "cache" / "maps")
        os.kill(self.server.supervisor.states()["worker"].pid, signal.SIGKILL)

    def map(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Where the region is seen, and the header of the region map."""
        answer = self.server.http.get(f"/api/v1/frames/{self.frame}/region-map")
        body = answer.raise_for_status().content
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        size = int.from_bytes(body[:4], "little")
        header = json.loads(body[4 : 4 + size])
        return np.frombuffer(body[4 + size :], np.uint8).reshape(120, 160) == 1, header

    def export(self) -> tuple[np.ndarray, list[str]]:
        """Where the exported label map is not 0, and the notes of the job."""
        wanted = {"format": "index-png", "asset_id": self.asset}
        job = self.server.finished(self.server.api("POST", f"/projects/{self.project}/exports", json=wanted))
        assert job["state"] == "done", job["reason"]
        name = job["result"]["files"][0]["name"]
        data = self.server.http.get(f"/api/v1/jobs/{job['id']}/files/{name}").raise_for_status().content
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (png,) = (name for name in archive.namelist() if name.endswith("000000.png"))
            return np.asarray(Image.open(io.BytesIO(archive.read(png)))) != 0, job["result"]["notes"]


@pytest.fixture(scope="module")
def desk(make_server: MakeServer, clip: bytes) -> Desk:
    return Desk(make_server(fake_engine=True, worker_timeout_s=60.0, backoff=(0.05, 0.05)), clip)


def test_masks_that_are_missing_are_drawn_before_the_export(desk: Desk) -> None:
    desk.forget()
    seen, notes = desk.export()
    assert (seen == desk.mask).all()
    assert not any("drawn by" in note for note in notes)


def test_without_the_engine_frames_and_exports_look_the_same(desk: Desk) -> None:
    desk.take()
    seen, header = desk.map()
    assert (seen == desk.mask).all()
    assert "substituted" not in header
    assert (desk.export()[0] == desk.mask).all()
    desk.give()


def test_a_stand_in_is_said_and_not_kept_in_the_cache(desk: Desk) -> None:
    desk.take()
    desk.forget()
    seen, header = desk.map()
    assert seen.all()  # a lone region of classic
    assert header["substituted"].startswith("1 region that fake-solo certified was drawn by classic.")
    answer = desk.server.http.get(f"/api/v1/frames/{desk.frame}/label-map.png")
    assert "was drawn by classic" in answer.headers["x-pointillist-substituted"]
    assert answer.headers["cache-control"] == "no-store"
    assert np.asarray(Image.open(io.BytesIO(answer.content))).all()
    seen, notes = desk.export()
    assert seen.all()
    assert f"1 region {AWAY}" in notes
    desk.give()
    seen, header = desk.map()
    assert (seen == desk.mask).all()
    assert "substituted" not in header


def test_the_question_of_other_priorities_counts_stand_ins_too(desk: Desk) -> None:
    desk.take()
    desk.forget()
    ring = [[0, 0], [40, 0], [40, 40], [0, 40]]
    body = {"id": new_id(), "class_id": 1, "geometry": {"outline": [ring]}}
    desk.server.api("POST", f"/frames/{desk.frame}/regions", json=body)
    wanted = {"priorities": {"1": 99}}
    job = desk.server.finished(desk.server.api("POST", f"/projects/{desk.project}/what-if", json=wanted))
    assert job["state"] == "done", job["reason"]
    assert job["result"]["rendered"] == 1
    assert job["result"]["notes"] == [f"1 region {AWAY}"]
