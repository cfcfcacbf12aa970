"""kill -9 of each process, again and again: no acknowledged edit is lost and every job has an end.

POINTILLIST_KILLS sets how often: 200, as before a release, takes half an hour.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable

import httpx
import pytest

from app.models import new_id
from tests import drawing
from tests.conftest import MakeServer, Server

ROUNDS = int(os.environ.get("POINTILLIST_KILLS", "6"))
CONSUMER_ROUNDS = min(ROUNDS, 20)
FRAMES = 45 * CONSUMER_ROUNDS
"""So many that their extraction lasts longer than the kills."""
SQUARE = {"outline": [[[10, 10], [60, 10], [60, 60], [10, 60]]]}


def kill(server: Server, name: str) -> None:
    """kill -9 one child and wait until the supervisor has another one running."""
    before = server.supervisor.states()[name]
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    assert server.supervisor.wait_for(
        lambda states: states[name].state == "running" and states[name].pid != before.pid, 20
    )


class Annotator(threading.Thread):
    """Adds regions as fast as it can; `acknowledged` are those whose request was answered with success."""

    def __init__(self, server: Server, frame_id: str, geometry: Callable[[], dict]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.progress = threading.Condition()
        self.stopping = threading.Event()
        self._server, self._frame, self._geometry = server, frame_id, geometry

    def run(self) -> None:
        with httpx.Client(base_url=self._server.url, timeout=30) as http:
            while not self.stopping.is_set():
                body = {"id": new_id(), "class_id": 1, "geometry": self._geometry()}
                while not self.stopping.is_set():
                    # The same id again until it is answered: a retry must not make a second region.
                    try:
                        answer = http.post(f"/api/v1/frames/{self._frame}/regions", json=body)
                    except httpx.TransportError:
                        continue
                    if answer.is_success:
                        with self.progress:
                            self.acknowledged.append(body["id"])
                            self.progress.notify_all()
                        break

    def wait_for_more(self, count: int) -> None:
        """Until `count` further edits were acknowledged."""
        with self.progress:
            goal = len(self.acknowledged) + count
            assert self.progress.wait_for(lambda: len(self.acknowledged) >= goal, 60)

    def stop(self) -> list[str]:
        self.stopping.set()
        self.join(60)
        return self.acknowledged


@pytest.fixture(scope="module")
def busy(make_server: MakeServer) -> Server:
    return make_server(worker_timeout_s=5.0, backoff=(0.05, 0.05))


@pytest.fixture(scope="module")
def frame(busy: Server, clip: bytes) -> str:
    return f"{busy.asset(busy.project('Killed'), 'disc.mp4', clip)['id']}-000000"


@pytest.mark.parametrize("name", ["web", "worker"])
def test_no_acknowledged_edit_is_lost_by_kill_9(busy: Server, frame: str, name: str) -> None:
    rng = random.Random(3)
    annotator = Annotator(busy, frame, lambda: SQUARE)
    annotator.start()
    others = {n: s.pid for n, s in busy.supervisor.states().items() if n != name}
    for _ in range(ROUNDS):
        annotator.wait_for_more(rng.randint(1, 3))
        kill(busy, name)
    annotator.wait_for_more(1)
    acknowledged = annotator.stop()
    stored = [region["id"] for region in busy.api("GET", f"/frames/{frame}/regions")]
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert {n: s.pid for n, s in busy.supervisor.states().items() if n != name} == others


def test_an_extraction_survives_kills_of_the_consumer(busy: Server, tmp_path) -> None:
    source = tmp_path / "long.mp4"
    drawing.video(source, frames=FRAMES, width=480, height=360)
    project = busy.project("Long")
    made = busy.api(
        "POST",
        f"/projects/{project['id']}/assets",
        json={
            "upload_id": busy.upload("long.mp4", source.read_bytes()),
            "sampling": {"format": "png"},  # slow enough to be killed again and again on the way
        },
    )
    killed = reached = 0
    with busy.http.stream("GET", "/api/v1/events", timeout=120) as events:
        for line in events.iter_lines():
            if line.startswith("event: job"):
                job = busy.api("GET", f"/jobs/{made['job']['id']}")
                if job["state"] in ("done", "failed"):
                    break
                if job["state"] == "running" and job["done"] > reached and killed < CONSUMER_ROUNDS:
                    reached = job["done"]
                    kill(busy, "consumer")
                    killed += 1
    assert job["state"] == "done", job["reason"]
    assert killed == CONSUMER_ROUNDS
    frames = busy.api("GET", f"/projects/{project['id']}/frames?asset={made['asset']['id']}&limit=1000")
    assert [f["index"] for f in frames["frames"]] == list(range(FRAMES))
    assert len({f["pts"] for f in frames["frames"]}) == FRAMES


def test_a_consumer_that_dies_between_two_jobs_takes_up_the_next(busy: Server, clip: bytes) -> None:
    for _ in range(3):
        kill(busy, "consumer")
        busy.asset(busy.project(), "disc.mp4", clip)
