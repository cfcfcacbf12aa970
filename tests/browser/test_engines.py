"""Engines beyond `classic` in a real browser: chosen per click, asked by text and example, tracking from the canvas.

The fake engine answers with boxes and discs. The tiny SAM 3 has random weights: it proves that prompts reach it
and that what it answers comes back under its name, never that the answers are right.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_main_job import TREE_REGIONS, canvas_point, click, go_to, shown
from tests.conftest import MakeServer, Server, TinyWeights

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}


def open_frame(page: Page, server: Server, clip: bytes, name: str) -> tuple[dict[str, Any], str]:
    project = server.project(name)
    asset = server.asset(project, "disc.mp4", clip)["id"]
    page.goto(f"{server.url}/workspace/{project['id']}?frame=1")
    shown(page, 1)
    return project, asset


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], *, alt: bool = False) -> None:
    if alt:
        page.keyboard.down("Alt")
    page.mouse.move(*canvas_point(page, *start))
    page.mouse.down()
    page.mouse.move(*canvas_point(page, *end))
    page.mouse.up()
    if alt:
        page.keyboard.up("Alt")


def choose(page: Page, engine: str) -> None:
    page.locator("#engine").click()
    page.locator(f"[data-engine='{engine}']").click()
    expect(page.locator("#engine")).to_contain_text(engine)
    page.locator("#canvas-host").focus()


def state(page: Page, expression: str) -> Any:
    return page.evaluate(f"() => {{ const s = globalThis.pointillist.store.get(); return {expression}; }}")


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")


@pytest.fixture(scope="module")
def faked(make_server: MakeServer) -> Server:
    return make_server(fake_engine=True)


def test_an_engine_is_chosen_per_click_or_for_the_project(page: Page, faked: Server, clip: bytes) -> None:
    project, _ = open_frame(page, faked, clip, "Chosen")
    page.keyboard.press("/")
    flag = page.locator("#canvas-notes .problem:visible")
    expect(flag).to_contain_text("classic does not understand text; choose fake in the engine menu.")
    expect(flag.get_by_role("link", name="About the engines")).to_have_attribute("href", "/engines")
    page.get_by_role("button", name="Use fake", exact=True).click()
    expect(flag).to_have_count(0)
    expect(page.get_by_role("combobox", name="Text")).to_be_focused()

    page.locator("#engine").click()
    menu = page.locator("#engine-menu")
    expect(menu.locator("[data-engine='fake']")).to_have_attribute("aria-checked", "true")
    gone = menu.locator("[data-engine='sam3']")
    expect(gone).to_have_attribute("aria-disabled", "true")
    expect(gone).to_contain_text("on this machine.")
    expect(menu.get_by_role("link", name="What makes sam3 run")).to_have_attribute(
        "href", "/engines#engine-sam3"
    )
    assert Axe().run(page, context="#engine-menu", options=RULES).response["violations"] == []
    menu.get_by_role("button", name="Use fake for this project").click()
    expect(page.locator(".pt-say")).to_contain_text("fake is now the engine of this project.")
    assert faked.api("GET", f"/projects/{project['id']}")["project"]["engine"] == "fake"

    page.locator("#canvas-host").focus()
    page.keyboard.press("a")
    click(page, 48, 54)
    expect(page.locator("#proposal")).to_contain_text("by fake")
    page.keyboard.press("Shift+E")
    expect(page.locator("#proposal")).to_contain_text("by classic")
    assert state(page, "s.prompt.points.length") == 1
    page.keyboard.press("Escape")


def test_text_finds_instances_that_are_picked_and_accepted_in_one_edit(
    page: Page, faked: Server, clip: bytes
) -> None:
    _, asset = open_frame(page, faked, clip, "Instances")
    choose(page, "fake")
    page.keyboard.press("/")
    page.keyboard.type("pair")
    page.keyboard.press("Enter")
    chip = page.locator("#proposal")
    expect(chip).to_contain_text("2 of 2 instances")
    expect(chip).to_contain_text("present 0.95")
    expect(page.get_by_role("button", name="pair", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    assert state(page, "s.proposal.at") == 1
    click(page, 20, 40)
    expect(chip).to_contain_text("1 of 2 instances")
    assert Axe().run(page, options=RULES).response["violations"] == []
    click(page, 20, 40)
    for _ in range(7):
        page.keyboard.press(".")
    expect(chip).to_contain_text("≥ 0.85")
    # The click spoke for the left one; the right one goes by its score of 0.8.
    expect(chip).to_contain_text("1 of 2 instances")
    page.keyboard.press("k")
    expect(chip).to_contain_text("0 of 2 instances")
    for _ in range(7):
        page.keyboard.press(",")
    expect(chip).to_contain_text("1 of 2 instances")
    page.keyboard.press("Escape")

    page.keyboard.press("/")
    page.get_by_role("button", name="pair", exact=True).click()
    expect(chip).to_contain_text("2 of 2 instances")
    page.keyboard.press("Enter")
    expect(page.locator(TREE_REGIONS)).to_have_count(2)
    expect(chip).to_be_hidden()
    saved(page)
    kept = faked.api("GET", f"/frames/{asset}-000000")["regions"]
    assert sorted(round(r["area"] / 1000) for r in kept) == [6, 6]
    assert all(r["geometry"]["text"] is None and r["geometry"]["points"] for r in kept)
    page.keyboard.press("Control+z")
    expect(page.locator(TREE_REGIONS)).to_have_count(0)
    assert faked.api("GET", f"/frames/{asset}-000000")["regions"] == []


def test_exemplars_accumulate_and_are_taken_back_one_by_one(page: Page, faked: Server, clip: bytes) -> None:
    _, _ = open_frame(page, faked, clip, "Exemplars")
    page.keyboard.press("e")
    drag(page, (10, 10), (40, 40))
    expect(page.locator(".pt-say")).to_contain_text("classic does not understand exemplars")
    choose(page, "fake")
    drag(page, (10, 10), (40, 40))
    chip = page.locator("#proposal")
    expect(chip).to_contain_text("1 of 1 instances")
    drag(page, (100, 10), (130, 40))
    expect(chip).to_contain_text("2 of 2 instances")
    drag(page, (60, 80), (75, 100), alt=True)
    assert state(page, "s.prompt.exemplars.map((e) => e.positive)") == [True, True, False]
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    expect(chip).to_contain_text("1 of 1 instances")
    page.keyboard.press("Escape")
    expect(chip).to_be_hidden()
    assert state(page, "s.prompt") is None


def ask_track(page: Page, engine: str) -> None:
    """Open the box of tracking; it offers that engine, forward, and Enter begins."""
    page.keyboard.press("t")
    box = page.get_by_role("dialog", name="Track", exact=True)
    expect(box.get_by_label("Engine")).to_have_value(engine)
    expect(box.get_by_role("radio", name="Forward")).to_be_checked()
    expect(box.locator("#track-go")).to_be_focused()


def begun(page: Page) -> dict[str, Any]:
    """The job that Enter in that box starts."""
    with page.expect_response("**/tracks") as made:
        page.keyboard.press("Enter")
    return made.value.json()


def test_the_selected_region_is_tracked_and_its_regions_come_by_themselves(
    page: Page, faked: Server, clip: bytes
) -> None:
    _, asset = open_frame(page, faked, clip, "Tracked")
    choose(page, "fake")
    click(page, 48, 54)
    expect(page.locator("#proposal")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(TREE_REGIONS)).to_have_count(1)
    saved(page)
    page.locator(TREE_REGIONS).click()
    page.get_by_role("button", name="Track back").click()
    box = page.get_by_role("dialog", name="Track", exact=True)
    expect(box.get_by_role("radio", name="Back")).to_be_checked()
    assert Axe().run(page, context="#track-box", options=RULES).response["violations"] == []
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()

    page.locator("#canvas-host").focus()
    ask_track(page, "fake")
    box.get_by_label("Number of frames").fill("2")
    expect(box.locator("#track-go")).to_contain_text("Track 1 region over 2 frames")
    job = begun(page)
    expect(box).to_be_hidden()
    go_to(page, 2)
    expect(page.locator(TREE_REGIONS)).to_have_count(1)
    go_to(page, 3)
    expect(page.locator(TREE_REGIONS)).to_have_count(1)
    assert faked.finished(job)["state"] == "done"
    assert faked.api("GET", f"/frames/{asset}-000003")["regions"] == []
    (region,) = faked.api("GET", f"/frames/{asset}-000002")["regions"]
    assert (region["author"], region["anchor"]) == ("fake", False)


@pytest.fixture(scope="module")
def tiny(
    make_server: MakeServer, tiny_weights: TinyWeights, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """A server whose sam3 has random weights of a tiny model."""
    data: Path = tmp_path_factory.mktemp("tiny")
    (data / "weights").mkdir()
    (data / "weights" / "sam3.pt").symlink_to(tiny_weights("sam3"))
    return make_server(data)


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "sam3")), reason="the extra [sam3] is not installed"
)
def test_sam3_answers_every_kind_of_prompt_from_the_canvas(page: Page, tiny: Server, clip: bytes) -> None:
    _, asset = open_frame(page, tiny, clip, "SAM 3")
    choose(page, "sam3")
    chip = page.locator("#proposal")
    page.keyboard.press("a")
    click(page, 80, 60)
    expect(chip).to_contain_text("by sam3", timeout=120_000)
    assert state(page, "s.proposal.weights.length") == 16
    assert state(page, "s.proposal.candidates.length") > 1
    page.keyboard.press("Enter")
    expect(page.locator(TREE_REGIONS)).to_have_count(1)
    saved(page)
    clicked = tiny.api("GET", f"/frames/{asset}-000000")["regions"][0]
    assert clicked["certificate"]["engine"] == "sam3"

    page.keyboard.press("b")
    drag(page, (20, 20), (60, 60))
    expect(chip).to_contain_text("by sam3")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("disc")
    page.keyboard.press("Enter")
    expect(chip).to_contain_text("instances")
    expect(chip).to_contain_text("by sam3")
    assert state(page, "[s.proposal.kind, s.proposal.presence !== null]") == ["instances", True]
    found = state(page, "s.proposal.weights")
    page.keyboard.press("e")
    drag(page, (60, 6), (100, 24))
    page.wait_for_load_state()
    expect(page.locator("#tools .busy")).to_have_count(0)
    assert state(page, "[s.prompt.text, s.prompt.exemplars.length]") == ["disc", 1]
    assert state(page, "s.proposal?.engine ?? s.message?.text") in (
        "sam3",
        "Nothing like that was found in this frame.",
    )
    assert found == clicked["certificate"]["weights"]
    page.keyboard.press("Escape")

    page.locator(TREE_REGIONS).click()
    page.locator("#canvas-host").focus()
    ask_track(page, "sam3")
    assert tiny.finished(begun(page))["state"] == "done"
    seen = [tiny.api("GET", f"/frames/{asset}-{index:06d}")["regions"] for index in range(1, 6)]
    assert {region["author"] for regions in seen for region in regions} == {"sam3"}
