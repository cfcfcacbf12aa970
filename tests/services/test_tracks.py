"""Jobs of the engine worker: tracks that appear while they run, survive deaths, and are one step to undo.

The engine is the one without pixels: what it tracks stands still, so positions and masks are exact.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.models import new_id
from tests import drawing
from tests.conftest import MakeServer, Server

FRAMES = 12


class Desk:
    """A project with one video, and a client of its server."""

    def __init__(self, server: Server, clip: bytes) -> None:
        self.server = server
        self.project = server.project("Tracked")["id"]
        self.asset = server.asset({"id": self.project}, "disc.mp4", clip)["id"]
        server.api("PATCH", f"/projects/{self.project}", json={"engine": "fake"}, headers={"If-Match": '"1"'})

    def frame(self, index: int) -> str:
        return f"{self.asset}-{index:06d}"

    def add(self, index: int, x: float = 40, y: float = 30, size: float = 20, **more: Any) -> dict[str, Any]:
        """A square that a person drew."""
        outline = [[[x, y], [x + size, y], [x + size, y + size], [x, y + size]]]
        body = {"id": new_id(), "class_id": 2, "geometry": {"outline": outline}, **more}
        return self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)["region"]

    def on(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def all(self) -> list[list[dict[str, Any]]]:
        return [self.on(index) for index in range(FRAMES)]

    def counts(self) -> list[int]:
        return [len(regions) for regions in self.all()]

    def areas(self) -> list[list[int]]:
        return [[region["area"] for region in regions] for regions in self.all()]

    def submit(self, *regions: dict[str, Any], status: int = 202, **body: Any) -> dict[str, Any]:
        wanted = {"asset_id": self.asset, "region_ids": [region["id"] for region in regions], **body}
        return self.server.api("POST", f"/projects/{self.project}/tracks", json=wanted, status=status)

    def track(self, *regions: dict[str, Any], **body: Any) -> dict[str, Any]:
        job = self.server.finished(self.submit(*regions, **body))
        assert job["state"] == "done", job["reason"]
        return job

    def tracks(self) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/projects/{self.project}/tracks")

    def step(self, kind: str = "undo") -> str:
        return self.server.api("POST", f"/projects/{self.project}/{kind}")["what"]

    def until(self, job: dict[str, Any], reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job once it looks like that, listening to the events."""
        with self.server.http.stream("GET", "/api/v1/events", timeout=60) as events:
            for line in events.iter_lines():
                if line.startswith(("event: job", "event: hello")):
                    found = self.server.api("GET", f"/jobs/{job['id']}")
                    if reached(found):
                        return found
        raise AssertionError("the stream of events ended")

    def strike(self, *lines: str) -> None:
        """Let faults strike the next walk; without any, a walk that waits goes on."""
        (self.server.data / "run" / "fake-walk").write_text("\n".join(lines))

    def held(self, *regions: dict[str, Any], at: int, done: int, **body: Any) -> dict[str, Any]:
        """A job that waits before position `at`, with `done` frames in the database."""
        self.strike(f"wait {at}")
        return self.until(self.submit(*regions, **body), lambda job: job["done"] == done)


@pytest.fixture(scope="module")
def tracking(make_server: MakeServer) -> Server:
    return make_server(fake_engine=True, worker_timeout_s=60.0, backoff=(0.05, 0.05))


@pytest.fixture(scope="module")
def shared(tracking: Server) -> Desk:
    video = io.BytesIO()
    drawing.video(video, frames=FRAMES, width=160, height=120)
    return Desk(tracking, video.getvalue())


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """The project without any region."""
    for regions in shared.all():
        for region in regions:
            shared.server.api("DELETE", f"/regions/{region['id']}")
    return shared


def visible(frames: Sequence[Sequence[dict[str, Any]]]) -> list[Any]:
    """What a person sees of regions: not their book-keeping."""
    return [[{k: v for k, v in r.items() if k != "revision"} for r in regions] for regions in frames]


def test_a_region_is_followed_to_the_end_and_taken_back_in_one_step(desk: Desk) -> None:
    region = desk.add(3)
    before = visible(desk.all())
    job = desk.track(region)
    assert re.fullmatch(r"Track \w+: disc.mp4 \(fake\)", job["title"])
    assert desk.counts() == [0] * 3 + [1] * 9
    (source,) = desk.on(3)
    assert (source["id"], source["anchor"]) == (region["id"], True)
    for index in range(4, FRAMES):
        (found,) = desk.on(index)
        assert found["track_id"] == source["track_id"] is not None
        assert (found["anchor"], found["author"], found["class_id"], found["area"]) == (False, "fake", 2, 400)
        assert found["certificate"]["iou"] == 1
    (track,) = desk.server.api("GET", f"/projects/{desk.project}/tracks")
    assert (track["regions"], track["anchors"], track["first"], track["last"]) == (9, 1, 3, 11)
    tracked = visible(desk.all())
    assert desk.step().startswith("Took the track of ")
    assert visible(desk.all()) == before
    assert desk.server.api("GET", f"/projects/{desk.project}/tracks") == []
    desk.step("redo")
    assert visible(desk.all()) == tracked


