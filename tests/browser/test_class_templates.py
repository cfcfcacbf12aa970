"""The rule book in use: rename, merge and take back with the regions, rules and the tree by keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import new_id
from tests.conftest import Server

CLASSES = [
    {"id": 1, "name": "road", "colour": "#8a5b9b", "priority": 10},
    {"id": 2, "name": "car", "colour": "#1f8876", "priority": 30},
    {"id": 3, "name": "van", "colour": "#fca300", "priority": 20},
]


@pytest.fixture(scope="module", autouse=True)
def default(server: Server) -> None:
    """The oldest class template is what other tests' projects get: let it be the usual one."""
    server.project("First")


@pytest.fixture
def frame(server: Server, clip: bytes) -> tuple[dict[str, Any], str]:
    """A class template with two regions of the class car on a frame."""
    template = server.api("POST", "/class-templates", json={"name": "Street", "classes": CLASSES})
    body = {"name": "Crossing", "class_template_id": template["id"]}
    project = server.api("POST", "/projects", json=body)
    frame = f"{server.asset(project, 'disc.mp4', clip)['id']}-000000"
    square = {"outline": [[[5, 5], [50, 5], [50, 50], [5, 50]]]}
    for class_id in (2, 2, 1):
        region = {"id": new_id(), "class_id": class_id, "geometry": square}
        server.api("POST", f"/frames/{frame}/regions", json=region)
    return template, frame


def classes_of(server: Server, frame: str) -> list[int]:
    return sorted(region["class_id"] for region in server.api("GET", f"/frames/{frame}")["regions"])


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert found == [], [(v["id"], [n["target"] for n in v["nodes"]]) for v in found]


def test_a_class_in_use_is_renamed_merged_and_brought_back(
    page: Page, server: Server, frame: tuple[dict[str, Any], str]
) -> None:
    template, frame_id = frame
    page.goto(f"{server.url}/templates/{template['id']}")
    page.get_by_role("treeitem", name="car").click()
    page.keyboard.press("Enter")
    page.keyboard.type("auto")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("Save or discard them first")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("revision 2, used by 1 project")).to_be_visible()

    page.get_by_role("treeitem", name="auto").click()
    page.keyboard.press("Delete")
    dialog = page.get_by_role("dialog", name="Delete auto")
    expect(dialog.get_by_text("2 regions · 1 frame").first).to_be_visible()
    accessible(page)
    dialog.get_by_label("Delete the regions too").check()
    expect(dialog.get_by_role("button", name="Delete the class and 2 regions")).to_be_enabled()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Merge").click()
    dialog = page.get_by_role("dialog", name="Merge auto")
    dialog.get_by_label("The class that takes them").select_option("van")
    dialog.get_by_role("button", name="Merge 2 regions into van").press("Enter")
    expect(page.get_by_text("Done: auto → van, 2 regions.")).to_be_visible()
    expect(page.get_by_role("treeitem")).to_have_count(2)
    assert classes_of(server, frame_id) == [1, 3, 3]

    page.locator("#class-tree [aria-selected=true]").click()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("Parted the classes again: auto → van.")).to_be_visible()
    assert classes_of(server, frame_id) == [1, 2, 2]
    page.get_by_role("button", name="Redo").click()
    expect(page.get_by_text("Merged the classes again: auto → van.")).to_be_visible()
    assert classes_of(server, frame_id) == [1, 3, 3]

    page.get_by_role("button", name="Revisions").click()
    page.get_by_role("button", name="Revision 2").click()
    expect(page.get_by_text("auto was deleted.")).to_be_visible()
    accessible(page)


