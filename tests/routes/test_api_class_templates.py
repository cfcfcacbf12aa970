"""Class templates over HTTP: changes of classes in use, mapping rules, revisions; rows 27–31 of the hostile inputs."""

from __future__ import annotations

from typing import Any

import pytest

from app.models import new_id
from tests.conftest import Server

CLASSES = [
    {"id": 1, "name": "road", "colour": "#112233"},
    {"id": 2, "name": "car", "colour": "#445566", "parent": 1},
    {"id": 3, "name": "van", "colour": "#778899", "attributes": [{"name": "side", "default": "left"}]},
]


@pytest.fixture(scope="module", autouse=True)
def default(server: Server) -> None:
    """The oldest class template is what other tests' projects get: let it be the usual one."""
    server.project("First")


@pytest.fixture
def template(server: Server) -> dict[str, Any]:
    return server.api("POST", "/class-templates", json={"name": "Street", "classes": CLASSES})


@pytest.fixture(scope="module")
def frame(server: Server, clip: bytes) -> str:
    """A frame of a project that each test gives its own class template."""
    return f"{server.asset(server.project('Classes'), 'disc.mp4', clip)['id']}-000000"


def labelled(server: Server, template: dict[str, Any], frame: str, *class_ids: int) -> list[dict[str, Any]]:
    """Put regions of the classes on the frame, whose project uses the class template from now on."""
    for region in server.api("GET", f"/frames/{frame}")["regions"]:
        server.api("DELETE", f"/regions/{region['id']}")
    project = server.api("GET", f"/frames/{frame}")["project_id"]
    server.api("PATCH", f"/projects/{project}", json={"class_template_id": template["id"]})
    square = {"outline": [[[5, 5], [50, 5], [50, 50], [5, 50]]]}
    made = []
    for class_id in class_ids:
        body = {"id": new_id(), "class_id": class_id, "geometry": square}
        made.append(server.api("POST", f"/frames/{frame}/regions", json=body)["region"])
    return made


def test_a_class_in_use_is_counted_deleted_and_brought_back(
    server: Server, template: dict[str, Any], frame: str
) -> None:
    labelled(server, template, frame, 2, 2, 1)
    at = f"/class-templates/{template['id']}"
    problem = server.api("PATCH", at, json={"classes": [CLASSES[0], CLASSES[2]]}, status=409)
    assert (problem["regions"], problem["class_id"]) == (2, 2)
    usage = server.api("GET", f"{at}/classes/2/usage")
    assert (usage["regions"], usage["frames"], usage["projects"][0]["name"]) == (2, 1, "Classes")
    wanted = {"kind": "delete", "class_id": 2, "into": 3, "expected_regions": 1}
    problem = server.api("POST", f"{at}/changes", json=wanted, status=409)
    assert problem["regions"] == 2
    key = {"Idempotency-Key": new_id()}
    done, again = (
        server.api("POST", f"{at}/changes", json=wanted | {"expected_regions": 2}, headers=key)
        for _time in range(2)
    )
    assert done["edit"] == again["edit"]
    assert (done["regions"], done["can_undo"], done["template"]["revision"]) == (2, True, 2)
    classes = [r["class_id"] for r in server.api("GET", f"/frames/{frame}")["regions"]]
    assert sorted(classes) == [1, 3, 3]
    undone = server.api("POST", f"{at}/undo")
    assert undone["what"] == "Brought the class car back."
    classes = [r["class_id"] for r in server.api("GET", f"/frames/{frame}")["regions"]]
    assert sorted(classes) == [1, 2, 2]
    assert server.api("POST", f"{at}/redo")["what"] == "Deleted the class car again."
    assert [e["kind"] for e in server.api("GET", f"{at}/history")] == ["redo", "undo", "delete-class"]


