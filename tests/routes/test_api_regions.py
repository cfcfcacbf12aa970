"""Regions, maps, undo and templates over HTTP; rows 27–31, 39, 43 and 47 of the hostile inputs."""

from __future__ import annotations

import io
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from app.models import new_id
from tests.conftest import Server


@pytest.fixture(scope="module")
def project(server: Server) -> dict[str, Any]:
    return server.project("Regions")


@pytest.fixture(scope="module")
def asset(server: Server, project: dict[str, Any], clip: bytes) -> str:
    return server.asset(project, "disc.mp4", clip)["id"]


@pytest.fixture
def frame(server: Server, asset: str, request: pytest.FixtureRequest) -> str:
    """A frame of its own for each test, as far as they go; regions of earlier tests are removed."""
    frame_id = f"{asset}-{zlib.crc32(request.node.name.encode()) % 6:06d}"
    for region in server.api("GET", f"/frames/{frame_id}")["regions"]:
        server.api("DELETE", f"/regions/{region['id']}")
    return frame_id


def square(x1: int, y1: int, x2: int, y2: int) -> dict[str, Any]:
    return {"outline": [[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]]}


def add(server: Server, frame: str, class_id: int, geometry: dict[str, Any], **options: Any) -> Any:
    body = {"id": new_id(), "class_id": class_id, "geometry": geometry}
    return server.api("POST", f"/frames/{frame}/regions", json=body, **options)


def labels_of(server: Server, frame: str) -> np.ndarray:
    png = server.http.get(f"/api/v1/frames/{frame}/label-map.png?mode=index").content
    return np.asarray(Image.open(io.BytesIO(png)))


def test_an_outline_is_stored_as_it_is_and_rendered_exactly(server: Server, frame: str) -> None:
    made = add(server, frame, 3, square(10, 20, 50, 60))["region"]
    assert made["certificate"] == {
        "engine": "outline", "weights": "", "iou": 1.0, "boundary_f": 1.0, "target": 0.95, "exact": True,
    }  # fmt: skip
    expected = np.zeros((120, 160), np.uint8)
    expected[20:60, 10:50] = 3
    assert np.array_equal(labels_of(server, frame), expected)


def test_points_become_a_region_with_a_certificate(server: Server, frame: str) -> None:
    points = [{"x": 55, "y": 54, "r": 15}]
    made = add(server, frame, 3, {"points": points})["region"]
    assert made["certificate"]["iou"] >= 0.95
    assert (made["geometry"]["points"][0]["x"], made["geometry"]["points"][0]["label"]) == (55, 1)
    assert labels_of(server, frame)[54, 55] == 3


def test_several_regions_are_added_in_one_edit_and_taken_back_in_one(
    server: Server, project: dict[str, Any], frame: str
) -> None:
    wanted = [
        {"id": new_id(), "class_id": 3, "geometry": square(10 * k, 10, 10 * k + 8, 20)} for k in (1, 2, 3)
    ]
    operation = {"Idempotency-Key": new_id()}
    body = {"regions": wanted}
    made = server.api("POST", f"/frames/{frame}/regions/batch", json=body, headers=operation)
    assert [region["id"] for region in made["regions"]] == [region["id"] for region in wanted]
    again = server.api("POST", f"/frames/{frame}/regions/batch", json=body, headers=operation)
    assert (again["created"], len(again["regions"]), again["key"]) == (False, 3, made["key"])
    server.api("POST", f"/projects/{project['id']}/undo")
    assert server.api("GET", f"/frames/{frame}")["regions"] == []


def test_of_several_regions_none_is_added_where_one_cannot_be(server: Server, frame: str) -> None:
    wanted = [
        {"id": new_id(), "class_id": 3, "geometry": square(10, 10, 20, 20)},
        {"id": new_id(), "class_id": 999, "geometry": square(30, 10, 40, 20)},
    ]
    answer = server.api("POST", f"/frames/{frame}/regions/batch", json={"regions": wanted}, status=422)
    assert "999" in answer["detail"]
    assert server.api("GET", f"/frames/{frame}")["regions"] == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({"text": "a disc"}, "does not understand text"),
        ({"exemplars": [{"box": [10, 10, 50, 50]}]}, "does not understand exemplars"),
        ({"exemplars": [{"box": [10, 10, 500, 50]}]}, "An exemplar must run"),
        ({"text": " "}, "at least one positive point"),
    ],
)
def test_text_and_exemplars_without_an_engine_for_them_are_refused(
    server: Server, frame: str, prompt: dict[str, Any], words: str
) -> None:
    answer = server.api("POST", f"/frames/{frame}/predict", json=prompt, status=422)
    assert words in answer["detail"]


def test_the_higher_priority_wins_where_regions_overlap(server: Server, frame: str) -> None:
    add(server, frame, 6, square(10, 10, 60, 60))  # person, the highest
    add(server, frame, 2, square(30, 30, 90, 90))  # floor
    labels = labels_of(server, frame)
    assert (labels[40, 40], labels[80, 80], labels[5, 5]) == (6, 2, 0)


