"""Jobs that rest: what they have done is there, and they go on to what they would have done without the pause.

The engine is the one without pixels: what it tracks stands still, so that what is found is exact.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from app.cli import main
from app.models import Job, new_id
from app.services.jobs import pausable
from tests import drawing
from tests.conftest import MakeServer, Server

FRAMES = 6


class Desk:
    """A project with one video that is tracked, on a server that can be started anew."""

    def __init__(self, server: Server) -> None:
        self.server = server
        video = io.BytesIO()
        drawing.video(video, frames=FRAMES, width=160, height=120)
        self.project = self.server.project("Paused")["id"]
        body = {"upload_id": server.upload("disc.mp4", video.getvalue())}
        made = server.api("POST", f"/projects/{self.project}/assets", json=body)
        self.asset, self.extraction = made["asset"]["id"], made["job"]
        self.paused(self.extraction)  # asked before its process is up
        self.ask("resume", self.extraction)
        self.extraction = server.finished(self.extraction)

    def kill(self, name: str) -> None:
        """Kill a process of the server, which is then started anew."""
        states = self.server.supervisor
        before = states.states()[name].pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        assert states.wait_for(lambda now: now[name].state == "running" and now[name].pid != before, 20)
        while not self._answers():
            pass

    def _answers(self) -> bool:
        try:
            return self.server.http.get("/api/v1/health").is_success
        except httpx.TransportError:
            return False

    def frame(self, index: int) -> str:
        return f"{self.asset}-{index:06d}"

    def add(self, x: int = 40) -> str:
        """A square on the first frame; its id."""
        outline = [[[x, 30], [x + 20, 30], [x + 20, 50], [x, 50]]]
        body = {"id": new_id(), "class_id": 2, "geometry": {"outline": outline}}
        return self.server.api("POST", f"/frames/{self.frame(0)}/regions", json=body)["region"]["id"]

    def clear(self) -> None:
        for index in range(FRAMES):
            for region in self.on(index):
                self.server.api("DELETE", f"/regions/{region['id']}")

    def on(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def counts(self) -> list[int]:
        return [len(self.on(index)) for index in range(FRAMES)]

    def found(self) -> list[Any]:
        """What was tracked on every frame, without what differs from one job to the next."""
        own = {"id", "revision", "track_id"}
        return [[{k: v for k, v in r.items() if k not in own} for r in self.on(i)] for i in range(FRAMES)]

    def track(self, region: str) -> dict[str, Any]:
        body = {"asset_id": self.asset, "region_ids": [region], "engine": "fake"}
        return self.server.api("POST", f"/projects/{self.project}/tracks", json=body)

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        return self.server.api("GET", f"/jobs/{job['id']}")

    def ask(self, what: str, job: dict[str, Any], status: int = 200) -> dict[str, Any]:
        return self.server.api("POST", f"/jobs/{job['id']}/{what}", status=status)

    def undo(self, status: int = 200) -> dict[str, Any]:
        return self.server.api("POST", f"/projects/{self.project}/undo", status=status)

    def until(self, job: dict[str, Any], reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job once it looks like that, listening to the events."""
        with self.server.http.stream("GET", "/api/v1/events", timeout=60) as events:
            for line in events.iter_lines():
                if line.startswith(("event: job", "event: hello")) and reached(found := self.job(job)):
                    return found
        raise AssertionError("the stream of events ended")

    def wait_at(self, position: int | None) -> None:
        """Let the engine stop before a frame; it goes on without one."""
        line = "" if position is None else f"wait {position}"
        (self.server.data / "run" / "fake-walk").write_text(line)

    def held(self, region: str, at: int) -> dict[str, Any]:
        """A track in the middle of the frame `at`."""
        self.wait_at(at)
        return self.until(self.track(region), lambda job: job["done"] == at)

    def paused(self, job: dict[str, Any]) -> dict[str, Any]:
        self.ask("pause", job)
        return self.until(job, lambda job: job["state"] == "paused")


@pytest.fixture(scope="module")
def shared(make_server: MakeServer) -> Desk:
    settings = {"fake_engine": True, "worker_timeout_s": 60.0, "backoff": (0.05, 0.05), "max_jobs": 3}
    return Desk(make_server(**settings))


@pytest.fixture
def desk(shared: Desk) -> Iterator[Desk]:
    """The project without any region, and an engine that does not wait."""
    shared.clear()
    yield shared
    shared.wait_at(None)


def test_a_track_that_rested_finds_what_it_finds_without_a_pause(desk: Desk) -> None:
    job = desk.held(desk.add(), at=3)
    desk.ask("pause", job)
    desk.kill("worker")  # in the middle of a frame
    rests = desk.until(job, lambda job: job["state"] != "running")
    assert (rests["state"], rests["done"], rests["total"]) == ("paused", 3, FRAMES)
    assert desk.counts() == [1] * 3 + [0] * 3
    desk.wait_at(None)
    other = desk.server.finished(desk.track(desk.add(x=80)))  # the line goes on with the next one
    assert (other["state"], desk.job(job)["state"]) == ("done", "paused")
    desk.undo()
    desk.undo()  # the second region
    desk.kill("web")
    (rests,) = desk.server.api("GET", "/jobs?state=paused")
    assert (rests["id"], desk.counts()) == (job["id"], [1] * 3 + [0] * 3)
    desk.ask("resume", job)
    assert desk.server.finished(job)["done"] == FRAMES
    rested = desk.found()
    desk.clear()
    desk.server.finished(desk.track(desk.add()))
    assert desk.found() == rested


