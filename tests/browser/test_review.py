"""Flicker under the frames and the review queue in a real browser: measure, go there, mend or approve, go on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_main_job import shown
from tests.browser.test_timeline import state
from tests.conftest import Server
from tests.routes.test_api_regions import add, square

FLOOR, CHAIR = 2, 4
LOST, BARE = 1, 4


@pytest.fixture(scope="module")
def scene(server: Server, clip: bytes) -> dict[str, Any]:
    """Two assets: the first is not labelled; on the second a chair is gone for a frame, later the floor is."""
    template = server.api("POST", "/class-templates", json={"name": "Review", "preset": "objects"})
    project = server.api("POST", "/projects", json={"name": "Review", "class_template_id": template["id"]})
    calm, flickers = (server.asset(project, name, clip)["id"] for name in ("calm.mp4", "flickers.mp4"))
    for index in range(6):
        if index != BARE:
            add(server, f"{flickers}-{index:06d}", FLOOR, square(0, 80, 160, 120))
        if index != LOST:
            add(server, f"{flickers}-{index:06d}", CHAIR, square(60, 20, 110, 70))
    server.api("PATCH", f"/frames/{flickers}-{BARE + 1:06d}", json={"state": "approved"})
    return {"id": project["id"], "calm": calm, "flickers": flickers}


def test_a_person_goes_along_the_queue_until_nothing_is_left(
    page: Page, server: Server, scene: dict[str, Any]
) -> None:
    # Only a frame on which a person stays counts as opened.
    calm = scene["calm"]
    with page.expect_response(lambda answer: answer.url.endswith("/seen")) as first:
        page.goto(f"{server.url}/workspace/{scene['id']}?asset={calm}&frame=1")
    with page.expect_response(lambda answer: answer.url.endswith("/seen")) as last:
        for _ in range(4):
            page.keyboard.press("ArrowRight")
    looks = [found.value.url.rpartition("/frames/")[2] for found in (first, last)]
    assert looks == [f"{calm}-000000/seen", f"{calm}-000004/seen"]
    assert server.api("GET", f"/projects/{scene['id']}/review")["seen"] == 2
    chip = page.locator(".pt-review")
    expect(chip).to_have_attribute("href", f"/quality/{scene['id']}#review")
    expect(chip).to_contain_text("to review")

    # The chip leads to the queue, and that to a frame, where it says why.
    panel = page.get_by_role("group", name="Review", exact=True)
    chip.click()
    listed = page.locator(f"#row-{scene['flickers']}-{BARE:06d}")
    with page.expect_response(lambda answer: answer.url.endswith("/seen")):
        listed.get_by_role("link", name="Open").click()
    shown(page, BARE + 1)
    expect(panel).to_contain_text("floor is missing for a moment")
    assert "review" not in page.url

    # N leads from one asset to the other, says why, and chooses the class that it speaks of.
    page.goto(f"{server.url}/workspace/{scene['id']}?asset={calm}&frame=1")
    shown(page, 1)
    page.keyboard.press("n")
    page.wait_for_url(re.compile(scene["flickers"]))
    shown(page, LOST + 1)
    expect(panel).to_contain_text("chair is missing for a moment")
    assert state(page, "classId") == CHAIR
    found = Axe().run(page, context="#review-panel", options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()

    page.keyboard.press("Shift+x")
    expect(panel).to_contain_text("Approved.")

    # Not measured yet; measured from the row it shows where it flickers, and keys lead there.
    row = page.get_by_role("slider", name="Flicker of flickers.mp4")
    expect(row).to_have_attribute("aria-valuetext", re.compile("not measured here"))
    measure = page.get_by_role("button", name="Measure", exact=True)
    button, around = measure.bounding_box(), row.bounding_box()
    assert button
    assert around
    assert around["y"] <= button["y"], "it covers the frames"
    assert button["y"] + button["height"] <= around["y"] + around["height"], "it covers the lanes"
    measure.click()
    expect(row).to_have_attribute(
        "aria-valuetext", re.compile(r"above the limit of 0\.17, Most of it: chair$")
    )
    row.focus()
    page.keyboard.press("Control+ArrowRight")
    shown(page, LOST + 2)
    expect(panel).to_be_hidden()

    # The row follows the current class, and its motion can be left in: then there is no limit.
    page.get_by_role("button", name=re.compile("Choose what the row shows")).click()
    page.get_by_role("menuitemradio", name="The current class").click()
    expect(page.locator(".pt-flk-open")).to_have_text("Flicker: chair")
    expect(row).to_have_attribute("aria-valuetext", re.compile("above the limit"))
    page.locator("#canvas-host").focus()
    page.keyboard.press("2")
    expect(page.locator(".pt-flk-open")).to_have_text("Flicker: floor")
    expect(row).to_have_attribute("aria-valuetext", re.compile(r"limit 0\.17$"))

    # Nothing is left: two were approved, one was opened, and this one is open.
    page.keyboard.press("n")
    expect(panel).to_contain_text("Nothing left to review")
    expect(panel).to_contain_text(re.compile(r"\d of 12 frames were opened, \d+ %"))
    expect(chip).to_be_hidden()

    # What somebody mends counts as changed since, until it is measured again.
    again = page.get_by_role("button", name="2 frames changed since · Measure again")
    add(server, f"{scene['flickers']}-{LOST:06d}", CHAIR, square(60, 20, 110, 70))
    expect(again).to_be_visible()
    expect(row).to_have_attribute("aria-valuetext", re.compile("Changed since it was measured$"))
    again.click()
    expect(again).to_be_hidden()
    expect(row).to_have_attribute("aria-valuetext", re.compile(r"limit 0\.17$"))