def test_the_region_map_names_its_regions_and_answers_304(server: Server, frame: str) -> None:
    made = add(server, frame, 2, square(0, 0, 80, 60))["region"]
    answer = server.http.get(f"/api/v1/frames/{frame}/region-map")
    body = answer.content
    size = int.from_bytes(body[:4], "little")
    header = msgspec.json.decode(body[4 : 4 + size])
    ids = np.frombuffer(body[4 + size :], np.uint8).reshape(header["height"], header["width"])
    assert [r["id"] for r in header["regions"]] == [made["id"]]
    assert header["regions"][0]["area"] == int((ids == 1).sum()) == 80 * 60
    again = server.http.get(
        f"/api/v1/frames/{frame}/region-map", headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_the_same_request_twice_makes_one_region(server: Server, frame: str) -> None:
    body = {"id": new_id(), "class_id": 2, "geometry": square(5, 5, 30, 30)}
    key = {"idempotency-key": new_id()}
    first = server.api("POST", f"/frames/{frame}/regions", json=body, headers=key)
    second = server.api("POST", f"/frames/{frame}/regions", json=body, headers=key)
    assert second["edit"]["id"] == first["edit"]["id"]
    assert [r["id"] for r in server.api("GET", f"/frames/{frame}/regions")] == [body["id"]]


def test_a_stale_revision_is_a_conflict_that_shows_the_current_one(server: Server, frame: str) -> None:
    region = add(server, frame, 2, square(5, 5, 30, 30))["region"]
    path = f"/regions/{region['id']}"
    server.api("PATCH", path, json={"class_id": 3}, headers={"if-match": '"1"'})
    problem = server.api("PATCH", path, json={"class_id": 4}, headers={"if-match": '"1"'}, status=409)
    assert problem["current"]["class_id"] == 3
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize(
    "geometry",
    [
        {"points": [{"x": -1, "y": 5}]},
        {"points": [{"x": 5, "y": 120.5}]},
        {"points": [{"x": 1e308, "y": 5}]},
        {"points": [{"x": 5, "y": 5, "label": 0}]},
        {"points": []},
        {"box": [10, 10, 5, 5]},
        {"box": [0, 0, 500, 50]},
        {"outline": [[[1, 1], [2, 2]]]},
        {"outline": [[[1, 1], [2, 2], [900, 3]]]},
        {"text": "a chair"},
        {"points": [{"x": 5, "y": 5, "label": 2}]},
        {"points": [{"x": 5, "y": 5, "r": -3}]},
        {"points": [{"x": 5, "y": 5, "surprise": 1}]},
    ],
)
def test_geometry_off_the_frame_is_refused_and_nothing_is_stored(
    server: Server, frame: str, geometry: dict[str, Any]
) -> None:
    body = {"id": new_id(), "class_id": 2, "geometry": geometry}
    answer = server.http.post(f"/api/v1/frames/{frame}/regions", json=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"].endswith(".")
    assert server.api("GET", f"/frames/{frame}/regions") == []


def test_a_class_that_does_not_exist_is_refused(server: Server, frame: str) -> None:
    problem = add(server, frame, 77, square(5, 5, 30, 30), status=422)
    assert "77" in problem["detail"]


def test_undo_and_redo_walk_through_the_edits(server: Server, project: dict[str, Any], frame: str) -> None:
    path = f"/projects/{project['id']}"
    empty = labels_of(server, frame)
    region = add(server, frame, 2, square(5, 5, 30, 30))["region"]
    one = labels_of(server, frame)
    server.api("PATCH", f"/regions/{region['id']}", json={"geometry": square(50, 50, 90, 90)})
    two = labels_of(server, frame)
    server.api("DELETE", f"/regions/{region['id']}")
    for expected in (two, one, empty):
        assert server.api("POST", f"{path}/undo")["frame_id"] == frame
        assert np.array_equal(labels_of(server, frame), expected)
    for expected in (one, two, empty):
        server.api("POST", f"{path}/redo")
        assert np.array_equal(labels_of(server, frame), expected)
    server.api("POST", f"{path}/redo", status=404)


def test_an_asset_in_the_trash_gets_no_regions(server: Server, asset: str, frame: str) -> None:
    server.api("DELETE", f"/assets/{asset}")
    refused = add(server, frame, 3, square(10, 20, 50, 60), status=409)
    assert "in the trash" in refused["detail"]
    server.api("POST", f"/assets/{asset}/restore")
    assert server.api("GET", f"/frames/{frame}")["regions"] == []
    assert add(server, frame, 3, square(10, 20, 50, 60))["region"]


def test_a_prediction_offers_masks_and_stores_nothing(server: Server, frame: str) -> None:
    found = server.api("POST", f"/frames/{frame}/predict", json={"points": [{"x": 50, "y": 54}]})
    proposal = found["proposals"][0]
    assert proposal["rle"]["size"] == [120, 160]
    assert len(found["proposals"]) == 3
    assert server.api("GET", f"/frames/{frame}/regions") == []


def test_states_of_frames_show_in_the_timeline(server: Server, asset: str) -> None:
    frame_id = f"{asset}-000005"
    server.api("PATCH", f"/frames/{frame_id}", json={"state": "done"})
    assert [5, 1, "done"] in server.api("GET", f"/assets/{asset}/timeline")["states"]
    answer = server.http.patch(f"/api/v1/frames/{frame_id}", json={"state": "finished"})
    assert answer.status_code == 400


def test_lanes_tell_where_a_class_has_regions(server: Server, asset: str, frame: str) -> None:
    add(server, frame, 3, square(5, 5, 30, 30))
    lanes = server.api("GET", f"/assets/{asset}/lanes")
    index = int(frame[-6:])
    (found,) = [lane for lane in lanes["classes"] if lane["class_id"] == 3]
    assert any(start <= index < start + length for start, length in found["regions"])
    assert index in found["loose_anchors"]
    server.api("GET", f"/assets/{new_id()}/lanes", status=404)


TEMPLATE = [
    {"id": 1, "name": "a", "colour": "#112233"},
    {"id": 2, "name": "b", "colour": "#445566", "parent": 1},
]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"colour": "red;}body{display:none}"}, "colour"),
        ({"name": "b"}, "name"),
        ({"id": 2}, "id"),
        ({"parent": 2}, "circle"),
        ({"parent": 9}, "9"),
        ({"name": "x" * 10_000}, "name"),
        ({"priority": 10**12}, "priority"),
    ],
)
def test_a_rule_book_that_contradicts_itself_is_refused(
    server: Server, change: dict[str, Any], word: str
) -> None:
    classes = [TEMPLATE[0] | change, TEMPLATE[1]]
    answer = server.http.post("/api/v1/class-templates", json={"name": "Bad", "classes": classes})
    assert answer.status_code in (400, 422)
    assert word in answer.json()["detail"]


