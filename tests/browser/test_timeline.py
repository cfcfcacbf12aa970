"""The timeline in a real browser: lanes, jumps and a range, by pointer and by keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import new_id
from tests.browser.test_main_job import go_to
from tests.conftest import Server
from tests.routes.test_api_regions import add, square

CHAIR, PERSON = 4, 6


@pytest.fixture
def scene(server: Server, clip: bytes) -> dict[str, Any]:
    """A project with six frames: two tracks of chairs, on frames 1, 2, 4 and on 3, and a person on frame 2."""
    template = server.api("POST", "/class-templates", json={"name": "Lanes", "preset": "objects"})
    project = server.api("POST", "/projects", json={"name": "Lanes", "class_template_id": template["id"]})
    asset = server.asset(project, "disc.mp4", clip)["id"]
    tracks = {0: new_id(), 2: new_id()}
    for index, track in ((0, 0), (1, 0), (3, 0), (2, 2)):
        body = {
            "id": new_id(),
            "class_id": CHAIR,
            "geometry": square(20, 20, 60, 60),
            "track_id": tracks[track],
        }
        server.api("POST", f"/frames/{asset}-{index:06d}/regions", json=body)
    add(server, f"{asset}-000001", PERSON, square(80, 20, 100, 90))
    return project


def state(page: Page, key: str) -> Any:
    return page.evaluate(f"() => globalThis.pointillist.store.get().{key}")


def test_a_person_finds_a_way_along_the_lanes(page: Page, server: Server, scene: dict[str, Any]) -> None:
    page.goto(f"{server.url}/workspace/{scene['id']}?frame=1")
    lanes = page.get_by_role("tree", name="Lanes of classes and tracks")
    rows = lanes.get_by_role("treeitem")
    expect(rows).to_have_count(4)
    first = lanes.get_by_role("treeitem", name="track 1, 3 frames, 3 anchors")
    shown = page.locator("#canvas-host")

    # A click in a lane goes to the frame and selects the track's region there.
    box = first.bounding_box()
    strip = page.get_by_role("slider", name="Frames of disc.mp4").bounding_box()
    assert box is not None
    assert strip is not None
    page.mouse.click(strip["x"] + strip["width"] * 3.5 / 6, box["y"] + 14)
    expect(shown).to_have_attribute("data-frame", re.compile("-000003$"))
    expect(first).to_have_attribute("aria-current", "true")
    # The selected track alone is walked along, from anchor to anchor.
    page.keyboard.press("m")
    expect(shown).to_have_attribute("data-frame", re.compile("-000000$"))
    expect(first).to_have_attribute("aria-current", "true")
    page.keyboard.press("u")
    expect(shown).to_have_attribute("data-frame", re.compile("-000004$"))
    page.keyboard.press("g")
    expect(page.locator("#status-hints")).to_contain_text("No other frame is to review.")

    # By keys: Enter goes to the row's nearest region; the tree opens and closes.
    rows.first.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(shown).to_have_attribute("data-frame", re.compile("-000001$"))
    chairs = lanes.get_by_role("treeitem", name="chair, 2 tracks")
    chairs.focus()
    page.keyboard.press("ArrowLeft")
    expect(chairs).to_have_attribute("aria-expanded", "false")
    expect(rows).to_have_count(2)
    expect(chairs).to_be_focused()

    # A range: marked by keys, moved at its handle, cleared by Escape.
    page.keyboard.press("{")
    expect(page.get_by_role("group", name="Range on the timeline")).to_be_visible()
    begun = state(page, "range")
    stop = page.get_by_role("slider", name="End of the range")
    stop.focus()
    page.keyboard.press("ArrowLeft")
    assert state(page, "range") == {"start": begun["start"], "stop": begun["stop"] - 1}
    found = Axe().run(page, context="#timeline", options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("Escape")
    assert state(page, "range") is None

    # What was closed is remembered, and the place, also where the address named another frame.
    go_to(page, 3)
    page.reload()
    expect(rows).to_have_count(2)
    expect(shown).to_have_attribute("data-frame", re.compile("-000002$"))