def test_both_directions_within_a_range(desk: Desk) -> None:
    job = desk.track(desk.add(5), start=2, stop=8, direction="both")
    assert desk.counts() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert (job["done"], job["total"]) == (8, 8)
    assert job["result"]["regions"] == 6


def test_what_a_person_confirmed_is_kept_and_followed_from_there_on(desk: Desk) -> None:
    desk.track(desk.add(0))
    (tracked,) = desk.on(6)
    outline = [[[80, 60], [90, 60], [90, 70], [80, 70]]]
    moved = desk.server.api("PATCH", f"/regions/{tracked['id']}", json={"geometry": {"outline": outline}})
    assert moved["region"]["anchor"]
    job = desk.track(desk.on(0)[0])
    assert (job["result"]["frames"], job["result"]["unsure"]) == (12, 5)
    # Between the two anchors both ways are fused, and these walks see different things.
    agreements = [regions[0]["agreement"] for regions in desk.all()]
    assert agreements == [None] + [0.0] * 5 + [None] * 6
    areas = [area for (area,) in desk.areas()]
    assert areas[0] == 400
    assert areas[6:] == [100] * 6
    assert desk.on(6)[0]["id"] == tracked["id"]
    assert len({regions[0]["track_id"] for regions in desk.all()}) == 1
    desk.step()
    assert desk.areas() == [[400]] * 6 + [[100]] + [[400]] * 5


def test_between_two_anchors_only_the_frames_between_them_change(desk: Desk) -> None:
    desk.track(desk.add(2), stop=9)
    refused = desk.submit(desk.on(2)[0], direction="between", status=422)
    assert "two of them" in refused["detail"]
    (tracked,) = desk.on(6)
    outline = [[[42, 30], [62, 30], [62, 50], [42, 50]]]
    desk.server.api("PATCH", f"/regions/{tracked['id']}", json={"geometry": {"outline": outline}})
    before = visible(desk.all())
    job = desk.track(desk.on(6)[0], direction="between")
    after = visible(desk.all())
    assert [index for index in range(FRAMES) if before[index] != after[index]] == [3, 4, 5]
    assert {regions[0]["agreement"] for regions in desk.all()[3:6]} == {round(18 / 22, 3)}
    assert job["result"]["frames"] == 5
    # From a frame between the anchors it is the same walk, whatever that frame shows now.
    desk.track(desk.on(4)[0], direction="between")
    assert [region["area"] for (region,) in desk.all()[2:7]] == [
        region["area"] for (region,) in desk.all()[2:7]
    ]
    desk.step()
    desk.step()
    assert visible(desk.all()) == before


def test_frames_on_which_an_object_was_lost_are_kept_until_it_is_found_there(desk: Desk) -> None:
    speck = desk.add(0, size=1)
    desk.track(speck, stop=6)
    (track,) = desk.tracks()
    assert track["lost"] == [[1, 6]]
    desk.add(3, track_id=track["id"])
    desk.track(desk.on(3)[0], stop=5)
    assert desk.tracks()[0]["lost"] == [[1, 3], [6, 1]]  # of frame 3 its region says more
    desk.step()
    desk.step()
    assert desk.tracks()[0]["lost"] == [[1, 6]]


def test_approved_frames_are_left_alone_unless_asked_for(desk: Desk) -> None:
    region = desk.add(0)
    desk.server.api("PATCH", f"/frames/{desk.frame(4)}", json={"state": "approved"})
    job = desk.track(region, stop=6)
    assert desk.counts()[:7] == [1, 1, 1, 1, 0, 1, 1]
    assert job["result"]["regions"] == 5
    desk.track(region, stop=6, overwrite=True)
    assert desk.counts()[:7] == [1] * 7
    desk.server.api("PATCH", f"/frames/{desk.frame(4)}", json={"state": "todo"})


