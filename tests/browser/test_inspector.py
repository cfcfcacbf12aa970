"""The fusion inspector in a real browser: whose pixel is this, and what if the priorities were others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_main_job import canvas_point
from tests.conftest import Server
from tests.routes.test_api_inspector import add
from tests.routes.test_api_regions import labels_of, square

FLOOR, CHAIR, PERSON = 2, 4, 6


@pytest.fixture
def scene(server: Server, clip: bytes) -> tuple[dict[str, Any], str]:
    """A project whose first and third frame have three squares that overlap; and its asset."""
    template = server.api("POST", "/class-templates", json={"name": "Own", "preset": "objects"})
    project = server.api(
        "POST", "/projects", json={"name": "Looked into", "class_template_id": template["id"]}
    )
    asset = server.asset(project, "disc.mp4", clip)["id"]
    for index in (0, 2):
        frame = f"{asset}-{index:06d}"
        add(server, frame, FLOOR, square(10, 60, 150, 110))
        add(server, frame, CHAIR, square(60, 40, 120, 100 + index))
        add(server, frame, PERSON, square(80, 20, 100, 90))
    return project, asset


def test_a_person_looks_into_a_pixel_and_tries_other_priorities(
    page: Page, server: Server, scene: tuple[dict[str, Any], str]
) -> None:
    project, asset = scene
    page.goto(f"{server.url}/workspace/{project['id']}?frame=1")
    expect(page.locator("[role=treeitem][data-region]")).to_have_count(3)

    page.locator("#canvas-host").focus()
    page.keyboard.press("q")
    panel = page.locator("#inspector")
    page.mouse.move(*canvas_point(page, 99.5, 70.5))
    expect(panel.locator("li")).to_have_text([re.compile("person"), re.compile("chair"), re.compile("floor")])
    expect(page.locator("#pixel-readout")).to_contain_text("over chair, floor")
    page.mouse.click(*canvas_point(page, 99.5, 70.5))
    page.keyboard.press("ArrowRight")
    expect(panel.locator("li")).to_have_text([re.compile("chair"), re.compile("floor")])
    expect(panel).to_contain_text("100.5, 70.5")
    expect(panel).to_contain_text("chair has the higher priority, 40 against 20.")
    assert page.evaluate("() => globalThis.pointillist.store.get().index") == 0

    panel.get_by_role("button", name="floor").click()
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_have_count(1)
    chosen = page.evaluate("() => globalThis.pointillist.store.get().selected")
    assert server.api("GET", f"/regions/{chosen}")["class_id"] == FLOOR
    page.locator("#canvas-host").focus()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()

    page.keyboard.press("w")
    tried = page.locator("#what-if")
    floor = tried.locator(f'[data-class="{FLOOR}"]')
    expect(floor).to_be_visible()
    floor.focus()
    for _ in range(2):
        page.keyboard.press("Alt+ArrowUp")
    expect(floor).to_be_focused()
    # 60 columns × 40 rows of the chair lie on the floor, less 20 × 30 that the person covers.
    expect(tried).to_contain_text("1\u202f800 px of this frame would change, 9.4 %.")
    expect(floor).to_contain_text("+1\u202f800")
    assert page.evaluate("() => globalThis.pointillist.store.get().whatIf.gains.map((g) => g.class_id)") == [
        FLOOR
    ]
    results = Axe().run(page, context="#what-if", options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert results.violations_count == 0, results.generate_report()

    tried.get_by_role("button", name="All frames").click()
    expect(tried).to_contain_text("2 of 6 frames would change")
    expect(tried.get_by_role("link")).to_have_text(["Frame 3", "Frame 1"])
    tried.get_by_role("link", name="Frame 3").click()
    expect(page.locator("#canvas-host")).to_have_attribute("data-frame", f"{asset}-000002")
    expect(tried).to_contain_text("1\u202f920 px of this frame would change")

    before = labels_of(server, f"{asset}-000002")
    with page.expect_navigation():
        tried.get_by_role("button", name="Apply").click()
    expect(page.locator("#canvas-host")).to_have_attribute("data-frame", f"{asset}-000002")
    expect(page.locator("#classes [data-class]").nth(2)).to_have_attribute("data-class", str(FLOOR))
    after = labels_of(server, f"{asset}-000002")
    assert ((before != after) & (after == FLOOR)).sum() == (before != after).sum() == 1920