def test_a_class_in_use_cannot_be_deleted(server: Server, project: dict[str, Any], frame: str) -> None:
    add(server, frame, 2, square(5, 5, 30, 30))
    template = server.api("GET", f"/class-templates/{project['class_template_id']}")
    without = [c for c in template["classes"] if c["id"] != 2]
    problem = server.api("PATCH", f"/class-templates/{template['id']}", json={"classes": without}, status=409)
    assert problem["regions"] >= 1
    assert "floor" in problem["detail"]


def test_equal_priorities_follow_the_order_of_the_template(server: Server, clip: bytes) -> None:
    classes = [c | {"priority": 5, "parent": None} for c in TEMPLATE]
    template = server.api("POST", "/class-templates", json={"name": "Ties", "classes": classes})
    project = server.api("POST", "/projects", json={"name": "Ties", "class_template_id": template["id"]})
    frame = f"{server.asset(project, 'disc.mp4', clip)['id']}-000000"
    add(server, frame, 2, square(0, 0, 50, 50))
    add(server, frame, 1, square(0, 0, 50, 50))
    assert labels_of(server, frame)[10, 10] == 2
    server.api("PATCH", f"/class-templates/{template['id']}", json={"classes": classes[::-1]})
    assert labels_of(server, frame)[10, 10] == 1


def test_a_bundle_brings_the_same_label_maps_back(
    server: Server, project: dict[str, Any], frame: str
) -> None:
    add(server, frame, 2, square(5, 5, 30, 30))
    add(server, frame, 3, {"points": [{"x": 55, "y": 54, "r": 15}]})
    wanted = {"format": "bundle", "media": True}
    job = server.finished(server.api("POST", f"/projects/{project['id']}/exports", json=wanted))
    assert job["state"] == "done", job["reason"]
    name = job["result"]["files"][0]["name"]
    data = server.http.get(f"/api/v1/jobs/{job['id']}/files/{name}").content
    back = server.finished(server.api("POST", "/imports", files={"file": (name, data)}))
    assert back["state"] == "done", back["reason"]
    restored = server.api("GET", f"/projects/{back['result']['project_id']}")
    twin = f"{restored['assets'][0]['id']}-{frame[-6:]}"
    for mode in ("palette", "index", "colour"):
        paths = [f"/api/v1/frames/{f}/label-map.png?mode={mode}" for f in (frame, twin)]
        assert server.http.get(paths[0]).content == server.http.get(paths[1]).content


def test_a_broken_bundle_is_refused_and_leaves_nothing(server: Server) -> None:
    before = len(server.api("GET", "/projects"))
    job = server.finished(server.api("POST", "/imports", files={"file": ("x.jsonl", b'{"type":"header"\n')}))
    assert job["state"] == "failed"
    assert job["reason"].endswith(".")
    assert len(server.api("GET", "/projects")) == before