def test_a_cancelled_track_keeps_what_is_done_and_goes_on_when_tried_again(desk: Desk) -> None:
    job = desk.held(desk.add(0), at=5, done=5)
    assert desk.counts() == [1] * 5 + [0] * 7  # they appear while it runs
    desk.server.api("POST", f"/jobs/{job['id']}/cancel")
    ended = desk.server.finished(job)
    desk.strike()
    assert ended["state"] == "cancelled"
    assert desk.counts() == [1] * 5 + [0] * 7
    desk.server.api("POST", f"/jobs/{job['id']}/retry")
    assert desk.server.finished(job)["state"] == "done"
    assert desk.counts() == [1] * FRAMES
    desk.step()
    assert desk.counts() == [1] * 5 + [0] * 7
    desk.step()
    assert desk.counts() == [1] + [0] * 11


def test_a_cancelled_track_that_was_taken_back_is_not_continued(desk: Desk) -> None:
    job = desk.held(desk.add(0), at=5, done=5)
    desk.server.api("POST", f"/jobs/{job['id']}/cancel")
    desk.server.finished(job)
    desk.strike()
    desk.step()
    desk.server.api("POST", f"/jobs/{job['id']}/retry")
    ended = desk.server.finished(job)
    assert ended["state"] == "failed"
    assert "taken back" in ended["reason"]
    assert desk.counts() == [1] + [0] * 11


def test_a_correction_in_the_middle_of_a_running_track_is_heeded(desk: Desk) -> None:
    job = desk.held(desk.add(0), at=5, done=5)
    desk.add(8, size=10, track_id=desk.on(0)[0]["track_id"])
    desk.strike("wait 7")
    desk.until(job, lambda job: job["done"] == 7)
    desk.strike()
    assert desk.server.finished(job)["state"] == "done"
    areas = desk.areas()
    assert areas[:6] == [[400]] * 6
    assert desk.on(7)[0]["agreement"] == 0.25
    assert areas[8:] == [[100]] * 4


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_worker_that_dies_costs_no_frame_and_doubles_none(desk: Desk, direction: str) -> None:
    region = desk.add(0 if direction == "forward" else FRAMES - 1)
    job = desk.held(region, at=6, done=6 if direction == "forward" else 5, direction=direction)
    before = desk.server.supervisor.states()["worker"].pid
    assert before is not None
    desk.strike()
    os.kill(before, signal.SIGKILL)
    assert desk.server.finished(job)["state"] == "done"
    assert desk.areas() == [[400]] * FRAMES


def test_a_worker_that_dies_again_and_again_is_given_up_with_a_sentence(desk: Desk) -> None:
    desk.strike("die 5", "die 5", "die 5")
    job = desk.server.finished(desk.submit(desk.add(0)))
    desk.strike()
    assert (job["state"], desk.counts()) == ("failed", [1] * 5 + [0] * 7)
    assert "stopped 3 times at the frame with index 5" in job["reason"]
    desk.step()
    assert desk.counts() == [1] + [0] * 11


def test_a_restart_of_the_server_process_takes_the_job_up_again(desk: Desk) -> None:
    job = desk.held(desk.add(0), at=7, done=7)
    before = desk.server.supervisor.states()["web"].pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert desk.server.supervisor.wait_for(
        lambda states: states["web"].state == "running" and states["web"].pid != before, 20
    )
    desk.strike()
    while not answers(desk.server):
        pass
    assert desk.server.finished(job)["state"] == "done"
    assert desk.areas() == [[400]] * FRAMES
    desk.step()
    assert desk.counts() == [1] + [0] * 11


def answers(server: Server) -> bool:
    try:
        return server.http.get("/api/v1/health").is_success
    except httpx.TransportError:
        return False


def test_texts_become_tracks_of_their_classes(desk: Desk) -> None:
    texts = [{"text": "a car", "class_id": 2}, {"text": "a tree", "class_id": 3}]
    job = desk.track(texts=texts, every=3)
    assert "“a car” and “a tree”" in job["title"]
    tracks = desk.server.api("GET", f"/projects/{desk.project}/tracks")
    assert [(t["class_id"], t["regions"], t["first"], t["last"]) for t in tracks] == [
        (2, 12, 0, 11),
        (3, 12, 0, 11),
    ]
    assert {r["author"] for regions in desk.all() for r in regions} == {"fake"}
    desk.step()
    assert desk.counts() == [0] * FRAMES


def test_what_was_found_keeps_its_tracks_over_the_death_of_the_worker(desk: Desk) -> None:
    desk.strike("die 5")
    desk.track(texts=[{"text": "a car", "class_id": 2}])
    found = desk.all()
    assert {region["track_id"] for region in found[0]} <= {region["track_id"] for region in found[-1]}
    assert all(len({r["id"] for r in regions}) == len(regions) for regions in found)