def test_attributes_of_a_region_follow_its_class_and_are_undone(
    server: Server, template: dict[str, Any], frame: str
) -> None:
    van, road = labelled(server, template, frame, 3, 1)
    assert (van["attributes"], road["attributes"]) == ({"side": "left"}, {})
    at = f"/regions/{van['id']}"
    server.api("PATCH", at, json={"attributes": {"side": "right"}})
    assert server.api("GET", at)["attributes"] == {"side": "right"}
    problem = server.api("PATCH", at, json={"attributes": {"colour": "red"}}, status=422)
    assert problem["detail"] == "The class van has no attribute 'colour'."
    project = server.api("GET", f"/frames/{frame}")["project_id"]
    panel = server.http.get(f"/workspace/{project}/_properties?frame={frame}&region={van['id']}").text
    assert 'data-attribute="side"' in panel
    undone = server.api("POST", f"/projects/{project}/undo")
    assert (undone["what"], undone["frame_id"]) == ("Gave the region van its earlier attributes.", frame)
    assert server.api("GET", at)["attributes"] == {"side": "left"}
    server.api("PATCH", at, json={"attributes": {"side": ""}})
    assert server.api("GET", at)["attributes"] == {}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"classes": [{**CLASSES[0], "colour": "red;}body{display:none}"}]}, "colour"),
        ({"classes": [{**CLASSES[0], "name": "x" * 10_000}]}, "length"),
        ({"classes": [{**CLASSES[0], "name": "evil\u202egnp.exe"}]}, "do not print"),
        ({"classes": [{**CLASSES[0], "style": "x"}]}, "style"),
        ({"classes": [{**CLASSES[0], "parent": 1}]}, "circle: road → road"),
        ({"classes": CLASSES, "rules": [{"kind": "name", "key": "car", "class_id": 2}]}, "to itself"),
        (
            {
                "classes": CLASSES,
                "rules": [
                    {"kind": "name", "key": "car", "class_id": 3},
                    {"kind": "name", "key": "van", "class_id": 2},
                ],
            },
            "circle: van → car → van",
        ),
        ({"classes": CLASSES, "rules": [{"kind": "colour", "key": "url(x)", "class_id": 2}]}, "six digits"),
        ({"classes": CLASSES, "rules": [{"kind": "pickle", "key": "x"}]}, "pickle"),
        ({"classes": [{**CLASSES[0], "attributes": [{"name": "a", "kind": "choice"}]}]}, "no choices"),
    ],
)
def test_a_rule_book_that_cannot_stand_is_refused_in_words(
    server: Server, body: dict[str, Any], says: str
) -> None:
    before = len(server.api("GET", "/class-templates"))
    problem = server.api("POST", "/class-templates", json={"name": "Bad"} | body, status=422)
    assert problem["status"] == 422
    assert says in problem["detail"]
    assert len(server.api("GET", "/class-templates")) == before


def test_a_refused_rule_is_named_by_its_number(server: Server, template: dict[str, Any]) -> None:
    rules = [{"kind": "name", "key": "suv", "class_id": 2}, {"kind": "value", "key": "x", "class_id": 2}]
    problem = server.api("PATCH", f"/class-templates/{template['id']}", json={"rules": rules}, status=422)
    assert problem["rule"] == 1


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "{{7*7}}", "שלום", "🚗", "=cmd()"])
def test_hostile_names_stay_names(server: Server, name: str) -> None:
    rules = [{"kind": "name", "key": name + " x", "class_id": 1}]
    classes = [{"id": 1, "name": name, "colour": "#112233", "attributes": [{"name": name}]}]
    made = server.api("POST", "/class-templates", json={"name": name, "classes": classes, "rules": rules})
    assert made["classes"][0]["name"] == made["rules"][0]["key"].removesuffix(" x") == name
    text = server.http.get(f"/templates/{made['id']}").text
    assert "<img src=x" not in text
    assert name != "{{7*7}}" or name in text


@pytest.mark.parametrize("body", [b'{"name": "a", "classes": ' + b"[" * 100_000, b"\xff\xfe", b"{]"])
def test_a_file_that_is_no_json_is_refused(server: Server, body: bytes) -> None:
    answer = server.http.post(
        "/api/v1/class-templates", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_older_revisions_are_listed_compared_and_brought_back(
    server: Server, template: dict[str, Any]
) -> None:
    at = f"/class-templates/{template['id']}"
    server.api("PATCH", at, json={"name": "Road"}, headers={"If-Match": '"1"'})
    assert [r["revision"] for r in server.api("GET", f"{at}/revisions")] == [2, 1]
    found = server.api("GET", f"{at}/revisions/1")
    assert found["differences"] == ["The template Street is now called Road."]
    server.api("POST", f"{at}/revisions/1/restore", headers={"If-Match": '"1"'}, status=409)
    assert server.api("POST", f"{at}/revisions/1/restore")["name"] == "Street"
    for wrong in ("3000000000000", "0", "7", "x"):
        server.api("GET", f"{at}/revisions/{wrong}", status=404)
    server.api("GET", f"{at}/classes/99/usage", status=404)


def test_a_rule_book_comes_back_from_its_own_json(server: Server, template: dict[str, Any]) -> None:
    rules = [{"kind": "value", "key": "7", "class_id": 2}, {"kind": "name", "key": "ego", "class_id": None}]
    kept = server.api("PATCH", f"/class-templates/{template['id']}", json={"rules": rules})
    file = {key: kept[key] for key in ("name", "classes", "rules")}
    made = server.api("POST", "/class-templates", json=file)
    assert {key: made[key] for key in file} == file
