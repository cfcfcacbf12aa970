"""Labels that flicker, from the curve to steady ones: preview, comparison, one edit, and all of it taken back."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests import drawing
from tests.browser.test_engines import RULES, saved, state
from tests.browser.test_main_job import canvas_point, shown
from tests.conftest import Server
from tests.routes.test_api_regions import add, labels_of

FRAMES, WIDTH, HEIGHT = 9, 160, 120
CHAIR = 4
DAMAGED = 4
BAR = (120, 72)
"""The middle of the bar, which does not move."""


@pytest.fixture(scope="module")
def scene(server: Server) -> dict[str, Any]:
    """A clip whose disc and bar are labelled as one region a frame; on one frame the bar is lost."""
    video = io.BytesIO()
    drawing.video(video, frames=FRAMES, width=WIDTH, height=HEIGHT)
    template = server.api("POST", "/class-templates", json={"name": "Steady", "preset": "objects"})
    project = server.api("POST", "/projects", json={"name": "Steady", "class_template_id": template["id"]})
    asset = server.asset(project, "flickers.mp4", video.getvalue())["id"]
    bar = [[106, 42], [134, 42], [134, 102], [106, 102]]
    for index in range(FRAMES):
        turns = [2 * math.pi * k / 24 for k in range(24)]
        disc = [[48 + 2.4 * index + 24 * math.cos(a), 54 + 24 * math.sin(a)] for a in turns]
        add(server, frame_of(asset, index), CHAIR, {"outline": [disc] if index == DAMAGED else [disc, bar]})
    return {"id": project["id"], "asset": asset}


def frame_of(asset: str, index: int) -> str:
    return f"{asset}-{index:06d}"


def is_tinted(page: Page, x: float, y: float) -> bool:
    """Whether the canvas shows a label at a position of the frame: the class is orange, the bar under it blue."""
    left, top = canvas_point(page, x, y)
    box = page.locator("#canvas-host").bounding_box()
    assert box is not None
    red, _, blue, _ = page.evaluate(
        """([x, y]) => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.querySelector('.pt-layer-picture');
            const ratio = canvas.width / canvas.clientWidth;
            resolve([...canvas.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data]);
        })))""",
        [left - box["x"], top - box["y"]],
    )
    return red > blue


def accessible(page: Page, part: str) -> None:
    found = Axe().run(page, context=part, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def test_a_lost_part_is_found_by_its_flicker_mended_and_taken_back(
    page: Page, server: Server, scene: dict[str, Any]
) -> None:
    page.goto(f"{server.url}/workspace/{scene['id']}?frame=1")
    shown(page, 1)
    damaged = frame_of(scene["asset"], DAMAGED)
    before = labels_of(server, damaged)
    assert before[BAR[1], BAR[0]] == 0

    # The curve shows where it flickers, and the queue leads there.
    row = page.get_by_role("slider", name="Flicker of flickers.mp4")
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(row).to_have_attribute("aria-valuetext", re.compile("Nothing on the frame before"))
    page.locator("#canvas-host").focus()
    page.keyboard.press("n")
    shown(page, DAMAGED + 1)
    expect(row).to_have_attribute("aria-valuetext", re.compile(r"above the limit of 0\.17"))

    # The focus comes back to where it was.
    opener = page.get_by_role("button", name="Stabilise labels over time")
    opener.click()
    panel = page.get_by_role("region", name="Stabilise")
    expect(panel.get_by_role("radio", name="All", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    expect(panel).to_be_hidden()

    # All labels were drawn by a person: they are left alone unless it is asked for.
    page.locator("#canvas-host").focus()
    page.keyboard.press("Shift+S")
    preview = panel.get_by_role("button", name="Preview")
    expect(panel).to_contain_text(f"{FRAMES} anchors are not touched.")
    expect(preview).to_be_disabled()
    expect(panel.get_by_role("checkbox", name="Motion compensation")).to_be_checked()
    expect(panel.get_by_role("checkbox", name="Only where it flickers")).to_be_checked()
    panel.get_by_role("checkbox", name="Change anchors, too").check()
    accessible(page, "#stabilise")
    expect(preview).to_contain_text(f"Preview {FRAMES} frames")
    panel.get_by_role("radio", name="5", exact=True).focus()
    page.keyboard.press("Enter")

    # Before on the left, after on the right of a border that keys move; nothing is saved.
    apply = panel.get_by_role("button", name=re.compile(r"^Apply to \d frames?$"))
    expect(apply).to_be_focused()
    expect(page.locator("#preview-flag")).to_have_text("Preview, not saved")
    expect(panel).to_contain_text("% steadier")
    accessible(page, "#stabilise")
    accessible(page, "#canvas-host")
    border = page.get_by_role("separator", name="Border between before and after")
    border.focus()
    page.keyboard.press("Home")
    assert is_tinted(page, *BAR)
    page.keyboard.press("End")
    expect(border).to_have_attribute("aria-valuenow", "100")
    assert not is_tinted(page, *BAR)
    page.keyboard.press("Home")
    page.keyboard.down("s")
    assert not is_tinted(page, *BAR)
    page.keyboard.up("s")
    assert is_tinted(page, *BAR)
    assert np.array_equal(labels_of(server, damaged), before)

    # The chart leads to frames, and the comparison goes along.
    chart = panel.get_by_role("slider", name="Instability from frame to frame")
    chart.focus()
    page.keyboard.press("ArrowRight")
    shown(page, DAMAGED + 2)
    expect(chart).to_have_attribute(
        "aria-valuetext", re.compile(rf"^Frame {DAMAGED + 2}: 0\.\d\d before, 0\.\d\d after$")
    )
    chart.focus()
    page.keyboard.press("PageUp")
    shown(page, DAMAGED + 1)
    expect(border).to_be_visible()

    apply.click()
    expect(panel).to_contain_text(re.compile(r"\d regions? on \d frames? changed\."))
    expect(border).to_be_hidden()
    after = labels_of(server, damaged)
    assert after[BAR[1], BAR[0]] == CHAIR
    page.locator("#canvas-host[data-cursor]").wait_for()
    expect(page.locator("#preview-flag")).to_be_hidden()
    accessible(page, "#stabilise")

    undo = panel.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    expect(undo).to_be_hidden()
    saved(page)
    expect(page.locator(".pt-say")).to_contain_text("Took the smoothing of flickers.mp4 back.")
    assert np.array_equal(labels_of(server, damaged), before)

    # Escape closes it, and the keys belong to the canvas again.
    panel.get_by_role("radio", name="All", exact=True).focus()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#canvas-host")).to_be_focused()
    assert state(page, "s.tool") == "point-plus"
