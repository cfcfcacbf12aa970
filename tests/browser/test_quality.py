"""The Dashboard's cards and the Quality page in a real browser, from labels that flicker to a queue that is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from app.models import new_id
from tests.browser.test_engines_page import check_axe
from tests.conftest import Server


@pytest.fixture(scope="module")
def project(server: Server, clip: bytes) -> Iterator[str]:
    """Six frames with the same square, which is half as wide on the fourth."""
    made = server.project("Flickering")
    asset = server.asset(made, "disc.mp4", clip)["id"]
    for index in range(6):
        right = 50 if index == 3 else 80
        ring = [[20, 20], [right, 20], [right, 80], [20, 80]]
        body = {"id": new_id(), "class_id": 1, "geometry": {"points": [], "outline": [ring]}}
        server.api("POST", f"/frames/{asset}-{index:06d}/regions", json=body)
    yield made["id"]
    server.api("DELETE", f"/projects/{made['id']}")


def test_a_person_measures_and_finishes_the_queue(page: Page, server: Server, project: str) -> None:
    page.context.add_cookies([{"name": "pt_project", "value": project, "url": server.url}])
    page.goto(server.url)
    cards = page.locator("#quality-cards")
    expect(cards).to_contain_text("Not measured yet")
    cards.get_by_role("button", name="Measure").click()
    expect(cards).to_contain_text("2 frames over 0.17")
    expect(page.get_by_role("img", name="Flicker of Flickering, at worst")).to_be_visible()
    check_axe(page)

    cards.get_by_role("link", name="Flicker", exact=True).click()
    expect(page.get_by_role("link", name="Stability", exact=True)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("img", name="Flicker of 5 frames, 2 above the limit")).to_be_visible()
    expect(page.locator("#review")).to_be_hidden()
    check_axe(page)

    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Review").click()
    rows = page.locator("#review tbody tr")
    expect(rows.first).to_contain_text("Frame 4")
    page.get_by_label("Select all frames of this page").check()
    count = rows.count()
    server.api("PATCH", f"/projects/{project}", json={"status": "wip"})  # every page is told, and asks anew
    approve = page.get_by_role("button", name=f"Approve {count} frame")
    check_axe(page)
    approve.press("Enter")
    expect(page.locator("#review")).to_contain_text("Nothing left to review")
    expect(page.get_by_role("link", name="Review", exact=True)).to_be_visible()
    expect(page.locator("#next-frame")).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(count)
    expect(page.get_by_role("link", name=f"Review {count}", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_disabled()

    page.get_by_role("link", name="Ground truth").click()
    page.get_by_role("button", name="Keep labels as ground truth").click()
    expect(page.get_by_role("dialog").get_by_label("Asset")).to_be_focused()
    check_axe(page)
