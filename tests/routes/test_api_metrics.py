"""Stability over HTTP: a real consumer measures what regions show, and the figures come back in every form."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import quote

import pytest

from app.models import new_id
from tests.conftest import Server
from tests.routes.test_api_regions import square

CAR, ROAD = 1, 2
LOST = 3


@pytest.fixture(scope="module")
def scene(server: Server, clip: bytes) -> dict[str, Any]:
    """Six frames with a square that stands still and is lost on one, on a road that is always there."""
    classes = [
        {"id": ROAD, "name": "road", "colour": "#aa0000"},
        {"id": CAR, "name": '=car, "red"', "colour": "#00aa00", "priority": 5},
    ]
    template = server.api("POST", "/class-templates", json={"name": "Flickering", "classes": classes})
    project = server.api("POST", "/projects", json={"name": "Ровно?", "class_template_id": template["id"]})
    asset = server.asset(project, "disc.mp4", clip)["id"]
    for index in range(6):
        add(server, asset, index, ROAD, square(0, 80, 160, 120))
        if index != LOST:
            add(server, asset, index, CAR, square(100, 10, 140, 50))
    return {"project": project["id"], "asset": asset}


def add(server: Server, asset: str, index: int, class_id: int, geometry: dict[str, Any]) -> dict[str, Any]:
    body = {"id": new_id(), "class_id": class_id, "geometry": geometry}
    return server.api("POST", f"/frames/{asset}-{index:06d}/regions", json=body)["region"]


def measured(server: Server, scene: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    job = server.finished(server.api("POST", f"/projects/{scene['project']}/measure", json=wanted))
    assert job["state"] == "done", job["reason"]
    return job["result"]


def test_a_lost_frame_shows_in_the_figures_the_curve_and_the_file_until_it_is_mended(
    server: Server, scene: dict[str, Any]
) -> None:
    project, asset = scene["project"], scene["asset"]
    before = server.api("GET", f"/projects/{project}/metrics")["assets"][0]
    assert (before["frames"], before["measured"], before["stale"], before["summary"]["iou"]) == (
        6,
        0,
        6,
        None,
    )

    result = measured(server, scene)
    assert (result["frames"], result["over_limit"], result["notes"]) == (6, 2, [])
    found = server.api("GET", f"/projects/{project}/metrics")
    one = found["assets"][0]
    assert (one["measured"], one["stale"], one["cuts"], one["over_limit"]) == (6, 0, 0, 2)
    assert one["worst"] in (LOST, LOST + 1)
    car = next(row for row in one["classes"] if row["class_id"] == CAR)
    road = next(row for row in one["classes"] if row["class_id"] == ROAD)
    assert (car["frames"], car["jumps"], car["over_limit"]) == (5, 2, 2)
    assert car["iou"] == pytest.approx(3 / 5)
    assert car["warped_instability"] == pytest.approx(2 / 5, abs=0.03)
    assert (road["iou"], road["jumps"], road["over_limit"]) == (1, 0, 0)
    assert road["consistency"] > 0.97
    assert found["summary"] == one["summary"]
    assert [row["class_id"] for row in found["classes"]] == [CAR, ROAD]

    curve = server.api("GET", f"/assets/{asset}/metrics/curve", params={"class_id": CAR})
    assert (curve["start"], curve["stop"], curve["step"], curve["stale"]) == (0, 5, 1, [])
    assert [None if v is None else v > curve["limit"] for v in curve["warped"]] == [
        None, False, False, True, True, False,
    ]  # fmt: skip
    assert curve["raw"] == [None, 0, 0, 1, 1, 0]
    assert curve["area"] == [1600, 1600, 1600, 0, 1600, 1600]
    coarse = server.api("GET", f"/assets/{asset}/metrics/curve", params={"class_id": CAR, "most": 3})
    assert (coarse["step"], coarse["raw"], coarse["area"]) == (2, [0, 1, 1], [1600, 0, 1600])
    assert coarse["at"][1] == LOST
    whole = server.api("GET", f"/assets/{asset}/metrics/curve")
    assert (whole["at"], whole["worst"][LOST]) == ([None, 1, 2, 3, 4, 5], CAR)
    piece = server.api("GET", f"/assets/{asset}/metrics/curve", params={"start": 2, "stop": 4})
    assert len(piece["warped"]) == 3

    add(server, asset, LOST, CAR, square(100, 10, 140, 50))
    stale = server.api("GET", f"/projects/{project}/metrics")["assets"][0]
    assert (stale["measured"], stale["stale"], stale["over_limit"]) == (4, 2, 2)
    assert server.api("GET", f"/assets/{asset}/metrics/curve")["stale"] == [[LOST, 2]]
    assert measured(server, scene)["frames"] == 2
    mended = server.api("GET", f"/projects/{project}/metrics")["assets"][0]
    assert (mended["measured"], mended["stale"], mended["over_limit"]) == (6, 0, 0)
    assert measured(server, scene)["frames"] == 0
    assert measured(server, scene, all=True, asset_id=asset)["frames"] == 6


def test_the_file_has_a_row_for_each_frame_and_class_and_no_text_that_runs(
    server: Server, scene: dict[str, Any]
) -> None:
    measured(server, scene, all=True)
    path = f"/api/v1/projects/{scene['project']}/metrics/file"
    answer = server.http.get(path, params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith(f"{quote('Ровно?')[:-3]}_-stability.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 6 * 3
    assert {row["class_name"] for row in rows} == {"all", "road", '\'=car, "red"'}
    assert rows[0]["instability"] == ""
    found = server.http.get(path, params={"format": "json", "asset_id": scene["asset"]}).json()
    assert len(found["rows"]) == 18
    assert {row["class_name"] for row in found["rows"]} == {"all", "road", '=car, "red"'}
    assert found["rows"][3]["frame_id"] == f"{scene['asset']}-000001"
    for given, shown in zip(found["rows"], rows, strict=True):
        assert shown["area"] == str(given["area"])
        assert (shown["iou"] or None) == (None if given["iou"] is None else str(given["iou"]))


def test_a_project_without_labels_says_so_and_an_asset_in_the_trash_is_neither_measured_nor_told_of(
    server: Server, clip: bytes
) -> None:
    project = server.project("Empty")
    path = f"/projects/{project['id']}"
    nothing = "Nothing is labelled yet, so there is nothing to measure."
    empty = server.api("GET", f"{path}/metrics")
    assert (empty["assets"], empty["classes"], empty["summary"]["iou"]) == ([], [], None)
    assert server.api("POST", f"{path}/measure", json={}, status=422)["detail"] == nothing
    asset = server.asset(project, "disc.mp4", clip)["id"]
    assert server.api("POST", f"{path}/measure", json={}, status=422)["detail"] == nothing
    curve = server.api("GET", f"/assets/{asset}/metrics/curve")
    assert (curve["warped"], curve["stale"]) == ([None] * 6, [])
    text = server.http.get(f"/api/v1{path}/metrics/file").text
    assert len(text.splitlines()) == 1
    assert server.api("GET", f"{path}/metrics/file?format=json")["rows"] == []

    template = server.api("GET", f"/class-templates/{project['class_template_id']}")
    add(server, asset, 0, template["classes"][0]["id"], square(0, 0, 9, 9))
    server.api("DELETE", f"/assets/{asset}")
    problem = server.api("POST", f"{path}/measure", json={"asset_id": asset}, status=409)
    assert "trash" in problem["detail"]
    assert server.api("GET", f"{path}/metrics")["assets"] == []
    server.api("GET", f"{path}/metrics", params={"asset_id": asset}, status=404)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/assets/{asset}/metrics/curve?most=0", 422),
        ("/assets/{asset}/metrics/curve?most=1000000", 422),
        ("/assets/{asset}/metrics/curve?class_id=-1", 422),
        ("/assets/{asset}/metrics/curve?class_id=99999999999999", 422),
        ("/assets/{asset}/metrics/curve?track_id=x", 404),
        ("/assets/{asset}/metrics/curve?start=4&stop=2", 422),
        ("/assets/{asset}/metrics/curve?stop=6", 422),
        ("/assets/nothing/metrics/curve", 404),
        ("/projects/{project}/metrics?asset_id=../..", 404),
        ("/projects/{project}/metrics/file?format=xls", 400),
        ("/projects/{missing}/metrics", 404),
        ("/projects/{missing}/metrics/file", 404),
        ("/assets/{missing}/metrics/curve", 404),
    ],
)
def test_a_question_that_cannot_be_answered_gets_a_sentence(
    server: Server, scene: dict[str, Any], path: str, status: int
) -> None:
    problem = server.api("GET", path.format(**scene, missing=new_id()), status=status)
    assert problem["detail"].endswith(".")