def test_what_a_paused_track_did_is_a_step_to_undo(desk: Desk) -> None:
    job = desk.held(desk.add(), at=3)
    desk.paused(job)
    assert desk.undo()["what"].startswith("Took the track of ")
    assert desk.counts() == [1] + [0] * 5
    desk.server.api("POST", f"/projects/{desk.project}/redo")
    desk.wait_at(5)
    desk.ask("resume", job)
    desk.until(job, lambda job: job["done"] == 5)
    assert "Pause or cancel it first" in desk.undo(status=409)["detail"]
    desk.paused(job)
    desk.undo()
    assert desk.counts() == [1] * 3 + [0] * 3
    desk.ask("resume", job)
    ended = desk.server.finished(job)
    assert (ended["state"], "taken back" in ended["reason"]) == ("failed", True)


def test_a_job_that_waits_rests_at_once_and_comes_back_at_the_end_of_the_line(desk: Desk) -> None:
    first = desk.held(desk.add(), at=3)
    second = desk.track(desk.add(x=70))
    assert desk.paused(second)["done"] == 0
    assert desk.ask("pause", second)["state"] == "paused"
    third, fourth = desk.track(desk.add(x=100)), desk.track(desk.add(x=130))  # one that rests is not counted
    assert "3 jobs already wait or run" in desk.ask("resume", second, status=429)["detail"]
    desk.ask("cancel", fourth)
    desk.server.finished(fourth)
    assert desk.ask("resume", second)["state"] == "waiting"
    assert desk.ask("resume", second)["state"] == "waiting"
    desk.wait_at(None)
    ended = [desk.server.finished(job)["finished_at"] for job in (first, third, second)]
    assert ended == sorted(ended)
    assert "is done" in desk.ask("pause", second, status=409)["detail"]
    assert "is done" in desk.ask("resume", second, status=409)["detail"]


def test_a_paused_track_is_cancelled_and_by_the_trash_too(desk: Desk) -> None:
    job = desk.held(desk.add(), at=3)
    desk.paused(job)
    desk.ask("cancel", job)
    ended = desk.until(job, lambda job: job["state"] == "cancelled")
    assert ended["reason"] == "It was cancelled; what was finished is kept."
    assert desk.counts() == [1] * 3 + [0] * 3
    desk.undo()
    assert desk.counts() == [1] + [0] * 5
    other = desk.held(desk.add(x=80), at=3)
    desk.paused(other)
    desk.server.api("DELETE", f"/assets/{desk.asset}")
    desk.until(other, lambda job: job["state"] == "cancelled")
    desk.server.api("POST", f"/assets/{desk.asset}/restore")


def test_a_paused_track_whose_folder_was_lost_begins_anew(desk: Desk) -> None:
    """As after a backup, which holds no job folders, was put back elsewhere."""
    job = desk.held(desk.add(), at=3)
    desk.paused(job)
    desk.wait_at(None)
    shutil.rmtree(desk.server.data / "jobs" / job["id"])
    (found,) = desk.on(1)
    desk.server.api("DELETE", f"/regions/{found['id']}")
    desk.ask("resume", job)
    assert desk.server.finished(job)["state"] == "done"
    assert desk.counts() == [1] * FRAMES


def test_an_extraction_rests_and_goes_on(desk: Desk) -> None:
    assert desk.extraction["state"] == "done"
    asset = desk.server.api("GET", f"/assets/{desk.asset}")
    assert (asset["state"], asset["frame_count"]) == ("ready", FRAMES)


def test_the_command_line_lists_pauses_resumes_and_cancels(desk: Desk) -> None:
    def pointillist(*args: str) -> str:
        done = CliRunner().invoke(main, ["--server", desk.server.url, "jobs", *args])
        return done.output

    job = desk.held(desk.add(), at=3)
    assert job["id"] in pointillist("pause", job["id"])
    desk.until(job, lambda job: job["state"] == "paused")
    (row,) = json.loads(pointillist("--state", "paused", "--json"))
    assert (row["id"], row["done"]) == (job["id"], 3)
    shown = next(line for line in pointillist().splitlines() if job["id"] in line)
    assert "paused" in shown
    assert f"3/{FRAMES}" in shown
    pointillist("resume", job["id"])
    pointillist("pause", job["id"])
    pointillist("resume", job["id"])  # at once: the pause is taken back
    desk.until(job, lambda job: job["state"] == "running")
    pointillist("cancel", job["id"])
    assert desk.server.finished(job)["state"] == "cancelled"
    assert "only a paused job" in pointillist("resume", job["id"])


@pytest.mark.parametrize(
    ("kind", "args", "can"),
    [
        ("find", {}, True),
        ("auto_label", {}, True),
        ("import_labels", {}, True),
        ("export", {"format": "coco"}, True),
        ("export", {"format": "overlay-mp4"}, False),
        ("export", {"format": "bundle"}, False),
        ("import_bundle", {}, False),
        ("what_if", {}, False),
    ],
)
def test_what_is_done_in_one_go_cannot_be_paused(kind: Any, args: dict[str, str], can: bool) -> None:
    raw = msgspec.Raw(msgspec.json.encode(args))
    assert pausable(Job(id=new_id(), project_id="", kind=kind, title="", args=raw)) is can
