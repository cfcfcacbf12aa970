"""What scripts and pages do with regions of a track and with ranges of frames, over HTTP."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.models import new_id
from tests.conftest import Server


class Desk:
    """A project with one video of six frames, 160 × 120."""

    def __init__(self, server: Server, clip: bytes) -> None:
        self.server, self.clip = server, clip
        self.project = server.project("Tracked regions")
        self.asset = server.asset(self.project, "disc.mp4", clip)["id"]

    def frame(self, index: int, asset: str = "") -> str:
        return f"{asset or self.asset}-{index:06d}"

    def add(self, index: int, geometry: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A square of 20 × 20 px, unless another geometry is given."""
        square = {"outline": [[[10, 10], [30, 10], [30, 30], [10, 30]]]}
        body = {"id": new_id(), "class_id": 3, "geometry": geometry or square, **more}
        return self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)["region"]

    def on(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def counts(self) -> list[int]:
        return [len(self.on(index)) for index in range(6)]

    def step(self, kind: str = "undo") -> dict[str, Any]:
        return self.server.api("POST", f"/projects/{self.project['id']}/{kind}")


@pytest.fixture(scope="module")
def shared(server: Server, clip: bytes) -> Desk:
    return Desk(server, clip)


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """The project without any region, all frames to do."""
    shared.server.api("POST", f"/assets/{shared.asset}/states", json={"start": 0, "stop": 5, "state": "todo"})
    for index in range(6):
        for region in shared.on(index):
            shared.server.api("DELETE", f"/regions/{region['id']}")
    return shared


def test_a_region_is_deleted_with_what_follows_in_its_track(desk: Desk) -> None:
    track = new_id()
    made = [desk.add(index, track_id=track) for index in (0, 2, 3, 5)]
    path = f"/regions/{made[2]['id']}"
    found = desk.server.api("GET", f"{path}/scope")
    assert [found[scope] for scope in ("frame", "onward", "backward", "track")] == [1, 2, 3, 4]
    refused = desk.server.api("DELETE", f"{path}?scope=onward", headers={"If-Match": '"9"'}, status=409)
    assert "changed in the meantime" in refused["detail"]
    operation = {"Idempotency-Key": new_id(), "If-Match": '"1"'}
    result = desk.server.api("DELETE", f"{path}?scope=onward", headers=operation)
    assert (result["deleted"], result["frames"]) == (2, 2)
    again = desk.server.api("DELETE", f"{path}?scope=onward", headers=operation)
    assert (again["deleted"], again["created"]) == (2, False)
    assert desk.counts() == [1, 0, 1, 0, 0, 0]
    desk.step()
    assert desk.counts() == [1, 0, 1, 1, 0, 1]


def test_another_scope_or_a_region_without_track_is_refused_with_a_sentence(desk: Desk) -> None:
    alone = desk.add(1)
    refused = desk.server.api("DELETE", f"/regions/{alone['id']}?scope=track", status=422)
    assert "no track" in refused["detail"]
    desk.server.api("DELETE", f"/regions/{alone['id']}?scope=everything", status=400)
    assert desk.counts() == [0, 1, 0, 0, 0, 0]


def labels_of(desk: Desk, frame: str) -> np.ndarray:
    png = desk.server.http.get(f"/api/v1/frames/{frame}/label-map.png?mode=index").content
    return np.asarray(Image.open(io.BytesIO(png)))


def test_regions_are_copied_from_the_frame_before_as_they_look_there(desk: Desk) -> None:
    track = new_id()
    ring = {
        "outline": [[[60, 60], [100, 60], [100, 100], [60, 100]], [[70, 70], [90, 70], [90, 90], [70, 90]]]
    }
    drawn = desk.add(1, ring, class_id=2, track_id=track)
    clicked = desk.add(1, {"points": [{"x": 55, "y": 54, "r": 15}]})
    assert clicked["geometry"]["outline"] is None
    operation = {"Idempotency-Key": new_id()}
    path = f"/frames/{desk.frame(2)}/regions/copy"
    made = desk.server.api("POST", path, json={}, headers=operation)
    first, second = made["regions"]
    assert (first["class_id"], first["track_id"], first["geometry"]) == (2, track, drawn["geometry"])
    assert (second["class_id"], second["track_id"], second["anchor"]) == (3, None, True)
    assert second["certificate"]["exact"]
    assert second["certificate"]["iou"] >= 0.98
    there, here = labels_of(desk, desk.frame(1)), labels_of(desk, desk.frame(2))
    for class_id in (2, 3):
        both = np.count_nonzero((there == class_id) & (here == class_id))
        assert both >= 0.97 * np.count_nonzero((there == class_id) | (here == class_id)) > 0
    again = desk.server.api("POST", path, json={}, headers=operation)
    assert (again["created"], again["edit"]) == (False, made["edit"])
    assert desk.counts() == [0, 2, 2, 0, 0, 0]
    assert "already has" in desk.server.api("POST", path, json={}, status=422)["detail"]
    assert "Removed the copies" in desk.step()["what"]
    assert desk.counts() == [0, 2, 0, 0, 0, 0]


def test_chosen_regions_are_copied_from_any_frame_and_a_track_is_on_a_frame_only_once(desk: Desk) -> None:
    track = new_id()
    moved = {"outline": [[[50, 50], [70, 50], [70, 70], [50, 70]]]}
    wanted = desk.add(4, moved, track_id=track)
    desk.add(4, class_id=2)
    desk.add(0, track_id=track)
    body = {"from": desk.frame(4), "region_ids": [wanted["id"]], "id": new_id()}
    (made,) = desk.server.api("POST", f"/frames/{desk.frame(0)}/regions/copy", json=body)["regions"]
    assert (made["geometry"], made["track_id"]) == (wanted["geometry"], None)
    assert desk.counts() == [2, 0, 0, 0, 2, 0]
    assert not desk.server.api("POST", f"/frames/{desk.frame(0)}/regions/copy", json=body)["created"]
    assert desk.counts() == [2, 0, 0, 0, 2, 0]


def test_what_cannot_be_copied_is_refused_with_a_sentence(desk: Desk) -> None:
    gone, other = new_id(), new_id()
    desk.add(3)
    for index, body, status, words in (
        (0, {}, 422, "first frame"),
        (2, {}, 422, "no regions to copy"),
        (2, {"from": desk.frame(2)}, 422, "another frame"),
        (2, {"from": desk.frame(0, other)}, 422, "same asset"),
        (2, {"from": desk.frame(7)}, 404, "does not exist"),
        (2, {"from": "../../etc"}, 400, "from"),
        (4, {"region_ids": [gone]}, 404, "not on that frame"),
        (4, {"id": "x"}, 400, "id"),
    ):
        path = f"/frames/{desk.frame(index)}/regions/copy"
        assert words in desk.server.api("POST", path, json=body, status=status)["detail"], body
    assert desk.counts() == [0, 0, 0, 1, 0, 0]


def states_of(desk: Desk) -> list[list[Any]]:
    return desk.server.api("GET", f"/assets/{desk.asset}/timeline")["states"]


def test_a_range_of_frames_gets_a_state_in_one_step_that_undo_takes_back(desk: Desk) -> None:
    path = f"/assets/{desk.asset}/states"
    desk.server.api("PATCH", f"/frames/{desk.frame(3)}", json={"state": "done"})
    operation = {"Idempotency-Key": new_id()}
    body = {"start": 1, "stop": 4, "state": "done"}
    made = desk.server.api("POST", path, json=body, headers=operation)
    assert made["changed"] == 3
    assert states_of(desk) == [[0, 1, "todo"], [1, 4, "done"], [5, 1, "todo"]]
    again = desk.server.api("POST", path, json=body, headers=operation)
    assert (again["created"], again["edit"]) == (False, made["edit"])
    assert desk.server.api("POST", path, json=body) == {"changed": 0, "edit": None, "created": True}
    assert desk.step()["what"] == "Set the frames back to what they were."
    assert states_of(desk) == [[0, 3, "todo"], [3, 1, "done"], [4, 2, "todo"]]
    desk.step("redo")
    desk.step()
    desk.server.api("POST", path, json={"start": 0, "stop": 5, "state": "approved"})
    assert states_of(desk) == [[0, 6, "approved"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"start": 0, "stop": 6, "state": "done"}, 422),
        ({"start": 3, "stop": 2, "state": "done"}, 422),
        ({"start": -1, "stop": 2, "state": "done"}, 400),
        ({"start": 0, "stop": 1 << 40, "state": "done"}, 400),
        ({"start": 0, "stop": 2, "state": "finished"}, 400),
        ({"start": 0, "state": "done"}, 400),
    ],
)
def test_a_range_outside_the_asset_and_another_state_are_refused(
    desk: Desk, body: dict[str, Any], status: int
) -> None:
    before = states_of(desk)
    assert desk.server.api("POST", f"/assets/{desk.asset}/states", json=body, status=status)["detail"]
    assert states_of(desk) == before


