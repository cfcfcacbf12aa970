"""Stabilising over HTTP: flickering labels of a real asset through the real consumer into the database and back."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from app.algo.certificate import iou
from app.cli import main
from app.models import new_id
from tasks import channel
from tests.conftest import Server

FRAMES = 6
BAR = [[106, 42], [134, 42], [134, 102], [106, 102]]
"""Where the drawn bar stands, on every frame."""
SPILL = [[106, 42], [134, 42], [134, 80], [158, 80], [158, 118], [106, 118]]
SQUARE = [[4, 4], [44, 4], [44, 44], [4, 44]]


class Desk:
    """An asset whose bar is missing on frame 2 and spills on frame 4, beside a square that stays."""

    def __init__(self, server: Server, clip: bytes) -> None:
        self.server = server
        self.project = server.project("Flicker")
        self.asset = server.asset(self.project, "disc.mp4", clip)["id"]
        self.track = new_id()
        for index in range(FRAMES):
            self.add(index, SQUARE, class_id=3)
            if index != 2:
                self.add(index, SPILL if index == 4 else BAR, class_id=2, track_id=self.track)

    def add(self, index: int, ring: list[list[int]], **more: Any) -> dict[str, Any]:
        body = {"id": new_id(), "geometry": {"outline": [ring]}, **more}
        made = self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)["region"]
        return self.server.api("PATCH", f"/regions/{made['id']}", json={"anchor": False})["region"]

    def frame(self, index: int) -> str:
        return f"{self.asset}-{index:06d}"

    def on(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def all(self) -> list[list[dict[str, Any]]]:
        """The regions of all frames, without what only counts changes."""
        return [
            [{k: v for k, v in region.items() if k not in ("revision", "order")} for region in self.on(index)]
            for index in range(FRAMES)
        ]

    def labels(self, index: int) -> np.ndarray:
        path = f"/api/v1/frames/{self.frame(index)}/label-map.png?mode=index"
        return np.asarray(Image.open(io.BytesIO(self.server.http.get(path).content)))

    def ask(self, *, status: int | None = 202, **wanted: Any) -> dict[str, Any]:
        body = {"asset_id": self.asset, "window": 3, **wanted}
        return self.server.api("POST", f"/projects/{self.project['id']}/stabilise", json=body, status=status)

    def run(self, **wanted: Any) -> dict[str, Any]:
        job = self.server.finished(self.ask(**wanted))
        assert job["state"] == "done", job["reason"]
        return {**job["result"], "job": job["id"]}

    def step(self, kind: str) -> dict[str, Any]:
        return self.server.api("POST", f"/projects/{self.project['id']}/{kind}")

    def map(self, job: str, index: int, side: str) -> tuple[dict[str, Any], np.ndarray]:
        """The header and the class ids of a map of the job."""
        answer = self.server.http.get(f"/api/v1/jobs/{job}/stabilised/{index}?side={side}")
        assert answer.status_code == 200, answer.text
        raw = answer.content
        stop = 4 + int.from_bytes(raw[:4], "little")
        header = json.loads(raw[4:stop])
        ids = np.frombuffer(raw[stop:], np.dtype(header["dtype"])).reshape(header["height"], header["width"])
        return header, np.array([0, *(layer["class_id"] for layer in header["regions"])])[ids]


@pytest.fixture(scope="module")
def desk(server: Server, clip: bytes) -> Desk:
    return Desk(server, clip)


def bar(width: int = 160, height: int = 120) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[42:102, 106:134] = True
    return mask


def likeness(labels: np.ndarray) -> float:
    """IoU of what is labelled as the bar with the bar."""
    return iou(labels == 2, bar())


def test_a_preview_shows_what_is_applied_then_and_one_undo_takes_it_back(desk: Desk) -> None:
    before = desk.all()
    seen = desk.run(preview=True)
    assert desk.all() == before
    assert (seen["preview"], seen["frames"], seen["regions"]) == (True, FRAMES, 0)
    assert seen["before"]["warped_instability"] > 3 * seen["after"]["warped_instability"]
    curve = desk.server.api("GET", f"/jobs/{seen['job']}/stabilised/curve")
    assert (curve["start"], curve["before"][0]) == (0, None)
    assert len(curve["before"]) == len(curve["after"]) == len(curve["changed"]) == FRAMES
    assert curve["before"][2] > 0.4 > 0.2 > curve["after"][2]
    header, labels = desk.map(seen["job"], 2, "before")
    assert [layer["class_id"] for layer in header["regions"]] == [3]
    assert likeness(labels) == 0
    header, labels = desk.map(seen["job"], 2, "after")
    assert (header["frame"], header["width"], header["height"]) == (desk.frame(2), 160, 120)
    assert {(layer["class_id"], layer["track_id"]) for layer in header["regions"]} == {
        (3, None),
        (2, desk.track),
    }
    assert likeness(labels) > 0.8

    done = desk.run(from_job=seen["job"])
    assert done["regions"] == seen["changed"] >= 2
    assert (done["notes"], done["skipped"]) == ([], 0)
    assert [len(regions) for regions in desk.all()] == [2] * FRAMES
    for index in (2, 4):
        assert likeness(desk.labels(index)) > 0.8
        assert (desk.map(done["job"], index, "after")[1] == desk.labels(index)).all()
    (back,) = [region for region in desk.on(2) if region["class_id"] == 2]
    assert (back["track_id"], back["anchor"], back["author"]) == (desk.track, False, "stabilise")
    (mended,) = [region for region in desk.on(4) if region["class_id"] == 2]
    assert mended["certificate"]["exact"]
    assert mended["certificate"]["iou"] >= mended["certificate"]["target"] == 0.98
    after = desk.all()
    assert desk.step("undo")["what"] == "Took the smoothing of disc.mp4 back."
    assert desk.all() == before
    desk.step("redo")
    assert desk.all() == after
    desk.step("undo")


def test_by_track_only_that_track_changes(desk: Desk) -> None:
    other = desk.run(class_ids=[3], preview=True)
    assert other["changed"] == 0
    same = desk.run(track_ids=[desk.track], preview=True)
    assert same["changed"] >= 2


def test_a_job_that_is_cancelled_changes_nothing(desk: Desk) -> None:
    before = desk.all()
    job_id = new_id()
    channel.request_cancel(desk.server.data / "jobs" / job_id)
    job = desk.server.finished(desk.ask(id=job_id))
    assert job["state"] == "cancelled"
    assert desk.all() == before
    assert desk.ask(id=job_id)["state"] == "cancelled"  # asked again it is the same job


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"window": 4}, "an odd number of frames from 3 to 9; 4 is not"),
        ({"window": 11}, "an odd number of frames from 3 to 9; 11 is not"),
        ({"method": "exponential", "alpha": 0.95}, "between 0.1 and 0.9; 0.95 does not"),
        ({"method": "blur"}, "There is no filter 'blur'. Filters: average, median, exponential."),
        ({"class_ids": [99]}, "no class 99"),
        ({"track_ids": ["a" * 24]}, "no track aaaa"),
        ({"start": 3, "stop": 3}, "One frame has no neighbours"),
        ({"start": 3, "stop": 6}, "between the frame indices 0 and 5"),
        ({"start": 4, "stop": 2}, "its start before its stop"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(desk: Desk, wanted: dict[str, Any], words: str) -> None:
    assert words in desk.ask(status=422, **wanted)["detail"]


def test_maps_of_other_jobs_and_frames_are_not_there(desk: Desk) -> None:
    assert "no preview" in desk.ask(status=404, from_job=new_id())["detail"]
    desk.ask(status=400, window="wide")
    seen = desk.run(start=1, stop=3, preview=True)["job"]
    get = desk.server.api
    assert desk.map(seen, 3, "before")[0]["frame"] == desk.frame(3)
    assert "no map of that frame" in get("GET", f"/jobs/{seen}/stabilised/4", status=404)["detail"]
    get("GET", f"/jobs/{seen}/stabilised/3?side=smooth", status=400)
    measured = desk.server.finished(get("POST", f"/projects/{desk.project['id']}/measure", json={}))
    assert (
        "stabilised nothing" in get("GET", f"/jobs/{measured['id']}/stabilised/curve", status=404)["detail"]
    )


def test_only_the_newest_maps_of_an_asset_are_kept(desk: Desk) -> None:
    seen = [desk.run(start=0, stop=1, preview=True)["job"] for _ in range(4)]
    there = [desk.server.http.get(f"/api/v1/jobs/{job}/stabilised/1").status_code for job in seen]
    assert there == [404, 200, 200, 200]
    assert not any((desk.server.data / "jobs" / job / "input.jsonl").exists() for job in seen[:3])
    assert desk.server.api("GET", f"/jobs/{seen[0]}/stabilised/curve")["start"] == 0


def test_the_filters_are_listed_with_their_ranges(server: Server) -> None:
    rows = {row["id"]: row for row in server.api("GET", "/stabilisers")}
    assert list(rows) == ["average", "median", "exponential"]
    window, alpha = rows["median"], rows["exponential"]
    assert (window["parameter"], window["least"], window["most"], window["step"]) == ("window", 3, 9, 2)
    assert (alpha["parameter"], alpha["least"], alpha["most"], alpha["default"]) == ("alpha", 0.1, 0.9, 0.3)


def command(desk: Desk, *args: str) -> Result:
    common = ["--server", desk.server.url, "stabilise", "--project", desk.project["id"], "--window", "3"]
    return CliRunner().invoke(main, [*common, *args], env={"POINTILLIST_SERVER": ""})


def test_the_command_line_previews_applies_and_refuses(desk: Desk) -> None:
    before = desk.all()
    names = {
        c["id"]: c["name"]
        for c in desk.server.api("GET", f"/class-templates/{desk.project['class_template_id']}")["classes"]
    }
    said = command(desk, "--preview", "--class", names[2].upper(), "--method", "median")
    assert said.exit_code == 0, said.output
    assert f" of {FRAMES} frames would change. Flicker " in said.stdout
    assert desk.all() == before
    done = command(desk, "--start", "1", "--stop", "4", "--no-motion", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["start"], result["stop"], result["smoothing"]["motion"]) == (1, 4, False)
    assert result["regions"] >= 2
    assert desk.all() != before
    desk.step("undo")
    assert desk.all() == before
    for args, words in (
        (("--window", "4"), "odd number of frames from 3 to 9"),
        (("--method", "exponential", "--alpha", "nan"), "Numbers must be finite"),
        (("--class", "unicorn"), "There is no class “unicorn” here. There are: "),
        (("--track", "nobody"), "There is no track “nobody” here."),
    ):
        refused = command(desk, *args)
        assert (refused.exit_code, words in refused.stderr) == (1, True), refused.output
    assert command(desk, "--method", "blur").exit_code == 2