def test_rules_parents_and_attributes_are_made_with_the_keyboard_alone(page: Page, server: Server) -> None:
    template = server.api("POST", "/class-templates", json={"name": "Keys", "classes": CLASSES})
    page.goto(f"{server.url}/templates/{template['id']}")
    page.get_by_role("treeitem", name="car").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Alt+ArrowRight")  # van goes under car
    expect(page.get_by_role("treeitem", name="van")).to_have_attribute("aria-level", "2")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Alt+ArrowDown")  # car goes behind road
    expect(page.get_by_role("treeitem").first).to_contain_text("road")

    page.locator("#add-attribute").press("Enter")
    page.keyboard.type("side")
    page.keyboard.press("Tab")
    page.keyboard.press("c")
    page.keyboard.press("Tab")
    page.keyboard.type("left, right")

    page.locator("#add-rule").press("Enter")
    page.keyboard.type("sedan")
    page.keyboard.press("Tab")
    page.keyboard.type("car")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # the next rule
    page.keyboard.type("car")
    expect(page.get_by_text("car takes its own name without a rule.")).to_be_visible()
    expect(page.locator("#save")).to_be_disabled()
    page.keyboard.press("Tab")
    page.keyboard.type("van")
    expect(page.locator("#rules li").first).to_contain_text("by way of car")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("van")
    page.keyboard.press("Tab")
    page.keyboard.type("car")
    expect(page.get_by_text("The rules go round in a circle: van → car → van.").first).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Alt+Delete")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("revision 2, used by 0 projects")).to_be_visible()
    accessible(page)

    kept = server.api("GET", f"/class-templates/{template['id']}")
    assert [(r["key"], r["class_id"]) for r in kept["rules"]] == [("sedan", 2), ("car", 3)]
    classes = {c["name"]: c for c in kept["classes"]}
    assert classes["van"]["parent"] == 2
    assert classes["car"]["priority"] < classes["road"]["priority"]
    assert classes["car"]["attributes"] == [
        {"name": "side", "kind": "choice", "choices": ["left", "right"], "default": ""}
    ]


def test_hostile_names_are_shown_as_they_are_and_never_run(page: Page, server: Server) -> None:
    names = ["<img src=x onerror=alert(1)>", "{{7*7}}", "🚗 שלום"]
    classes = [
        {"id": i, "name": name, "colour": f"#{i}{i}3344", "attributes": [{"name": name}]}
        for i, name in enumerate(names, 1)
    ]
    rules = [{"kind": "name", "key": f"{name} x", "class_id": i} for i, name in enumerate(names, 1)]
    body = {"name": names[0], "classes": classes, "rules": rules}
    template = server.api("POST", "/class-templates", json=body)
    page.goto(f"{server.url}/templates/{template['id']}")
    assert sorted(page.locator("#class-tree b").all_inner_texts()) == sorted(names)
    assert page.locator("main img").count() == 0
    expect(page.locator("#rules li")).to_have_count(3)


def test_dragging_orders_and_nests_and_a_template_comes_back_from_its_file(
    page: Page, server: Server
) -> None:
    template = server.api("POST", "/class-templates", json={"name": "Dragged", "classes": CLASSES})
    page.goto(f"{server.url}/templates/{template['id']}")
    row = page.get_by_role("treeitem")
    row.filter(has_text="van").drag_to(row.filter(has_text="car"))
    expect(row.filter(has_text="van")).to_have_attribute("aria-level", "2")
    row.filter(has_text="road").drag_to(row.filter(has_text="car"), target_position={"x": 60, "y": 3})
    expect(row.first).to_contain_text("road")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSON").click()
    page.get_by_role("button", name="Discard").click()
    expect(row.first).to_contain_text("car")
    page.locator("#json-file").evaluate("input => { input.click = () => {}; }")
    page.get_by_role("button", name="Import JSON").click()
    page.locator("#json-file").set_input_files(download.value.path())
    page.wait_for_url(lambda address: template["id"] not in address)
    expect(row.first).to_contain_text("road")
    made = server.api("GET", f"/class-templates/{page.url.rpartition('/')[2]}")
    assert (made["name"], made["classes"][2]["parent"]) == ("Dragged", 2)


def test_an_attribute_of_a_region_is_set_in_the_workspace_and_undone(
    page: Page, server: Server, frame: tuple[dict[str, Any], str]
) -> None:
    template, frame_id = frame
    side = {"name": "side", "kind": "choice", "choices": ["left", "right"]}
    classes = [c | {"attributes": [side]} for c in CLASSES]
    server.api("PATCH", f"/class-templates/{template['id']}", json={"classes": classes})
    region = server.api("GET", f"/frames/{frame_id}")["regions"][0]["id"]
    page.goto(f"{server.url}/workspace/{server.api('GET', f'/frames/{frame_id}')['project_id']}")
    page.locator(f"[role=treeitem][data-region='{region}']").click()
    page.get_by_label("side", exact=True).select_option("right")
    expect(page.locator("#undo")).to_be_enabled()
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
    assert server.api("GET", f"/regions/{region}")["attributes"] == {"side": "right"}
    page.locator("#undo").click()
    expect(page.locator("#redo")).to_be_enabled()
    expect(page.get_by_label("side", exact=True)).to_have_value("")
    assert server.api("GET", f"/regions/{region}")["attributes"] == {}