def test_outlines_between_two_anchors_are_interpolated_without_looking_at_pictures(desk: Desk) -> None:
    track = new_id()
    ends = [
        desk.add(index, {"outline": [[[x, 40], [x + 20, 40], [x + 20, 60], [x, 60]]]}, track_id=track)
        for index, x in ((0, 20), (4, 100))
    ]
    body = {"asset_id": desk.asset, "region_ids": [ends[0]["id"]], "engine": "interpolate"}
    job = desk.server.api("POST", f"/projects/{desk.project['id']}/tracks", json=body)
    job = desk.server.finished(job)
    assert (job["state"], job["reason"]) == ("done", "")
    assert desk.counts() == [1, 1, 1, 1, 1, 0]
    (middle,) = desk.on(2)
    xs = [x for ring in middle["geometry"]["outline"] for x, _ in ring]
    assert (min(xs), max(xs)) == (60, 80)
    assert (middle["author"], middle["anchor"], middle["track_id"]) == ("interpolate", False, track)
    desk.step()
    assert desk.counts() == [1, 0, 0, 0, 1, 0]


def test_the_library_shows_how_far_each_asset_is_and_undo_of_a_state_is_told(desk: Desk) -> None:
    desk.server.api("POST", f"/assets/{desk.asset}/states", json={"start": 0, "stop": 2, "state": "approved"})
    desk.server.api("PATCH", f"/frames/{desk.frame(3)}", json={"state": "done"})
    sheet = desk.server.http.get(f"/library/_project/{desk.project['id']}").text
    assert re.findall(r'data-pct="([0-9.]+)"', sheet) == ["50.0", "16.7"]
    assert desk.server.api("GET", f"/projects/{desk.project['id']}")["project"]["status"] == "wip"
    with desk.server.http.stream("GET", "/api/v1/events", timeout=60) as events:
        lines = events.iter_lines()
        next(line for line in lines if line == "event: hello")
        desk.step()
        next(line for line in lines if line == "event: frame")
        told = json.loads(next(lines).removeprefix("data:"))
    assert (told["id"], told["state"]) == (desk.frame(3), "todo")
