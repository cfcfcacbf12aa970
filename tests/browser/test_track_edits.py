"""Regions of a track in the workspace: confirm one, delete the rest from here on, take that back."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import new_id
from tests.browser.test_engines import RULES, open_frame, saved, state
from tests.browser.test_main_job import TREE_REGIONS, go_to
from tests.conftest import Server

FRAMES = 6


def test_a_tracked_region_is_confirmed_and_the_rest_of_its_track_deleted_and_brought_back(
    page: Page, server: Server, clip: bytes
) -> None:
    project, asset = open_frame(page, server, clip, "Edits of a track")
    ring = [(36.0, 42.0), (60.0, 42.0), (60.0, 66.0), (36.0, 66.0)]
    region = {"id": new_id(), "class_id": 4, "geometry": {"outline": [ring]}}
    server.api("POST", f"/frames/{asset}-000000/regions", json=region)
    wanted = {"asset_id": asset, "region_ids": [region["id"]], "engine": "classic"}
    job = server.finished(server.api("POST", f"/projects/{project['id']}/tracks", json=wanted))
    assert job["state"] == "done", job["reason"]

    def tracked() -> list[dict[str, Any]]:
        pages = [server.api("GET", f"/frames/{asset}-{index:06d}")["regions"] for index in range(FRAMES)]
        return [found[0] for found in pages if found]

    def anchors() -> list[bool]:
        return [found["anchor"] for found in tracked()]

    def select(number: int) -> None:
        go_to(page, number)
        page.locator(f"{TREE_REGIONS}[data-region='{made[number - 1]['id']}']").click()

    made, before = tracked(), anchors()
    assert before == [True] + [False] * (len(before) - 1)
    assert len(before) > 3
    select(3)
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#properties .chip").first).to_have_text("Anchor")
    saved(page)
    assert anchors() == [True, False, True] + [False] * (len(before) - 3)

    select(2)
    page.keyboard.press("Delete")
    ask = page.locator("#delete-scope")
    expect(ask.locator("#scope-frame")).to_be_checked()
    expect(ask.locator("#scope-go")).to_contain_text("Delete 1 region")
    page.keyboard.press("ArrowDown")
    expect(ask.locator("#scope-go")).to_contain_text(f"Delete {len(before) - 1} regions")
    expect(ask.locator("#scope-note")).to_contain_text("1 of them is an anchor.")
    assert Axe().run(page, context="#delete-scope", options=RULES).response["violations"] == []
    page.keyboard.press("Enter")
    expect(ask).to_be_hidden()
    toast = page.locator(".toast").filter(has_text=f"{len(before) - 1} regions deleted.")
    expect(page.locator(TREE_REGIONS)).to_have_count(0)
    assert anchors() == [True]

    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(TREE_REGIONS)).to_have_count(1)
    saved(page)
    assert anchors() == [True, False, True] + [False] * (len(before) - 3)
    assert state(page, "s.frameId") == f"{asset}-000001"

    # An undo that follows before the copy is acknowledged: the button would take back what came before both.
    select(2)
    page.keyboard.press("Delete")
    expect(ask).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(TREE_REGIONS)).to_have_count(0)
    expect(page.locator(".toast")).to_have_count(1)
    page.evaluate("() => { const { app } = globalThis.pointillist; app.copyPrevious(); app.undo(); }")
    expect(page.locator(".toast")).to_contain_text("copied")
    expect(page.locator(".toast").get_by_role("button")).to_have_count(0)
