"""The fusion inspector over HTTP: a real server, worker and consumer, against label maps that were exported."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from app.models import new_id
from tests.conftest import Server
from tests.routes.test_api_regions import labels_of, square

LOW, HIGH, TWIN = 1, 2, 3


@pytest.fixture(scope="module")
def project(server: Server) -> dict[str, Any]:
    """Frame 0 has squares that overlap, frame 1 regions by points, frame 2 one class, 3 to 5 nothing."""
    classes = [
        {"id": LOW, "name": "low", "colour": "#aa0000", "priority": 0},
        {"id": HIGH, "name": "high", "colour": "#00aa00", "priority": 5, "value": 7},
        {"id": TWIN, "name": "twin", "colour": "#0000aa", "priority": 5},
    ]
    template = server.api("POST", "/class-templates", json={"name": "Ties", "classes": classes})
    return server.api("POST", "/projects", json={"name": "Inspected", "class_template_id": template["id"]})


@pytest.fixture(scope="module")
def frames(server: Server, project: dict[str, Any], clip: bytes) -> list[str]:
    asset = server.asset(project, "disc.mp4", clip)["id"]
    names = [f"{asset}-{index:06d}" for index in range(6)]
    add(server, names[0], LOW, square(10, 10, 60, 60))
    add(server, names[0], HIGH, square(30, 10, 80, 60))
    add(server, names[0], TWIN, square(50, 40, 100, 90))
    add(server, names[0], TWIN, square(50, 40, 70, 50))
    add(server, names[1], LOW, {"points": [{"x": 55, "y": 54, "r": 15}]})
    add(server, names[1], HIGH, square(45, 40, 120, 100))
    add(server, names[2], HIGH, square(10, 10, 60, 60))
    return names


def add(server: Server, frame: str, class_id: int, geometry: dict[str, Any]) -> str:
    body = {"id": new_id(), "class_id": class_id, "geometry": geometry}
    return server.api("POST", f"/frames/{frame}/regions", json=body)["region"]["id"]


def look(server: Server, frame: str, x: float, y: float) -> dict[str, Any]:
    return server.api("POST", f"/frames/{frame}/inspect", json={"x": x, "y": y})


def test_a_pixel_names_its_winner_and_those_it_beat_in_order(server: Server, frames: list[str]) -> None:
    found = look(server, frames[0], 55.5, 45.9)
    assert [found["winner"]["name"], *(row["name"] for row in found["losers"])] == [
        "twin", "twin", "high", "low",
    ]  # fmt: skip
    assert (found["x"], found["y"], found["decided"], found["value"]) == (55, 45, "region", TWIN)
    assert [row["area"] for row in found["losers"]] == [2500, 2500, 2500]
    assert (found["winner"]["outline"], found["winner"]["points"], found["winner"]["area"]) == (True, 0, 200)
    assert found["winner"]["certificate"]["exact"] is True


def test_the_reason_says_what_decided(server: Server, frames: list[str]) -> None:
    by_priority, tie = look(server, frames[0], 40, 20), look(server, frames[0], 75, 55)
    assert (by_priority["decided"], by_priority["value"]) == ("priority", 7)
    assert by_priority["reason"] == "high has the higher priority, 5 against 0."
    assert tie["decided"] == "order"
    assert tie["reason"] == "twin and high have the same priority; the class later in the template wins."
    assert (tie["winner"]["name"], tie["losers"][0]["name"]) == ("twin", "high")
    assert look(server, frames[0], 15, 15)["decided"] == "alone"


def test_a_pixel_without_a_region_is_unlabelled(server: Server, frames: list[str]) -> None:
    for frame, x, y in ((frames[0], 0, 0), (frames[0], 159.99, 119.99), (frames[5], 80, 60)):
        found = look(server, frame, x, y)
        assert (found["winner"], found["losers"], found["label"], found["value"]) == (
            None,
            [],
            "unlabelled",
            0,
        )


def test_the_winner_is_the_label_map_everywhere(server: Server, frames: list[str]) -> None:
    values = labels_of(server, frames[1])
    for x, y in np.random.default_rng(3).integers((30, 30), (110, 90), (12, 2)).tolist():
        assert look(server, frames[1], x + 0.5, y + 0.5)["value"] == values[y, x], (x, y)


@pytest.mark.parametrize("place", [(-0.01, 5), (160, 5), (5, 120), (5, -1), (1e300, 5), (5, -1e300)])
def test_a_place_off_the_frame_is_refused(
    server: Server, frames: list[str], place: tuple[float, float]
) -> None:
    problem = server.api(
        "POST", f"/frames/{frames[0]}/inspect", json={"x": place[0], "y": place[1]}, status=422
    )
    assert "outside the frame" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"x": NaN, "y": 1}', 400),
        (b'{"x": 1e999, "y": 1}', 400),
        (b'{"x": "nan", "y": 1}', 422),
        (b'{"x": 1, "y": "inf"}', 422),
        (b"{}", 400),
    ],
)
def test_what_is_no_number_is_refused(server: Server, frames: list[str], body: bytes, status: int) -> None:
    problem = server.api(
        "POST",
        f"/frames/{frames[0]}/inspect",
        content=body,
        headers={"content-type": "application/json"},
        status=status,
    )
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        {"priorities": {"9": 1}},
        {"order": [LOW, HIGH]},
        {"order": [LOW, HIGH, HIGH]},
        {"order": [LOW, HIGH, TWIN, 9]},
    ],
)
def test_priorities_of_classes_that_are_not_there_are_refused(
    server: Server, project: dict[str, Any], frames: list[str], body: dict[str, Any]
) -> None:
    for path in (f"/frames/{frames[0]}/what-if", f"/projects/{project['id']}/what-if"):
        assert server.api("POST", path, json=body, status=422)["detail"].endswith(".")


def test_what_is_predicted_is_what_saving_the_template_does(
    server: Server, project: dict[str, Any], frames: list[str]
) -> None:
    wanted = {"priorities": {str(LOW): 9}, "order": [LOW, TWIN, HIGH]}
    before = [labels_of(server, frame) for frame in frames]
    here = server.api("POST", f"/frames/{frames[0]}/what-if", json=wanted)
    job = server.finished(server.api("POST", f"/projects/{project['id']}/what-if", json=wanted))
    assert job["state"] == "done", job["reason"]

    template = server.api("GET", f"/class-templates/{project['class_template_id']}")
    classes = {known["id"]: known for known in template["classes"]}
    classes[LOW]["priority"] = 9
    server.api(
        "PATCH",
        f"/class-templates/{template['id']}",
        json={"classes": [classes[id] for id in wanted["order"]]},
        headers={"if-match": f'"{template["revision"]}"'},
    )
    after = [labels_of(server, frame) for frame in frames]
    ids = {0: 0, 7: HIGH, LOW: LOW, TWIN: TWIN}
    moved: list[Counter[tuple[int, int]]] = []
    for old, new in zip(before, after, strict=True):
        pairs = zip(old[old != new].tolist(), new[old != new].tolist(), strict=True)
        moved.append(Counter((ids[a], ids[b]) for a, b in pairs))
    assert moved[0]
    assert moved[1]
    assert {(a, b): n for a, b, n in here["moves"]} == moved[0]
    assert here["pixels"] == moved[0].total()

    result = job["result"]
    assert {(a, b): n for a, b, n in result["moves"]} == sum(moved, Counter())
    rows = [(row["frame_id"], row["index"], row["pixels"]) for row in result["rows"]]
    expected = [(frames[i], i, n.total()) for i, n in enumerate(moved) if n]
    assert rows == sorted(expected, key=lambda row: -row[2])
    # Frame 2 holds one class, 3 to 5 none: nothing can change there, so nothing is rendered.
    assert (result["frames"], result["rendered"], result["changed"]) == (6, 2, 2)
    assert result["class_template"] == {"id": template["id"], "revision": template["revision"]}