def test_jobs_wait_for_each_other_and_the_same_id_is_one_job(desk: Desk) -> None:
    regions = [desk.add(0, x=10 + 40 * n, size=10 + n) for n in range(3)]
    first = desk.held(regions[0], at=5, done=5)
    second = desk.submit(regions[1])
    third = desk.submit(regions[2], id=new_id())
    assert desk.submit(regions[2], id=third["id"])["id"] == third["id"]
    assert [desk.server.api("GET", f"/jobs/{job['id']}")["state"] for job in (second, third)] == [
        "waiting"
    ] * 2
    desk.server.api("POST", f"/jobs/{second['id']}/cancel")
    assert desk.server.finished(second)["reason"] == "It was cancelled before it began."
    desk.strike()
    assert [desk.server.finished(job)["state"] for job in (first, third)] == ["done", "done"]
    assert desk.areas() == [[100, 121, 144]] + [[100, 144]] * 11
    html = desk.server.http.get("/jobs", headers={"Accept": "text/html"}).text
    assert first["title"] in html


def test_an_asset_put_into_the_trash_ends_its_track(desk: Desk) -> None:
    job = desk.held(desk.add(0), at=5, done=5)
    desk.server.api("DELETE", f"/assets/{desk.asset}")
    ended = desk.server.finished(job)
    desk.strike()
    assert ended["state"] == "cancelled"
    assert ended["reason"]
    desk.server.api("POST", f"/assets/{desk.asset}/restore")
    assert desk.counts() == [1] * 5 + [0] * 7


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (
            {"engine": "deeplabv3"},
            422,
            "cannot track masks through a video. Choose classic or sam3 or sam2 or interpolate or fake",
        ),
        ({"engine": "none"}, 422, "There is no engine"),
        ({"engine": "sam2"}, 422, "sam2"),
        ({"texts": [{"text": "car", "class_id": 2}]}, 422, "one of them"),
        ({"region_ids": []}, 422, "one of them"),
        ({"region_ids": ["0" * 24]}, 404, "does not exist"),
        ({"region_ids": [], "texts": [{"text": " ", "class_id": 2}]}, 422, "in words"),
        ({"region_ids": [], "texts": [{"text": "car", "class_id": 999}]}, 422, "no class with the id 999"),
        ({"stop": 12}, 422, "between the frame indices 0 and 11"),
        ({"start": 5, "stop": 4}, 422, "its start before its stop"),
        ({"start": 1}, 422, "outside the range"),
        ({"direction": "backward"}, 422, "no further frame"),
        ({"asset_id": "0" * 24}, 404, "no such asset"),
    ],
)
def test_what_cannot_be_tracked_is_refused_with_a_sentence(
    desk: Desk, body: dict[str, Any], status: int, words: str
) -> None:
    answer = desk.submit(desk.add(0), status=status, **body)
    assert words in answer["detail"]
    assert desk.counts() == [1] + [0] * 11


def test_the_command_line_tracks_and_finds(desk: Desk) -> None:
    def pointillist(*args: object) -> Result:
        common = ["--server", desk.server.url, "track", "--project", desk.project]
        return CliRunner().invoke(main, [str(arg) for arg in [*common, *args]])

    region = desk.add(0)
    done = pointillist("--frame", 0, "--stop", 5, "--json")
    assert json.loads(done.stdout)["regions"] == 5, done.output
    found = pointillist("--text", "a = b=3", "--start", 10)
    assert found.stdout.startswith("2 regions on 2 frames in 1 tracks, 0 times lost."), found.output
    assert desk.counts() == [1] * 6 + [0] * 4 + [1] * 2
    refused = pointillist("--region", region["id"], "--engine", "deeplabv3")
    assert (refused.exit_code, "cannot track" in refused.stderr) == (1, True)
    assert "no TEXT=CLASS" in pointillist("--text", "car=nothing").stderr
    assert "has no region" in pointillist("--frame", 8).stderr
    assert pointillist().exit_code == 2


def test_ctrl_c_cancels_the_job_and_says_what_is_kept(desk: Desk) -> None:
    desk.add(0)
    desk.strike("wait 4")
    options = ["--server", desk.server.url, "track", "--project", desk.project, "--frame", "0"]
    command = [sys.executable, "-c", "from app.cli import main; main()", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        with desk.server.http.stream("GET", "/api/v1/events", timeout=60) as events:
            for line in events.iter_lines():
                if line.startswith(("event: job", "event: hello")) and desk.counts()[3]:
                    break
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "Cancelled. What was found on 4 frames is kept; one undo takes it back.\n"
    assert desk.counts() == [1] * 4 + [0] * 8
    desk.step()
    assert desk.counts() == [1] + [0] * 11
